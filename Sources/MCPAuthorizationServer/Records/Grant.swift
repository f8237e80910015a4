public import JOSE
public import OAuth

/// What somebody allowed a client: the root of every token that came of it. Revoke it, and they all end.
public struct Grant: Sendable, Hashable {
    /// Random (`makeID`). The `jti` of its access tokens begins with it.
    public let id: String
    /// How it came to be.
    public let type: GrantType
    public let clientID: ClientID
    /// Nil: the client acts for itself.
    public let userID: String?
    public let scopes: ScopeSet
    public let resource: String
    /// The thumbprint of the key that a public client's refresh tokens are bound to (RFC 9449 §5).
    public let keyThumbprint: String?
    /// When the user signed in.
    public let authenticatedAt: NumericDate?
    public let createdAt: NumericDate
    /// The end of the whole grant, however often it is refreshed.
    public let expiresAt: NumericDate
    public var lastUsedAt: NumericDate
    /// What it was last used for, such as `tool search-tasks`.
    public var lastOperation: String?
    public var revokedAt: NumericDate?

    public init(
        id: String, type: GrantType = .authorizationCode, clientID: ClientID, userID: String?, scopes: ScopeSet, resource: String,
        keyThumbprint: String? = nil, authenticatedAt: NumericDate? = nil, createdAt: NumericDate, expiresAt: NumericDate, lastUsedAt: NumericDate,
        lastOperation: String? = nil, revokedAt: NumericDate? = nil
    ) {
        self.id = id
        self.type = type
        self.clientID = clientID
        self.userID = userID
        self.scopes = scopes
        self.resource = resource
        self.keyThumbprint = keyThumbprint
        self.authenticatedAt = authenticatedAt
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
        self.lastOperation = lastOperation
        self.revokedAt = revokedAt
    }

    /// A new identifier. It begins with a letter, so that somebody can give it to a command as it stands.
    public static func makeID(_ random: RandomSource) -> String { "grant-" + random.token(bytes: 16) }

    public func isLive(at now: NumericDate) -> Bool { revokedAt == nil && now < expiresAt }

    /// The `sub` of its tokens.
    public var subject: String { userID ?? clientID.text }
}

/// That a grant was used, as a resource server in this process saw it.
public struct GrantUse: Sendable, Hashable {
    public let grantID: String
    public let operation: String
    public let time: NumericDate
    /// When the youngest access token was issued that was used. Nil where that is not known.
    public var tokenIssuedAt: NumericDate?

    public init(grantID: String, operation: String, time: NumericDate, tokenIssuedAt: NumericDate? = nil) {
        self.grantID = grantID
        self.operation = operation
        self.time = time
        self.tokenIssuedAt = tokenIssuedAt
    }
}

/// What a refresh token says of itself, once it is known that this server made it; or, without a grant, that it could be one of an earlier version.
public struct RefreshTokenReference: Sendable, Hashable {
    /// Of its text.
    public let hash: SecretHash
    /// Nil for a token from before tokens named their grants, which a store may still know by its hash.
    public let grantID: String?

    public init(hash: SecretHash, grantID: String?) {
        self.hash = hash
        self.grantID = grantID
    }
}

/// The first refresh token of a grant's single chain.
public struct RefreshToken: Sendable, Hashable {
    public let hash: SecretHash
    public let grantID: String
    public let expiresAt: NumericDate

    public init(hash: SecretHash, grantID: String, expiresAt: NumericDate) {
        self.hash = hash
        self.grantID = grantID
        self.expiresAt = expiresAt
    }
}
