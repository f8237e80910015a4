public import JOSE
public import OAuth

/// A device that waits for a user to approve it in a browser (RFC 8628).
public struct DeviceAuthorization: Sendable, Hashable {
    /// The progress of a device authorization. Expiration is not a state; see `expiresAt`.
    public enum State: Sendable, Hashable {
        /// The user has not decided yet.
        case pending
        /// The user denied the request.
        case denied
        /// The user who approved, the scopes that they allowed, and the time of their sign-in if it is known.
        case approved(userID: String, scopes: ScopeSet, authenticatedAt: NumericDate?)
        /// The device received its tokens.
        case redeemed
    }

    /// The hash of the device code.
    public let hash: SecretHash
    /// The hash of the user code. It is keyed with a secret of the server, since a user code is short.
    public let userCode: SecretHash
    /// The client that runs on the device.
    public let clientID: ClientID
    /// The scopes that the device requested. The user may approve fewer.
    public let scopes: ScopeSet
    /// The identifier of the resource (RFC 8707).
    public let resource: String
    /// The number of seconds between two polls. `slow_down` lengthens it in the store.
    public let interval: Int64
    /// The time from which the device code is expired.
    public let expiresAt: NumericDate
    /// The progress.
    public var state: State

    /// A device that waits, and may poll every five seconds. Nothing is checked.
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

/// The outcome of a poll by a device (RFC 8628 §3.5).
public enum DevicePoll: Sendable, Hashable {
    /// The user has not decided yet: `authorization_pending`.
    case pending
    /// The device polled too early. From now on it must wait five seconds longer: `slow_down`.
    case slowDown
    /// The user denied the request: `access_denied`.
    case denied
    /// The device code has expired: `expired_token`.
    case expired
    /// The code does not exist, belongs to another client, or was used: `invalid_grant`.
    case unknown
    /// The user approved, and the code can be redeemed with `redeemDevice`.
    case approved(DeviceAuthorization)
}
