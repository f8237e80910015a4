public import JOSE
public import OAuth
import Synchronization

/// A store that forgets everything when the process ends: for tests, and to read what a store has to do.
public final class MemoryStore: AuthorizationServerStore {
    private struct CodeEntry {
        let code: AuthorizationCode
        var grantID: String?
    }

    private struct RefreshEntry {
        let token: RefreshToken
        var usedAt: NumericDate?
        var successor: SecretHash?
        var sealedSuccessor: [UInt8] = []
    }

    private struct DeviceEntry {
        var device: DeviceAuthorization
        var interval: Int64
        var polledAt: NumericDate?
    }

    private struct State {
        var clients: [ClientID: Client] = [:]
        var users: [String: User] = [:]
        var sessions: [SecretHash: Session] = [:]
        var transactions: [SecretHash: NumericDate] = [:]
        var codes: [SecretHash: CodeEntry] = [:]
        var grants: [String: Grant] = [:]
        var refreshTokens: [SecretHash: RefreshEntry] = [:]
        var revokedTokens: [String: (until: NumericDate, at: NumericDate)] = [:]
        var revokedClients: [ClientID: NumericDate] = [:]
        var consents: Set<RememberedConsent> = []
        var keys: [SealedKey] = []
        var issuer: String?
        var oneTimeSteps: [String: Int64] = [:]
        var devices: [SecretHash: DeviceEntry] = [:]

        /// Oldest first.
        func unusedClients(before moment: NumericDate) -> [ClientID] {
            let used = Set(grants.values.map(\.clientID) + codes.values.map(\.code.clientID) + devices.values.map(\.device.clientID))
            return clients.values.filter { $0.origin == .dynamic && $0.createdAt <= moment && !used.contains($0.id) }
                .sorted { $0.createdAt < $1.createdAt }.map(\.id)
        }

        mutating func forgetClient(_ id: ClientID) {
            clients[id] = nil
            consents = consents.filter { $0.clientID != id }
        }

        func isActive(_ userID: String?) -> Bool { userID.map { users[$0]?.isDisabled == false } ?? true }

        /// Whether this grant may begin: its user and its client are there and not disabled.
        func mayBegin(_ grant: Grant, _ registry: ClientRegistry) -> Bool {
            isActive(grant.userID) && (registry == .elsewhere || clients[grant.clientID]?.isDisabled == false)
        }

        mutating func revoke(_ grantID: String, _ now: NumericDate) {
            if grants[grantID]?.revokedAt == nil { grants[grantID]?.revokedAt = now }
        }
    }

    private let state = Mutex(State())

    public init() {}

    public func client(_ id: ClientID) -> Client? { state.withLock { $0.clients[id] } }

    public func save(_ client: Client, limit: Int) throws(StoreError) {
        let isFull = state.withLock { state in
            func isFull() -> Bool { state.clients[client.id] == nil && state.clients.values.count(where: { $0.origin == client.origin }) >= limit }
            if isFull() {
                for id in state.unusedClients(before: client.createdAt.advanced(by: -600)).prefix(100) { state.forgetClient(id) }
                if isFull() { return true }
            }
            state.clients[client.id] = client
            return false
        }
        if isFull { throw StoreError(.full, "there are \(limit) clients") }
    }

    public func deleteClient(_ id: ClientID, at now: NumericDate) {
        revokeGrants(ofClient: id, at: now)
        state.withLock { state in
            state.forgetClient(id)
            state.codes = state.codes.filter { $0.value.code.clientID != id || $0.value.grantID != nil }
            state.devices = state.devices.filter { $0.value.device.clientID != id }
        }
    }

    public func revokeGrants(ofClient id: ClientID, at now: NumericDate) {
        state.withLock { state in
            let grants = state.grants.values.filter { $0.clientID == id && $0.revokedAt == nil }
            for grant in grants { state.revoke(grant.id, now) }
            // One that registered itself and never got anything leaves nothing behind.
            if !grants.isEmpty || state.clients[id]?.origin != .dynamic { state.revokedClients[id] = now }
        }
    }

    public func replace(_ client: Client, expecting previous: Client) -> Bool {
        state.withLock { state in
            guard state.clients[client.id] == previous else { return false }
            state.clients[client.id] = client
            return true
        }
    }

