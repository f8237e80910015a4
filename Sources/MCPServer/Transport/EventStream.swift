import JOSE

/// The server-sent events of one request, as bytes. The last one is the result.
///
/// Events are buffered up to a limit. When the buffer is full, the oldest notifications are dropped, and the result is
/// kept. Dropping the sequence, or cancelling the task that reads it, cancels the work.
public struct ServerSentEvents: AsyncSequence, Sendable {
    /// The bytes of one event, ready to send.
    public typealias Element = [UInt8]

    enum Event: Sendable {
        case message(JSONValue)
        case heartbeat
        case done(Dispatcher.Outcome)
    }

    let events: AsyncStream<Event>
    let last: @Sendable (Dispatcher.Outcome) -> JSONValue

    /// The sequence can be read once.
    public func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator(), last: last) }

    /// Reads the events of one request.
    public struct Iterator: AsyncIteratorProtocol {
        var events: AsyncStream<Event>.Iterator
        let last: @Sendable (Dispatcher.Outcome) -> JSONValue

        /// The bytes of the next event, which is a message or a heartbeat comment. Nil after the result, or when the
        /// call was cancelled.
        public mutating func next() async -> [UInt8]? { await events.next().map(frame) }

        private func frame(_ event: Event) -> [UInt8] {
            switch event {
            case .heartbeat: Array(": still working\n\n".utf8)
            case .message(let value): frame(value)
            case .done(let outcome): frame(last(outcome))
            }
        }

        /// JSON never contains a line break here, so one data line is enough.
        private func frame(_ value: JSONValue) -> [UInt8] { Array("event: message\ndata: ".utf8) + value.serialized + Array("\n\n".utf8) }
    }
}
