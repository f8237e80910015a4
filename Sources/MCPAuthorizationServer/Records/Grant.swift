public import JOSE
public import OAuth

/// The access that a user, or the operator, gave to a client. All tokens derive from a grant. Revoking it ends all of
/// them.
public struct Grant: Sendable, Hashable {
    /// Random (`makeID`). The `jti` of its access tokens begins with it.
    public let id: String
    /// The grant type by which it was created.
    public let type: GrantType
    /// The client that holds the grant.
    public let clientID: ClientID
    /// The user. Nil: the client acts for itself.
    public let userID: String?
    /// The scopes that its tokens may have at most.
    public let scopes: ScopeSet
    /// The identifier of the resource that its tokens are for (RFC 8707).
    public let resource: String
    /// The thumbprint of the key that a public client's refresh tokens are bound to (RFC 9449 §5). Nil: none.
    public let keyThumbprint: String?
    /// The time of the user's sign-in. Nil when it is not known.
    public let authenticatedAt: NumericDate?
    /// The time of its creation.
    public let createdAt: NumericDate
    /// The end of the whole grant, even if it is refreshed.
    public let expiresAt: NumericDate
    /// The time of the last use that is stored. It lags a few seconds behind.
    public var lastUsedAt: NumericDate
    /// The last operation, such as `tool search-tasks`. Nil when none is known.
    public var lastOperation: String?
    /// The time of the revocation. Nil: not revoked.
    public var revokedAt: NumericDate?

    /// A new grant. Nothing is checked.
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

    /// A new identifier. It begins with a letter, so that it is a valid argument of a command.
    public static func makeID(_ random: RandomSource) -> String { "grant-" + random.token(bytes: 16) }

    /// Whether the grant is neither revoked nor expired. The state of its user and its client is not checked.
    public func isLive(at now: NumericDate) -> Bool { revokedAt == nil && now < expiresAt }

    /// The `sub` of its tokens: the user, or the client that acts for itself.
    public var subject: String { userID ?? clientID.text }
}

/// The use of a grant, as a resource server in this process saw it.
public struct GrantUse: Sendable, Hashable {
    /// The grant.
    public let grantID: String
    /// The operation, such as `tool search-tasks`.
    public let operation: String
    /// The time of the use.
    public let time: NumericDate
    /// The latest `iat` of the access tokens that were used. Nil when it is not known.
    public var tokenIssuedAt: NumericDate?

    /// A use of a grant.
    public init(grantID: String, operation: String, time: NumericDate, tokenIssuedAt: NumericDate? = nil) {
        self.grantID = grantID
        self.operation = operation
        self.time = time
        self.tokenIssuedAt = tokenIssuedAt
    }
}

/// The content of a refresh token that this server issued. Without a grant, the token may come from an earlier version.
public struct RefreshTokenReference: Sendable, Hashable {
    /// The hash of the token.
    public let hash: SecretHash
    /// The grant. Nil for a token of a version whose tokens did not name their grants; a store may still find it by its
    /// hash.
    public let grantID: String?

    /// A reference to a refresh token.
    public init(hash: SecretHash, grantID: String?) {
        self.hash = hash
        self.grantID = grantID
    }
}

/// The first refresh token of a grant. It begins the chain of its successors.
public struct RefreshToken: Sendable, Hashable {
    /// The hash of the token.
    public let hash: SecretHash
    /// The grant that it belongs to.
    public let grantID: String
    /// The time from which it is rejected, if it was not used.
    public let expiresAt: NumericDate

    /// A refresh token of a new grant.
    public init(hash: SecretHash, grantID: String, expiresAt: NumericDate) {
        self.hash = hash
        self.grantID = grantID
        self.expiresAt = expiresAt
    }
}
