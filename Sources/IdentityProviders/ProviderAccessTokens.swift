/// What a resource server has to know to trust the access tokens of a provider.
public struct ProviderAccessTokens: Sendable, Hashable {
    /// The form of the tokens.
    public var format: Format
    /// The audience that they name.
    public var audience: Audience
    /// Further issuers that the tokens of this provider may name, with the JWK set of each.
    public var otherIssuers: [OtherIssuer]

    /// The form of access tokens.
    public enum Format: Sendable, Hashable {
        /// A JWT with the `typ` of RFC 9068.
        case jwtAccessToken
        /// A JWT with another `typ`, or none.
        case jwt
        /// An ID token, which is the only token that this provider has. It needs an explicit setting.
        case idToken
        /// A text that the provider introspects (RFC 7662), with credentials for that.
        case introspected
        /// A text whose audience cannot be verified. Tokens of this provider must not be trusted: any other service
        /// that receives one could use it here. Sign users in through the provider instead.
        case opaque
    }

    /// The audience of access tokens.
    public enum Audience: Sendable, Hashable {
        /// The resource that the client named (RFC 8707).
        case resource
        /// A value that is configured at the provider, such as an API identifier.
        case configured
        /// None. The client identifier is checked instead.
        case none
    }

    /// A further issuer.
    public struct OtherIssuer: Sendable, Hashable {
        /// The exact `iss`.
        public var issuer: String
        /// Its JWK set.
        public var keys: String

        /// An issuer with its key set.
        public init(issuer: String, keys: String) {
            self.issuer = issuer
            self.keys = keys
        }
    }

    /// Tokens of this form and audience.
    public init(_ format: Format, audience: Audience, otherIssuers: [OtherIssuer] = []) {
        self.format = format
        self.audience = audience
        self.otherIssuers = otherIssuers
    }
}
