import Crypto
import Foundation
import GRDB
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthSQLite
import MCPAuthorizationServer
import OAuth

/// Durable refreshes through the token endpoint, beside the bare transaction that any store would need for one: select, update, insert, commit to
/// disk.
enum RefreshBenchmark {
    static let resource = "https://mcp.example.com/mcp"

    static func run() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mcp-auth-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let bare = try BareStore(folder.appendingPathComponent("bare.db").path)
        let server = try await RefreshServer(folder.appendingPathComponent("auth.db").path)
        var one: [Double] = [], many: [Double] = [], rate: [Double] = []
        for _ in 0..<11 {
            let transaction = try await wallRate(seconds: 0.8) { try bare.transaction() }
            let single = try await server.rate(callers: 1, seconds: 0.8)
            let before = processNanoseconds()
            let crowd = try await server.rate(callers: 32, seconds: 0.8)
            if CommandLine.arguments.contains("profile") {
                print(
                    "bare", Int(transaction), "single", Int(single), "crowd", Int(crowd), "cpu us",
                    Double(processNanoseconds() - before) / 800 / crowd)
            }
            one.append(single / transaction)
            many.append(crowd / transaction)
            rate.append(crowd)
        }
        print(#"{"refresh_one_caller":\#(median(one)),"refresh_32_callers":\#(median(many)),"per_second":\#(Int(median(rate)))}"#)
    }

    static func wallRate(seconds: Double, _ body: () throws -> Void) async throws -> Double {
        let start = ContinuousClock.now
        var count = 0.0
        while ContinuousClock.now - start < .seconds(seconds) {
            try body()
            count += 1
        }
        return count / seconds
    }
}

/// The least that a durable rotation takes, on the same library and settings.
final class BareStore {
    private let database: DatabaseQueue
    private var current = Data(repeating: 0, count: 32)

    init(_ path: String) throws {
        var configuration = GRDB.Configuration()
        configuration.journalMode = .wal
        database = try DatabaseQueue(path: path, configuration: configuration)
        try database.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "CREATE TABLE tokens (hash BLOB PRIMARY KEY, used_at INTEGER, successor BLOB) WITHOUT ROWID")
            try db.execute(sql: "INSERT INTO tokens VALUES (?, NULL, NULL)", arguments: [current])
        }
    }

    func transaction() throws {
        let (hash, next) = (current, Data((0..<32).map { _ in UInt8.random(in: 0...255) }))
        try database.write { db in
            guard try Row.fetchOne(db.cachedStatement(sql: "SELECT * FROM tokens WHERE hash = ? AND used_at IS NULL"), arguments: [hash]) != nil
            else {
                throw Unexpected()
            }
            try db.cachedStatement(sql: "UPDATE tokens SET used_at = 1, successor = ? WHERE hash = ?").execute(arguments: [next, hash])
            try db.cachedStatement(sql: "INSERT INTO tokens VALUES (?, NULL, NULL)").execute(arguments: [next])
        }
        current = next
    }
}

/// The authorization server on SQLite, with a grant for each caller.
struct RefreshServer {
    let server: AuthorizationServer
    let store: SQLiteStore
    let client: ClientID
    let user: User

    init(_ path: String) async throws {
        store = try SQLiteStore(path: path)
        guard let client = ClientID("bench"), let redirect = try? RedirectURI("https://client.example.com/callback") else { throw Unexpected() }
        self.client = client
        var configuration = AuthorizationServerConfiguration(resources: [
            try ProtectedResource(RefreshBenchmark.resource, scopes: [.init("read", "Read")])
        ])
        configuration.clients = [
            Client(id: client, name: "Bench", redirectURIs: [redirect], origin: .configured, createdAt: Clock.system.now)
        ]
        server = try await AuthorizationServer(
            "https://mcp.example.com", configuration: configuration, store: store, master: try MasterKey(RandomSource.system.bytes(32)))
        user = try await server.addUser(named: "ada", password: RandomSource.system.token(bytes: 12))
    }

    /// A refresh token of a new grant, for a code that a sign-in would have left in the store.
    func token() async throws -> String {
        let random = RandomSource.system
        let (code, verifier) = (random.token(), CodeVerifier(random: random))
        let end = Clock.system.now.advanced(by: 60)
        _ = try await store.issue(
            AuthorizationCode(
                hash: SecretHash(of: code), clientID: client, userID: user.id, redirectURI: "https://client.example.com/callback",
                challenge: CodeChallenge(of: verifier), scopes: ["read"], resource: RefreshBenchmark.resource, expiresAt: end),
            consuming: SecretHash(of: random.token()), until: end)
        return try await refreshToken(
            "grant_type=authorization_code&client_id=bench&code=\(code)&code_verifier=\(verifier.text)"
                + "&redirect_uri=https://client.example.com/callback")
    }

    func rate(callers: Int, seconds: Double) async throws -> Double {
        var tokens: [String] = []
        for _ in 0..<callers { tokens.append(try await token()) }
        let deadline = ContinuousClock.now + .seconds(seconds)
        return try await withThrowingTaskGroup(of: Int.self) { group in
            for first in tokens {
                group.addTask {
                    var (token, count) = (first, 0)
                    while ContinuousClock.now < deadline {
                        token = try await refresh(token)
                        count += 1
                    }
                    return count
                }
            }
            return try await Double(group.reduce(0, +)) / seconds
        }
    }

    private func refresh(_ token: String) async throws -> String {
        try await refreshToken("grant_type=refresh_token&client_id=bench&refresh_token=" + token)
    }

    /// What the token endpoint gives for a form.
    private func refreshToken(_ form: String) async throws -> String {
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "mcp.example.com", path: "/token",
            headerFields: [.contentType: "application/x-www-form-urlencoded"])
        guard let reply = await server.reply(to: HTTPCall(request, body: Array(form.utf8), peer: "127.0.0.1")), reply.response.status == .ok,
            let next = try JSONDocument(parsing: reply.body).root["refresh_token"]?.string
        else { throw Unexpected() }
        return next
    }
}
