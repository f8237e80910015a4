import Foundation
import GRDB
public import JOSE
public import MCPAuthorizationServer
public import OAuth

/// The store of an authorization server in one SQLite file. Changes are durable before they are acknowledged. Processes
/// on one machine can share the file.
///
/// Every method throws `unavailable` when SQLite fails, for example because the disk is full or another process holds
/// the lock for five seconds.
public final class SQLiteStore: AuthorizationServerStore {
    let database: GroupCommit
    private let path: String

    /// Opens or creates the file. Throws `unusable` when the file is damaged, belongs to another application, can be
    /// read by other users, or is missing although its mark (`PATH.mark`) exists. It is then left unchanged. Throws
    /// `unavailable` when it cannot be opened.
    ///
    /// - Parameter expectsData: Whether the caller knows that a store existed, so that a missing or empty file means
    ///   lost data.
    public init(path: String, expectsData: Bool = false) throws(StoreError) {
        self.path = path
        database = try GroupCommit(Schema.file(path), expectsData: expectsData, migrate: Schema.migrate)
    }

    /// For tests of lone writers, on any disk.
    init(path: String, quick: Duration) throws(StoreError) {
        self.path = path
        database = try GroupCommit(Schema.file(path), quick: quick, migrate: Schema.migrate)
    }

    /// Reads the whole file, about a second for each gigabyte. Returns one line for each problem, at most 20. Empty
    /// when the file is intact.
    public func check() async throws(StoreError) -> [String] { try await database.read(DatabaseFile.check) }

    /// Writes a copy of the database as it is at one moment to a new file, also while servers use it. Throws `conflict`
    /// when the file exists, and `unavailable` saying why it could not be written.
    public func backUp(to target: String) async throws(StoreError) {
        guard !FileManager.default.fileExists(atPath: target),
            FileManager.default.createFile(atPath: target, contents: nil, attributes: [.posixPermissions: 0o600])
        else { throw StoreError(.conflict, "\(target) exists already, or its folder cannot be written") }
        do {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(10)
            let copy = try DatabaseQueue(path: target)
            try DatabaseQueue(path: path, configuration: configuration).backup(to: copy)
            // One file, which needs no log beside it.
            try await copy.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA journal_mode = DELETE") }
            try copy.close()
        } catch {
            try? FileManager.default.removeItem(atPath: target)
            throw StoreError(.unavailable, "\(error)")
        }
    }

    /// The folder that contains the file.
    public var location: String? { URL(fileURLWithPath: path).deletingLastPathComponent().path }

    // MARK: Clients

    /// One lookup by primary key. Throws `unavailable` also for a row that another program changed.
    public func client(_ id: ClientID) async throws(StoreError) -> Client? {
        try await database.read { db in try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM clients WHERE id = ?"), arguments: [id.text])?.client
        }
    }

