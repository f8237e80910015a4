import Foundation
import GRDB
public import JOSE
public import MCPAuthorizationServer
public import OAuth

/// Devices that wait for their user (RFC 8628). Each step is one transaction, in which at most one caller succeeds.
extension SQLiteStore {
    /// Deletes expired devices first. Throws `full` at the limit, and `conflict` when the user code or the device code
    /// is taken.
    public func add(_ device: DeviceAuthorization, limit: Int, at now: NumericDate) async throws(StoreError) {
        try await database.write { db in
            try db.execute(sql: "DELETE FROM devices WHERE expires_at <= ?", arguments: [now.seconds])
            guard try Int.fetchOne(db, sql: "SELECT count(*) FROM devices") ?? 0 < limit else { throw StoreError(.full, "\(limit) devices wait") }
            try db.execute(
                sql: "INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', NULL, NULL, NULL, NULL)",
                arguments: [
                    device.hash.data, device.userCode.data, device.clientID.text, device.scopes.text, device.resource, device.interval,
                    device.expiresAt.seconds,
                ])
        }
    }

    /// Nil unless a device with this user code waits and has not expired.
    public func device(userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> DeviceAuthorization? {
        try await database.read { db in
            try Row.fetchOne(
                db, sql: "SELECT * FROM devices WHERE user_code = ? AND state = 'pending' AND expires_at > ?",
                arguments: [userCode.data, now.seconds])?
                .device
        }
    }

    /// Compares and writes in one statement: the first decision of all processes wins.
    public func decide(_ state: DeviceAuthorization.State, userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> Bool {
        try await database.write { db in
            var (name, user, scope, authenticatedAt): (String, String?, String?, Int64?) = ("denied", nil, nil, nil)
            if case .approved(let userID, let scopes, let moment) = state {
                (name, user, scope, authenticatedAt) = ("approved", userID, scopes.text, moment?.seconds)
            }
            try db.execute(
                sql: """
                    UPDATE devices SET state = ?, user_id = ?, approved_scope = ?, authenticated_at = ?
                    WHERE user_code = ? AND state = 'pending' AND expires_at > ?
                    """, arguments: [name, user, scope, authenticatedAt, userCode.data, now.seconds])
            return db.changesCount == 1
        }
    }

    /// Stores the time of the poll. The interval grows to 300 seconds at most.
    public func poll(_ hash: SecretHash, by clientID: ClientID, at now: NumericDate) async throws(StoreError) -> DevicePoll {
        try await database.write { db in
            guard let row = try Row.fetchOne(db, sql: "SELECT * FROM devices WHERE hash = ?", arguments: [hash.data]) else { return .unknown }
            let device = try row.device
            guard device.clientID == clientID, device.state != .redeemed else { return .unknown }
            guard now < device.expiresAt else { return .expired }
            switch device.state {
            case .denied: return .denied
            case .approved: return .approved(device)
            case .pending, .redeemed:
                let isTooSoon = row.optionalDate("polled_at").map { now.seconds(since: $0) < device.interval } ?? false
                try db.execute(
                    sql: "UPDATE devices SET polled_at = ?, interval = min(interval + ?, 300) WHERE hash = ?",
                    arguments: [now.seconds, isTooSoon ? 5 : 0, hash.data])
                return isTooSoon ? .slowDown : .pending
            }
        }
    }

    /// False, and nothing stored, unless the device is approved and the grant may begin.
    public func redeemDevice(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> Bool {
        try await database.write { db in
            guard try Self.mayBegin(grant, registry, db) else { return false }
            try db.execute(
                sql: "UPDATE devices SET state = 'redeemed' WHERE hash = ? AND state = 'approved' AND expires_at > ?",
                arguments: [hash.data, now.seconds])
            guard db.changesCount == 1 else { return false }
            try Self.insert(grant, refreshToken, db)
            return true
        }
    }
}
