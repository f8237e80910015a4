public import JOSE

public import OAuth

/// The location of the keys that verify the assertions of an issuer.
public enum AssertionKeys: Sendable {
    /// These keys, which change only with the configuration. Symmetric keys are not accepted.
    case fixed([VerificationKey])
    /// The JWK set at this URL, which the server fetches and caches.
    case url(String)
    /// The JWK set that the issuer's metadata names (RFC 8414, OpenID Connect Discovery).
    case discovered
}

/// An enterprise's identity provider. Its assertions give its users access without another sign-in (Enterprise-Managed
/// Authorization, ID-JAG).
public struct TrustedIdentityProvider: Sendable {
    /// The exact `iss` of its assertions. For a provider with many tenants, the issuer of one tenant.
    public let issuer: String
    /// The location of its keys.
    public let keys: AssertionKeys
    /// The scopes that its assertions may grant at most. Nil: every scope of the resource.
    public let scopes: ScopeSet?
    /// Whether an unknown user is created on the first visit. Otherwise the operator adds users with
    /// `users add --identity`.
    public let admitsNewUsers: Bool
    /// Whether its assertions are accepted. Set it to false to disable the provider and keep its configuration.
    public var isEnabled = true

    /// By default the keys are discovered, every scope is allowed, and new users are admitted.
    public init(issuer: String, keys: AssertionKeys = .discovered, scopes: ScopeSet? = nil, admitsNewUsers: Bool = true) {
        self.issuer = issuer
        self.keys = keys
        self.scopes = scopes
        self.admitsNewUsers = admitsNewUsers
    }
}

/// A program that its platform identifies, and the access that it gets (workload identity federation, RFC 7523 §2.1).
public struct WorkloadTrust: Sendable {
    /// The name for logs, and the `client_id` of its tokens after `workload:`. 1 to 64 of the characters a-z, digits
    /// and hyphen.
    public let name: String
    /// The exact `iss` of the platform's tokens.
    public let issuer: String
    /// The location of the platform's keys.
    public let keys: AssertionKeys
    /// The only value of `aud` in the assertion. Nil: the issuer of this server.
    public let audience: String?
    /// The exact `sub`.
    public let subject: String
    /// Further claims that must be strings with exactly these bytes.
    public let claims: [String: String]
    /// The identifier of the resource that its tokens are for.
    public let resource: String
    /// The scopes that its tokens may have at most.
    public let scopes: ScopeSet

    /// Throws `invalid_configuration` when the name is malformed or the subject is empty. The other values are not
    /// checked.
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
