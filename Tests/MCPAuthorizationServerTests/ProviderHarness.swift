import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

/// A provider as the server knows it, and the simulator of what it really does.
struct ProviderCase: Sendable, CustomTestStringConvertible {
    let name: String
    let provider: IdentityProvider
    let behaviour: ProviderBehaviour
    /// The subject under which ada is known here.
    var subject = "1001"
    var hasRefresh = true
    var hasRevocation = true
    var hasNonce = true
    var hasPKCE = true
    var isEmailVerified = true

    var testDescription: String { name }

    static let tenant = "9a8b7c6d-1111-2222-3333-444455556666"

    static let all: [ProviderCase] = special + standard

    private static let special: [ProviderCase] = [
        ProviderCase(name: "GitHub", provider: .github(), behaviour: .github(), hasRefresh: false, hasNonce: false),
        ProviderCase(name: "GitHub with tokens that expire", provider: .github(), behaviour: .github(expires: true), hasNonce: false),
        ProviderCase(name: "Google", provider: .google(), behaviour: .google()),
        ProviderCase(name: "Apple", provider: .apple(), behaviour: .apple(), hasPKCE: false),
        ProviderCase(
            name: "Entra", provider: .entra(tenant: tenant), behaviour: .entra(tenant: tenant), subject: "\(tenant).1001", hasRevocation: false,
            isEmailVerified: false),
        ProviderCase(
            name: "Entra, several tenants", provider: .entra(tenant: "organizations"), behaviour: .entra(tenant: tenant, isMultiTenant: true),
            subject: "\(tenant).1001", hasRevocation: false, isEmailVerified: false),
        ProviderCase(
            name: "GitHub Enterprise Server", provider: .github(host: "github.acme.example"), behaviour: .githubEnterprise(), hasRefresh: false,
            hasNonce: false),
        ProviderCase(
            name: "GitHub with data residency", provider: .github(host: "acme.ghe.com"), behaviour: .githubResident(), hasNonce: false),
        ProviderCase(
            name: "Entra, US government", provider: .entra(tenant: tenant, cloud: .usGovernment),
            behaviour: .entra(tenant: tenant, host: "login.microsoftonline.us", graph: "graph.microsoft.us"), subject: "\(tenant).1001",
            hasRevocation: false, isEmailVerified: false),
        ProviderCase(
            name: "Entra, China", provider: .entra(tenant: tenant, cloud: .china),
            behaviour: .entra(
                tenant: tenant, host: "login.partner.microsoftonline.cn", graph: "microsoftgraph.chinacloudapi.cn"),
            subject: "\(tenant).1001", hasRevocation: false, isEmailVerified: false),
        ProviderCase(
            name: "Entra External ID", provider: .entraExternalID(name: "acme", tenant: tenant),
            behaviour: .entraExternalID(name: "acme", tenant: tenant), subject: "\(tenant).1001", hasRevocation: false, isEmailVerified: false),
        ProviderCase(
            name: "Azure AD B2C",
            provider: .azureB2C(tenant: "acme", policy: "B2C_1_signin", issuer: "https://acme.b2clogin.com/\(tenant)/v2.0/"),
            behaviour: .azureB2C(tenant: "acme", policy: "B2C_1_signin", issuer: "https://acme.b2clogin.com/\(tenant)/v2.0/"),
            hasRevocation: false, isEmailVerified: false),
        ProviderCase(name: "Slack", provider: .slack(), behaviour: .slack(), hasRefresh: false, hasRevocation: false, hasPKCE: false),
        ProviderCase(name: "Discord", provider: .discord(), behaviour: .discord(), hasNonce: false),
        ProviderCase(name: "LinkedIn", provider: .linkedIn(), behaviour: .linkedIn(), hasRefresh: false, hasRevocation: false, hasPKCE: false),
        ProviderCase(name: "Bitbucket", provider: .bitbucket(), behaviour: .bitbucket(), hasRevocation: false, hasNonce: false, hasPKCE: false),
        ProviderCase(
            name: "Cognito",
            provider: .cognito(region: "eu-central-1", pool: "eu-central-1_AbCdEfGhI", domain: "acme.auth.eu-central-1.amazoncognito.com"),
            behaviour: .cognito()),
        ProviderCase(name: "Zitadel", provider: .zitadel(instance: "acme.zitadel.cloud"), behaviour: .zitadel()),
        ProviderCase(name: "Keycloak", provider: .keycloak(url: "https://id.example.com", realm: "acme"), behaviour: .keycloak()),
        ProviderCase(name: "Auth0", provider: .auth0(domain: "acme.eu.auth0.com"), behaviour: .openID(issuer: "https://acme.eu.auth0.com/")),
        ProviderCase(name: "Okta", provider: .okta(domain: "acme.okta.com"), behaviour: .openID(issuer: "https://acme.okta.com/oauth2/default")),
        ProviderCase(
            name: "authentik", provider: .authentik(host: "id.example.com", application: "mcp"),
            behaviour: .openID(issuer: "https://id.example.com/application/o/mcp/")),
        ProviderCase(
            name: "any OpenID", provider: .openID(issuer: "https://id.example.com"), behaviour: .openID(issuer: "https://id.example.com")),
    ]

