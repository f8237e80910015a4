import Foundation
import GRDB
public import JOSE
public import MCPAuthorizationServer
public import OAuth

/// Sign-ins that wait for an identity provider, and the connections of users. Each step is one transaction.
extension SQLiteStore {
    /// Deletes expired sign-ins first. Throws `full` at the limit.
    public func add(_ pending: PendingSignIn, limit: Int, at now: NumericDate) async throws(StoreError) {
        try await database.write { db in
            try db.execute(sql: "DELETE FROM pending_sign_ins WHERE expires_at <= ?", arguments: [now.seconds])
            guard try Int.fetchOne(db, sql: "SELECT count(*) FROM pending_sign_ins") ?? 0 < limit else {
                throw StoreError(.full, "\(limit) sign-ins wait")
            }
            try db.execute(
                sql: "INSERT INTO pending_sign_ins VALUES (?, ?, ?)",
                arguments: [pending.hash.data, Data(pending.sealed), pending.expiresAt.seconds])
        }
    }

    /// Reads and deletes in one transaction.
    public func takePendingSignIn(_ hash: SecretHash, at now: NumericDate) async throws(StoreError) -> PendingSignIn? {
        try await database.write { db in
            guard let row = try Row.fetchOne(db, sql: "SELECT * FROM pending_sign_ins WHERE hash = ?", arguments: [hash.data]) else { return nil }
            try db.execute(sql: "DELETE FROM pending_sign_ins WHERE hash = ?", arguments: [hash.data])
            let (sealed, expiry): (Data, Int64) = (row["sealed"], row["expires_at"])
            guard now.seconds < expiry else { return nil }
            return PendingSignIn(hash: hash, sealed: Array(sealed), expiresAt: NumericDate(seconds: expiry))
        }
    }

