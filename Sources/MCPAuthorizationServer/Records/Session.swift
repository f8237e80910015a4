public import JOSE
public import OAuth

/// A user who is signed in with a browser.
public struct Session: Sendable, Hashable {
    /// The hash of the session cookie.
    public let hash: SecretHash
    /// The user.
    public let userID: String
    /// The time of the sign-in.
    public let authenticatedAt: NumericDate
    /// The end of the session. Its use does not extend it.
    public let expiresAt: NumericDate
    /// The browser and the operating system, such as `Firefox, Linux`, as the browser names them. Nil when it does not.
    public let browser: String?
    /// The session at the identity provider through which the user signed in: the hash of issuer and `sid` (OpenID
    /// Connect Back-Channel Logout §2.1). Nil without one.
    public let providerSession: SecretHash?

    /// A session. Nothing is checked.
    public init(
        hash: SecretHash, userID: String, authenticatedAt: NumericDate, expiresAt: NumericDate, browser: String? = nil,
        providerSession: SecretHash? = nil
    ) {
        self.browser = browser
        self.providerSession = providerSession
        self.hash = hash
        self.userID = userID
        self.authenticatedAt = authenticatedAt
        self.expiresAt = expiresAt
    }
}

/// A consent that the user chose to remember. It applies only to exactly these values.
public struct RememberedConsent: Sendable, Hashable {
    /// The user.
    public let userID: String
    /// The client.
    public let clientID: ClientID
    /// The identifier of the resource.
    public let resource: String
    /// The redirect URI of the authorization request, as it was sent.
    public let redirectURI: String
    /// The scopes that the user allowed, in any order.
    public let scopes: ScopeSet

    /// A consent. Nothing is checked.
    public init(userID: String, clientID: ClientID, resource: String, redirectURI: String, scopes: ScopeSet) {
        self.userID = userID
        self.clientID = clientID
        self.resource = resource
        self.redirectURI = redirectURI
        self.scopes = scopes
    }
}
