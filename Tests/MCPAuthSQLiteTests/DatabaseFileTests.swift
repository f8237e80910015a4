import Foundation
import GRDB
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth
import Testing

@testable import MCPAuthSQLite

/// A store that is not what it was: every start that would go wrong later is refused now, in words, and changes
/// nothing.
@Suite("A store that is not what it was")
struct DatabaseFileTests {
    let folder: TemporaryFolder
    let data: DataFolder
    init() throws {
        folder = try TemporaryFolder()
        data = try DataFolder(folder.path("data"))
    }

    func server(_ issuer: String = "https://as.example", in data: DataFolder? = nil) async throws(OAuthError) -> AuthorizationServer {
        let resource = try ProtectedResource("https://rs.example/mcp", scopes: [])
        return try await AuthorizationServer(issuer, configuration: AuthorizationServerConfiguration(resources: [resource]), in: data ?? self.data)
    }

    /// A folder that was in use, with a user in it, and whose log was brought into the file.
    func used() async throws {
        do {
            let server = try await server()
            try await server.addUser(named: "ada", password: "correct horse")
        }
        try await settled()
    }

    /// Connections close a moment after their store goes.
    private func settled() async throws {
        for _ in 0..<6000 where ["auth.db-wal", "auth.db-shm"].contains(where: { FileManager.default.fileExists(atPath: data.path($0)) }) {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// - Parameter isStoreOpened: the store itself is well, and was opened before the refusal.
    func refusal(_ words: [String], isStoreOpened: Bool = false) async throws {
        let before = try listing()
        let error = await #expect(throws: OAuthError.self) { try await server() }
        #expect(error?.code == .invalidConfiguration)
        try await settled()
        for word in words { #expect(error?.message.contains(word) == true, "\(word): \(error?.message ?? "")") }
        let after = try listing()
        #expect(Set(after.keys) == Set(before.keys), "no file came or went")
        for (name, contents) in after where !isStoreOpened || !name.hasPrefix("auth.db") { #expect(contents == before[name], "\(name) is as it was") }
    }

    /// Every file with what is in it, but for those that only lock.
    private func listing() throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: data.path("")) where !name.hasSuffix(".lock") && !name.hasSuffix("-shm") {
            let contents = try Data(contentsOf: URL(fileURLWithPath: data.path(name)))
            if !contents.isEmpty || !name.hasSuffix("-wal") { files[name] = contents }
        }
        return files
    }

    @Test("positive control: a folder that was used is used again")
    func control() async throws {
        try await used()
        #expect(try await server().user(named: "ada") != nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: data.path("")).contains("auth.db.mark"))
    }

    @Test(
        "M-09: a database that is gone, or empty, is no first start: by its mark, or by the master key", arguments: [true, false],
        ["auth.db.mark", "master.key"])
    func lost(_ isEmpty: Bool, _ evidence: String) async throws {
        try await used()
        for name in ["auth.db.mark", "master.key"] where name != evidence { try FileManager.default.removeItem(atPath: data.path(name)) }
        // A key alone is no evidence: see `provisioned`.
        _ = FileManager.default.createFile(atPath: data.path("audit.jsonl"), contents: Data("{}\n".utf8), attributes: [.posixPermissions: 0o600])
        try FileManager.default.removeItem(atPath: data.path("auth.db"))
        if isEmpty { _ = FileManager.default.createFile(atPath: data.path("auth.db"), contents: nil, attributes: [.posixPermissions: 0o600]) }
        try await refusal([data.path("auth.db"), isEmpty ? "empty" : "missing", "backup", "--new-store"])
    }

    @Test("a key that was put there before the first start is the key of that start")
    func provisioned() async throws {
        let key = Data(RandomSource.system.bytes(32))
        _ = FileManager.default.createFile(atPath: data.path("master.key"), contents: key, attributes: [.posixPermissions: 0o600])
        try await used()
        #expect(try Data(contentsOf: URL(fileURLWithPath: data.path("master.key"))) == key)
    }

    @Test("M-05: a database whose file was emptied, but not its log: nothing is lost by looking")
    func emptied() async throws {
        try await used()
        try Data().write(to: URL(fileURLWithPath: data.path("auth.db")))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: data.path("auth.db"))
        try Data(repeating: 7, count: 4096).write(to: URL(fileURLWithPath: data.path("auth.db-wal")))
        let error = await #expect(throws: OAuthError.self) { try await server() }
        #expect(error?.code == .invalidConfiguration && error?.message.contains("auth.db-wal") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: data.path("auth.db-wal"))).count == 4096)
    }

    @Test(
        "M-05: another application's database is refused, by its own mark or by its tables, and not written to", arguments: [true, false],
        [true, false])
    func foreign(_ hasID: Bool, _ isLogged: Bool) async throws {
        let path = data.path("auth.db")
        do {
            var configuration = Configuration()
            if isLogged { configuration.journalMode = .wal }
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try await queue.write { db in
                try db.execute(sql: "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'somebody')")
                if hasID { try db.execute(sql: "PRAGMA application_id = 252006674") }
            }
            try queue.close()
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        try await refusal([path, "another application"])
        let queue = try DatabaseQueue(path: path)
        #expect(try await queue.read { try String.fetchSet($0, sql: "SELECT name FROM sqlite_master WHERE type = 'table'") } == ["users"])
    }

    @Test("a database from before files were stamped is recognized by its tables, and stamped")
    func unstamped() async throws {
        try await used()
        let queue = try DatabaseQueue(path: data.path("auth.db"))
        try await queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA application_id = 0") }
        try queue.close()
        try FileManager.default.removeItem(atPath: data.path("auth.db.mark"))
        #expect(try await server().user(named: "ada") != nil)
        try await settled()
        let again = try DatabaseQueue(path: data.path("auth.db"))
        #expect(try await again.read { try Int32.fetchOne($0, sql: "PRAGMA application_id") } == 0x4D43_5041)
    }

    @Test("a page of random bytes is found at start; so is a beginning that is not SQLite's", arguments: [0, 4096, 3 * 4096, 7 * 4096])
    func damaged(_ offset: UInt64) async throws {
        try await used()
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: data.path("auth.db")))
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data(RandomSource.system.bytes(4096)))
        try handle.close()
        try await refusal([data.path("auth.db"), offset == 0 ? "not a SQLite database" : "damaged", "backup"])
    }

    @Test("M-11: a database, a key, or an audit log that others can read is refused, and the way out is named", arguments: [0o644, 0o640, 0o666])
    func modes(_ mode: Int) async throws {
        try await used()
        for name in ["auth.db", "master.key"] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: data.path(name))
            try await refusal([data.path(name), "0\(String(mode, radix: 8))", "chmod 600"], isStoreOpened: name == "master.key")
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: data.path(name))
        }
        let log = data.path("audit.jsonl")
        _ = FileManager.default.createFile(atPath: log, contents: nil, attributes: [.posixPermissions: mode])
        let error = #expect(throws: OAuthError.self) { try AuditFile(path: log) }
        #expect(error?.code == .invalidConfiguration && error?.message.contains("chmod 600") == true)
    }

    @Test("M-11: a key that is mounted so that others can read it is taken where that was said")
    func mounted() async throws {
        try await used()
        try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: data.path("master.key"))
        let open = try DataFolder(data.path(""), insecureAllowReadableKey: true)
        #expect(try await server(in: open).user(named: "ada") != nil)
    }

    @Test("O-01: a key that is missing, another key, and another address are three different things, each named")
    func keys() async throws {
        try await used()
        let error = await #expect(throws: OAuthError.self) { try await server("https://other.example") }
        try await settled()
        #expect(error?.message.contains("https://as.example") == true && error?.message.contains("https://other.example") == true)
        let key = try Data(contentsOf: URL(fileURLWithPath: data.path("master.key")))
        try FileManager.default.removeItem(atPath: data.path("master.key"))
        try await refusal(["master.key", "missing", "--new-store"], isStoreOpened: true)
        _ = FileManager.default.createFile(
            atPath: data.path("master.key"), contents: Data(RandomSource.system.bytes(32)), attributes: [.posixPermissions: 0o600])
        try await refusal(["another master key"], isStoreOpened: true)
        try key.write(to: URL(fileURLWithPath: data.path("master.key")))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: data.path("master.key"))
        #expect(try await server().user(named: "ada") != nil)
    }

    @Test("to begin anew on purpose moves the old files aside, and loses none")
    func anew() async throws {
        try await used()
        let key = try Data(contentsOf: URL(fileURLWithPath: data.path("master.key")))
        _ = FileManager.default.createFile(atPath: data.path("audit.jsonl"), contents: Data("{}\n".utf8), attributes: [.posixPermissions: 0o600])
        try FileManager.default.removeItem(atPath: data.path("auth.db"))
        let moved = try data.setAside(at: NumericDate(seconds: 1_800_000_000))
        #expect(Set(moved) == ["auth.db.mark.old-20270115T080000Z"])
        #expect(try Data(contentsOf: URL(fileURLWithPath: data.path("master.key"))) == key, "which may be shared with others")
        #expect(try await server().user(named: "ada") == nil)
    }

    @Test("a whole check reads all of it")
    func check() async throws {
        try await used()
        #expect(try await data.store().check() == [])
    }

    @Test("a start that was cut short leaves something that the next one goes on with", arguments: [true, false])
    func cutShort(_ hasTables: Bool) async throws {
        // The file was made, perhaps with its tables, and neither mark nor key yet.
        if hasTables {
            do { _ = try data.store() }
            try await settled()
            try FileManager.default.removeItem(atPath: data.path("auth.db.mark"))
        } else {
            _ = FileManager.default.createFile(atPath: data.path("auth.db"), contents: nil, attributes: [.posixPermissions: 0o600])
        }
        #expect(try await server().user(named: "ada") == nil)
    }

    @Test("administration finds a folder whose database is gone, and says so")
    func administration() async throws {
        #expect(try DataFolder(existing: folder.path("nothing")) == nil)
        try await used()
        try FileManager.default.removeItem(atPath: data.path("auth.db"))
        let found = try #require(try DataFolder(existing: data.path("")))
        let error = await #expect(throws: OAuthError.self) { try await AuthorizationServer(administering: found) }
        #expect(error?.code == .invalidConfiguration)
    }
}
