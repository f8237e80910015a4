public import OAuth

/// The sender of a request that passed `ResourceServer.identify`: an authenticated principal, or an anonymous caller.
public struct Caller: Sendable {
    /// The authenticated user or client. Nil when the request had no token.
    public internal(set) var principal: Principal?
    /// The validated token, for exchanges. Nil when the resource server has none.
    var token: AccessToken?
    /// The IP address of the client as text. Nil when it is not known.
    public let peer: String?
    /// The identifier of the request in the audit log. Nil when the adapter passed none.
    public let requestID: String?

    /// A caller. Nothing is checked: `ResourceServer.identify` returns callers whose tokens were validated.
    public init(principal: Principal?, peer: String? = nil, requestID: String? = nil) {
        self.principal = principal
        self.peer = peer
        self.requestID = requestID
    }
}

/// The outcome of `ResourceServer.authenticate`.
public enum Authentication: Sendable {
    /// The token is valid, and grants the scopes of the operation.
    case accepted(Principal)
    /// The response to send: status, challenge and body.
    case rejected(HTTPReply)
}

/// The outcome of `ResourceServer.identify`.
public enum Identification: Sendable {
    /// The token is valid, or the request has none. The operation is not authorized yet.
    case accepted(Caller)
    /// The response to send: status, challenge and body.
    case rejected(HTTPReply)
}