    public func clients(after id: String, limit: Int) -> [Client] {
        state.withLock { Array($0.clients.values.filter { $0.id.text > id }.sorted { $0.id.text < $1.id.text }.prefix(limit)) }
    }

    public func user(id: String) -> User? { state.withLock { $0.users[id] } }

    public func user(named name: String) -> User? {
        state.withLock { $0.users.values.first { $0.name.utf8.elementsEqual(name.utf8) } }
    }

    public func user(_ identity: ExternalIdentity) -> User? { state.withLock { $0.users.values.first { $0.identity == identity } } }

    public func users(after name: String, limit: Int) -> [User] {
        state.withLock { Array($0.users.values.filter { $0.name > name }.sorted { $0.name < $1.name }.prefix(limit)) }
    }

    public func useOneTimeStep(_ step: Int64, ofUser id: String) -> Bool {
        state.withLock { state in
            guard state.users[id] != nil, step > state.oneTimeSteps[id] ?? .min else { return false }
            state.oneTimeSteps[id] = step
            return true
        }
    }

    public func add(_ user: User) throws(StoreError) {
        let isTaken = state.withLock { state in
            guard state.users[user.id] == nil,
                !state.users.values.contains(where: { $0.name == user.name || ($0.identity != nil && $0.identity == user.identity) })
            else { return true }
            state.users[user.id] = user
            return false
        }
        if isTaken { throw StoreError(.conflict, "the user name is taken") }
    }

    public func update(_ user: User, expecting previous: User) -> Bool {
        state.withLock { state in
            guard state.users[user.id] == previous else { return false }
            state.users[user.id] = user
            return true
        }
    }

    public func session(_ hash: SecretHash, at now: NumericDate) -> Session? {
        state.withLock { $0.sessions[hash].flatMap { now < $0.expiresAt ? $0 : nil } }
    }

    public func add(_ session: Session) { state.withLock { $0.sessions[session.hash] = session } }

    public func deleteSession(_ hash: SecretHash) { state.withLock { $0.sessions[hash] = nil } }

    public func deleteSessions(ofUser userID: String) {
        state.withLock { state in
            state.sessions = state.sessions.filter { $0.value.userID != userID }
            state.codes = state.codes.filter { $0.value.code.userID != userID || $0.value.grantID != nil }
            state.devices = state.devices.filter { entry in
                if case .approved(userID, _, _) = entry.value.device.state { false } else { true }
            }
        }
    }

    public func issue(_ code: AuthorizationCode, consuming transaction: SecretHash, until expiry: NumericDate) -> Bool {
        state.withLock { state in
            guard state.transactions[transaction] == nil else { return false }
            state.transactions[transaction] = expiry
            state.codes[code.hash] = CodeEntry(code: code)
            return true
        }
    }

    public func code(_ hash: SecretHash) -> AuthorizationCode? { state.withLock { $0.codes[hash]?.code } }

    public func redeem(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) -> CodeRedemption {
        state.withLock { state in
            guard let entry = state.codes[hash], state.mayBegin(grant, registry) else { return .unknown }
            if let earlier = entry.grantID {
                state.revoke(earlier, now)
                return .replayed(grantID: earlier)
            }
            guard now < entry.code.expiresAt else { return .unknown }
            state.codes[hash]?.grantID = grant.id
            state.grants[grant.id] = grant
            if let refreshToken { state.refreshTokens[refreshToken.hash] = RefreshEntry(token: refreshToken) }
            return .redeemed
        }
    }

    public func refreshToken(_ hash: SecretHash) -> (token: RefreshToken, grant: Grant)? {
        state.withLock { state in
            guard let entry = state.refreshTokens[hash], let grant = state.grants[entry.token.grantID] else { return nil }
            return (entry.token, grant)
        }
    }

