public import JOSE
public import OAuth

/// Somebody signed in with a browser.
public struct Session: Sendable, Hashable {
    public let hash: SecretHash
    public let userID: String
    public let authenticatedAt: NumericDate
    public let expiresAt: NumericDate

    public init(hash: SecretHash, userID: String, authenticatedAt: NumericDate, expiresAt: NumericDate) {
        self.hash = hash
        self.userID = userID
        self.authenticatedAt = authenticatedAt
        self.expiresAt = expiresAt
    }
}

/// What a user agreed to before and wants not to be asked again.
public struct RememberedConsent: Sendable, Hashable {
    public let userID: String
    public let clientID: ClientID
    public let resource: String
    public let redirectURI: String
    public let scopes: ScopeSet

    public init(userID: String, clientID: ClientID, resource: String, redirectURI: String, scopes: ScopeSet) {
        self.userID = userID
        self.clientID = clientID
        self.resource = resource
        self.redirectURI = redirectURI
        self.scopes = scopes
    }
}