    static let openID = all.last { $0.name == "any OpenID" }!

    /// Providers that follow OpenID Connect and differ by their issuer, and by how they give refresh tokens.
    private static let standard: [ProviderCase] = {
        func item(
            _ name: String, _ provider: IdentityProvider, _ issuer: String, _ refresh: ProviderBehaviour.Refresh = .withScope("offline_access"),
            hasRevocation: Bool = true, profile: (@Sendable (SimulatedAccount) -> JSONObject)? = nil
        ) -> ProviderCase {
            var behaviour = ProviderBehaviour.openID(issuer: issuer)
            behaviour.refresh = refresh
            if !hasRevocation { behaviour.revocation = nil }
            if let profile { behaviour.userInfoClaims = profile }
            return ProviderCase(
                name: name, provider: provider, behaviour: behaviour, hasRefresh: refresh != .never, hasRevocation: hasRevocation)
        }
        return [
            item("Supabase", .supabase(project: "abcdefghijklmnopqrst"), "https://abcdefghijklmnopqrst.supabase.co/auth/v1", .always),
            item("Logto", .logto(endpoint: "https://acme.logto.app"), "https://acme.logto.app/oidc"),
            item("Asgardeo", .asgardeo(organization: "acme"), "https://api.asgardeo.io/t/acme/oauth2/token", .always),
            item("WSO2", .wso2(url: "https://is.example.com:9443"), "https://is.example.com:9443/oauth2/token", .always),
            item("AuthKit", .authKit(domain: "acme.authkit.app"), "https://acme.authkit.app"),
            item("Descope", .descope(issuer: "https://api.descope.com/P2abc"), "https://api.descope.com/P2abc"),
            item("Scalekit", .scalekit(environment: "https://acme.scalekit.com"), "https://acme.scalekit.com"),
            item("Clerk", .clerk(domain: "clerk.acme.com"), "https://clerk.acme.com"),
            item("PropelAuth", .propelAuth(url: "https://auth.acme.com"), "https://auth.acme.com/oauth/2.1"),
            item("Oracle Cloud", .oci(domainURL: "https://idcs-1.identity.oraclecloud.com"), "https://idcs-1.identity.oraclecloud.com"),
            item("Ory", .ory(issuer: "https://acme.projects.oryapis.com"), "https://acme.projects.oryapis.com"),
            item("FusionAuth", .fusionAuth(url: "https://auth.acme.com"), "https://auth.acme.com", hasRevocation: false),
            item("PingOne", .pingOne(environment: "e1"), "https://auth.pingone.com/e1/as"),
            item("OneLogin", .oneLogin(subdomain: "acme"), "https://acme.onelogin.com/oidc/2", .never),
            item("Stytch", .stytch(domain: "acme.customers.stytch.com"), "https://acme.customers.stytch.com"),
            item(
                "Hugging Face", .huggingFace(), "https://huggingface.co", .never, hasRevocation: false,
                profile: { account in
                    var claims = account.standardClaims
                    claims["orgs"] = .array(account.organizations.map { ["sub": .string("o-" + $0), "name": .string($0)] })
                    return claims
                }),
            item("GitLab", .gitlab(), "https://gitlab.com", .always),
        ]
    }()
}

