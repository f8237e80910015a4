import JOSE
import MCPAuthorizationServer
import OAuth
import Synchronization

/// A store in memory that fails when it is told to, as a full disk would.
final class FailingStore: AuthorizationServerStore {
    private let store = MemoryStore()
    private let isFailing = Mutex(false)

    var fails: Bool {
        get { isFailing.withLock { $0 } }
        set { isFailing.withLock { $0 = newValue } }
    }

    /// A client as it was read before others changed it: what a request that came in a moment earlier still goes by.
    let staleClient = Mutex<Client?>(nil)

    /// What somebody else does to the store between a request's check and its step: before a session or a code is kept,
    /// or a device is decided.
    let meanwhile = Mutex<(@Sendable (MemoryStore) -> Void)?>(nil)

    private func check() throws(StoreError) { if fails { throw StoreError(.unavailable, "disk full: /var/lib/auth.db") } }

    func client(_ id: ClientID) async throws(StoreError) -> Client? {
        if let stale = staleClient.withLock({ $0 }), stale.id == id { return stale }
        return store.client(id)
    }
    func save(_ client: Client, limit: Int) async throws(StoreError) {
        try check()
        try store.save(client, limit: limit)
    }
    func deleteClient(_ id: ClientID, at now: NumericDate) async throws(StoreError) { store.deleteClient(id, at: now) }
    func user(id: String) async throws(StoreError) -> User? { store.user(id: id) }
    func user(named name: String) async throws(StoreError) -> User? { store.user(named: name) }
    func add(_ user: User) async throws(StoreError) { try store.add(user) }
    func update(_ user: User, expecting previous: User) async throws(StoreError) -> Bool { store.update(user, expecting: previous) }
    func replace(_ client: Client, expecting previous: Client) async throws(StoreError) -> Bool { store.replace(client, expecting: previous) }
    func session(_ hash: SecretHash, at now: NumericDate) async throws(StoreError) -> Session? { store.session(hash, at: now) }
    func add(_ session: Session) async throws(StoreError) {
        meanwhile.withLock { $0 }?(store)
        store.add(session)
    }
    func update(
        _ user: User, expecting previous: User, replacing old: SecretHash, with session: Session, at now: NumericDate
    ) async throws(StoreError) -> Bool {
        meanwhile.withLock { $0 }?(store)
        return store.update(user, expecting: previous, replacing: old, with: session, at: now)
    }
    func add(_ pending: PendingSignIn, limit: Int, at now: NumericDate) async throws(StoreError) {
        try check()
        try store.add(pending, limit: limit, at: now)
    }
    func takePendingSignIn(_ hash: SecretHash, at now: NumericDate) async throws(StoreError) -> PendingSignIn? {
        try check()
        return store.takePendingSignIn(hash, at: now)
    }
    func connection(_ identity: ExternalIdentity) async throws(StoreError) -> Connection? { store.connection(identity) }
    func connections(ofUser id: String) async throws(StoreError) -> [Connection] { store.connections(ofUser: id) }
    func save(_ connection: Connection) async throws(StoreError) { try store.save(connection) }
    /// Whether a change of a connection is lost, as when the process is killed before its commit.
    let losesConnections = Synchronized(false)