    /// At the limit, removes up to 100 unused dynamic clients older than ten minutes. Throws `full` when that is not
    /// enough.
    public func save(_ client: Client, limit: Int) async throws(StoreError) {
        try await database.write { db in
            let isKnown = try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM clients WHERE id = ?)", arguments: [client.id.text]) ?? false
            if !isKnown, limit < .max {
                func isFull() throws -> Bool {
                    try Int.fetchOne(db, sql: "SELECT count(*) FROM clients WHERE origin = ?", arguments: [client.origin.rawValue]) ?? 0 >= limit
                }
                if try isFull() { _ = try Self.forgetUnusedClients(before: client.createdAt.advanced(by: -600), limit: 100, db) }
                guard try !isFull() else { throw StoreError(.full, "there are \(limit) clients") }
            }
            try Self.write(client, db)
        }
    }

    private static func write(_ client: Client, _ db: Database) throws {
        try db.execute(
            sql: "INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)",
            arguments: [
                client.id.text, client.name, client.redirectURIs.map(\.text).joined(separator: " "), client.authenticationMethod.rawValue,
                client.grantTypes.map(\.rawValue).joined(separator: " "), client.origin.rawValue, client.createdAt.seconds, client.introspects,
                ClientDetails(client).text,
            ])
    }

    /// Compares and writes in one transaction.
    public func replace(_ client: Client, expecting previous: Client) async throws(StoreError) -> Bool {
        try await database.write { db in
            guard try Row.fetchOne(db, sql: "SELECT * FROM clients WHERE id = ?", arguments: [client.id.text])?.client == previous else {
                return false
            }
            try Self.write(client, db)
            return true
        }
    }

    /// Deletes dynamic clients that were never used, oldest first, and their consents.
    private static func forgetUnusedClients(before moment: NumericDate, limit: Int, _ db: Database) throws -> Int {
        let ids = try String.fetchAll(
            db,
            sql: """
                SELECT id FROM clients WHERE origin = 'dynamic' AND created_at <= ? AND NOT EXISTS (SELECT 1 FROM grants WHERE client_id = clients.id)
                AND NOT EXISTS (SELECT 1 FROM codes WHERE client_id = clients.id)
                AND NOT EXISTS (SELECT 1 FROM devices WHERE client_id = clients.id) ORDER BY created_at LIMIT ?
                """, arguments: [moment.seconds, limit])
        for id in ids {
            try db.cachedStatement(sql: "DELETE FROM clients WHERE id = ?").execute(arguments: [id])
            try db.cachedStatement(sql: "DELETE FROM consents WHERE client_id = ?").execute(arguments: [id])
        }
        return ids.count
    }

    /// One transaction deletes the client and everything that belongs to it, except redeemed codes, whose replay must
    /// still be detected.
    public func deleteClient(_ id: ClientID, at now: NumericDate) async throws(StoreError) {
        try await database.write { db in
            try Self.revokeGrants(of: id, now, db)
            for statement in [
                "DELETE FROM clients WHERE id = ?", "DELETE FROM consents WHERE client_id = ?", "DELETE FROM devices WHERE client_id = ?",
                "DELETE FROM codes WHERE client_id = ? AND grant_id IS NULL",
            ] { try db.execute(sql: statement, arguments: [id.text]) }
        }
    }

    /// Also records a revocation of the client's access tokens, unless the client is dynamic and had no live grant.
    public func revokeGrants(ofClient id: ClientID, at now: NumericDate) async throws(StoreError) {
        try await database.write { db in try Self.revokeGrants(of: id, now, db) }
    }

    /// Precedes the identifier of a client in the table of revoked tokens: all of its tokens are revoked. The
    /// identifiers of tokens contain no space.
    static let allTokens = "client "

    private static func revokeGrants(of id: ClientID, _ now: NumericDate, _ db: Database) throws {
        try db.execute(sql: "UPDATE grants SET revoked_at = ? WHERE client_id = ? AND revoked_at IS NULL", arguments: [now.seconds, id.text])
        // A client that registered itself and never received a token leaves nothing behind.
        let hadGrants = db.changesCount > 0
        let origin = try String.fetchOne(db, sql: "SELECT origin FROM clients WHERE id = ?", arguments: [id.text])
        guard hadGrants || origin != Client.Origin.dynamic.rawValue else { return }
        try db.execute(
            sql: "INSERT OR REPLACE INTO revoked_tokens VALUES (?, ?, ?)",
            arguments: [
                allTokens + id.text, now.advanced(by: AuthorizationServerConfiguration.maximumAccessTokenLifetime + 120).seconds, now.seconds,
            ])
    }

    /// Ordered by the bytes of the ID.
    public func clients(after id: String, limit: Int) async throws(StoreError) -> [Client] {
        try await database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM clients WHERE id > ? ORDER BY id LIMIT ?", arguments: [id, limit]).map { try $0.client }
        }
    }

    // MARK: Users

    /// One lookup by primary key.
    public func user(id: String) async throws(StoreError) -> User? {
        try await database.read { db in try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM users WHERE id = ?"), arguments: [id])?.user }
    }

    /// One lookup by a unique index, which compares bytes.
    public func user(named name: String) async throws(StoreError) -> User? {
        try await database.read { db in try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM users WHERE name = ?"), arguments: [name])?.user }
    }

    /// One lookup by a unique index, which compares bytes.
    public func user(_ identity: ExternalIdentity) async throws(StoreError) -> User? {
        try await database.read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM users WHERE identity_issuer = ? AND identity_subject = ?", arguments: [identity.issuer, identity.subject])?
                .user
        }
    }

    /// Ordered by the bytes of the name.
    public func users(after name: String, limit: Int) async throws(StoreError) -> [User] {
        try await database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM users WHERE name > ? ORDER BY name LIMIT ?", arguments: [name, limit]).map { try $0.user }
        }
    }

    /// Unique indexes on ID, name and identity detect a `conflict`, even between processes.
    public func add(_ user: User) async throws(StoreError) {
        try await database.write { db in
            try db.execute(
                sql: "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)",
                arguments: [
                    user.id, user.name, user.passwordHash?.text, user.isDisabled, user.createdAt.seconds, user.displayName, user.identity?.issuer,
                    user.identity?.subject, user.sealedOneTimeSecret.map { Data($0) }, user.email, user.isEmailVerified,
                    RecoveryColumn.text(user.recoveryCodes),
                ])
        }
    }

    /// Compares and writes in one transaction.
    public func update(_ user: User, expecting previous: User) async throws(StoreError) -> Bool {
        try await database.write { db in try Self.update(user, expecting: previous, db) }
    }

    /// Compares and writes in one transaction. Deletes every session of the user before it adds the new one.
    public func update(
        _ user: User, expecting previous: User, replacing old: SecretHash, with session: Session, at now: NumericDate
    ) async throws(StoreError) -> Bool {
        try await database.write { db in
            let isThere =
                try Bool.fetchOne(
                    db, sql: "SELECT EXISTS (SELECT 1 FROM sessions WHERE hash = ? AND user_id = ? AND expires_at > ?)",
                    arguments: [old.data, user.id, now.seconds]) ?? false
            guard isThere, try Self.update(user, expecting: previous, db) else { return false }
            try db.execute(sql: "DELETE FROM sessions WHERE user_id = ?", arguments: [user.id])
            try Self.insert(session, db)
            return true
        }
    }

    private static func update(_ user: User, expecting previous: User, _ db: Database) throws -> Bool {
        guard try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM users WHERE id = ?"), arguments: [user.id])?.user == previous else {
            return false
        }
        try db.execute(
            sql: """
                UPDATE users SET password = ?, is_disabled = ?, display_name = ?, one_time_secret = ?, email = ?, email_verified = ?,
                  recovery_codes = ? WHERE id = ?
                """,
            arguments: [
                user.passwordHash?.text, user.isDisabled, user.displayName, user.sealedOneTimeSecret.map { Data($0) }, user.email,
                user.isEmailVerified, RecoveryColumn.text(user.recoveryCodes), user.id,
            ])
        return true
    }

    /// One transaction deletes the user and everything that belongs to it, except redeemed codes, whose replay must
    /// still be detected. Live grants are revoked.
    public func deleteUser(id: String, at now: NumericDate) async throws(StoreError) {
        try await database.write { db in
            try db.execute(
                sql: """
                    INSERT INTO ended_connections (issuer, subject, user_id, provider, sealed_tokens, ended_at)
                    SELECT issuer, subject, user_id, provider, sealed_tokens, ? FROM connections WHERE user_id = ? AND sealed_tokens IS NOT NULL
                    """, arguments: [now.seconds, id])
            for statement in [
                "DELETE FROM sessions WHERE user_id = ?", "DELETE FROM codes WHERE user_id = ? AND grant_id IS NULL",
                "DELETE FROM devices WHERE user_id = ?", "DELETE FROM consents WHERE user_id = ?", "DELETE FROM connections WHERE user_id = ?",
                "DELETE FROM users WHERE id = ?",
            ] { try db.execute(sql: statement, arguments: [id]) }
            try db.execute(sql: "UPDATE grants SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL", arguments: [now.seconds, id])
        }
    }

    /// Compares and writes in one statement.
    public func useOneTimeStep(_ step: Int64, ofUser id: String) async throws(StoreError) -> Bool {
        try await database.write { db in
            try db.execute(
                sql: "UPDATE users SET one_time_step = ? WHERE id = ? AND (one_time_step IS NULL OR one_time_step < ?)", arguments: [step, id, step])
            return db.changesCount == 1
        }
    }

    // MARK: Sessions

    /// Nil for an expired session, even before it is swept.
    public func session(_ hash: SecretHash, at now: NumericDate) async throws(StoreError) -> Session? {
        try await database.read { db in
            try Row.fetchOne(
                db.cachedStatement(sql: "SELECT * FROM sessions WHERE hash = ? AND expires_at > ?"), arguments: [hash.data, now.seconds])?.session
        }
    }

    /// Sessions that have not expired, newest first, at most 100.
    public func sessions(ofUser userID: String, at now: NumericDate) async throws(StoreError) -> [Session] {
        try await database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM sessions WHERE user_id = ? AND expires_at > ? ORDER BY authenticated_at DESC LIMIT 100",
                arguments: [userID, now.seconds]
            ).map { try $0.session }
        }
    }

    /// Throws `conflict` when the hash exists.
    public func add(_ session: Session) async throws(StoreError) {
        try await database.write { db in try Self.insert(session, db) }
    }

    private static func insert(_ session: Session, _ db: Database) throws {
        try db.execute(
            sql: "INSERT INTO sessions (hash, user_id, authenticated_at, expires_at, browser, provider_session) VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                session.hash.data, session.userID, session.authenticatedAt.seconds, session.expiresAt.seconds, session.browser,
                session.providerSession?.data,
            ])
    }

    /// Does nothing when there is no such session.
    public func deleteSession(_ hash: SecretHash) async throws(StoreError) {
        try await database.write { db in try db.execute(sql: "DELETE FROM sessions WHERE hash = ?", arguments: [hash.data]) }
    }

    /// Returns the users whose sessions they were.
    public func deleteSessions(ofProviderSession hash: SecretHash) async throws(StoreError) -> [String] {
        try await database.write { db in
            let users = try String.fetchAll(db, sql: "DELETE FROM sessions WHERE provider_session = ? RETURNING user_id", arguments: [hash.data])
            return Array(Set(users))
        }
    }

    /// One transaction deletes the user's sessions, unredeemed codes and device approvals.
    public func deleteSessions(ofUser userID: String) async throws(StoreError) {
        try await database.write { db in
            for statement in [
                "DELETE FROM sessions WHERE user_id = ?", "DELETE FROM codes WHERE user_id = ? AND grant_id IS NULL",
                "DELETE FROM devices WHERE user_id = ? AND state = 'approved'",
            ] { try db.execute(sql: statement, arguments: [userID]) }
        }
    }

    // MARK: Consent

    /// Compares the scopes in sorted order.
    public func isRemembered(_ consent: RememberedConsent) async throws(StoreError) -> Bool {
        try await database.read { db in
            try Bool.fetchOne(
                db,
                sql: "SELECT EXISTS (SELECT 1 FROM consents WHERE user_id = ? AND client_id = ? AND resource = ? AND redirect_uri = ? AND scope = ?)",
                arguments: Self.arguments(consent)) ?? false
        }
    }

    /// Does nothing when the consent is stored already.
    public func remember(_ consent: RememberedConsent) async throws(StoreError) {
        try await database.write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO consents VALUES (?, ?, ?, ?, ?)", arguments: Self.arguments(consent))
        }
    }

    /// Deletes every consent of this user to this client.
    public func forget(userID: String, clientID: ClientID) async throws(StoreError) {
        try await database.write { db in
            try db.execute(sql: "DELETE FROM consents WHERE user_id = ? AND client_id = ?", arguments: [userID, clientID.text])
        }
    }

    private static func arguments(_ consent: RememberedConsent) -> StatementArguments {
        [consent.userID, consent.clientID.text, consent.resource, consent.redirectURI, consent.scopes.canonicalText]
    }

    // MARK: Keys

    /// Ordered by creation time.
    public func signingKeys() async throws(StoreError) -> [SealedKey] { try await database.read(Self.keys) }

    /// Compares and writes in one statement, so that servers in different processes agree. Throws `conflict` when the
    /// key ID exists.
    public func addSigningKey(
        _ key: SealedKey, unlessActiveAfter moment: NumericDate, upTo limit: NumericDate
    ) async throws(StoreError) -> [SealedKey] {
        try await database.write { db in
            try db.execute(
                sql:
                    """
                    INSERT INTO signing_keys SELECT ?, ?, ?, ?, ?
                    WHERE NOT EXISTS (SELECT 1 FROM signing_keys WHERE algorithm = ? AND active_from > ? AND active_from <= ?)
                    """,
                arguments: [
                    key.keyID, key.algorithm, Data(key.sealed), key.createdAt.seconds, key.activeFrom.seconds, key.algorithm, moment.seconds,
                    limit.seconds,
                ])
            return try Self.keys(db)
        }
    }

    /// Does nothing when there is no such key.
    public func removeSigningKey(_ keyID: String) async throws(StoreError) {
        try await database.write { db in try db.execute(sql: "DELETE FROM signing_keys WHERE id = ?", arguments: [keyID]) }
    }

    /// The first issuer of all processes wins.
    public func claim(issuer: String) async throws(StoreError) -> String {
        try await database.write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO settings VALUES ('issuer', ?)", arguments: [issuer])
            return try Self.issuer(db) ?? issuer
        }
    }

    /// Nil before the first claim.
    public func issuer() async throws(StoreError) -> String? { try await database.read(Self.issuer) }

    private static func issuer(_ db: Database) throws -> String? { try String.fetchOne(db, sql: "SELECT value FROM settings WHERE name = 'issuer'") }

    private static func keys(_ db: Database) throws -> [SealedKey] {
        try Row.fetchAll(db, sql: "SELECT * FROM signing_keys ORDER BY created_at, id").map { row in
            guard let sealed: Data = row["sealed"] else { throw CorruptRow() }
            return SealedKey(
                keyID: try row.text("id"), algorithm: try row.text("algorithm"), sealed: Array(sealed), createdAt: row.date("created_at"),
                activeFrom: row.date("active_from"))
        }
    }

    // MARK: Upkeep

    /// One transaction, bounded by `limit` for each table. Codes are kept for an hour after they expire, revoked grants
    /// for 25 hours.
    public func sweep(at now: NumericDate, limit: Int) async throws(StoreError) -> Int {
        try await database.write { db in
            let noTokens = "NOT EXISTS (SELECT 1 FROM earlier_refresh_tokens WHERE grant_id = grants.id)"
            var count = 0
            for (table, key, condition, age) in [
                ("sessions", "hash", "expires_at <= ?", 0), ("transactions", "hash", "expires_at <= ?", 0), ("devices", "hash", "expires_at <= ?", 0),
                ("pending_sign_ins", "hash", "expires_at <= ?", 0), ("ended_connections", "id", "ended_at <= ?", 30 * 86400),
                // A used code is kept for an hour, so that a replay is still detected.
                ("codes", "hash", "expires_at <= ?", 3600), ("revoked_tokens", "id", "expires_at <= ?", 0),
                ("earlier_refresh_tokens", "hash", "expires_at <= ?", 86400),
                // The tokens of a grant are deleted before the grant, so that none is left behind.
                ("earlier_refresh_tokens", "hash", "grant_id IN (SELECT id FROM grants WHERE expires_at <= ?)", 0),
                ("earlier_refresh_tokens", "hash", "grant_id IN (SELECT id FROM grants WHERE revoked_at <= ?)", 90000),
                ("grants", "id", "expires_at <= ? AND \(noTokens)", 0), ("grants", "id", "revoked_at <= ? AND \(noTokens)", 90000),
            ] as [(String, String, String, Int64)] {
                try db.execute(
                    sql: "DELETE FROM \(table) WHERE \(key) IN (SELECT \(key) FROM \(table) WHERE \(condition) LIMIT ?)",
                    arguments: [now.advanced(by: -age).seconds, limit])
                count += db.changesCount
            }
            return try count + Self.forgetUnusedClients(before: now.advanced(by: -86400), limit: limit, db)
        }
    }

    /// Checkpoints the write-ahead log into the database file, so that a copy of that one file is complete. Does not
    /// wait for readers in other processes.
    public func settle() async throws(StoreError) { try await database.emptyLog() }

    /// Revokes every grant, and deletes every session, code and device. Single-use values and consents are kept.
    public func endEverything(at now: NumericDate) async throws(StoreError) {
        try await database.write { db in
            try db.execute(
                literal:
                    "UPDATE grants SET revoked_at = \(now.seconds) WHERE revoked_at IS NULL; DELETE FROM sessions; DELETE FROM codes; DELETE FROM devices; DELETE FROM pending_sign_ins"
            )
        }
    }
}
