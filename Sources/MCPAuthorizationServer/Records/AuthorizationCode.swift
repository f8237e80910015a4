public import JOSE
public import OAuth

/// An authorization code (RFC 6749 §1.3.1) and everything that it was issued for.
public struct AuthorizationCode: Sendable, Hashable {
    /// The hash of the code. The code itself is not stored.
    public let hash: SecretHash
    /// The only client that may redeem the code.
    public let clientID: ClientID
    /// The user who consented.
    public let userID: String
    /// The redirect URI of the authorization request, as it was sent. A token request that names one must name the
    /// same.
    public let redirectURI: String
    /// The code challenge, whose verifier the token request must contain (RFC 7636).
    public let challenge: CodeChallenge
    /// The scopes that the user allowed.
    public let scopes: ScopeSet
    /// The identifier of the resource (RFC 8707).
    public let resource: String
    /// The thumbprint of the key that must be proven when the code is redeemed (RFC 9449 §10). Nil: none.
    public let keyThumbprint: String?
    /// The `nonce` that the ID token must repeat (OpenID Connect Core §3.1.2.1). Nil: the request had none.
    public let nonce: String?
    /// The time of the user's sign-in, for `auth_time`. Nil when it is not known.
    public let authenticatedAt: NumericDate?
    /// The time from which the code can no longer be redeemed.
    public let expiresAt: NumericDate

    /// A code that was not redeemed yet. Nothing is checked.
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
