public import JOSE

public import OAuth

/// Where the keys of an issuer of assertions are.
public enum AssertionKeys: Sendable {
    /// In the configuration.
    case fixed([VerificationKey])
    /// At this URL.
    case url(String)
    /// Where the issuer's metadata says (RFC 8414, OpenID Connect Discovery).
    case discovered
}

/// An identity provider of an enterprise, whose assertions let its people in without another sign-in (Enterprise-Managed Authorization, ID-JAG).
public struct TrustedIdentityProvider: Sendable {
    /// The exact `iss`. Of a provider with many tenants, the one of a tenant.
    public let issuer: String
    public let keys: AssertionKeys
    /// What its assertions may grant at most. Nil: every scope of the resource.
    public let scopes: ScopeSet?
    /// Whether somebody who is not known here yet becomes a user on their first visit. Otherwise the operator adds them: `users add --identity`.
    public let admitsNewUsers: Bool
    /// Turns it off without taking it out.
    public var isEnabled = true

    public init(issuer: String, keys: AssertionKeys = .discovered, scopes: ScopeSet? = nil, admitsNewUsers: Bool = true) {
        self.issuer = issuer
        self.keys = keys
        self.scopes = scopes
        self.admitsNewUsers = admitsNewUsers
    }
}

/// What a platform says of a program that runs on it, and what that gives it (workload identity federation).
public struct WorkloadTrust: Sendable {
    /// A name for logs, and the `client_id` of its tokens after `workload:`. 1 to 64 of the letters a-z, digits and hyphens.
    public let name: String
    /// The exact `iss` of the platform's tokens.
    public let issuer: String
    public let keys: AssertionKeys
    /// What `aud` must be, alone. Nil: this server's issuer.
    public let audience: String?
    /// The exact `sub`.
    public let subject: String
    /// Further claims that must have exactly these texts.
    public let claims: [String: String]
    public let resource: String
    public let scopes: ScopeSet

    /// Throws `invalid_configuration`.
    public init(
        name: String, issuer: String, keys: AssertionKeys = .discovered, audience: String? = nil, subject: String, claims: [String: String] = [:],
        resource: String, scopes: ScopeSet
    ) throws(OAuthError) {
        guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy({ URLBytes.isDigit($0) || (URLBytes.isLetter($0) && $0 > 0x60) || $0 == 0x2D })
        else { throw OAuthError(.invalidConfiguration, "a workload's name has 1 to 64 of the letters a-z, digits and hyphens") }
        guard !subject.isEmpty else { throw OAuthError(.invalidConfiguration, "say which subject the workload \(name) is") }
        self.name = name
        self.issuer = issuer
        self.keys = keys
        self.audience = audience
        self.subject = subject
        self.claims = claims
        self.resource = resource
        self.scopes = scopes
    }
}
