import JOSE
import Synchronization

/// A rate limit by the generic cell rate algorithm: `burst` at once, then one every `interval` seconds, for each key. Its memory is bounded: when the
/// table is full, keys whose limit has recovered go first, then the one closest to recovery.
final class RateLimiter: Sendable {
    private let interval: Int64
    private let tolerance: Int64
    private let capacity: Int
    private let arrivals = Mutex<[String: Int64]>([:])

    init(burst: Int, every interval: Int64, capacity: Int = 20_000) {
        self.interval = max(interval, 1)
        tolerance = Int64(max(burst, 1) - 1) * max(interval, 1)
        self.capacity = capacity
    }

    /// Nil when one more may pass, which counts; otherwise the seconds to wait.
    func wait(for key: String, at now: NumericDate) -> Int64? {
        arrivals.withLock { arrivals in
            let arrival = arrival(arrivals[key], now)
            let excess = arrival - tolerance - now.seconds
            guard excess <= 0 else { return excess }
            if arrivals[key] == nil, arrivals.count >= capacity { Self.makeRoom(&arrivals, now.seconds) }
            arrivals[key] = arrival + interval
            return nil
        }
    }

    /// The seconds to wait, or nil. Counts nothing.
    func isBlocked(_ key: String, at now: NumericDate) -> Int64? {
        let excess = arrivals.withLock { arrival($0[key], now) } - tolerance - now.seconds
        return excess > 0 ? excess : nil
    }

    /// Takes back one that counted and turned out to be harmless.
    func giveBack(_ key: String) { arrivals.withLock { if let arrival = $0[key] { $0[key] = arrival - interval } } }

    /// Never further ahead than a limit that was just used up, so that a clock that jumped forward and back locks nobody out.
    private func arrival(_ stored: Int64?, _ now: NumericDate) -> Int64 {
        min(max(stored ?? now.seconds, now.seconds), now.seconds + tolerance + interval)
    }

    /// Forgets a key, for example after a success.
    func reset(_ key: String) { _ = arrivals.withLock { $0.removeValue(forKey: key) } }

    var count: Int { arrivals.withLock { $0.count } }

    /// A quarter at a time, so that a flood of keys costs little each.
    private static func makeRoom(_ arrivals: inout [String: Int64], _ now: Int64) {
        let count = arrivals.count
        arrivals = arrivals.filter { $0.value > now }
        guard arrivals.count > count * 3 / 4 else { return }
        for key in arrivals.sorted(by: { $0.value < $1.value }).prefix(count / 4 + 1).map(\.key) { arrivals[key] = nil }
    }
}
