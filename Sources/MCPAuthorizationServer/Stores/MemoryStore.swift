public import JOSE
public import OAuth
import Synchronization

/// A store that loses everything when the process ends. For tests, and as the reference for other stores.
///
/// Lookups other than by identifier or hash search all records. Nothing is bounded, apart from the limits that callers
/// pass.
public final class MemoryStore: AuthorizationServerStore {
    let state = Mutex(MemoryState())

    /// An empty store.
    public init() {}

    /// Nil when there is no client with this ID.
    public func client(_ id: ClientID) -> Client? { state.withLock { $0.clients[id] } }

    /// Throws `full` when there are `limit` clients of the same origin and none of them can be removed.
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

    /// Revokes the client's grants, and removes the client with its consents, unredeemed codes and devices.
    public func deleteClient(_ id: ClientID, at now: NumericDate) {
        revokeGrants(ofClient: id, at: now)
        state.withLock { state in
            state.forgetClient(id)
            state.codes = state.codes.filter { $0.value.code.clientID != id || $0.value.grantID != nil }
            state.devices = state.devices.filter { $0.value.device.clientID != id }
        }
    }

    /// Records a revocation of the client, unless the client is dynamic and had no live grant.
    public func revokeGrants(ofClient id: ClientID, at now: NumericDate) {
        state.withLock { state in
            let grants = state.grants.values.filter { $0.clientID == id && $0.revokedAt == nil }
            for grant in grants { state.revoke(grant.id, now) }
            // A client that registered itself and never received a token leaves nothing behind.
            if !grants.isEmpty || state.clients[id]?.origin != .dynamic { state.revokedClients[id] = now }
        }
    }

    /// False when the client is not equal to `previous`.
    public func replace(_ client: Client, expecting previous: Client) -> Bool {
        state.withLock { state in
            guard state.clients[client.id] == previous else { return false }
            state.clients[client.id] = client
            return true
        }
    }

    /// In the order of Swift's string comparison.
    public func clients(after id: String, limit: Int) -> [Client] {
        state.withLock { Array($0.clients.values.filter { $0.id.text > id }.sorted { $0.id.text < $1.id.text }.prefix(limit)) }
    }

    /// Nil when there is no user with this ID.
    public func user(id: String) -> User? { state.withLock { $0.users[id] } }

    /// Nil when there is no user with exactly these bytes as the name.
    public func user(named name: String) -> User? {
        state.withLock { $0.users.values.first { $0.name.utf8.elementsEqual(name.utf8) } }
    }

    /// Nil when there is no user with this identity.
    public func user(_ identity: ExternalIdentity) -> User? { state.withLock { $0.users.values.first { $0.identity == identity } } }

    /// In the order of Swift's string comparison.
    public func users(after name: String, limit: Int) -> [User] {
        state.withLock { Array($0.users.values.filter { $0.name > name }.sorted { $0.name < $1.name }.prefix(limit)) }
    }

    /// False when the step or a later one was used, or the user does not exist.
    public func useOneTimeStep(_ step: Int64, ofUser id: String) -> Bool {
        state.withLock { state in
            guard state.users[id] != nil, step > state.oneTimeSteps[id] ?? .min else { return false }
            state.oneTimeSteps[id] = step
            return true
        }
    }

    /// Throws `conflict` when the ID, the name or the identity is taken.
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

    /// False when the user is not equal to `previous`.
    public func update(_ user: User, expecting previous: User) -> Bool {
        state.withLock { state in
            guard state.users[user.id] == previous else { return false }
            state.users[user.id] = user
            return true
        }
    }

    /// Revokes the user's live grants, and removes the user with its sessions, consents, unredeemed codes and approved
    /// devices.
    public func deleteUser(id: String, at now: NumericDate) {
        deleteSessions(ofUser: id)
        state.withLock { state in
            for grant in state.grants.values where grant.userID == id { state.revoke(grant.id, now) }
            state.consents = state.consents.filter { $0.userID != id }
            for connection in state.connections.values where connection.userID == id {
                state.connections[connection.identity] = nil
                if connection.sealedTokens != nil { state.endedConnections.append((connection, now)) }
            }
            state.users[id] = nil
            state.oneTimeSteps[id] = nil
        }
    }

