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
