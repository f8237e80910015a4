import JOSE
import Synchronization

/// Server-sent events of one request, as bytes. Ends with the result.
///
/// Nothing is produced ahead of its reader beyond a bounded buffer; when that is full, the oldest notifications are lost, the result never. Whoever drops
/// the sequence, or cancels its task, cancels the work.
public struct ServerSentEvents: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    enum Event: Sendable {
        case message(JSONValue)
        case heartbeat
        case done(Dispatcher.Outcome)
    }

    let first: Event
    let rest: AsyncStream<Event>
    let last: @Sendable (Dispatcher.Outcome) -> JSONValue

    public func makeAsyncIterator() -> Iterator { Iterator(first: first, rest: rest.makeAsyncIterator(), last: last) }

    public struct Iterator: AsyncIteratorProtocol {
        var first: Event?
        var rest: AsyncStream<Event>.Iterator
        let last: @Sendable (Dispatcher.Outcome) -> JSONValue

        public mutating func next() async -> [UInt8]? {
            if let event = first {
                first = nil
                return frame(event)
            }
            return await rest.next().map(frame)
        }

        private func frame(_ event: Event) -> [UInt8] {
            switch event {
            case .heartbeat: Array(": still working\n\n".utf8)
            case .message(let value): frame(value)
            case .done(let outcome): frame(last(outcome))
            }
        }

        /// JSON here never holds a line break, so one data line is enough.
        private func frame(_ value: JSONValue) -> [UInt8] { Array("event: message\ndata: ".utf8) + value.serialized + Array("\n\n".utf8) }
    }
}

/// Runs work that may speak before it is done. If it says nothing, the answer is whole JSON; at its first word, or after fifteen seconds, the answer
/// becomes a stream of server-sent events. When the reader goes away, or the token is no longer good, the work is cancelled.
enum EventStream {
    static let heartbeat = Duration.seconds(15)

    /// Work that can be ended from elsewhere, also before it has begun.
    final class Running: Sendable {
        private struct State {
            var task: Task<Void, Never>?
            var isCancelled = false
        }
        private let state = Mutex(State())

        func cancel() {
            state.withLock { state in
                state.isCancelled = true
                return state.task
            }?.cancel()
        }

        fileprivate func begin(_ task: Task<Void, Never>) {
            let isCancelled = state.withLock { state in
                state.task = task
                return state.isCancelled
            }
            if isCancelled { task.cancel() }
        }
    }

    /// `running` is what may have been registered before; `finished` is called once, when the work has ended.
    static func run(
        _ running: Running, minimumLevel: LogLevel?, progressToken: JSONValue?, isAlive: @escaping @Sendable () -> Bool,
        finished: @escaping @Sendable () -> Void, work: @escaping @Sendable (MessageSink) async -> Dispatcher.Outcome,
        whole: (Dispatcher.Outcome) -> MCPReply, last: @escaping @Sendable (Dispatcher.Outcome) -> JSONValue
    ) async -> MCPReply {
        let (events, continuation) = AsyncStream.makeStream(of: ServerSentEvents.Event.self, bufferingPolicy: .bufferingNewest(256))
        let sink = MessageSink(progressToken: progressToken, minimumLevel: minimumLevel) { continuation.yield(.message($0)) }
        // Unstructured because it outlives this function when the answer is a stream; it ends with the stream that reads it.
        let task = Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !Task.isCancelled, (try? await Task.sleep(for: heartbeat)) != nil {
                        guard isAlive() else { return running.cancel() }
                        continuation.yield(.heartbeat)
                    }
                }
                let outcome = await work(sink)
                group.cancelAll()
                if isAlive() { continuation.yield(.done(outcome)) }
                continuation.finish()
            }
            finished()
        }
        continuation.onTermination = { reason in if case .cancelled = reason { task.cancel() } }
        running.begin(task)

        var iterator = events.makeAsyncIterator()
        switch await iterator.next() {
        case nil: return whole(.error(RPCError(.internal, "the work was ended")))
        case .done(let outcome): return whole(outcome)
        case .some(let first): return MCPReply(events: ServerSentEvents(first: first, rest: events, last: last))
        }
    }
}
