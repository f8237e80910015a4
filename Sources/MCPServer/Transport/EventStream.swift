import JOSE

/// Server-sent events of one request, as bytes. Ends with the result.
///
/// Nothing is produced ahead of its reader beyond a bounded buffer; when that is full, the oldest notifications are lost, the result never.
/// Dropping the sequence, or cancelling the task that reads it, cancels the work.
public struct ServerSentEvents: AsyncSequence, Sendable {
    public typealias Element = [UInt8]

    enum Event: Sendable {
        case message(JSONValue)
        case heartbeat
        case done(Dispatcher.Outcome)
    }

    let events: AsyncStream<Event>
    let last: @Sendable (Dispatcher.Outcome) -> JSONValue

    public func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator(), last: last) }

    public struct Iterator: AsyncIteratorProtocol {
        var events: AsyncStream<Event>.Iterator
        let last: @Sendable (Dispatcher.Outcome) -> JSONValue

        public mutating func next() async -> [UInt8]? { await events.next().map(frame) }

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