    func replace(_ connection: Connection, expecting previous: Connection) async throws(StoreError) -> Bool {
        if losesConnections.value { throw StoreError(.unavailable, "killed") }
        return store.replace(connection, expecting: previous)
    }
    func claim(_ connection: Connection, until moment: NumericDate, at now: NumericDate) async throws(StoreError) -> Bool {
        store.claim(connection, until: moment, at: now)
    }
    func deleteConnection(_ identity: ExternalIdentity, ofUser id: String) async throws(StoreError) {
        store.deleteConnection(identity, ofUser: id)
    }
    func takeUnusedTokens(ofProviders providers: [String], at now: NumericDate, limit: Int) async throws(StoreError) -> [Connection] {
        store.takeUnusedTokens(ofProviders: providers, at: now, limit: limit)
    }
    func deleteUser(id: String, at now: NumericDate) async throws(StoreError) { store.deleteUser(id: id, at: now) }
    func sessions(ofUser userID: String, at now: NumericDate) async throws(StoreError) -> [Session] { store.sessions(ofUser: userID, at: now) }
    func deleteSession(_ hash: SecretHash) async throws(StoreError) { store.deleteSession(hash) }
    func issue(_ code: AuthorizationCode, consuming transaction: SecretHash, until expiry: NumericDate) async throws(StoreError) -> Bool {
        try check()
        meanwhile.withLock { $0 }?(store)
        return store.issue(code, consuming: transaction, until: expiry)
    }
    func code(_ hash: SecretHash) async throws(StoreError) -> AuthorizationCode? { store.code(hash) }
    func redeem(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> CodeRedemption {
        try check()
        return store.redeem(hash, for: grant, refreshToken: refreshToken, clientIn: registry, at: now)
    }
    func grant(of token: RefreshTokenReference) async throws(StoreError) -> Grant? { store.grant(of: token) }
    func rotate(
        _ token: RefreshTokenReference, to successor: Successor, rules: RefreshRules, at now: NumericDate,
        unless refusal: @escaping @Sendable (Grant) -> OAuthError?
    ) async throws(StoreError) -> Rotation {
        try check()
        return store.rotate(token, to: successor, rules: rules, at: now, unless: refusal)
    }
    func grant(_ id: String) async throws(StoreError) -> Grant? { store.grant(id) }
    func grants(ofUser userID: String, at now: NumericDate) async throws(StoreError) -> [Grant] { store.grants(ofUser: userID, at: now) }
    func revokeGrant(_ id: String, at now: NumericDate) async throws(StoreError) {
        try check()
        store.revokeGrant(id, at: now)
    }
    func revokeAccessToken(_ tokenID: String, until expiry: NumericDate, at now: NumericDate) async throws(StoreError) {
        try check()
        store.revokeAccessToken(tokenID, until: expiry, at: now)
    }
    func revocations(since moment: NumericDate) async throws(StoreError) -> [Revocation] { store.revocations(since: moment) }
    func isRemembered(_ consent: RememberedConsent) async throws(StoreError) -> Bool { store.isRemembered(consent) }
    func remember(_ consent: RememberedConsent) async throws(StoreError) { store.remember(consent) }
    func forget(userID: String, clientID: ClientID) async throws(StoreError) { store.forget(userID: userID, clientID: clientID) }
    func signingKeys() async throws(StoreError) -> [SealedKey] { store.signingKeys() }
    func addSigningKey(_ key: SealedKey, unlessActiveAfter moment: NumericDate, upTo limit: NumericDate) async throws(StoreError) -> [SealedKey] {
        try check()
        return store.addSigningKey(key, unlessActiveAfter: moment, upTo: limit)
    }
    func revokeGrants(ofClient id: ClientID, at now: NumericDate) async throws(StoreError) {
        try check()
        store.revokeGrants(ofClient: id, at: now)
    }
    func removeSigningKey(_ keyID: String) async throws(StoreError) { store.removeSigningKey(keyID) }
    func claim(issuer: String) async throws(StoreError) -> String { store.claim(issuer: issuer) }
    func issuer() async throws(StoreError) -> String? { store.issuer() }
    func clients(after id: String, limit: Int) async throws(StoreError) -> [Client] { store.clients(after: id, limit: limit) }
    func user(_ identity: ExternalIdentity) async throws(StoreError) -> User? { store.user(identity) }
    func users(after name: String, limit: Int) async throws(StoreError) -> [User] { store.users(after: name, limit: limit) }
    func useOneTimeStep(_ step: Int64, ofUser id: String) async throws(StoreError) -> Bool {
        try check()
        return store.useOneTimeStep(step, ofUser: id)
    }
    func deleteSessions(ofUser userID: String) async throws(StoreError) { store.deleteSessions(ofUser: userID) }
    func deleteSessions(ofProviderSession hash: SecretHash) async throws(StoreError) -> [String] { store.deleteSessions(ofProviderSession: hash) }
    func add(_ grant: Grant, consuming use: SingleUse?, clientIn registry: ClientRegistry) async throws(StoreError) -> Bool {
        try check()
        return store.add(grant, consuming: use, clientIn: registry)
    }
    func grants(limit: Int, at now: NumericDate) async throws(StoreError) -> [Grant] { store.grants(limit: limit, at: now) }
    func note(_ uses: [GrantUse]) async throws(StoreError) {
        try check()
        store.note(uses)
    }
    func consume(_ use: SingleUse) async throws(StoreError) -> Bool {
        try check()
        return store.consume(use)
    }
    func isConsumed(_ hash: SecretHash) async throws(StoreError) -> Bool { store.isConsumed(hash) }
    func add(_ device: DeviceAuthorization, limit: Int, at now: NumericDate) async throws(StoreError) {
        try check()
        try store.add(device, limit: limit, at: now)
    }
    func device(userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> DeviceAuthorization? {
        store.device(userCode: userCode, at: now)
    }
    func decide(_ state: DeviceAuthorization.State, userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> Bool {
        try check()
        meanwhile.withLock { $0 }?(store)
        return store.decide(state, userCode: userCode, at: now)
    }
    func poll(_ hash: SecretHash, by clientID: ClientID, at now: NumericDate) async throws(StoreError) -> DevicePoll {
        try check()
        return store.poll(hash, by: clientID, at: now)
    }
    func redeemDevice(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> Bool {
        try check()
        return store.redeemDevice(hash, for: grant, refreshToken: refreshToken, clientIn: registry, at: now)
    }
    func endEverything(at now: NumericDate) async throws(StoreError) { store.endEverything(at: now) }
    func sweep(at now: NumericDate, limit: Int) async throws(StoreError) -> Int { store.sweep(at: now, limit: limit) }
}
