public import JOSE
public import OAuth

/// The connection of a user with an identity provider: who the user is there, and the provider's tokens.
public struct Connection: Sendable, Hashable {
    /// The user at the provider. No two connections have the same.
    public let identity: ExternalIdentity
    /// The user here.
    public let userID: String
    /// The identifier of the provider in the configuration, such as `github`.
    public let provider: String
    /// The name of the account at the provider, for display.
    public var accountName: String?
    /// The provider's tokens, encrypted. Nil: none are kept, or the provider no longer accepts them.
    public var sealedTokens: [UInt8]?
    /// The scopes that the user may have, as the groups and roles at the provider decide. Nil: every scope.
    public var permissions: ScopeSet?
    /// The roles of the user, as the groups and roles at the provider decide.
    public var roles: [String]
    /// The last time at which the provider confirmed the user.
    public var checkedAt: NumericDate
    /// Increases with every change.
    public var revision: Int64

    /// A connection.
    public init(
        identity: ExternalIdentity, userID: String, provider: String, accountName: String? = nil, sealedTokens: [UInt8]? = nil,
        permissions: ScopeSet? = nil, roles: [String] = [], checkedAt: NumericDate, revision: Int64 = 1
    ) {
        self.identity = identity
        self.userID = userID
        self.provider = provider
        self.accountName = accountName
        self.sealedTokens = sealedTokens
        self.permissions = permissions
        self.roles = roles
        self.checkedAt = checkedAt
        self.revision = revision
    }
}

/// A sign-in that waits for the answer of an identity provider.
public struct PendingSignIn: Sendable, Hashable {
    /// The hash of the value that the provider sends back.
    public let hash: SecretHash
    /// The sign-in, encrypted.
    public let sealed: [UInt8]
    /// The time until which the provider may answer.
    public let expiresAt: NumericDate

    /// A waiting sign-in.
    public init(hash: SecretHash, sealed: [UInt8], expiresAt: NumericDate) {
        self.hash = hash
        self.sealed = sealed
        self.expiresAt = expiresAt
    }
}
