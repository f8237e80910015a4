public import JOSE
public import OAuth
import Synchronization

extension MemoryStore {
    /// Throws `full` when `limit` unexpired sign-ins wait.
    public func add(_ pending: PendingSignIn, limit: Int, at now: NumericDate) throws(StoreError) {
        let isFull = state.withLock { state in
            state.pendingSignIns = state.pendingSignIns.filter { now < $0.value.expiresAt }
            guard state.pendingSignIns.count < limit else { return true }
            state.pendingSignIns[pending.hash] = pending
            return false
        }
        if isFull { throw StoreError(.full, "\(limit) sign-ins wait") }
    }

    /// Nil when it was taken before or has expired.
    public func takePendingSignIn(_ hash: SecretHash, at now: NumericDate) -> PendingSignIn? {
        state.withLock { $0.pendingSignIns.removeValue(forKey: hash) }.flatMap { now < $0.expiresAt ? $0 : nil }
    }

    /// Nil when there is none.
    public func connection(_ identity: ExternalIdentity) -> Connection? { state.withLock { $0.connections[identity] } }

    /// In the order of the provider.
    public func connections(ofUser id: String) -> [Connection] {
        state.withLock { $0.connections.values.filter { $0.userID == id }.sorted { $0.provider < $1.provider } }
    }

    /// Throws `conflict` when the identity belongs to another user, or the user does not exist.
    public func save(_ connection: Connection) throws(StoreError) {
        let isConflict = state.withLock { state in
            let owner = state.connections[connection.identity]?.userID ?? state.users.values.first { $0.identity == connection.identity }?.id
            guard owner == nil || owner == connection.userID, state.users[connection.userID] != nil else { return true }
            state.connections[connection.identity] = connection
            state.claims[connection.identity] = nil
            return false
        }
        if isConflict { throw StoreError(.conflict, "the identity belongs to another user") }
    }

    /// False when the revision has changed.
    public func replace(_ connection: Connection, expecting previous: Connection) -> Bool {
        state.withLock { state in
            guard state.connections[connection.identity]?.revision == previous.revision else { return false }
            state.connections[connection.identity] = connection
            state.claims[connection.identity] = nil
            return true
        }
    }

    /// False when it is claimed by another caller.
    public func claim(_ connection: Connection, until moment: NumericDate, at now: NumericDate) -> Bool {
        state.withLock { state in
            guard state.connections[connection.identity]?.revision == connection.revision,
                state.claims[connection.identity].map({ $0 <= now }) ?? true
            else { return false }
            state.claims[connection.identity] = moment
            return true
        }
    }

    /// Does nothing when it is not the user's.
    public func deleteConnection(_ identity: ExternalIdentity, ofUser id: String) {
        state.withLock { if $0.connections[identity]?.userID == id { $0.connections[identity] = nil } }
    }

    /// One step.
    public func takeUnusedTokens(ofProviders providers: [String], at now: NumericDate, limit: Int) -> [Connection] {
        state.withLock { state in
            var taken: [Connection] = []
            state.endedConnections.removeAll { entry in
                guard taken.count < limit, providers.contains(entry.connection.provider) else { return false }
                taken.append(entry.connection)
                return true
            }
            for connection in state.connections.values where taken.count < limit && connection.sealedTokens != nil {
                guard providers.contains(connection.provider), state.isUnused(connection, at: now) else { continue }
                taken.append(connection)
                state.connections[connection.identity]?.sealedTokens = nil
                state.connections[connection.identity]?.revision += 1
                state.claims[connection.identity] = nil
            }
            return taken
        }
    }
}

extension MemoryState {
    /// Whether the last grant of the user has ended since the connection was checked, and no further one begins.
    fileprivate func isUnused(_ connection: Connection, at now: NumericDate) -> Bool {
        let own = grants.values.filter { $0.userID == connection.userID }
        guard !own.contains(where: { $0.isLive(at: now) }),
            own.contains(where: { ($0.revokedAt ?? $0.expiresAt) >= connection.checkedAt }),
            !codes.values.contains(where: { $0.code.userID == connection.userID && $0.grantID == nil && now < $0.code.expiresAt })
        else { return false }
        return !devices.values.contains { entry in
            if case .approved(connection.userID, _, _) = entry.device.state { now < entry.device.expiresAt } else { false }
        }
    }
}
