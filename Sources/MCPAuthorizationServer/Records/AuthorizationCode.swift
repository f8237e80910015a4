public import JOSE
public import OAuth

/// An authorization code (RFC 6749 §1.3.1) and everything it was given for.
public struct AuthorizationCode: Sendable, Hashable {
    public let hash: SecretHash
    public let clientID: ClientID
    public let userID: String
    /// As the authorization request had it.
    public let redirectURI: String
    public let challenge: CodeChallenge
    public let scopes: ScopeSet
    public let resource: String
    /// The thumbprint of the key that has to be proven when it is redeemed (RFC 9449 §10).
    public let keyThumbprint: String?
    /// What an ID token has to repeat (OpenID Connect Core §3.1.2.1).
    public let nonce: String?
    /// When the user signed in.
    public let authenticatedAt: NumericDate?
    public let expiresAt: NumericDate

    public init(
        hash: SecretHash, clientID: ClientID, userID: String, redirectURI: String, challenge: CodeChallenge, scopes: ScopeSet, resource: String,
        keyThumbprint: String? = nil, nonce: String? = nil, authenticatedAt: NumericDate? = nil, expiresAt: NumericDate
    ) {
        self.hash = hash
        self.clientID = clientID
        self.userID = userID
        self.redirectURI = redirectURI
        self.challenge = challenge
        self.scopes = scopes
        self.resource = resource
        self.keyThumbprint = keyThumbprint
        self.nonce = nonce
        self.authenticatedAt = authenticatedAt
        self.expiresAt = expiresAt
    }
}
