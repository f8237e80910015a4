public import OAuth
import JOSE

extension IdentityProvider {
    /// The national clouds of Microsoft Entra.
    public enum EntraCloud: String, Sendable, Hashable, CaseIterable {
        case global = "login.microsoftonline.com"
        case usGovernment = "login.microsoftonline.us"
        case china = "login.partner.microsoftonline.cn"
    }

    /// Microsoft Entra ID. Users are identified by tenant and object (`tid` and `oid`). Their e-mail address is never
    /// verified, except by the optional claim `xms_edov`. `tenant` of a person is `tid`.
    ///
    /// - Parameters:
    ///   - tenant: The identifier of a tenant, or `organizations`, `common` or `consumers` for several.
    ///   - cloud: The national cloud.
    public static func entra(tenant: String, cloud: EntraCloud = .global) -> IdentityProvider {
        let authority = "https://\(cloud.rawValue)"
        let base = "\(authority)/\(tenant)"
        let isMultiTenant = ["common", "organizations", "consumers"].contains(tenant)
        var signIn = ProviderSignIn.openID(emailIsVerified: .domainOwnerVerified)
        signIn.identity = .idToken
        signIn.clientAuthentication = .post
        signIn.repeatsScopesAtRefresh = true
        if isMultiTenant { signIn.issuers = .tenantTemplate("\(authority)/{tenantid}/v2.0") }
        signIn.revocation = .none
        signIn.person = { documents throws(OAuthError) in
            guard let object = documents.idToken["oid"]?.string, let tenant = documents.idToken["tid"]?.string else {
                throw OAuthError(.invalidToken, "Entra does not name the user: oid or tid is missing; request the scope profile")
            }
            var person = try ProviderPerson(standardClaims: documents, email: .domainOwnerVerified)
            person.subject = tenant + "." + object
            person.tenant = tenant
            return person
        }
        let fixed = FixedEndpoints(
            authorization: "\(base)/oauth2/v2.0/authorize", token: "\(base)/oauth2/v2.0/token", keys: "\(base)/discovery/v2.0/keys")
        // Tokens of version 1 name another issuer, but are signed with the same keys. They come from APIs whose
        // requestedAccessTokenVersion is not 2.
        let legacyHost = cloud == .china ? "sts.chinacloudapi.cn" : "sts.windows.net"
        return IdentityProvider(
            id: "entra", name: "Microsoft", mark: ProviderMark(letters: "M", colour: "#0067b8"),
            endpoints: .fixed(issuer: "\(base)/v2.0", fixed), signIn: signIn,
            accessTokens: ProviderAccessTokens(
                .jwt, audience: .configured,
                otherIssuers: isMultiTenant
                    ? [] : [.init(issuer: "https://\(legacyHost)/\(tenant)/", keys: "\(base)/discovery/v2.0/keys")]))
    }

    /// Microsoft Entra External ID (customers).
    ///
    /// - Parameters:
    ///   - name: The subdomain, such as `acme` of `acme.ciamlogin.com`.
    ///   - tenant: The identifier of the tenant.
    public static func entraExternalID(name: String, tenant: String) -> IdentityProvider {
        var provider = entra(tenant: tenant)
        let base = "https://\(name).ciamlogin.com/\(tenant)"
        provider.id = "entra-external-id"
        provider.endpoints = .fixed(
            issuer: "\(base)/v2.0",
            FixedEndpoints(authorization: "\(base)/oauth2/v2.0/authorize", token: "\(base)/oauth2/v2.0/token", keys: "\(base)/discovery/v2.0/keys"))
        provider.accessTokens.otherIssuers = []
        return provider
    }

    /// Azure AD B2C. The issuer of a policy differs from its authority and is copied from the policy's metadata
    /// document.
    ///
    /// - Parameters:
    ///   - tenant: The name of the tenant, such as `acme`.
    ///   - policy: The name of the user flow, such as `B2C_1_signin`.
    ///   - issuer: The exact issuer of the policy's metadata document.
    public static func azureB2C(tenant: String, policy: String, issuer: String) -> IdentityProvider {
        let base = "https://\(tenant).b2clogin.com/\(tenant).onmicrosoft.com/\(policy)"
        var signIn = ProviderSignIn.openID(scopes: ["openid"], emailIsVerified: .never)
        signIn.identity = .idToken
        signIn.clientAuthentication = .post
        signIn.revocation = .none
        signIn.person = { documents throws(OAuthError) in
            var person = try ProviderPerson(standardClaims: documents, email: .never)
            person.email = person.email ?? documents.idToken["emails"]?.strings?.first
            return person
        }
        return IdentityProvider(
            id: "azure-b2c", name: "Azure AD B2C", mark: ProviderMark(letters: "M", colour: "#0067b8"),
            endpoints: .fixed(
                issuer: issuer,
                FixedEndpoints(
                    authorization: "\(base)/oauth2/v2.0/authorize", token: "\(base)/oauth2/v2.0/token", keys: "\(base)/discovery/v2.0/keys")),
            signIn: signIn, accessTokens: ProviderAccessTokens(.jwt, audience: .configured))
    }
}