    /// Nil when there is none.
    public func connection(_ identity: ExternalIdentity) async throws(StoreError) -> Connection? {
        try await database.read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM connections WHERE issuer = ? AND subject = ?", arguments: [identity.issuer, identity.subject])?.connection
        }
    }

    /// Ordered by the bytes of the provider.
    public func connections(ofUser id: String) async throws(StoreError) -> [Connection] {
        try await database.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM connections WHERE user_id = ? ORDER BY provider, subject", arguments: [id]).map(\.connection)
        }
    }

    /// Compares the owner and writes in one transaction.
    public func save(_ connection: Connection) async throws(StoreError) {
        try await database.write { db in
            let identity = connection.identity
            let owner =
                try String.fetchOne(
                    db, sql: "SELECT user_id FROM connections WHERE issuer = ? AND subject = ?", arguments: [identity.issuer, identity.subject])
                ?? String.fetchOne(
                    db, sql: "SELECT id FROM users WHERE identity_issuer = ? AND identity_subject = ?",
                    arguments: [identity.issuer, identity.subject])
            let isUser = try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM users WHERE id = ?)", arguments: [connection.userID]) ?? false
            guard owner == nil || owner == connection.userID, isUser else { throw StoreError(.conflict, "the identity belongs to another user") }
            try db.execute(
                sql: "INSERT OR REPLACE INTO connections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
                arguments: [
                    identity.issuer, identity.subject, connection.userID, connection.provider, connection.accountName,
                    connection.sealedTokens.map { Data($0) }, connection.permissions?.text, connection.checkedAt.seconds, connection.revision,
                    connection.rolesText,
                ])
        }
    }

    /// Compares and writes in one statement.
    public func replace(_ connection: Connection, expecting previous: Connection) async throws(StoreError) -> Bool {
        try await database.write { db in
            try db.execute(
                sql: """
                    UPDATE connections SET account_name = ?, sealed_tokens = ?, permissions = ?, checked_at = ?, revision = ?, roles = ?,
                        claimed_until = NULL
                    WHERE issuer = ? AND subject = ? AND revision = ?
                    """,
                arguments: [
                    connection.accountName, connection.sealedTokens.map { Data($0) }, connection.permissions?.text, connection.checkedAt.seconds,
                    connection.revision, connection.rolesText,
                    connection.identity.issuer, connection.identity.subject, previous.revision,
                ])
            return db.changesCount == 1
        }
    }

    /// Compares and writes in one statement.
    public func claim(_ connection: Connection, until moment: NumericDate, at now: NumericDate) async throws(StoreError) -> Bool {
        try await database.write { db in
            try db.execute(
                sql: """
                    UPDATE connections SET claimed_until = ?
                    WHERE issuer = ? AND subject = ? AND revision = ? AND (claimed_until IS NULL OR claimed_until <= ?)
                    """,
                arguments: [moment.seconds, connection.identity.issuer, connection.identity.subject, connection.revision, now.seconds])
            return db.changesCount == 1
        }
    }

    /// Does nothing when it is not the user's.
    public func deleteConnection(_ identity: ExternalIdentity, ofUser id: String) async throws(StoreError) {
        try await database.write { db in
            try db.execute(
                sql: "DELETE FROM connections WHERE issuer = ? AND subject = ? AND user_id = ?", arguments: [identity.issuer, identity.subject, id])
        }
    }

    /// Reads first, because there is rarely anything to take. Then selects and writes in one transaction.
    public func takeUnusedTokens(
        ofProviders providers: [String], at now: NumericDate, limit: Int
    ) async throws(StoreError) -> [Connection] {
        guard !providers.isEmpty else { return [] }
        let list = JSONValue.strings(providers).text
        @Sendable func ended(_ db: Database) throws -> [Row] {
            try Row.fetchAll(
                db,
                sql: """
                    SELECT *, NULL AS account_name, NULL AS permissions, NULL AS roles, ended_at AS checked_at, 0 AS revision
                    FROM ended_connections WHERE provider IN (SELECT value FROM json_each(?)) LIMIT ?
                    """, arguments: [list, limit])
        }
        @Sendable func unused(_ db: Database, _ limit: Int) throws -> [Connection] {
            try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM connections AS c WHERE sealed_tokens IS NOT NULL AND provider IN (SELECT value FROM json_each(?1))
                      AND EXISTS (SELECT 1 FROM grants WHERE user_id = c.user_id AND coalesce(revoked_at, expires_at) >= c.checked_at
                        AND (revoked_at IS NOT NULL OR expires_at <= ?2))
                      AND NOT EXISTS (SELECT 1 FROM grants WHERE user_id = c.user_id AND revoked_at IS NULL AND expires_at > ?2)
                      AND NOT EXISTS (SELECT 1 FROM codes WHERE user_id = c.user_id AND grant_id IS NULL AND expires_at > ?2)
                      AND NOT EXISTS (SELECT 1 FROM devices WHERE user_id = c.user_id AND state = 'approved' AND expires_at > ?2)
                    LIMIT ?3
                    """, arguments: [list, now.seconds, limit]
            ).map(\.connection)
        }
        guard try await database.read({ db in try !ended(db).isEmpty || !unused(db, 1).isEmpty }) else { return [] }
        return try await database.write { db in
            let gone = try ended(db)
            for row in gone { try db.execute(sql: "DELETE FROM ended_connections WHERE id = ?", arguments: [row["id"] as Int64]) }
            let others = try unused(db, limit - gone.count)
            for connection in others {
                try db.execute(
                    sql: """
                        UPDATE connections SET sealed_tokens = NULL, revision = revision + 1, claimed_until = NULL WHERE issuer = ? AND subject = ?
                        """, arguments: [connection.identity.issuer, connection.identity.subject])
            }
            return gone.map(\.connection) + others
        }
    }
}

extension Connection {
    fileprivate var rolesText: String? { roles.isEmpty ? nil : JSONValue.strings(roles).text }
}

extension Row {
    fileprivate var connection: Connection {
        let tokens: Data? = self["sealed_tokens"]
        let permissions: String? = self["permissions"]
        let roles: String? = self["roles"]
        return Connection(
            identity: ExternalIdentity(issuer: self["issuer"], subject: self["subject"]), userID: self["user_id"], provider: self["provider"],
            accountName: self["account_name"], sealedTokens: tokens.map { Array($0) }, permissions: permissions.map { ScopeSet(lenient: $0) },
            roles: roles.flatMap { try? JSONValue(parsing: Array($0.utf8)) }?.strings ?? [], checkedAt: NumericDate(seconds: self["checked_at"]),
            revision: self["revision"])
    }
}
