import Synchronization

/// Signals that the client closed its connection, so that its call is cancelled.
///
/// An adapter creates one for each request, passes it to `StreamableHTTP.reply`, and calls `leave` when the client closes the connection, also before
/// the response has begun.
public final class ClientDeparture: Sendable {
    private enum State {
        case present((@Sendable () -> Void)?)
        case gone
    }

    private let state = Mutex(State.present(nil))

    public init() {}

    /// The client has gone. May be called more than once, and from anywhere.
    public func leave() {
        let action = state.withLock { state -> (@Sendable () -> Void)? in
            guard case .present(let action) = state else { return nil }
            state = .gone
            return action
        }
        action?()
    }

    /// `action` is called when the client goes, at once if it has gone already; nil forgets the one of before.
    func whenGone(_ action: (@Sendable () -> Void)?) {
        let isGone = state.withLock { state in
            if case .gone = state { return true }
            state = .present(action)
            return false
        }
        if isGone { action?() }
    }
}