    public func rotate(
        _ hash: SecretHash, to successor: Successor, grace: Int64, at now: NumericDate, unless refusal: @Sendable (Grant) -> OAuthError?
    ) -> Rotation {
        state.withLock { state in
            guard let entry = state.refreshTokens[hash], var grant = state.grants[entry.token.grantID], grant.isLive(at: now),
                state.isActive(grant.userID)
            else { return .unknown }
            if let error = refusal(grant) { return .refused(error) }
            if let usedAt = entry.usedAt {
                let successorIsUnused = entry.successor.map { state.refreshTokens[$0]?.usedAt == nil } ?? false
                // Requests that came in together may be decided in another order, and clocks may differ by a little: that is no theft.
                let age = now.seconds(since: usedAt)
                if age > -60, age < grace, successorIsUnused { return .repeated(grant, sealedSuccessor: entry.sealedSuccessor) }
                state.revoke(grant.id, now)
                return .reused(grantID: grant.id)
            }
            guard now < entry.token.expiresAt else { return .unknown }
            state.refreshTokens[hash]?.usedAt = now
            state.refreshTokens[hash]?.successor = successor.hash
            state.refreshTokens[hash]?.sealedSuccessor = successor.sealed
            state.refreshTokens[successor.hash] = RefreshEntry(token: successor.token(of: grant))
            grant.lastUsedAt = now
            state.grants[grant.id] = grant
            return .rotated(grant)
        }
    }

    public func add(_ grant: Grant, consuming use: SingleUse?, clientIn registry: ClientRegistry) -> Bool {
        state.withLock { state in
            guard state.mayBegin(grant, registry) else { return false }
            if let use {
                guard state.transactions[use.hash] == nil else { return false }
                state.transactions[use.hash] = use.expiresAt
            }
            state.grants[grant.id] = grant
            return true
        }
    }

    public func grants(limit: Int, at now: NumericDate) -> [Grant] {
        state.withLock { Array($0.grants.values.filter { $0.isLive(at: now) }.sorted { $0.createdAt > $1.createdAt }.prefix(limit)) }
    }

    public func note(_ uses: [GrantUse]) {
        state.withLock { state in
            for use in uses where state.grants[use.grantID] != nil {
                state.grants[use.grantID]?.lastUsedAt = use.time
                state.grants[use.grantID]?.lastOperation = use.operation
            }
        }
    }

    public func grant(_ id: String) -> Grant? { state.withLock { $0.grants[id] } }

    public func grants(ofUser userID: String, at now: NumericDate) -> [Grant] {
        state.withLock { $0.grants.values.filter { $0.userID == userID && $0.isLive(at: now) }.sorted { $0.createdAt > $1.createdAt } }
    }

    public func revokeGrant(_ id: String, at now: NumericDate) { state.withLock { $0.revoke(id, now) } }

    public func revokeAccessToken(_ tokenID: String, until expiry: NumericDate, at now: NumericDate) {
        state.withLock { if $0.revokedTokens[tokenID] == nil { $0.revokedTokens[tokenID] = (expiry, now) } }
    }

    public func revocations(since moment: NumericDate) -> [Revocation] {
        state.withLock { state in
            state.grants.values.filter { $0.revokedAt.map { $0 >= moment } ?? false }.map { .grant($0.id) }
                + state.revokedTokens.filter { $0.value.at >= moment }.map { .accessToken($0.key, until: $0.value.until) }
                + state.revokedClients.filter { $0.value >= moment }.map { .client($0.key, upTo: $0.value) }
        }
    }

    public func isRemembered(_ consent: RememberedConsent) -> Bool { state.withLock { $0.consents.contains(consent) } }

    public func remember(_ consent: RememberedConsent) { _ = state.withLock { $0.consents.insert(consent) } }

    public func forget(userID: String, clientID: ClientID) {
        state.withLock { $0.consents = $0.consents.filter { $0.userID != userID || $0.clientID != clientID } }
    }

    public func signingKeys() -> [SealedKey] { state.withLock { $0.keys } }

    public func addSigningKey(_ key: SealedKey, unlessActiveAfter moment: NumericDate, upTo limit: NumericDate) -> [SealedKey] {
        state.withLock { state in
            if !state.keys.contains(where: { $0.algorithm == key.algorithm && $0.activeFrom > moment && $0.activeFrom <= limit }) {
                state.keys.append(key)
            }
            return state.keys
        }
    }

    public func removeSigningKey(_ keyID: String) { state.withLock { $0.keys.removeAll { $0.keyID == keyID } } }

