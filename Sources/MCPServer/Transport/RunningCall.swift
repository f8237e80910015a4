import JOSE
import Synchronization

/// One call that is under way: what it says before it is done, and who ends it.
///
/// If it says nothing, its answer is whole JSON. At its first word, or at the first heartbeat, the answer becomes a stream of server-sent events.
/// Whoever cancels it ends the answer at once, also when the handler takes no notice.
final class RunningCall: Sendable {
    /// How an answer begins.
    enum Opening: Sendable {
        case whole(Dispatcher.Outcome)
        case events(AsyncStream<ServerSentEvents.Event>)
    }

    private enum Phase {
        /// Nothing was said yet, and somebody waits for that, or will.
        case quiet(CheckedContinuation<Opening, Never>?)
        /// How the answer begins is decided, before anybody waited.
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
    /// Whether the client takes event streams. If not, what the call says goes nowhere.
    private let canStream: Bool

    init(canStream: Bool) { self.canStream = canStream }

    /// Runs the work. `finished` is called once, when the work has ended, whatever became of its answer.
    func begin(_ work: @escaping @Sendable () async -> Dispatcher.Outcome, finished: @escaping @Sendable () -> Void) {
        // Unstructured because it outlives the function that answers when the answer is a stream. It ends with the answer's reader, or when it is
        // cancelled.
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

    /// How the answer begins: waits for the first word, or the end. Cancelling the caller's task cancels the call.
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

    /// Ends the work, and the answer without a result.
    func cancel() {
        let task = state.withLock { state in
            state.isCancelled = true
            return state.task
        }
        task?.cancel()
        finish(.cancelled)
    }
}

/// Beats for calls that say nothing: a proxy takes a connection on which nothing moves for dead. Also the moment at which it is looked whether a
/// caller's token is still good.
///
/// Its one task runs while some call does, and ends by itself.
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

    /// `isAlive`: whether the call may go on; asked at each beat.
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
