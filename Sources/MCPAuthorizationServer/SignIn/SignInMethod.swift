public import IdentityProviders
public import JOSE
public import OAuth

/// A way in which users sign in. A server has one or more: passwords, and identity providers.
public struct SignInMethod: Sendable {
    enum Kind: Sendable {
        case password
        case custom(@Sendable (_ name: String, _ password: String) async throws -> SignedInPerson?)
        case provider(ProviderMethod)
    }

    let kind: Kind

    /// With a password in this store, and a one-time code for users who have them.
    public static let password = SignInMethod(kind: .password)

    /// With a name and a password of another table of users. The closure returns the user, or nil for a wrong name or
    /// password. It throws when it cannot decide now; the server then answers 503.
    ///
    /// It is called for attempts within the rate limits. It must take the same time for a name that exists and one that
    /// does not. At the first sign-in the server creates a user, which it identifies by `issuer` and `subject` from
    /// then on.
    public static func custom(
        _ check: @escaping @Sendable (_ name: String, _ password: String) async throws -> SignedInPerson?
    ) -> SignInMethod {
        SignInMethod(kind: .custom(check))
    }

    /// Through an identity provider. The redirect URI to register there is `ISSUER/sign-in/callback/ID`, with the `id`
    /// of the provider.
    ///
    /// - Parameters:
    ///   - provider: The provider, such as `.okta(domain: "acme.okta.com")`.
    ///   - clientID: The client identifier that the provider assigned.
    ///   - clientSecret: The client secret.
    ///   - admission: The users who may enter. By default, all users with an account at the provider.
    ///   - scopes: Further scopes of the provider, for tools that call its API.
    ///   - permissions: The scopes of your resources that a user may have, by groups or roles for example. They limit
    ///     what the user can allow, and are decided again when the provider is asked again. Nil: every scope. A user
    ///     who also has a password, or an account without this limit, has every scope.
    ///   - roles: The roles of a user, which become the claim `roles` of access tokens (RFC 9068 §2.2.3.1) and are
    ///     decided again like `permissions`. Tools read them in `call.principal.roles`. Nil: no claim. Of the roles,
    ///     the first 100 count.
    public static func provider(
        _ provider: IdentityProvider, clientID: String, clientSecret: ProviderSecret, admission: Admission = .everyone, scopes: [String] = [],
        permissions: (@Sendable (ProviderPerson) -> ScopeSet)? = nil, roles: (@Sendable (ProviderPerson) -> [String])? = nil
    ) -> SignInMethod {
        SignInMethod(
            kind: .provider(
                ProviderMethod(
                    provider: provider, clientID: clientID, secret: clientSecret, admission: admission, furtherScopes: scopes,
                    permissions: permissions, roles: roles)))
    }

    /// Through GitHub, or GitHub Enterprise if `host` is set.
    ///
    /// - Parameters:
    ///   - organizations: The organizations whose members may enter. Empty: all users with an account.
    ///   - teams: The teams whose members may enter, as `organization/team`.
    public static func github(
        clientID: String, clientSecret: ProviderSecret, host: String? = nil, organizations: [String] = [], teams: [String] = [],
        scopes: [String] = []
    ) -> SignInMethod {
        provider(
            .github(host: host), clientID: clientID, clientSecret: clientSecret,
            admission: Admission(organizations: organizations, teams: teams), scopes: scopes)
    }

    /// Through Google.
    ///
    /// - Parameter hostedDomain: The Workspace domain whose users may enter. Nil: all users with an account.
    public static func google(
        clientID: String, clientSecret: ProviderSecret, hostedDomain: String? = nil, scopes: [String] = []
    ) -> SignInMethod {
        provider(
            .google(), clientID: clientID, clientSecret: clientSecret, admission: Admission(domains: hostedDomain.map { [$0] } ?? []),
            scopes: scopes)
    }

    /// Through any provider with OpenID Connect.
    public static func openID(issuer: String, clientID: String, clientSecret: ProviderSecret, name: String? = nil) -> SignInMethod {
        provider(.openID(issuer: issuer, name: name), clientID: clientID, clientSecret: clientSecret)
    }
}

/// The secret of this server at an identity provider.
public struct ProviderSecret: Sendable, ExpressibleByStringLiteral, CustomStringConvertible, CustomReflectable {
    enum Kind: Sendable {
        case text(String)
        case appleKey(team: String, keyID: String, key: SigningKey)
    }

    let kind: Kind

    /// A secret that the provider assigned.
    public init(_ text: String) { kind = .text(text) }

    /// A secret that the provider assigned.
    public init(stringLiteral value: String) { self.init(value) }

    private init(kind: Kind) { self.kind = kind }

    /// The key of Sign in with Apple, from which short-lived secrets are made.
    ///
    /// - Parameters:
    ///   - team: The team identifier.
    ///   - keyID: The identifier of the key.
    ///   - privateKey: The content of the `.p8` file. Throws `invalid_configuration` when it is not an ES256 key.
    public static func appleKey(team: String, keyID: String, privateKey: String) throws(OAuthError) -> ProviderSecret {
        do throws(JOSEError) {
            let key = try SigningKey(pem: privateKey, keyID: keyID)
            guard key.algorithm == .es256 else { throw JOSEError(.unusableKey, "it is not a P-256 key") }
            return ProviderSecret(kind: .appleKey(team: team, keyID: keyID, key: key))
        } catch { throw OAuthError(.invalidConfiguration, "the key of Sign in with Apple cannot be used: \(error.message)") }
    }