    public func claim(issuer: String) -> String {
        state.withLock { state in
            let owner = state.issuer ?? issuer
            state.issuer = owner
            return owner
        }
    }

    public func issuer() -> String? { state.withLock { $0.issuer } }

    // MARK: Single use

    public func consume(_ use: SingleUse) -> Bool {
        state.withLock { state in
            guard state.transactions[use.hash] == nil else { return false }
            state.transactions[use.hash] = use.expiresAt
            return true
        }
    }

    public func isConsumed(_ hash: SecretHash) -> Bool { state.withLock { $0.transactions[hash] != nil } }

    // MARK: Devices

    public func add(_ device: DeviceAuthorization, limit: Int, at now: NumericDate) throws(StoreError) {
        let problem = state.withLock { state -> StoreError? in
            let living = state.devices.values.filter { now < $0.device.expiresAt }
            if living.contains(where: { $0.device.userCode == device.userCode }) { return StoreError(.conflict, "the user code is taken") }
            if living.count >= limit { return StoreError(.full, "\(limit) devices wait") }
            state.devices[device.hash] = DeviceEntry(device: device, interval: device.interval)
            return nil
        }
        if let problem { throw problem }
    }

    public func device(userCode: SecretHash, at now: NumericDate) -> DeviceAuthorization? {
        state.withLock { state in
            state.devices.values.first { $0.device.userCode == userCode && $0.device.state == .pending && now < $0.device.expiresAt }?.device
        }
    }

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

    public func redeemDevice(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) -> Bool {
        state.withLock { state in
            guard let entry = state.devices[hash], case .approved = entry.device.state, now < entry.device.expiresAt, state.mayBegin(grant, registry)
            else { return false }
            state.devices[hash]?.device.state = .redeemed
            state.grants[grant.id] = grant
            if let refreshToken { state.refreshTokens[refreshToken.hash] = RefreshEntry(token: refreshToken) }
            return true
        }
    }

    // MARK: Upkeep

    public func endEverything(at now: NumericDate) {
        state.withLock { state in
            for id in state.grants.keys { state.revoke(id, now) }
            state.sessions = [:]
            state.codes = [:]
            state.devices = [:]
        }
    }

    public func sweep(at now: NumericDate, limit: Int) -> Int {
        state.withLock { state in
            func expired<Key, Value>(_ entries: [Key: Value], _ isOver: (Value) -> Bool) -> [Key] {
                Array(entries.filter { isOver($0.value) }.prefix(limit).map(\.key))
            }
            let sessions = expired(state.sessions) { $0.expiresAt <= now }
            let transactions = expired(state.transactions) { $0 <= now }
            // A used code is kept for an hour, so that a replay is still recognized and answered.
            let codes = expired(state.codes) { $0.code.expiresAt.advanced(by: 3600) <= now }
            let tokens = expired(state.revokedTokens) { $0.until <= now }
            let devices = expired(state.devices) { $0.device.expiresAt <= now }
            for key in devices { state.devices[key] = nil }
            let longestLife = AuthorizationServerConfiguration.maximumAccessTokenLifetime + 120
            let revokedClients = expired(state.revokedClients) { $0.advanced(by: longestLife) <= now }
            for key in revokedClients { state.revokedClients[key] = nil }
            let grants = expired(state.grants) { $0.expiresAt <= now || ($0.revokedAt.map { $0.advanced(by: 90000) <= now } ?? false) }
            for key in sessions { state.sessions[key] = nil }
            for key in transactions { state.transactions[key] = nil }
            for key in codes { state.codes[key] = nil }
            for key in tokens { state.revokedTokens[key] = nil }
            for key in grants { state.grants[key] = nil }
            let gone = Set(grants)
            let refreshTokens = expired(state.refreshTokens) { $0.token.expiresAt.advanced(by: 86400) <= now || gone.contains($0.token.grantID) }
            for key in refreshTokens { state.refreshTokens[key] = nil }
            let clients = state.unusedClients(before: now.advanced(by: -86400)).prefix(limit)
            for id in clients { state.forgetClient(id) }
            return clients.count + devices.count + sessions.count + transactions.count + codes.count + tokens.count + grants.count
                + refreshTokens.count + revokedClients.count
        }
    }
}
