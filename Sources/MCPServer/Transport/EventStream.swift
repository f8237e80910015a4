import JOSE

/// Runs work that may speak before it is done. If it says nothing, the answer is whole JSON; at its first word, or after fifteen seconds, the answer
/// becomes a stream of server-sent events. When the reader goes away, or the token is no longer good, the work is cancelled.
enum EventStream {
    static let heartbeat = Duration.seconds(15)

    private enum Event: Sendable {
        case message(JSONValue)
        case heartbeat
        case done(Dispatcher.Outcome)
    }

    static func run(
        minimumLevel: LogLevel?, progressToken: JSONValue?, isAlive: @escaping @Sendable () -> Bool,
        register: (@escaping @Sendable () -> Void) -> Void,
        unregister: @escaping @Sendable () -> Void, work: @escaping @Sendable (MessageSink) async -> Dispatcher.Outcome,
        whole: (Dispatcher.Outcome) -> MCPReply, last: @escaping @Sendable (Dispatcher.Outcome) -> JSONValue
    ) async -> MCPReply {
        let (events, continuation) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .bufferingNewest(1024))
        let sink = MessageSink(progressToken: progressToken, minimumLevel: minimumLevel) { continuation.yield(.message($0)) }
        // Unstructured because it outlives this function when the answer is a stream; it ends with the stream that reads it.
        let task = Task {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !Task.isCancelled, (try? await Task.sleep(for: heartbeat)) != nil {
                        guard isAlive() else { return continuation.finish() }
                        continuation.yield(.heartbeat)
                    }
                }
                let outcome = await work(sink)
                group.cancelAll()
                continuation.yield(.done(outcome))
                continuation.finish()
            }
            unregister()
        }
        continuation.onTermination = { reason in if case .cancelled = reason { task.cancel() } }
        register { task.cancel() }

        var iterator = events.makeAsyncIterator()
        guard let first = await iterator.next() else {
            task.cancel()
            return whole(.error(RPCError(.internal, "the work was ended")))
        }
        if case .done(let outcome) = first { return whole(outcome) }
        let (output, writer) = AsyncStream.makeStream(of: [UInt8].self)
        let pump = Task {
            write(first, writer, last)
            for await event in events { write(event, writer, last) }
            writer.finish()
        }
        writer.onTermination = { _ in
            pump.cancel()
            task.cancel()
        }
        return MCPReply(events: output)
    }

    private static func write(_ event: Event, _ writer: AsyncStream<[UInt8]>.Continuation, _ last: (Dispatcher.Outcome) -> JSONValue) {
        switch event {
        case .heartbeat: writer.yield(Array(": still working\n\n".utf8))
        case .message(let value): writer.yield(frame(value))
        case .done(let outcome): writer.yield(frame(last(outcome)))
        }
    }

    /// JSON here never holds a line break, so one data line is enough.
    private static func frame(_ value: JSONValue) -> [UInt8] { Array("event: message\ndata: ".utf8) + value.serialized + Array("\n\n".utf8) }
}