    public var description: String { "ProviderSecret" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The users of an identity provider who may enter. Each list that is not empty must contain the user. The rules are
/// checked at every sign-in. They are checked again when grants are refreshed, at most hourly, unless the provider
/// describes users in the ID token of the sign-in only (Google, Apple, Entra): then the check is that the account
/// exists.
public struct Admission: Sendable {
    /// Domains that the provider vouches for, such as Google's `hd`. Where a provider has no such claim, the domain of
    /// the verified e-mail address.
    public var domains: [String]
    /// Tenants, such as Entra's `tid` or Slack's `team_id`.
    public var tenants: [String]
    /// Verified e-mail addresses.
    public var emails: [String]
    /// Organizations, as the provider names them.
    public var organizations: [String]
    /// Teams, as `organization/team`.
    public var teams: [String]
    /// Groups or roles, as the provider names them.
    public var groups: [String]
    /// A further condition of your own.
    public var condition: (@Sendable (ProviderPerson) async -> Bool)?

    /// Rules. Empty lists admit everyone.
    public init(
        domains: [String] = [], tenants: [String] = [], emails: [String] = [], organizations: [String] = [], teams: [String] = [],
        groups: [String] = [], condition: (@Sendable (ProviderPerson) async -> Bool)? = nil
    ) {
        self.domains = domains
        self.tenants = tenants
        self.emails = emails
        self.organizations = organizations
        self.teams = teams
        self.groups = groups
        self.condition = condition
    }

    /// All users with an account at the provider.
    public static let everyone = Admission()

    /// Whether there is no rule.
    var admitsEveryone: Bool {
        [domains, tenants, emails, organizations, teams, groups].allSatisfy(\.isEmpty) && condition == nil
    }

    var needsMembership: Bool { !organizations.isEmpty || !teams.isEmpty || condition != nil }

    /// The rule that a user does not meet, for the operator. Nil: the user may enter.
    func refusal(of person: ProviderPerson, vouchesForDomains: Bool) async -> String? {
        func has(_ allowed: [String], _ values: [String]) -> Bool {
            allowed.isEmpty || values.contains { value in allowed.contains { URLBytes.equalIgnoringCase($0, value) } }
        }
        let emails = person.isEmailVerified ? person.email.map { [$0] } ?? [] : []
        let domains = vouchesForDomains ? person.tenant.map { [$0] } ?? [] : emails.compactMap { $0.split(separator: "@").last.map(String.init) }
        if !has(self.domains, domains) { return "domain \(domains.first ?? "none that is vouched for")" }
        if !has(tenants, person.tenant.map { [$0] } ?? []) { return "tenant \(person.tenant ?? "none")" }
        if !has(self.emails, emails) { return "e-mail \(person.isEmailVerified ? "is not listed" : "is not verified")" }
        if !has(organizations, person.organizations) { return "organizations: \(person.organizations.prefix(20).joined(separator: ", "))" }
        if !has(teams, person.teams) { return "teams: \(person.teams.prefix(20).joined(separator: ", "))" }
        if !has(groups, person.groups) { return "groups: \(person.groups.prefix(20).joined(separator: ", "))" }
        if let condition, await !condition(person) { return "the condition of the application" }
        return nil
    }
}

/// A user of another table of users.
public struct SignedInPerson: Sendable, Hashable {
    /// The table and the identifier of the user in it, which never change.
    public let identity: ExternalIdentity
    /// The name for display. Nil: none.
    public let displayName: String?
    /// The e-mail address. It never identifies a user. Nil: none.
    public let email: String?
    /// Whether the table vouches that the address belongs to the user.
    public let isEmailVerified: Bool

    /// A user of another table. Name and address are used at the first sign-in only.
    ///
    /// - Parameters:
    ///   - issuer: A name of the table, always the same, such as `https://accounts.example.com`.
    ///   - subject: An identifier of the user in the table that never changes, such as a primary key. Not an e-mail
    ///     address, because addresses are reassigned.
    ///   - displayName: The name for display.
    ///   - email: The address for clients with the scope `email`.
    ///   - isEmailVerified: Whether the table vouches that the address belongs to the user.
    public init(issuer: String, subject: String, displayName: String? = nil, email: String? = nil, isEmailVerified: Bool = false) {
        identity = ExternalIdentity(issuer: issuer, subject: subject)
        self.displayName = displayName
        self.email = email
        self.isEmailVerified = isEmailVerified
    }
}

extension Admission {
    /// Who may enter, in words.
    var summary: String {
        let rules = [
            ("the domains", domains), ("the tenants", tenants), ("the addresses", emails), ("the organizations", organizations), ("the teams", teams),
            ("the groups", groups),
        ].filter { !$0.1.isEmpty }.map { "\($0.0) \($0.1.prefix(5).joined(separator: ", "))\($0.1.count > 5 ? " and others" : "")" }
        let all = rules + (condition == nil ? [] : ["a condition of the program"])
        return all.isEmpty ? "everyone with an account there" : all.joined(separator: " and ")
    }
}
