import JOSE
package import Metrics
import OAuth
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Receives audit events.
public protocol AuditSink: Sendable {
    /// Records an event. It is called on the path of a request, so it must be quick. It cannot throw: count events that
    /// cannot be written, so that no loss is silent.
    func record(_ event: AuditEvent)
}

/// Passes every event to its sinks, to the readers of `events`, and to the metrics.
///
/// Metrics: `mcp_auth_events_total` by action, verdict and reason.
public final class AuditLog: Sendable {
    private let sinks: [any AuditSink]
    private let listeners = Mutex<[Int: AsyncStream<AuditEvent>.Continuation]>([:])
    private let counters = Mutex<[CounterKey: Counter]>([:])
    private let nextListener = Atomic<Int>(0)
    private let listenerCount = Atomic<Int>(0)

    private struct CounterKey: Hashable {
        let action: String
        let verdict: AuditEvent.Verdict
        let reason: String
    }

    /// A log with these sinks. Without sinks, events only reach `events` and the metrics.
    public init(_ sinks: [any AuditSink] = []) { self.sinks = sinks }

    /// Records an event in every sink. The caller must not pass secrets.
    public func record(_ event: AuditEvent) { record(event.action, event.verdict, event.reason) { event } }

    /// The same, for paths where every allocation counts: the event is created only if a sink or a reader needs it.
    package func record(_ action: String, _ verdict: AuditEvent.Verdict, _ reason: String?, _ makeEvent: () -> AuditEvent) {
        record(countedBy: counter(action, verdict, reason), makeEvent)
    }

    /// The same, for frequent events, with the counter of their action, verdict and reason.
    package func record(countedBy counter: Counter, _ makeEvent: () -> AuditEvent) {
        counter.increment()
        guard !sinks.isEmpty || listenerCount.load(ordering: .acquiring) > 0 else { return }
        let continuations = listeners.withLock { Array($0.values) }
        let event = makeEvent()
        for sink in sinks { sink.record(event) }
        for continuation in continuations { continuation.yield(event) }
    }

    /// The events from now on. A reader that falls more than 1024 events behind loses the oldest.
    public var events: AsyncStream<AuditEvent> {
        let identifier = nextListener.add(1, ordering: .relaxed).newValue
        let (stream, continuation) = AsyncStream.makeStream(of: AuditEvent.self, bufferingPolicy: .bufferingNewest(1024))
        continuation.onTermination = { [weak self] _ in self?.listen(as: identifier, with: nil) }
        listen(as: identifier, with: continuation)
        return stream
    }

    private func listen(as identifier: Int, with continuation: AsyncStream<AuditEvent>.Continuation?) {
        listeners.withLock { listeners in
            listeners[identifier] = continuation
            listenerCount.store(listeners.count, ordering: .releasing)
        }
    }

    /// Creates a counter once for each set of labels. Reasons come from code, so there are few.
    package func counter(_ action: String, _ verdict: AuditEvent.Verdict, _ reason: String?) -> Counter {
        let key = CounterKey(action: action, verdict: verdict, reason: reason ?? "")
        return counters.withLock { counters in
            if let counter = counters[key] { return counter }
            let counter = Counter(
                label: "mcp_auth_events_total", dimensions: [("action", key.action), ("verdict", key.verdict.rawValue), ("reason", key.reason)])
            counters[key] = counter
            return counter
        }
    }
}

/// Writes each event as one line of JSON (JSON Lines) to a file descriptor, such as standard error. For a file, use
/// `AuditFile`.
///
/// Metrics: `mcp_auth_audit_lost_total` counts events that could not be written.
public final class JSONLinesAuditSink: AuditSink {
    private let descriptor: Int32
    private let lock = Mutex(false)
    private let lost = Counter(label: "mcp_auth_audit_lost_total")

    /// Writes to an open descriptor, such as 2 for standard error. It is never closed here.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    /// Writes one line, and blocks until the descriptor has accepted it. An event that cannot be written is counted.
    public func record(_ event: AuditEvent) {
        let line = event.json.serialized + [0x0A]
        let isWritten = lock.withLock { isBroken in
            // After a partial line, the next event begins on a new line.
            let line = isBroken ? [0x0A] + line : line
            let isWritten = line.withUnsafeBytes { buffer in
                var offset = 0
                while offset < buffer.count {
                    let count = write(descriptor, buffer.baseAddress! + offset, buffer.count - offset)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { return false }
                    offset += count
                }
                return true
            }
            isBroken = !isWritten
            return isWritten
        }
        if !isWritten { lost.increment() }
    }
}
