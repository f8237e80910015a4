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

/// Takes audit events. `record` must be quick and must not throw: what cannot be written is counted, not lost silently.
public protocol AuditSink: Sendable {
    func record(_ event: AuditEvent)
}

/// Passes every event to its sinks, to whoever listens to `events`, and to the metrics.
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

    public init(_ sinks: [any AuditSink] = []) { self.sinks = sinks }

    public func record(_ event: AuditEvent) { record(event.action, event.verdict, event.reason) { event } }

    /// The same, on ways where every allocation counts: the event is made only when somebody takes it.
    package func record(_ action: String, _ verdict: AuditEvent.Verdict, _ reason: String?, _ makeEvent: () -> AuditEvent) {
        record(countedBy: counter(action, verdict, reason), makeEvent)
    }

    /// The same, for what happens all the time: with the counter of its action, verdict and reason at hand.
    package func record(countedBy counter: Counter, _ makeEvent: () -> AuditEvent) {
        counter.increment()
        guard !sinks.isEmpty || listenerCount.load(ordering: .acquiring) > 0 else { return }
        let continuations = listeners.withLock { Array($0.values) }
        let event = makeEvent()
        for sink in sinks { sink.record(event) }
        for continuation in continuations { continuation.yield(event) }
    }

    /// The events from now on. A listener that falls more than 1024 events behind loses the oldest.
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

    /// Counters are made once a label set; reasons come from code, so there are few of them.
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

/// Writes each event as one line of JSON (JSON Lines) to a file descriptor, such as standard error. For a file, see
/// `AuditFile`.
public final class JSONLinesAuditSink: AuditSink {
    private let descriptor: Int32
    private let lock = Mutex(false)
    private let lost = Counter(label: "mcp_auth_audit_lost_total")

    /// An open descriptor, such as 2 for standard error. It is not closed here.
    public init(descriptor: Int32) { self.descriptor = descriptor }

    public func record(_ event: AuditEvent) {
        let line = event.json.serialized + [0x0A]
        let isWritten = lock.withLock { isBroken in
            // After half a line, the next event begins on a line of its own.
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