    /// False, and nothing changed, when the user is not equal to `previous`, or the session `old` is not a valid
    /// session of the user.
    public func update(
        _ user: User, expecting previous: User, replacing old: SecretHash, with session: Session, at now: NumericDate
    ) -> Bool {
        state.withLock { state in
            guard state.users[user.id] == previous, state.sessions[old].map({ $0.userID == user.id && now < $0.expiresAt }) == true else {
                return false
            }
            state.users[user.id] = user
            state.sessions = state.sessions.filter { $0.value.userID != user.id }
            state.sessions[session.hash] = session
            return true
        }
    }

    /// Sessions that have not expired, newest first, at most 100.
    public func sessions(ofUser userID: String, at now: NumericDate) -> [Session] {
        state.withLock { state in
            Array(
                state.sessions.values.filter { $0.userID == userID && now < $0.expiresAt }.sorted { $0.authenticatedAt > $1.authenticatedAt }
                    .prefix(100))
        }
    }

    /// Nil when there is no session with this hash, or it has expired.
    public func session(_ hash: SecretHash, at now: NumericDate) -> Session? {
        state.withLock { $0.sessions[hash].flatMap { now < $0.expiresAt ? $0 : nil } }
    }

    /// Replaces a session with the same hash.
    public func add(_ session: Session) { state.withLock { $0.sessions[session.hash] = session } }

    /// Does nothing when there is no such session.
    public func deleteSession(_ hash: SecretHash) { state.withLock { $0.sessions[hash] = nil } }

    /// Returns the users whose sessions they were.
    public func deleteSessions(ofProviderSession hash: SecretHash) -> [String] {
        state.withLock { state in
            let found = state.sessions.values.filter { $0.providerSession == hash }
            for session in found { state.sessions[session.hash] = nil }
            return Array(Set(found.map(\.userID)))
        }
    }

    /// Also removes the user's unredeemed codes and approved devices.
    public func deleteSessions(ofUser userID: String) {
        state.withLock { state in
            state.sessions = state.sessions.filter { $0.value.userID != userID }
            state.codes = state.codes.filter { $0.value.code.userID != userID || $0.value.grantID != nil }
            state.devices = state.devices.filter { entry in
                if case .approved(userID, _, _) = entry.value.device.state { false } else { true }
            }
        }
    }

    /// False, and nothing stored, when the transaction was used before.
    public func issue(_ code: AuthorizationCode, consuming transaction: SecretHash, until expiry: NumericDate) -> Bool {
        state.withLock { state in
            guard state.transactions[transaction] == nil else { return false }
            state.transactions[transaction] = expiry
            state.codes[code.hash] = MemoryCode(code: code)
            return true
        }
    }

    /// Nil for an unknown code. Finds expired and redeemed codes.
    public func code(_ hash: SecretHash) -> AuthorizationCode? { state.withLock { $0.codes[hash]?.code } }

