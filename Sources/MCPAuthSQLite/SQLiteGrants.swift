import Foundation
import GRDB
public import JOSE
public import MCPAuthorizationServer
public import OAuth

/// Values that can be used once. Each step is one transaction, in which at most one caller succeeds, in this process or
/// another.
extension SQLiteStore {
    /// The transaction and the code are stored together, or neither.
    public func issue(_ code: AuthorizationCode, consuming transaction: SecretHash, until expiry: NumericDate) async throws(StoreError) -> Bool {
        try await database.write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO transactions VALUES (?, ?)", arguments: [transaction.data, expiry.seconds])
            guard db.changesCount == 1 else { return false }
            try db.execute(
                sql: "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)",
                arguments: [
                    code.hash.data, code.clientID.text, code.userID, code.redirectURI, code.challenge.text, code.scopes.text, code.resource,
                    code.expiresAt.seconds, code.keyThumbprint, code.nonce, code.authenticatedAt?.seconds,
                ])
            return true
        }
    }

    /// One lookup by primary key. Finds expired and redeemed codes until they are swept.
    public func code(_ hash: SecretHash) async throws(StoreError) -> AuthorizationCode? {
        try await database.read { db in try Row.fetchOne(db, sql: "SELECT * FROM codes WHERE hash = ?", arguments: [hash.data])?.code }
    }

    /// In one transaction: checks user and client, marks the code as used, and stores the grant. A replay revokes the
    /// earlier grant.
    public func redeem(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> CodeRedemption {
        try await database.write { db in
            guard try Self.mayBegin(grant, registry, db) else { return .unknown }
            try db.execute(
                sql: "UPDATE codes SET grant_id = ? WHERE hash = ? AND grant_id IS NULL AND expires_at > ?",
                arguments: [grant.id, hash.data, now.seconds])
            guard db.changesCount == 1 else {
                guard let earlier = try String.fetchOne(db, sql: "SELECT grant_id FROM codes WHERE hash = ?", arguments: [hash.data]) else {
                    return .unknown
                }
                try Self.revoke(earlier, now, db)
                return .replayed(grantID: earlier)
            }
            try Self.insert(grant, refreshToken, db)
            return .redeemed
        }
    }

    /// Also finds the grants of tokens from earlier versions, which are stored in a table of their own.
    public func grant(of token: RefreshTokenReference) async throws(StoreError) -> Grant? {
        try await database.read { db in
            guard let id = try Self.grantID(of: token, db) else { return nil }
            return try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM grants WHERE id = ?"), arguments: [id])?.grant
        }
    }

    /// One transaction that changes one row. `refusal` is called inside it, on the thread of the database.
    public func rotate(
        _ token: RefreshTokenReference, to successor: Successor, rules: RefreshRules, at now: NumericDate,
        unless refusal: @escaping @Sendable (Grant) -> OAuthError?
    ) async throws(StoreError) -> Rotation {
        try await database.write { db in
            guard let grantID = try Self.grantID(of: token, db), case (var grant, let chain)? = try Self.refreshable(grantID, db),
                grant.isLive(at: now)
            else { return .unknown }
            if let error = refusal(grant) { return .refused(error) }
            switch chain.decision(on: token.hash, successor: successor.hash, rules: rules, at: now) {
            case .unknown: return .unknown
            case .repeated: return .repeated(grant)
            case .recovered(let rotatedAt):
                try db.cachedStatement(sql: "UPDATE grants SET recoveries = ? WHERE id = ?").execute(arguments: [chain.recovered.recoveries, grantID])
                return .recovered(grant, rotatedAt: rotatedAt)
            case .reused:
                try Self.revoke(grantID, now, db)
                return .reused(grantID: grantID)
            case .rotate: break
            }
            let next = chain.rotated(token.hash, to: successor, of: grant, at: now)
            // Writes this row alone: a refresh changes one page.
            let use = try db.cachedStatement(
                sql: """
                    UPDATE grants SET refresh_hash = ?, refresh_expires_at = ?, previous_refresh_hash = ?, refreshed_at = ?, last_used_at = ?,
                    recoveries = ? WHERE id = ?
                    """)
            try use.execute(arguments: [
                next.latest.data, next.expiresAt.seconds, token.hash.data, now.seconds, now.seconds, next.recoveries, grantID,
            ])
            grant.lastUsedAt = now
            return .rotated(grant)
        }
    }

    /// In one transaction: checks user and client, consumes `use`, and stores the grant.
    public func add(_ grant: Grant, consuming use: SingleUse?, clientIn registry: ClientRegistry) async throws(StoreError) -> Bool {
        try await database.write { db in
            guard try Self.mayBegin(grant, registry, db) else { return false }
            if let use { guard try Self.consume(use, db) else { return false } }
            try Self.insert(grant, nil, db)
            return true
        }
    }

    /// Live grants, newest first.
    public func grants(limit: Int, at now: NumericDate) async throws(StoreError) -> [Grant] {
        try await database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM grants WHERE revoked_at IS NULL AND expires_at > ? ORDER BY created_at DESC, id LIMIT ?",
                arguments: [now.seconds, limit]
            ).map { try $0.grant }
        }
    }

    /// One transaction for all uses. Unknown grants are ignored.
    public func note(_ uses: [GrantUse]) async throws(StoreError) {
        try await database.write { db in
            let statement = try db.cachedStatement(
                sql: """
                    UPDATE grants SET last_used_at = ?, last_operation = ?,
                    used_token_issued_at = max(coalesce(used_token_issued_at, ?), coalesce(?, used_token_issued_at)) WHERE id = ?
                    """)
            for use in uses {
                let issuedAt = use.tokenIssuedAt?.seconds
                try statement.execute(arguments: [use.time.seconds, use.operation, issuedAt, issuedAt, use.grantID])
            }
        }
    }

    /// One lookup by primary key. Finds revoked and expired grants until they are swept.
    public func grant(_ id: String) async throws(StoreError) -> Grant? {
        try await database.read { db in try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM grants WHERE id = ?"), arguments: [id])?.grant }
    }

    /// Live grants, newest first, at most 500.
    public func grants(ofUser userID: String, at now: NumericDate) async throws(StoreError) -> [Grant] {
        try await database.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM grants WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? ORDER BY created_at DESC, id LIMIT 500",
                arguments: [userID, now.seconds]
            ).map { try $0.grant }
        }
    }

    /// A second revocation does not change the time of the first.
    public func revokeGrant(_ id: String, at now: NumericDate) async throws(StoreError) {
        try await database.write { db in try Self.revoke(id, now, db) }
    }

    /// A second revocation does not change the time of the first.
    public func revokeAccessToken(_ tokenID: String, until expiry: NumericDate, at now: NumericDate) async throws(StoreError) {
        try await database.write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO revoked_tokens VALUES (?, ?, ?)", arguments: [tokenID, expiry.seconds, now.seconds])
        }
    }

    /// Reads two indexes. Throws `unavailable` for a row that another program changed.
    public func revocations(since moment: NumericDate) async throws(StoreError) -> [Revocation] {
        try await database.read { db in
            let grants = try String.fetchAll(db, sql: "SELECT id FROM grants WHERE revoked_at >= ?", arguments: [moment.seconds])
            let tokens = try Row.fetchAll(db, sql: "SELECT * FROM revoked_tokens WHERE revoked_at >= ?", arguments: [moment.seconds])
            return try grants.map { .grant($0) }
                + tokens.map { row in
                    let id = try row.text("id")
                    guard id.utf8.starts(with: Self.allTokens.utf8) else { return .accessToken(id, until: row.date("expires_at")) }
                    guard let client = ClientID(String(id.dropFirst(Self.allTokens.count))) else { throw CorruptRow() }
                    return .client(client, upTo: row.date("revoked_at"))
                }
        }
    }

    // MARK: Single use

    /// One insert: the first caller of all processes succeeds.
    public func consume(_ use: SingleUse) async throws(StoreError) -> Bool { try await database.write { db in try Self.consume(use, db) } }

    /// True from the first use until the value is swept.
    public func isConsumed(_ hash: SecretHash) async throws(StoreError) -> Bool {
        try await database.read { db in
            try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM transactions WHERE hash = ?)", arguments: [hash.data]) ?? false
        }
    }

    // MARK: Statements

    static func consume(_ use: SingleUse, _ db: Database) throws -> Bool {
        try db.cachedStatement(sql: "INSERT OR IGNORE INTO transactions VALUES (?, ?)").execute(arguments: [use.hash.data, use.expiresAt.seconds])
        return db.changesCount == 1
    }

    /// Whether this grant may begin: its client, and its user unless the client acts for itself, exist and are not
    /// disabled.
    static func mayBegin(_ grant: Grant, _ registry: ClientRegistry, _ db: Database) throws -> Bool {
        if let userID = grant.userID {
            let isDisabled = try Bool.fetchOne(db.cachedStatement(sql: "SELECT is_disabled FROM users WHERE id = ?"), arguments: [userID])
            guard isDisabled == false else { return false }
        }
        switch registry {
        case .elsewhere: return true
        case .store:
            let client = try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM clients WHERE id = ?"), arguments: [grant.clientID.text])?.client
            return client?.isDisabled == false
        }
    }

    static func insert(_ grant: Grant, _ token: RefreshToken?, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, 0)").execute(
            arguments: [
                grant.id, grant.clientID.text, grant.userID ?? "", grant.scopes.text, grant.resource, grant.createdAt.seconds,
                grant.expiresAt.seconds,
                grant.lastUsedAt.seconds, grant.type.rawValue, grant.keyThumbprint, grant.authenticatedAt?.seconds, grant.lastOperation,
                token?.hash.data, token?.expiresAt.seconds,
            ])
    }

    /// A grant that has refresh tokens, and whose user, if it has one, exists and is not disabled.
    private static func refreshable(_ grantID: String, _ db: Database) throws -> (Grant, RefreshChain)? {
        let statement = try db.cachedStatement(
            sql: "SELECT g.*, (SELECT is_disabled FROM users WHERE id = g.user_id) FROM grants g WHERE id = ?")
        // The row of a cursor is read in place, while the cursor lives.
        let rows = try Row.fetchCursor(statement, arguments: [grantID])
        return try withExtendedLifetime(rows) {
            guard let row = try rows.next() else { return nil }
            let grant = try row.grant
            guard grant.userID == nil || (row[19] as Bool?) == false, let chain = try row.refreshChain else { return nil }
            return (grant, chain)
        }
    }

    /// Tokens of earlier versions did not name their grants. Their table is only read and swept.
    private static func grantID(of token: RefreshTokenReference, _ db: Database) throws -> String? {
        if let grantID = token.grantID { return grantID }
        return try String.fetchOne(
            db.cachedStatement(sql: "SELECT grant_id FROM earlier_refresh_tokens WHERE hash = ?"), arguments: [token.hash.data])
    }

    private static func revoke(_ grantID: String, _ now: NumericDate, _ db: Database) throws {
        try db.execute(sql: "UPDATE grants SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", arguments: [now.seconds, grantID])
    }
}
