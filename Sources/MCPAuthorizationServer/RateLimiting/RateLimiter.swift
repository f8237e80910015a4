import JOSE
import Synchronization

/// A rate limit by the generic cell rate algorithm: a burst, then one request in each interval, for each key. Its
/// memory is bounded. When the table is full, keys whose limit has recovered are removed first, then those closest to
/// recovery.
final class RateLimiter: Sendable {
    private let interval: Int64
    private let tolerance: Int64
    private let capacity: Int
    private let arrivals = Mutex<[String: Int64]>([:])

    init(_ limit: RateLimits.Limit, capacity: Int = 20_000) {
        interval = max(limit.interval, 1)
        tolerance = Int64(max(limit.burst, 1) - 1) * interval
        self.capacity = capacity
    }

    /// Nil when one more request may pass, which is then counted. Otherwise the seconds to wait.
    func wait(for key: String, at now: NumericDate) -> Int64? {
        let now = Self.milliseconds(now)
        return arrivals.withLock { arrivals in
            let arrival = arrival(arrivals[key], now)
            let excess = arrival - tolerance - now
            guard excess <= 0 else { return (excess + 999) / 1000 }
            if arrivals[key] == nil, arrivals.count >= capacity { Self.makeRoom(&arrivals, now) }
            arrivals[key] = arrival + interval
            return nil
        }
    }

    /// The seconds to wait, or nil. Nothing is counted.
    func isBlocked(_ key: String, at now: NumericDate) -> Int64? {
        let now = Self.milliseconds(now)
        let excess = arrivals.withLock { arrival($0[key], now) } - tolerance - now
        return excess > 0 ? (excess + 999) / 1000 : nil
    }

    /// Takes back one request that was counted and turned out to be harmless.
    func giveBack(_ key: String) { arrivals.withLock { if let arrival = $0[key] { $0[key] = arrival - interval } } }

    /// A stored time that is further ahead than a used-up limit was written before the clock was set back. It blocks no
    /// key.
    private func arrival(_ stored: Int64?, _ now: Int64) -> Int64 {
        guard let stored, stored <= now + tolerance + interval else { return now }
        return max(stored, now)
    }

    private static func milliseconds(_ date: NumericDate) -> Int64 { min(max(date.seconds, -1 << 50), 1 << 50) * 1000 }

    /// Removes a key, for example after a success.
    func reset(_ key: String) { _ = arrivals.withLock { $0.removeValue(forKey: key) } }

    var count: Int { arrivals.withLock { $0.count } }

    /// Removes a quarter at a time, so that a flood of keys costs little for each.
    private static func makeRoom(_ arrivals: inout [String: Int64], _ now: Int64) {
        let count = arrivals.count
        arrivals = arrivals.filter { $0.value > now }
        guard arrivals.count > count * 3 / 4 else { return }
        for key in arrivals.sorted(by: { $0.value < $1.value }).prefix(count / 4 + 1).map(\.key) { arrivals[key] = nil }
    }
}