    /// A replayed code revokes the grant that it was redeemed for.
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
            state.refreshChains[grant.id] = refreshToken.map { RefreshChain(latest: $0.hash, expiresAt: $0.expiresAt) }
            return .redeemed
        }
    }

    /// Nil for a token that names no grant: this store has no tokens of earlier versions.
    public func grant(of token: RefreshTokenReference) -> Grant? { token.grantID.flatMap { grant($0) } }

    /// Calls `refusal` while it holds the lock of the store.
    public func rotate(
        _ token: RefreshTokenReference, to successor: Successor, rules: RefreshRules, at now: NumericDate,
        unless refusal: @Sendable (Grant) -> OAuthError?
    ) -> Rotation {
        state.withLock { state in
            guard let grantID = token.grantID, var grant = state.grants[grantID], grant.isLive(at: now), state.isActive(grant.userID),
                let chain = state.refreshChains[grantID]
            else { return .unknown }
            if let error = refusal(grant) { return .refused(error) }
            switch chain.decision(on: token.hash, successor: successor.hash, rules: rules, at: now) {
            case .unknown: return .unknown
            case .repeated: return .repeated(grant)
            case .recovered(let rotatedAt):
                state.refreshChains[grantID] = chain.recovered
                return .recovered(grant, rotatedAt: rotatedAt)
            case .reused:
                state.revoke(grantID, now)
                return .reused(grantID: grantID)
            case .rotate:
                state.refreshChains[grantID] = chain.rotated(token.hash, to: successor, of: grant, at: now)
                grant.lastUsedAt = now
                state.grants[grantID] = grant
                return .rotated(grant)
            }
        }
    }

    /// False, and nothing stored, when `use` was consumed before, or the user or client is missing or disabled.
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

    /// Live grants, newest first.
    public func grants(limit: Int, at now: NumericDate) -> [Grant] {
        state.withLock { Array($0.grants.values.filter { $0.isLive(at: now) }.sorted { $0.createdAt > $1.createdAt }.prefix(limit)) }
    }

    /// Ignores uses of unknown grants.
    public func note(_ uses: [GrantUse]) {
        state.withLock { state in
            for use in uses where state.grants[use.grantID] != nil {
                state.grants[use.grantID]?.lastUsedAt = use.time
                state.grants[use.grantID]?.lastOperation = use.operation
                if let issuedAt = use.tokenIssuedAt {
                    state.refreshChains[use.grantID] = state.refreshChains[use.grantID]?.used(tokenIssuedAt: issuedAt)
                }
            }
        }
    }

    /// Nil when there is no grant with this ID. Finds revoked and expired grants.
    public func grant(_ id: String) -> Grant? { state.withLock { $0.grants[id] } }

    /// Live grants, newest first. Not limited to 500.
    public func grants(ofUser userID: String, at now: NumericDate) -> [Grant] {
        state.withLock { $0.grants.values.filter { $0.userID == userID && $0.isLive(at: now) }.sorted { $0.createdAt > $1.createdAt } }
    }

    /// A second revocation does not change the time of the first.
    public func revokeGrant(_ id: String, at now: NumericDate) { state.withLock { $0.revoke(id, now) } }

    /// A second revocation does not change the time of the first.
    public func revokeAccessToken(_ tokenID: String, until expiry: NumericDate, at now: NumericDate) {
        state.withLock { if $0.revokedTokens[tokenID] == nil { $0.revokedTokens[tokenID] = (expiry, now) } }
    }

    /// The revocations at or after the moment, in no particular order.
    public func revocations(since moment: NumericDate) -> [Revocation] {
        state.withLock { state in
            state.grants.values.filter { $0.revokedAt.map { $0 >= moment } ?? false }.map { .grant($0.id) }
                + state.revokedTokens.filter { $0.value.at >= moment }.map { .accessToken($0.key, until: $0.value.until) }
                + state.revokedClients.filter { $0.value >= moment }.map { .client($0.key, upTo: $0.value) }
        }
    }

    /// Whether exactly this consent is stored.
    public func isRemembered(_ consent: RememberedConsent) -> Bool { state.withLock { $0.consents.contains(consent) } }

    /// Does nothing when it is stored already.
    public func remember(_ consent: RememberedConsent) { _ = state.withLock { $0.consents.insert(consent) } }

    /// Removes every consent of this user to this client.
    public func forget(userID: String, clientID: ClientID) {
        state.withLock { $0.consents = $0.consents.filter { $0.userID != userID || $0.clientID != clientID } }
    }

    /// In the order in which they were added.
    public func signingKeys() -> [SealedKey] { state.withLock { $0.keys } }

    /// Returns all keys, whether the key was added or not.
    public func addSigningKey(_ key: SealedKey, unlessActiveAfter moment: NumericDate, upTo limit: NumericDate) -> [SealedKey] {
        state.withLock { state in
            if !state.keys.contains(where: { $0.algorithm == key.algorithm && $0.activeFrom > moment && $0.activeFrom <= limit }) {
                state.keys.append(key)
            }
            return state.keys
        }
    }

    /// Does nothing when there is no such key.
    public func removeSigningKey(_ keyID: String) { state.withLock { $0.keys.removeAll { $0.keyID == keyID } } }

    /// Returns the first issuer that claimed the store.
    public func claim(issuer: String) -> String {
        state.withLock { state in
            let owner = state.issuer ?? issuer
            state.issuer = owner
            return owner
        }
    }

    /// Nil until an issuer has claimed the store.
    public func issuer() -> String? { state.withLock { $0.issuer } }
}
