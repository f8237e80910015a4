import Synchronization

/// Signals that the client closed its connection, so that its call is cancelled.
///
/// An adapter creates one for each request and passes it to `StreamableHTTP.reply`. It calls `leave` when the client
/// closes the connection, also before the response has begun.
public final class ClientDeparture: Sendable {
    private enum State {
        case present((@Sendable () -> Void)?)
        case gone
    }

    private let state = Mutex(State.present(nil))

    /// One for each request.
    public init() {}

    /// Reports that the client closed its connection. May be called more than once, and from any thread.
    public func leave() {
        let action = state.withLock { state -> (@Sendable () -> Void)? in
            guard case .present(let action) = state else { return nil }
            state = .gone
            return action
        }
        action?()
    }

    /// Calls `action` when the client disconnects, or at once if it already has. Replaces the previous action; nil
    /// removes it.
    func whenGone(_ action: (@Sendable () -> Void)?) {
        let isGone = state.withLock { state in
            if case .gone = state { return true }
            state = .present(action)
            return false
        }
        if isGone { action?() }
    }
}
