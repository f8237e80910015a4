import JOSE
import Synchronization

/// One running call: the notifications that it sends, and its cancellation.
///
/// A call without notifications gets a complete JSON response. At the first notification or heartbeat, the response
/// becomes a stream of server-sent events. Cancelling a call ends its response at once, even if the handler continues.
final class RunningCall: Sendable {
    /// The beginning of a response.
    enum Opening: Sendable {
        case whole(Dispatcher.Outcome)
        case events(AsyncStream<ServerSentEvents.Event>)
    }

    private enum Phase {
        /// Nothing was sent yet. The continuation waits for the beginning, if `opening` was called.
        case quiet(CheckedContinuation<Opening, Never>?)
        /// The beginning is known before `opening` was called.
        case decided(Opening)
        case over
    }

    private struct State {
        var phase = Phase.quiet(nil)
        var events: AsyncStream<ServerSentEvents.Event>.Continuation?
        var task: Task<Void, Never>?
        var isCancelled = false
    }

    private let state = Mutex(State())
    /// Whether the client accepts event streams. If not, notifications are dropped.
    private let canStream: Bool

    init(canStream: Bool) { self.canStream = canStream }

    /// Runs the work. `finished` is called once, when the work has ended, whatever happened to its response.
    func begin(_ work: @escaping @Sendable () async -> Dispatcher.Outcome, finished: @escaping @Sendable () -> Void) {
        // Unstructured, because it outlives the function that answers when the response is a stream. It ends with the
        // reader of the response, or when it is cancelled.
        let task = Task {
            let outcome = await work()
            self.finish(outcome)
            finished()
        }
        let isCancelled = state.withLock { state in
            state.task = task
            return state.isCancelled
        }
        if isCancelled { task.cancel() }
    }

    /// The beginning of the response. Waits for the first notification or the end. Cancelling the caller's task cancels
    /// the call.
    func opening() async -> Opening {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let decided = state.withLock { state -> Opening? in
                    if case .decided(let opening) = state.phase {
                        state.phase = .over
                        return opening
                    }
                    state.phase = .quiet(continuation)
                    return nil
                }
                if let decided { continuation.resume(returning: decided) }
            }
        } onCancel: {
            cancel()
        }
    }

    func say(_ message: JSONValue) { send(.message(message)) }
    func beat() { send(.heartbeat) }

    private func send(_ event: ServerSentEvents.Event) {
        guard canStream else { return }
        let (waiter, opening) = state.withLock { state -> (CheckedContinuation<Opening, Never>?, Opening?) in
            if let events = state.events {
                events.yield(event)
                return (nil, nil)
            }
            guard case .quiet(let waiter) = state.phase else { return (nil, nil) }
            let (stream, continuation) = AsyncStream.makeStream(of: ServerSentEvents.Event.self, bufferingPolicy: .bufferingNewest(256))
            continuation.onTermination = { [weak self] reason in if case .cancelled = reason { self?.cancel() } }
            continuation.yield(event)
            state.events = continuation
            state.phase = waiter == nil ? .decided(.events(stream)) : .over
            return (waiter, .events(stream))
        }
        if let waiter, let opening { waiter.resume(returning: opening) }
    }

    private func finish(_ outcome: Dispatcher.Outcome) {
        let (waiter, events) = state.withLock { state in Self.end(&state, outcome) }
        if let events {
            if case .cancelled = outcome {} else { events.yield(.done(outcome)) }
            events.finish()
        }
        waiter?.resume(returning: .whole(outcome))
    }

    private static func end(
        _ state: inout State, _ outcome: Dispatcher.Outcome
    ) -> (CheckedContinuation<Opening, Never>?, AsyncStream<ServerSentEvents.Event>.Continuation?) {
        defer { state.events = nil }
        if case .quiet(let waiter) = state.phase {
            state.phase = waiter == nil ? .decided(.whole(outcome)) : .over
            return (waiter, nil)
        }
        return (nil, state.events)
    }

    /// Cancels the work, and ends the response without a result.
    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            return state.task
        }
        task?.cancel()
        finish(.cancelled)
    }
}

/// Sends heartbeats for calls without notifications, because proxies close idle connections. Each heartbeat also checks
/// that the token of the caller is still valid.
///
/// Its one task runs while there are calls, and ends by itself.
final class Heartbeats: Sendable {
    private struct Entry {
        let call: RunningCall
        let isAlive: @Sendable () -> Bool
        var next: ContinuousClock.Instant
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var last: UInt64 = 0
        var isRunning = false
    }

    private let interval: Duration
    private let state = Mutex(State())

    init(every interval: Duration = .seconds(15)) { self.interval = interval }

    /// `isAlive` says whether the call may continue. It is called at each heartbeat.
    func add(_ call: RunningCall, isAlive: @escaping @Sendable () -> Bool) -> UInt64 {
        let (id, mustStart) = state.withLock { state in
            state.last &+= 1
            state.entries[state.last] = Entry(call: call, isAlive: isAlive, next: .now + interval)
            defer { state.isRunning = true }
            return (state.last, !state.isRunning)
        }
        if mustStart { Task { await self.run() } }
        return id
    }

    func remove(_ id: UInt64) { _ = state.withLock { $0.entries.removeValue(forKey: id) } }

    private func run() async {
        while true {
            try? await Task.sleep(for: min(interval / 4, .seconds(1)))
            let now = ContinuousClock.now
            let due = state.withLock { state -> [Entry]? in
                guard !state.entries.isEmpty else {
                    state.isRunning = false
                    return nil
                }
                var due: [Entry] = []
                for (id, entry) in state.entries where entry.next <= now {
                    due.append(entry)
                    state.entries[id]?.next = now + interval
                }
                return due
            }
            guard let due else { return }
            for entry in due { if entry.isAlive() { entry.call.beat() } else { entry.call.cancel() } }
        }
    }
}
