public import Metrics
import Synchronization

/// Collects swift-metrics and writes them in the Prometheus text format (version 0.0.4). Label values come from code,
/// never from requests.
public final class PrometheusMetrics: MetricsFactory {
    private struct Key: Hashable {
        let name: String
        let labels: String
    }

    private let counters = Mutex<[Key: Count]>([:])
    private let summaries = Mutex<[Key: Summary]>([:])

    public init() {}

    // MARK: Text

    /// Every metric, in the order of their names.
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

    public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counters.withLock { counters in
            let key = Self.key(label, dimensions)
            let counter = counters[key] ?? Count()
            counters[key] = counter
            return counter
        }
    }

    public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler { summary(label, dimensions) }
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { summary(label, dimensions) }
    public func destroyCounter(_ handler: any CounterHandler) {}
    public func destroyRecorder(_ handler: any RecorderHandler) {}
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

    /// Durations in seconds, everything else as it is.
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
