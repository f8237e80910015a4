import Crypto
import Foundation
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Synchronization
import Testing

/// An authorization server in memory, with a clock that stands still, one user, and ways to act as client and browser.
struct Harness {
    static let issuer = "https://as.example"
    static let resource = "https://rs.example/mcp"
    static let redirectURI = "https://c.example/cb"

    let server: AuthorizationServer
    let time: TestClock
    let events = EventRecorder()
    let store: any AuthorizationServerStore

    init(
        issuer: String = Harness.issuer, store: any AuthorizationServerStore = MemoryStore(), master: MasterKey = .random(),
        signIn: [SignInMethod] = [.password], fetcher: (any HTTPFetcher)? = nil, time: TestClock = TestClock(),
        configure: (inout AuthorizationServerConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = AuthorizationServerConfiguration(resources: [
            try ProtectedResource(
                Self.resource, scopes: [ScopeDescription("read", "See things"), ScopeDescription("write", "Change things", isSensitive: true)])
        ])
        configure(&configuration)
        self.store = store
        self.time = time
        server = try await AuthorizationServer(
            issuer, configuration: configuration, store: store, master: master, signIn: signIn, fetcher: fetcher, hasher: PasswordHasher(cost: 10),
            audit: AuditLog([events]), clock: time.clock)
        if try await server.user(named: "ada") == nil {
            try await server.addUser(named: "ada", password: "correct horse")
            try await server.addUser(named: "grace", password: "battery staple")
        }
    }

    /// The same world with another server in it.
    init(_ other: Harness, _ server: AuthorizationServer) {
        (self.server, time, store) = (server, other.time, other.store)
    }

    // MARK: As a client

    func send(_ method: HTTPRequest.Method, _ target: String, _ fields: HTTPFields = [:], body: String = "", peer: String = "192.0.2.1") async throws
        -> HTTPReply
    {
        var request = HTTPRequest(method: method, scheme: "https", authority: server.issuer.url.hostForURL, path: target, headerFields: fields)
        if let port = server.issuer.url.port { request.authority = "\(server.issuer.url.hostForURL):\(port)" }
        return try #require(await server.reply(to: HTTPCall(request, body: Array(body.utf8), peer: peer)), "no endpoint at \(target)")
    }

    func post(_ path: String, _ form: [(String, String)], _ fields: HTTPFields = [:]) async throws -> HTTPReply {
        var fields = fields
        fields[.contentType] = fields[.contentType] ?? "application/x-www-form-urlencoded"
        return try await send(.post, path, fields, body: Form(form).encoded)
    }

    func register(
        _ metadata: JSONValue = ["client_name": "A client", "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "none"]
    ) async throws -> HTTPReply {
        try await send(.post, "/register", [.contentType: "application/json"], body: metadata.text)
    }

    func registered(_ metadata: JSONValue? = nil) async throws -> String {
        let reply = try await metadata == nil ? register() : register(metadata!)
        return try #require(reply.json["client_id"]?.string)
    }

    static let verifier = String(repeating: "v", count: 43)
    static let challenge = CodeChallenge(of: CodeVerifier(verifier)!).text

    /// The parameters of a good authorization request; nil removes one, a value replaces or adds it.
    func parameters(_ client: String, _ change: [(String, String?)] = []) -> [(String, String)] {
        var fields: [(String, String)] = [
            ("response_type", "code"), ("client_id", client), ("redirect_uri", Self.redirectURI), ("state", "st"), ("code_challenge", Self.challenge),
            ("code_challenge_method", "S256"), ("scope", "read"), ("resource", Self.resource),
        ]
        for (name, value) in change {
            fields.removeAll { $0.0 == name }
            if let value { fields.append((name, value)) }
        }
        return fields
    }

    func redeem(_ client: String, _ code: String, _ change: [(String, String?)] = [], _ fields: HTTPFields = [:]) async throws -> HTTPReply {
        var form: [(String, String)] = [
            ("grant_type", "authorization_code"), ("client_id", client), ("code", code), ("redirect_uri", Self.redirectURI),
            ("code_verifier", Self.verifier),
        ]
        for (name, value) in change {
            form.removeAll { $0.0 == name }
            if let value { form.append((name, value)) }
        }
        return try await post("/token", form, fields)
    }

    func refresh(_ client: String, _ token: String, _ more: [(String, String)] = []) async throws -> HTTPReply {
        try await post("/token", [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)] + more)
    }

    /// A code, gained as a person would: sign in and allow.
    func code(_ client: String, _ change: [(String, String?)] = [], as user: String = "ada") async throws -> String {
        let browser = Browser(self)
        try await browser.open(parameters(client, change))
        try await browser.signIn(user)
        return try #require(try await browser.decide("allow").location?["code"])
    }

    struct Tokens {
        let access: String
        let refresh: String
    }

    func tokens(_ client: String, as user: String = "ada", _ change: [(String, String?)] = []) async throws -> Tokens {
        let reply = try await redeem(client, try await code(client, change, as: user))
        return Tokens(access: try #require(reply.json["access_token"]?.string), refresh: try #require(reply.json["refresh_token"]?.string))
    }

    /// Whether the server's own resource server takes the token.
    func accepts(_ token: String) async throws -> Bool {
        let resourceServer = try ResourceServer(Self.resource, trusting: .local(server), clock: time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        if case .accepted = await resourceServer.authenticate(request) { return true }
        return false
    }
}

/// Remembers what was audited.
final class EventRecorder: AuditSink {
    private let all = Mutex<[AuditEvent]>([])
    func record(_ event: AuditEvent) { all.withLock { $0.append(event) } }
    var events: [AuditEvent] { all.withLock { $0 } }
    func contains(_ action: String, _ reason: String? = nil) -> Bool {
        events.contains { $0.action == action && (reason == nil || $0.reason == reason) }
    }
}

/// A browser without a screen: keeps cookies, and sends the forms of the last page.
final class Browser {
    let harness: Harness
    var cookies: [String: String] = [:]
    var page = ""
    var last = HTTPReply(.ok)
    var headers = Browser.sameOrigin
    var peer = "192.0.2.1"

    static let sameOrigin: HTTPFields = [HTTPField.Name("Sec-Fetch-Site")!: "same-origin"]

    init(_ harness: Harness) { self.harness = harness }

    @discardableResult
    func open(_ parameters: [(String, String)]) async throws -> HTTPReply { try await go(.get, "/authorize?" + Form(parameters).encoded) }

    @discardableResult
    func signIn(_ user: String, password: String? = nil) async throws -> HTTPReply {
        try await submit("/sign-in", [("username", user), ("password", password ?? (user == "ada" ? "correct horse" : "battery staple"))])
    }

    @discardableResult
    func decide(_ decision: String, _ more: [(String, String)] = []) async throws -> HTTPReply {
        try await submit("/consent", [("decision", decision)] + more)
    }

    @discardableResult
    func submit(_ path: String, _ fields: [(String, String)], transaction: String? = nil) async throws -> HTTPReply {
        try await go(.post, path, Form([("transaction", transaction ?? self.transaction)] + fields).encoded)
    }

    /// Goes there, and follows redirects within the server.
    @discardableResult
    func go(_ method: HTTPRequest.Method, _ target: String, _ body: String = "") async throws -> HTTPReply {
        var fields = headers
        if method == .post {
            fields[.contentType] = "application/x-www-form-urlencoded"
            fields[.origin] = fields[.origin] ?? harness.server.issuer.url.origin
        }
        if !cookies.isEmpty { fields[.cookie] = cookies.map { "\($0)=\($1)" }.joined(separator: "; ") }
        let reply = try await harness.send(method, target, fields, body: body, peer: peer)
        for header in reply.response.headerFields[values: .setCookie] {
            let pair = header.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            cookies[pair[0]] = pair[1].isEmpty ? nil : pair[1]
        }
        last = reply
        if let location = reply.response.headerFields[.location], location.hasPrefix("/") { return try await go(.get, location) }
        if !reply.body.isEmpty { page = String(decoding: reply.body, as: UTF8.self) }
        return reply
    }

    var transaction: String { page.firstMatch(of: /name="transaction" value="([^"]*)"/).map { String($0.1) } ?? "" }
}

extension HTTPReply {
    var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
    var text: String { String(decoding: body, as: UTF8.self) }
    var status: Int { response.status.code }
    var error: String? { json["error"]?.string }

    /// The query of the redirect, nil when this is none.
    var location: [String: String]? {
        guard let location = response.headerFields[.location], let form = try? Form(queryOf: location) else { return nil }
        return Dictionary(form.fields.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}
