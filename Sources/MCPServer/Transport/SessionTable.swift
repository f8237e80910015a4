import JOSE
import Synchronization

/// The state of sessions that they do not carry themselves: running calls, log levels, and sessions that the client
/// ended.
///
/// Sessions without such state take no memory. Other instances do not know the state, and a restart loses it.
final class SessionTable: Sendable {
    private struct Entry {
        let owner: [UInt8]?
        var usedAt: NumericDate
        /// Running calls by the identifier of their request. The protocol requires these to differ; if a client uses
        /// one twice at once, cancelling it cancels both calls.
        var running: [String: [RunningCall]] = [:]
        var level: LogLevel?
        /// The time until which the table must remember that the client ended the session.
        var endedUntil: NumericDate?

        var isWorthKeeping: Bool { !running.isEmpty || level != nil || endedUntil != nil }
    }

    private struct State {
        var entries: [[UInt8]: Entry] = [:]
        /// The number of entries of each owner.
        var counts: [[UInt8]?: Int] = [:]

        mutating func put(_ entry: Entry, _ id: [UInt8]) {
            if entries.updateValue(entry, forKey: id) == nil { counts[entry.owner, default: 0] += 1 }
        }

        mutating func remove(_ id: [UInt8]) {
            guard let entry = entries.removeValue(forKey: id) else { return }
            let count = counts[entry.owner, default: 1] - 1
            counts[entry.owner] = count == 0 ? nil : count
        }
    }

    private let state = Mutex(State())

    static let maximumCount = 10_000
    static let maximumPerOwner = 100
    /// Sessions of callers without a token. They replace each other and never the sessions of users.
    static let maximumOfNobody = 1000

    /// The level of the log messages that the client wants. Nil when it has not said.
    func level(of session: SessionContents) -> LogLevel? { state.withLock { $0.entries[session.id]?.level } }

    func isEnded(_ session: SessionContents) -> Bool { state.withLock { $0.entries[session.id]?.endedUntil != nil } }

    func setLevel(_ level: LogLevel, of session: SessionContents, at now: NumericDate) { change(session, now) { $0.level = level } }

    /// Ends a session: its calls are cancelled, and it is rejected from now on.
    func end(_ session: SessionContents, at now: NumericDate) {
        let running = change(session, now) { entry in
            defer { entry.running = [:] }
            entry.endedUntil = session.expiresAt
            return entry.running
        }
        for call in running.values.joined() { call.cancel() }
    }

    func register(_ call: RunningCall, _ id: String, in session: SessionContents, at now: NumericDate) {
        change(session, now) { $0.running[id, default: []].append(call) }
    }

    func unregister(_ call: RunningCall, _ id: String, in session: SessionContents) {
        state.withLock { state in
            guard var entry = state.entries[session.id], let others = entry.running[id]?.filter({ $0 !== call }) else { return }
            entry.running[id] = others.isEmpty ? nil : others
            if entry.isWorthKeeping { state.put(entry, session.id) } else { state.remove(session.id) }
        }
    }

    func cancel(_ id: String, in session: SessionContents) {
        for call in state.withLock({ $0.entries[session.id]?.running[id] }) ?? [] { call.cancel() }
    }

    private func change<Result>(_ session: SessionContents, _ now: NumericDate, _ body: (inout Entry) -> Result) -> Result {
        state.withLock { state in
            if state.entries[session.id] == nil { Self.makeRoom(&state, for: session.owner, now) }
            var entry = state.entries[session.id] ?? Entry(owner: session.owner, usedAt: now)
            entry.usedAt = now
            let result = body(&entry)
            if entry.isWorthKeeping { state.put(entry, session.id) } else { state.remove(session.id) }
            return result
        }
    }

    /// Removes the least recently used entries of one owner, first those without a running call. The owner loses a log
    /// level, or a session that it ended works again; it could open another at any time.
    private static func makeRoom(_ state: inout State, for owner: [UInt8]?, _ now: NumericDate) {
        func forgetOldest(_ isCandidate: (Entry) -> Bool) {
            let oldest = state.entries.filter { isCandidate($0.value) }.min { one, other in
                (one.value.running.isEmpty ? 0 : 1, one.value.usedAt) < (other.value.running.isEmpty ? 0 : 1, other.value.usedAt)
            }
            if let oldest { state.remove(oldest.key) }
        }
        if state.counts[owner, default: 0] >= (owner == nil ? maximumOfNobody : maximumPerOwner) { forgetOldest { $0.owner == owner } }
        guard state.entries.count >= maximumCount else { return }
        for (id, entry) in state.entries where entry.running.isEmpty && entry.endedUntil.map({ $0 <= now }) ?? false { state.remove(id) }
        if state.entries.count >= maximumCount { forgetOldest { _ in true } }
    }

    var count: Int { state.withLock { $0.entries.count } }
}