/// A server whose users sign in at a simulated provider.
struct ProviderHarness {
    let kind: ProviderCase
    let provider: SimulatedProvider
    let harness: Harness
    let client: String

    static let ada = SimulatedAccount(
        "1001", name: "Ada Lovelace", userName: "ada", email: "ada@acme.example", tenant: ProviderCase.tenant, organizations: ["acme"],
        teams: ["acme/engines"], groups: ["engineers"])
    static let grace = SimulatedAccount(
        "1002", name: "Grace Hopper", userName: "grace", email: "grace@navy.example", tenant: ProviderCase.tenant, organizations: ["navy"])

    init(
        _ kind: ProviderCase = .openID, admission: Admission = .everyone, alsoPasswords: Bool = false,
        store: any AuthorizationServerStore = MemoryStore(), master: MasterKey = .random(),
        secret: ProviderSecret = "provider-secret-canary", permissions: (@Sendable (ProviderPerson) -> ScopeSet)? = nil,
        roles: (@Sendable (ProviderPerson) -> [String])? = nil,
        accounts: [SimulatedAccount] = [ada, grace],
        configure: (inout AuthorizationServerConfiguration) -> Void = { _ in }
    ) async throws {
        self.kind = kind
        let time = TestClock()
        provider = try SimulatedProvider(kind.behaviour, accounts: accounts, clock: time.clock)
        let method = SignInMethod.provider(
            kind.provider, clientID: "client-at-provider", clientSecret: secret, admission: admission, permissions: permissions,
            roles: roles)
        harness = try await Harness(
            store: store, master: master, signIn: alsoPasswords ? [method, .password] : [method], fetcher: provider, time: time, configure: configure)
        client = try await harness.registered()
    }

    var id: String { kind.provider.id }

    /// Opens the authorization request and allows the application. The URL at the provider.
    func depart(_ browser: Browser, _ change: [(String, String?)] = []) async throws -> String {
        try await browser.open(harness.parameters(client, change))
        if browser.page.contains("/sign-in/provider") { try await browser.submit("/sign-in/provider", [("provider", id)]) }
        let reply = try await browser.decide("allow")
        return try #require(reply.response.headerFields[.location], "no departure: \(reply.text)")
    }

    /// The account signs in at the provider, and the browser returns.
    @discardableResult
    func `return`(_ browser: Browser, _ url: String, as subject: String = "1001", denies: Bool = false) async throws -> HTTPReply {
        switch try provider.authorize(url, as: subject, denies: denies) {
        case .redirect(let location): return try await browser.go(.get, target(location))
        case .post(let location, let body):
            // A form of another site comes without the cookies of this one.
            var fields: HTTPFields = [.contentType: "application/x-www-form-urlencoded", .origin: "https://appleid.apple.com"]
            fields[HTTPField.Name("Sec-Fetch-Site")!] = "cross-site"
            let reply = try await harness.send(.post, target(location), fields, body: body)
            #expect(reply.status == 303 && reply.response.headerFields[.setCookie] == nil)
            return try await browser.go(.get, try #require(reply.response.headerFields[.location]))
        }
    }

    func target(_ location: String) -> String { String(location.dropFirst(Harness.issuer.count)) }

    /// A code, gained as a person would.
    func code(_ browser: Browser? = nil, as subject: String = "1001", _ change: [(String, String?)] = []) async throws -> String {
        let browser = browser ?? Browser(harness)
        let reply = try await self.return(browser, try await depart(browser, change), as: subject)
        return try #require(reply.location?["code"], "no code: \(reply.status) \(reply.text)")
    }

    func tokens(as subject: String = "1001") async throws -> Harness.Tokens {
        let reply = try await harness.redeem(client, try await code(as: subject))
        return Harness.Tokens(access: try #require(reply.json["access_token"]?.string), refresh: try #require(reply.json["refresh_token"]?.string))
    }

    func user(_ tokens: Harness.Tokens) throws -> String { try claims(tokens.access)["sub"]?.string ?? "" }

    func claims(_ token: String) throws -> JSONValue {
        let parts = token.split(separator: ".")
        return try JSONValue(parsing: Base64URL.decode(String(parts[1])))
    }
}
