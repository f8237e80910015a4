import Foundation
import GRDB
import JOSE
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@testable import MCPAuthSQLite

@Suite("A database of before")
struct MigrationTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    @Test("I2: everything that the first version wrote is there after the second one opened it, and its tokens go on")
    func first() async throws {
        let path = folder.path("auth.db")
        _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
        let queue = try DatabaseQueue(path: path)
        let (code, token) = (SecretHash(of: "code").bytes, SecretHash(of: "token").bytes)
        try await queue.write { db in
            try db.execute(sql: Schema.first)
            try db.execute(
                sql: """
                    INSERT INTO clients VALUES ('client-1', 'Old', 'https://c.example/cb', 'client_secret_basic', ?, 'authorization_code refresh_token',
                      'dynamic', 1700000000, NULL);
                    """, arguments: [Data(SecretHash(of: "secret").bytes)])
            try db.execute(sql: "INSERT INTO users VALUES ('user-1', 'ada', NULL, 0, 1700000000)")
            try db.execute(
                sql:
                    "INSERT INTO grants VALUES ('g', 'client-1', 'user-1', 'read', 'https://rs.example/mcp', 1700000000, 1900000000, 1700000000, NULL)"
            )
            try db.execute(
                sql: "INSERT INTO refresh_tokens VALUES (?, 'g', 1900000000, 1790000000, ?, ?), (?, 'g', 1900000000, 1799999990, ?, ?)",
                arguments: [
                    Data(SecretHash(of: "oldest").bytes), Data(SecretHash(of: "previous").bytes), Data([6]), Data(SecretHash(of: "previous").bytes),
                    Data(token), Data([7]),
                ])
            try db.execute(sql: "INSERT INTO refresh_tokens VALUES (?, 'g', 1900000000, NULL, NULL, NULL)", arguments: [Data(token)])
            try db.execute(
                sql:
                    "INSERT INTO codes VALUES (?, 'client-1', 'user-1', 'https://c.example/cb', ?, 'read', 'https://rs.example/mcp', 1900000000, NULL)",
                arguments: [Data(code), CodeChallenge(of: CodeVerifier(String(repeating: "v", count: 43))!).text])
            try db.execute(sql: "INSERT INTO signing_keys VALUES ('k', 'ES256', ?, 1700000000)", arguments: [Data([1])])
            try db.execute(sql: "PRAGMA user_version = 1")
        }
        try queue.close()

        let store = try SQLiteStore(path: path)
        let client = try #require(try await store.client(ClientID("client-1")!))
        #expect(client.name == "Old" && client.hasSecret("secret", at: NumericDate(seconds: 1_800_000_000)))
        #expect(client.grantTypes == [.authorizationCode, .refreshToken] && !client.isDisabled)
        #expect(try await store.user(named: "ada")?.identity == nil)
        #expect(try await store.grant("g")?.type == .authorizationCode)
        #expect(try await store.code(SecretHash(of: "code"))?.nonce == nil)
        #expect(try await store.signingKeys().first?.activeFrom == NumericDate(seconds: 0))
        let successor = Successor(hash: SecretHash(of: "next"), expiresAt: NumericDate(seconds: 1_850_000_000))
        func rotate(_ text: String) async throws -> Rotation {
            let token = RefreshTokenReference(hash: SecretHash(of: text), grantID: nil)
            return try await store.rotate(token, to: successor, rules: RefreshRules(grace: 30), at: NumericDate(seconds: 1_800_000_000)) { _ in nil }
        }
        #expect(try await store.grant(of: RefreshTokenReference(hash: SecretHash(of: "oldest"), grantID: nil))?.id == "g")
        #expect(try await rotate("previous") == .unknown, "its successor cannot be said again, and nothing ends")
        guard case .rotated = try await rotate("token"), case .repeated = try await rotate("token") else { throw Refused() }
        #expect(try await rotate("never") == .unknown)
        #expect(try await rotate("oldest") == .reused(grantID: "g"))
        let older = try DatabaseQueue(path: path)
        await #expect(throws: DatabaseError.self, "a process of the older version that still runs can do nothing of its own") {
            try await older.write { try $0.execute(sql: "UPDATE refresh_tokens SET used_at = 1") }
        }
        try older.close()
        try await store.save(client, limit: 10)
        #expect(try await store.client(client.id) == client)
        let reopened = try SQLiteStore(path: path)
        #expect(try await reopened.client(client.id) == client, "opening it twice changes nothing")
    }
    struct Refused: Error {}
}
