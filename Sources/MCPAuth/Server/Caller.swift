public import OAuth

/// Somebody whose request was let in: a principal, or nobody in particular.
public struct Caller: Sendable {
    public internal(set) var principal: Principal?
    public let peer: String?
    public let requestID: String?

    public init(principal: Principal?, peer: String? = nil, requestID: String? = nil) {
        self.principal = principal
        self.peer = peer
        self.requestID = requestID
    }
}

/// The outcome of `ResourceServer.authenticate`.
public enum Authentication: Sendable {
    case accepted(Principal)
    /// Status, challenge and body, ready to send.
    case rejected(HTTPReply)
}

/// The outcome of `ResourceServer.identify`.
public enum Identification: Sendable {
    case accepted(Caller)
    case rejected(HTTPReply)
}
