public import Metrics
import Synchronization

/// Collects swift-metrics in memory and writes them in the Prometheus text format (version 0.0.4). Label values must
/// come from code, never from requests.
///
/// Bootstrap it before the first metric is created: `MetricsSystem.bootstrap(metrics)`.
public final class PrometheusMetrics: MetricsFactory {
    private struct Key: Hashable {
        let name: String
        let labels: String
    }

    private let counters = Mutex<[Key: Count]>([:])
    private let summaries = Mutex<[Key: Summary]>([:])

    /// A factory without metrics.
    public init() {}

    // MARK: Text

    /// All metrics, ordered by name: counters first, then timers and recorders as summaries with sum and count.
    /// Durations are seconds.
    public var text: String {
        var lines: [String] = []
        var described: Set<String> = []
        func describe(_ name: String, _ type: String) { if described.insert(name).inserted { lines.append("# TYPE \(name) \(type)") } }
        for (key, counter) in counters.withLock({ Array($0) }).sorted(by: { ($0.key.name, $0.key.labels) < ($1.key.name, $1.key.labels) }) {
            describe(key.name, "counter")
            lines.append("\(key.name)\(braces(key.labels)) \(counter.value)")
        }
        for (key, summary) in summaries.withLock({ Array($0) }).sorted(by: { ($0.key.name, $0.key.labels) < ($1.key.name, $1.key.labels) }) {
            describe(key.name, "summary")
            let (count, sum) = summary.state
            lines.append("\(key.name)_sum\(braces(key.labels)) \(sum)")
            lines.append("\(key.name)_count\(braces(key.labels)) \(count)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func braces(_ labels: String) -> String { labels.isEmpty ? "" : "{\(labels)}" }

    // MARK: MetricsFactory

    /// The counter with this label and these dimensions. Other characters than letters, digits and `_` become `_`.
    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counters.withLock { counters in
            let key = Self.key(label, dimensions)
            let counter = counters[key] ?? Count()
            counters[key] = counter
            return counter
        }
    }

    /// The summary with this label and these dimensions. `aggregate` is ignored: only sum and count are kept.
    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler { summary(label, dimensions) }
    /// The summary with this label and these dimensions, in seconds.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { summary(label, dimensions) }
    /// Does nothing. Metrics are kept until the process ends, because the same metric may be used elsewhere.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// Does nothing.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Does nothing.
    public func destroyTimer(_ handler: any TimerHandler) {}

    private func summary(_ label: String, _ dimensions: [(String, String)]) -> Summary {
        summaries.withLock { summaries in
            let key = Self.key(label, dimensions)
            let summary = summaries[key] ?? Summary()
            summaries[key] = summary
            return summary
        }
    }

    private static func key(_ label: String, _ dimensions: [(String, String)]) -> Key {
        Key(name: sanitized(label), labels: dimensions.map { "\(sanitized($0.0))=\"\(escaped($0.1))\"" }.joined(separator: ","))
    }

    private static func sanitized(_ name: String) -> String {
        String(
            decoding: name.utf8.map { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    ? byte : UInt8(ascii: "_")
            }, as: UTF8.self)
    }

    private static func escaped(_ value: String) -> String {
        value.unicodeScalars.map { scalar in
            switch scalar {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            default: String(scalar)
            }
        }.joined()
    }

    // MARK: Handlers

    final class Count: CounterHandler {
        private let count = Atomic<Int64>(0)
        var value: Int64 { count.load(ordering: .relaxed) }
        func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }
        func reset() { count.store(0, ordering: .relaxed) }
    }

    /// Durations in seconds, all other values unchanged.
    final class Summary: RecorderHandler, TimerHandler {
        private let values = Mutex<(count: Int, sum: Double)>((0, 0))
        var state: (Int, Double) { values.withLock { ($0.count, $0.sum) } }
        func record(_ value: Int64) { record(Double(value)) }
        func record(_ value: Double) {
            values.withLock { values in
                values.count += 1
                values.sum += value
            }
        }
        func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
    }
}
