public import JOSE
public import OAuth
import Synchronization

/// Single-use values, waiting devices, and the deletion of expired data.
extension MemoryStore {
    // MARK: Single use

    /// False when the value was consumed before and is still remembered.
    public func consume(_ use: SingleUse) -> Bool {
        state.withLock { state in
            guard state.transactions[use.hash] == nil else { return false }
            state.transactions[use.hash] = use.expiresAt
            return true
        }
    }

    /// Whether the value was consumed and is still remembered.
    public func isConsumed(_ hash: SecretHash) -> Bool { state.withLock { $0.transactions[hash] != nil } }

    // MARK: Devices

    /// Throws `conflict` when an unexpired device has the same user code, and `full` when `limit` unexpired devices
    /// exist.
    public func add(_ device: DeviceAuthorization, limit: Int, at now: NumericDate) throws(StoreError) {
        let problem = state.withLock { state -> StoreError? in
            let living = state.devices.values.filter { now < $0.device.expiresAt }
            if living.contains(where: { $0.device.userCode == device.userCode }) { return StoreError(.conflict, "the user code is taken") }
            if living.count >= limit { return StoreError(.full, "\(limit) devices wait") }
            state.devices[device.hash] = MemoryDevice(device: device, interval: device.interval)
            return nil
        }
        if let problem { throw problem }
    }

    /// Nil unless a device with this user code waits and has not expired.
    public func device(userCode: SecretHash, at now: NumericDate) -> DeviceAuthorization? {
        state.withLock { state in
            state.devices.values.first { $0.device.userCode == userCode && $0.device.state == .pending && now < $0.device.expiresAt }?.device
        }
    }

    /// False unless a device with this user code waits and has not expired.
    public func decide(_ decision: DeviceAuthorization.State, userCode: SecretHash, at now: NumericDate) -> Bool {
        state.withLock { state in
            guard
                let hash = state.devices.first(where: {
                    $0.value.device.userCode == userCode && $0.value.device.state == .pending && now < $0.value.device.expiresAt
                })?.key
            else { return false }
            state.devices[hash]?.device.state = decision
            return true
        }
    }

    /// A poll that is too early lengthens the interval by five seconds, up to five minutes.
    public func poll(_ hash: SecretHash, by clientID: ClientID, at now: NumericDate) -> DevicePoll {
        state.withLock { state in
            guard let entry = state.devices[hash], entry.device.clientID == clientID else { return .unknown }
            if entry.device.state == .redeemed { return .unknown }
            guard now < entry.device.expiresAt else { return .expired }
            switch entry.device.state {
            case .denied: return .denied
            case .approved: return .approved(entry.device)
            case .pending, .redeemed:
                let isTooSoon = entry.polledAt.map { now.seconds(since: $0) < entry.interval } ?? false
                state.devices[hash]?.polledAt = now
                if isTooSoon { state.devices[hash]?.interval = min(entry.interval + 5, 300) }
                return isTooSoon ? .slowDown : .pending
            }
        }
    }

    /// False, and nothing stored, unless the device is approved, has not expired, and its grant may begin.
    public func redeemDevice(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) -> Bool {
        state.withLock { state in
            guard let entry = state.devices[hash], case .approved = entry.device.state, now < entry.device.expiresAt, state.mayBegin(grant, registry)
            else { return false }
            state.devices[hash]?.device.state = .redeemed
            state.grants[grant.id] = grant
            state.refreshChains[grant.id] = refreshToken.map { RefreshChain(latest: $0.hash, expiresAt: $0.expiresAt) }
            return true
        }
    }

    // MARK: Upkeep

    /// Revokes every grant, and removes every session, code and device.
    public func endEverything(at now: NumericDate) {
        state.withLock { state in
            for id in state.grants.keys { state.revoke(id, now) }
            state.sessions = [:]
            state.codes = [:]
            state.devices = [:]
            state.pendingSignIns = [:]
        }
    }

    /// Removes at most `limit` expired records of each kind and returns their number.
    public func sweep(at now: NumericDate, limit: Int) -> Int {
        state.withLock { state in
            func expired<Key, Value>(_ entries: [Key: Value], _ isOver: (Value) -> Bool) -> [Key] {
                Array(entries.filter { isOver($0.value) }.prefix(limit).map(\.key))
            }
            let sessions = expired(state.sessions) { $0.expiresAt <= now }
            let transactions = expired(state.transactions) { $0 <= now }
            // A used code is kept for an hour, so that a replay is still detected.
            let codes = expired(state.codes) { $0.code.expiresAt.advanced(by: 3600) <= now }
            let tokens = expired(state.revokedTokens) { $0.until <= now }
            let devices = expired(state.devices) { $0.device.expiresAt <= now }
            for key in devices { state.devices[key] = nil }
            let signIns = expired(state.pendingSignIns) { $0.expiresAt <= now }
            for key in signIns { state.pendingSignIns[key] = nil }
            state.endedConnections = state.endedConnections.filter { now < $0.endedAt.advanced(by: 30 * 86400) }
            let longestLife = AuthorizationServerConfiguration.maximumAccessTokenLifetime + 120
            let revokedClients = expired(state.revokedClients) { $0.advanced(by: longestLife) <= now }
            for key in revokedClients { state.revokedClients[key] = nil }
            let grants = expired(state.grants) { $0.expiresAt <= now || ($0.revokedAt.map { $0.advanced(by: 90000) <= now } ?? false) }
            for key in sessions { state.sessions[key] = nil }
            for key in transactions { state.transactions[key] = nil }
            for key in codes { state.codes[key] = nil }
            for key in tokens { state.revokedTokens[key] = nil }
            for key in grants {
                state.grants[key] = nil
                state.refreshChains[key] = nil
            }
            let clients = state.unusedClients(before: now.advanced(by: -86400)).prefix(limit)
            for id in clients { state.forgetClient(id) }
            return clients.count + devices.count + signIns.count + sessions.count + transactions.count + codes.count + tokens.count + grants.count
                + revokedClients.count
        }
    }
}
