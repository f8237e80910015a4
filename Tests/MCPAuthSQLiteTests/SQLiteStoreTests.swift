import Foundation
import GRDB
import JOSE
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@testable import MCPAuthSQLite

/// A folder for one test, gone with it.
final class TemporaryFolder {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("mcp-auth-\(UUID().uuidString)")
    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: url) }
    func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

@Suite("Store in SQLite")
struct SQLiteStoreTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    @Test("conformance", arguments: StoreConformance.checks)
    func conformance(_ check: StoreConformance.Check) async throws { try await check.run(on: SQLiteStore(path: folder.path("auth.db"))) }

    @Test("M-05: the log is ahead of the file, and everything acknowledged is on disk")
    func pragmas() async throws {
        _ = try SQLiteStore(path: folder.path("auth.db"))
        var patient = Configuration()
        patient.busyMode = .timeout(5)
        let queue = try DatabaseQueue(path: folder.path("auth.db"), configuration: patient)
        #expect(try await queue.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") } == "wal")
    }

    @Test("M-11: the files are for their owner only")
    func permissions() async throws {
        let store = try SQLiteStore(path: folder.path("auth.db"))
        try await store.add(User(id: "user-1", name: "ada", passwordHash: nil, createdAt: NumericDate(seconds: 1)))
        for name in ["auth.db", "auth.db-wal", "auth.db-shm"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(name))
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(name)")
        }
    }

    @Test("M-07, T-05: two instances on one file: of forty who redeem a code at once, one wins, in every round")
    func twoInstances() async throws {
        let one = try SQLiteStore(path: folder.path("auth.db"))
        try await one.add(User(id: "u", name: "ada", passwordHash: nil, createdAt: NumericDate(seconds: 1)))
        let two = try SQLiteStore(path: folder.path("auth.db"))
        let now = NumericDate(seconds: 1_800_000_000)
        let client = try #require(ClientID("c"))
        let verifier = try #require(CodeVerifier(String(repeating: "v", count: 43)))
        for round in 0..<40 {
            let hash = SecretHash(of: "code\(round)")
            let code = AuthorizationCode(
                hash: hash, clientID: client, userID: "u", redirectURI: "https://c.example", challenge: CodeChallenge(of: verifier), scopes: [],
                resource: "https://rs.example",
                expiresAt: now.advanced(by: 60))
            #expect(try await one.issue(code, consuming: SecretHash(of: "t\(round)"), until: now))
            let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
                for attempt in 0..<40 {
                    let grant = Grant(
                        id: "g\(round)-\(attempt)", clientID: client, userID: "u", scopes: [], resource: "https://rs.example", createdAt: now,
                        expiresAt: now.advanced(by: 100), lastUsedAt: now)
                    group.addTask {
                        try await (attempt % 2 == 0 ? one : two).redeem(hash, for: grant, refreshToken: nil, clientIn: .elsewhere, at: now)
                            == .redeemed
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(wins == 1)
        }
    }

    @Test("one caller's failure does not take its neighbours along")
    func savepoints() async throws {
        let store = try SQLiteStore(path: folder.path("auth.db"))
        let now = NumericDate(seconds: 1)
        try await store.add(User(id: "user-0", name: "taken", passwordHash: nil, createdAt: now))
        let added = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<60 {
                let name = index % 3 == 0 ? "taken" : "name\(index)"
                group.addTask { (try? await store.add(User(id: "user-\(index + 1)", name: name, passwordHash: nil, createdAt: now))) != nil }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(added == 40)
        #expect(try await store.user(named: "name59") != nil)
    }

    @Test("I2: callers who come one by one, and then all at once, are committed; whoever fails leaves nothing")
    func loneCallers() async throws {
        let store = try SQLiteStore(path: folder.path("auth.db"), quick: .seconds(60))
        func add(_ index: Int, _ name: String) async -> StoreError.Kind? {
            do {
                try await store.add(User(id: "user-\(index)", name: name, passwordHash: nil, createdAt: NumericDate(seconds: 1)))
                return nil
            } catch { return error.kind }
        }
        // So many that it is known how quick the disk is.
        for index in 0..<40 { #expect(await add(index, "name\(index)") == nil) }
        #expect(await add(1000, "name5") == .conflict, "alone, and refused")
        #expect(try await store.user(id: "user-1000") == nil)
        // A step of several statements that fails at its last one.
        let (now, client) = (NumericDate(seconds: 1_800_000_000), try #require(ClientID("c")))
        let verifier = try #require(CodeVerifier(String(repeating: "v", count: 43)))
        func redeem(_ code: String, for id: String) async throws -> CodeRedemption {
            let grant = Grant(
                id: id, clientID: client, userID: "user-1", scopes: [], resource: "https://rs.example", createdAt: now,
                expiresAt: now.advanced(by: 100), lastUsedAt: now)
            return try await store.redeem(SecretHash(of: code), for: grant, refreshToken: nil, clientIn: .elsewhere, at: now)
        }
        for code in ["first", "second"] {
            let code = AuthorizationCode(
                hash: SecretHash(of: code), clientID: client, userID: "user-1", redirectURI: "https://c.example",
                challenge: CodeChallenge(of: verifier), scopes: [], resource: "https://rs.example", expiresAt: now.advanced(by: 60))
            #expect(try await store.issue(code, consuming: code.hash, until: now))
        }
        #expect(try await redeem("first", for: "taken") == .redeemed)
        await #expect(throws: StoreError.self) { try await redeem("second", for: "taken") }
        #expect(try await redeem("second", for: "free") == .redeemed, "the code was not used by the step that failed")
        for round in 0..<20 {
            let conflicts = await withTaskGroup(of: Bool.self) { group in
                for index in 0..<10 {
                    group.addTask { await add(2000 + round * 100 + index, index == 3 ? "name1" : "r\(round)-\(index)") == .conflict }
                }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(conflicts == 1)
            #expect(await add(5000 + round, "alone\(round)") == nil)
        }
        let reopened = try SQLiteStore(path: folder.path("auth.db"))
        #expect(try await reopened.users(after: "", limit: 1000).count == 40 + 20 * 10)
    }

    @Test("W-05: a grant whose user somebody deleted by hand gives nothing, and ends no process")
    func deletedUser() async throws {
        let path = folder.path("auth.db")
        let store = try SQLiteStore(path: path)
        let now = NumericDate(seconds: 1_800_000_000)
        try await store.add(User(id: "u", name: "ada", passwordHash: nil, createdAt: now))
        let grant = Grant(
            id: "g", clientID: try #require(ClientID("c")), userID: "u", scopes: [], resource: "https://rs.example", createdAt: now,
            expiresAt: now.advanced(by: 100), lastUsedAt: now)
        let verifier = try #require(CodeVerifier(String(repeating: "v", count: 43)))
        let code = AuthorizationCode(
            hash: SecretHash(of: "code"), clientID: grant.clientID, userID: "u", redirectURI: "https://c.example",
            challenge: CodeChallenge(of: verifier), scopes: [], resource: "https://rs.example", expiresAt: now.advanced(by: 60))
        #expect(try await store.issue(code, consuming: code.hash, until: now))
        let token = RefreshToken(hash: SecretHash(of: "t"), grantID: "g", expiresAt: now.advanced(by: 100))
        #expect(try await store.redeem(code.hash, for: grant, refreshToken: token, clientIn: .elsewhere, at: now) == .redeemed)
        let queue = try DatabaseQueue(path: path)
        try await queue.write { try $0.execute(sql: "DELETE FROM users") }
        let outcome = try await store.rotate(
            RefreshTokenReference(hash: token.hash, grantID: "g"), to: Successor(hash: SecretHash(of: "n"), expiresAt: grant.expiresAt),
            rules: RefreshRules(grace: 30),
            at: now
        ) { _ in nil }
        #expect(outcome == .unknown)
    }

    @Test("a file of a newer version, or of something else, is refused with a reason")
    func foreignFiles() async throws {
        let queue = try DatabaseQueue(path: folder.path("newer.db"))
        try await queue.write { try $0.execute(sql: "PRAGMA user_version = 99") }
        #expect(throws: StoreError.self) { try SQLiteStore(path: folder.path("newer.db")) }
        try Data(repeating: 7, count: 4096).write(to: folder.url.appendingPathComponent("junk.db"))
        #expect(throws: StoreError.self) { try SQLiteStore(path: folder.path("junk.db")) }
        #expect(throws: StoreError.self) { try SQLiteStore(path: folder.path("no/such/folder.db")) }
    }

    @Test("C-16: a symbolic link is not followed")
    func symbolicLink() throws {
        try FileManager.default.createSymbolicLink(atPath: folder.path("link.db"), withDestinationPath: folder.path("target.db"))
        #expect(throws: StoreError.self) { try SQLiteStore(path: folder.path("link.db")) }
    }

    @Test("I3: what was written is there after opening the file again")
    func reopen() async throws {
        let now = NumericDate(seconds: 1_800_000_000)
        do {
            let store = try SQLiteStore(path: folder.path("auth.db"))
            try await store.revokeAccessToken("jti", until: now.advanced(by: 100), at: now)
        }
        #expect(try await SQLiteStore(path: folder.path("auth.db")).revocations(since: now) == [.accessToken("jti", until: now.advanced(by: 100))])
    }
}

@Suite("Data folder")
struct DataFolderTests {
    let folder: TemporaryFolder
    init() throws { folder = try TemporaryFolder() }

    func mode(_ name: String) throws -> Int? {
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(name))
        return (attributes[.posixPermissions] as? NSNumber)?.intValue
    }

    func make(_ name: String, holding file: String?) throws {
        try FileManager.default.createDirectory(
            atPath: folder.path(name), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        if let file { try Data([1]).write(to: folder.url.appendingPathComponent(name).appendingPathComponent(file)) }
    }

    @Test("M-11: a new, an empty, or an own folder becomes private", arguments: [nil, "", "master.key"])
    func own(_ file: String?) throws {
        if let file { try make("data", holding: file.isEmpty ? nil : file) }
        _ = try DataFolder(folder.path("data"))
        #expect(try mode("data") == 0o700)
    }

    @Test("somebody's folder with other things in it is neither used nor changed")
    func foreign() throws {
        try make("home", holding: "letters.txt")
        let error = #expect(throws: OAuthError.self) { try DataFolder(folder.path("home")) }
        #expect(error?.code == .invalidConfiguration)
        #expect(try mode("home") == 0o755)
    }

    @Test("M-11, O-01: the master key is made once, whole and for its owner, also by many who start at once")
    func masterKey() async throws {
        let data = try DataFolder(folder.path("data"))
        await withTaskGroup(of: Void.self) { group in for _ in 0..<20 { group.addTask { _ = try? data.masterKey() } } }
        #expect(try mode("data/master.key") == 0o600)
        #expect(try Data(contentsOf: folder.url.appendingPathComponent("data/master.key")).count == 32)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path("data")) == ["master.key"])
    }
}
