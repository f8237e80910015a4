import JOSE
import Synchronization

/// The sessions of the handshake wire. A session belongs to the user who opened it and is nobody's credential.
final class SessionTable: Sendable {
    private struct Session {
        /// Issuer and subject; nil where nobody has to sign in.
        let owner: String?
        var lastUsedAt: NumericDate
        var running: [String: @Sendable () -> Void] = [:]
    }

    private let sessions = Mutex<[String: Session]>([:])

    static let maximumCount = 10_000
    static let maximumPerOwner = 100
    /// Sessions of callers without a token, where there can be such: strangers push out strangers, never users.
    static let maximumOfNobody = 1000
    /// Seconds without a request after which a session is forgotten.
    static let idleLifetime: Int64 = 3600

    /// False when there is no room, even after forgetting idle sessions.
    func add(_ id: String, owner: String?, at now: NumericDate) -> Bool {
        sessions.withLock { sessions in
            let own = sessions.filter { Self.isOwn($0.value, owner) }
            let limit = owner == nil ? Self.maximumOfNobody : Self.maximumPerOwner
            if own.count >= limit, let oldest = own.min(by: { $0.value.lastUsedAt < $1.value.lastUsedAt }) {
                sessions[oldest.key] = nil
            }
            if sessions.count >= Self.maximumCount { sessions = sessions.filter { now.seconds(since: $0.value.lastUsedAt) < Self.idleLifetime } }
            guard sessions.count < Self.maximumCount else { return false }
            sessions[id] = Session(owner: owner, lastUsedAt: now)
            return true
        }
    }

    /// Whether the session is alive and this owner's own.
    func touch(_ id: String, owner: String?, at now: NumericDate) -> Bool {
        sessions.withLock { sessions in
            guard let session = sessions[id], Self.isOwn(session, owner) else { return false }
            guard now.seconds(since: session.lastUsedAt) < Self.idleLifetime else {
                sessions[id] = nil
                return false
            }
            sessions[id]?.lastUsedAt = now
            return true
        }
    }

    func remove(_ id: String, owner: String?, at now: NumericDate) -> Bool {
        guard touch(id, owner: owner, at: now) else { return false }
        let running = sessions.withLock { $0.removeValue(forKey: id)?.running ?? [:] }
        for cancel in running.values { cancel() }
        return true
    }

    /// False when a request of this id is running in the session already.
    func register(_ id: String, _ request: String, _ cancel: @escaping @Sendable () -> Void) -> Bool {
        sessions.withLock { sessions in
            guard sessions[id]?.running[request] == nil else { return false }
            sessions[id]?.running[request] = cancel
            return true
        }
    }

    func unregister(_ id: String, _ request: String) { sessions.withLock { $0[id]?.running[request] = nil } }

    func cancel(_ id: String, _ request: String) { sessions.withLock { $0[id]?.running[request] }?() }

    private static func isOwn(_ session: Session, _ owner: String?) -> Bool {
        switch (session.owner, owner) {
        case (nil, nil): true
        case (let one?, let other?): one.utf8.elementsEqual(other.utf8)
        default: false
        }
    }
}
