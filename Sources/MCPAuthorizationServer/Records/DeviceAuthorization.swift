public import JOSE
public import OAuth

/// A device that waits for somebody to allow it on another one (RFC 8628).
public struct DeviceAuthorization: Sendable, Hashable {
    public enum State: Sendable, Hashable {
        case pending
        case denied
        /// By whom, for what, and when they had signed in.
        case approved(userID: String, scopes: ScopeSet, authenticatedAt: NumericDate?)
        case redeemed
    }

    /// Of the device code.
    public let hash: SecretHash
    /// Of the user code, by a key of the server, since it is short.
    public let userCode: SecretHash
    public let clientID: ClientID
    public let scopes: ScopeSet
    public let resource: String
    /// Seconds between two polls.
    public let interval: Int64
    public let expiresAt: NumericDate
    public var state: State

    public init(
        hash: SecretHash, userCode: SecretHash, clientID: ClientID, scopes: ScopeSet, resource: String, interval: Int64 = 5, expiresAt: NumericDate,
        state: State = .pending
    ) {
        self.hash = hash
        self.userCode = userCode
        self.clientID = clientID
        self.scopes = scopes
        self.resource = resource
        self.interval = interval
        self.expiresAt = expiresAt
        self.state = state
    }
}

/// What a device that asks is told (RFC 8628 §3.5).
public enum DevicePoll: Sendable, Hashable {
    case pending
    /// It asked again too soon; from now on it waits five seconds longer.
    case slowDown
    case denied
    case expired
    /// No such code, another client's, or used.
    case unknown
    case approved(DeviceAuthorization)
}
