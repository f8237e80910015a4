import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JOSE
import MCPAuth
import MCPAuthMetrics
import MCPAuthTesting
import MCPAuthorizationServer
import MCPServer
import Metrics
import NIOCore
import NIOPosix
import OAuth
import ServiceLifecycle
import Synchronization
import Testing

@testable import MCPAuthHummingbird

/// Mistakes that would show as refused requests are found when the server starts, and the message says what to change.
@Suite("What is checked at start")
struct StartTests {
    static let origin = "http://127.0.0.1:8000"

    func issuer(_ scopes: [ScopeDescription] = [.init("read:notes", "See"), .init("write:notes", "Write")], _ origin: String = origin) async throws
        -> AuthorizationServer
    {
        try await AuthorizationServer(
            origin, configuration: .init(resources: [try ProtectedResource(origin + "/mcp", scopes: scopes)]), store: MemoryStore(), master: .random()
        )
    }

    func server(requires requirement: Requirement = "read:notes") -> MCPServer {
        MCPServer("notes", version: "1") { Tool("list", "List", requires: requirement) { _ in "nothing" } }
    }

    func message(_ body: () async throws -> Void) async -> String {
        do { try await body() } catch { return ServerProgram.failure(error).text }
        return ""
    }

    func start(
        _ server: MCPServer? = nil, _ transport: MCPServer.Transport = .http(port: 8000), auth: ResourceServer, issuer: AuthorizationServer?,
        proxies: Int = 0
    ) throws {
        _ = try MCPApplication.make(server ?? self.server(), transport, protectedBy: auth, authorizationServer: issuer, trustedProxies: proxies)
    }

    @Test("a tool's scope that its resource does not have, with the nearest name")
    func scopes() async throws {
        let issuer = try await issuer()
        let auth = try ResourceServer(Self.origin + "/mcp", trusting: .local(issuer))
        let said = await message { try start(server(requires: "raed:notes"), auth: auth, issuer: issuer) }
        #expect(said.contains("tool list requires the scope raed:notes") && said.contains("did you mean read:notes?"))
        try start(server(requires: "read:notes write:notes"), auth: auth, issuer: issuer)
        try start(server(requires: "profile"), auth: auth, issuer: issuer)
        let implied = try ResourceServer(
            Self.origin + "/mcp", trusting: .local(issuer), policy: ScopePolicy(implications: ["write:notes": ["list:notes"]]))
        try start(server(requires: "list:notes"), auth: implied, issuer: issuer)
        let policy = await message {
            _ = try ResourceServer(Self.origin + "/mcp", trusting: .local(issuer), policy: ScopePolicy(operations: [.tool("x"): "wirte:notes"]))
        }
        #expect(policy.contains("the policy requires the scope wirte:notes"))
        // Another issuer may know more scopes.
        let mixed = try ResourceServer(
            Self.origin + "/mcp", trusting: .anyOf(.local(issuer), .keys([TokenMint().key.verificationKey], issuer: "https://other.example")))
        try start(server(requires: "anything"), auth: mixed, issuer: issuer)
    }

    @Test("resource server and authorization server that name different resources")
    func resources() async throws {
        let issuer = try await issuer()
        let said = await message { _ = try ResourceServer(Self.origin + "/mpc", trusting: .local(issuer)) }
        #expect(said.contains("\(Self.origin)/mpc") && said.contains("issues tokens for \(Self.origin)/mcp"))
    }

    @Test("an authorization server that is trusted and not served")
    func notServed() async throws {
        let issuer = try await issuer()
        let auth = try ResourceServer(Self.origin + "/mcp", trusting: .local(issuer))
        #expect(await message { try start(auth: auth, issuer: nil) }.contains("Pass it to run: authorizationServer: issuer"))
        try start(auth: auth, issuer: issuer)
        // Once some application serves it, others may trust it.
        try start(auth: auth, issuer: nil)
    }

    @Test("a port, or a scheme, that the URL does not have, unless a proxy is in between")
    func ports() async throws {
        let issuer = try await issuer()
        let auth = try ResourceServer(Self.origin + "/mcp", trusting: .local(issuer))
        #expect(await message { try start(nil, .http(port: 8001), auth: auth, issuer: issuer) }.contains("listens on port 8001"))
        try start(nil, .http(port: 8001), auth: auth, issuer: issuer, proxies: 1)
        try start(nil, .http(port: 0), auth: auth, issuer: issuer)
        let secure = try ResourceServer("https://127.0.0.1:8000/mcp", trusting: .keys([TokenMint().key.verificationKey], issuer: "https://i.example"))
        #expect(await message { try start(auth: secure, issuer: nil) }.contains("which is https, but the server listens with plain http"))
    }

    @Test("a slash at the end of an origin", arguments: ["http://127.0.0.1:8000/", "https://mcp.example.com/"])
    func slashes(_ origin: String) async throws {
        let said = await message { _ = try await issuer([], origin) }
        #expect(said.contains("two slashes in a row") || said.contains("ends with a slash"))
        let resource = try ProtectedResource("https://mcp.example.com/mcp", scopes: [])
        let other = await message {
            _ = try await AuthorizationServer(origin, configuration: .init(resources: [resource]), store: MemoryStore(), master: .random())
        }
        #expect(other.contains("ends with a slash; write \(origin.dropLast())"))
    }

    @Test("two tools of one name, a public client with client_credentials")
    func others() async throws {
        let issuer = try await issuer()
        let auth = try ResourceServer(Self.origin + "/mcp", trusting: .local(issuer))
        let twice = MCPServer("notes", version: "1") {
            Tool("list", "List", requires: "read:notes") { _ in "1" }
            Tool("list", "List", requires: "read:notes") { _ in "2" }
        }
        #expect(await message { try start(twice, auth: auth, issuer: issuer) }.contains("list is defined twice"))
        let client = Client(
            id: ClientID("robot")!, name: nil, redirectURIs: [], authenticationMethod: .none, grantTypes: [.clientCredentials], origin: .configured,
            createdAt: NumericDate(seconds: 0))
        #expect(await message { _ = try await issuer.addClient(client) }.contains("needs a secret or a key"))
        var scoped = client
        scoped.authenticationMethod = .basic
        scoped.scopes = "read:ntoes"
        let misspelt = scoped
        let said = await message { _ = try await issuer.addClient(misspelt) }
        #expect(said.contains("did you mean read:notes?"))
    }

    @Test("a port that is in use is one sentence, and nothing else")
    func portInUse() async throws {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(channel.localAddress?.port)
        let said = await message { try MCPServer.Transport.http(port: port).check() }
        #expect(said == "port \(port) is already in use. Stop the other process, or listen on another port, such as PORT=8001.")
        #expect(await message { try MCPServer.Transport.http(host: "203.0.113.77", port: 8000).check() }.contains("not an address of this machine"))
        #expect(await message { try MCPServer.Transport.http(host: "no such host", port: 8000).check() }.contains("cannot be resolved"))
        try await channel.close()
        try MCPServer.Transport.http(port: port).check()
    }

    @Test("exit codes: 69 for what is not available, 78 for a wrong configuration, 1 for anything else; PORT is honoured")
    func codes() throws {
        struct Other: Error {}
        #expect(ServerProgram.failure(OAuthError(.temporarilyUnavailable, "x")).code == 69)
        #expect(ServerProgram.failure(OAuthError(.invalidConfiguration, "x")).code == 78)
        #expect(ServerProgram.failure(Other()).code == 1)
        #expect(try ServerProgram.port(8000, environment: [:]) == 8000)
        #expect(try ServerProgram.port(8000, environment: ["PORT": "9000"]) == 9000)
        #expect(throws: OAuthError.self) { try ServerProgram.port(8000, environment: ["PORT": "http"]) }
        let address = try ServerProgram.transport(port: 8000, environment: ["PORT": "9000", "HOST": "0.0.0.0"]).address
        #expect(address == ("0.0.0.0", 9000))
        #expect(try ServerProgram.trustedProxies(environment: [:]) == 0 && ServerProgram.trustedProxies(environment: ["TRUSTED_PROXIES": "2"]) == 2)
        for text in ["x", "-1", "17"] {
            #expect(throws: OAuthError.self) { try ServerProgram.trustedProxies(environment: ["TRUSTED_PROXIES": text]) }
        }
        #expect(try ServerProgram.transport(port: 8000, environment: ["HOST": ""]).address == ("127.0.0.1", 8000))
    }

    @Test("a variable that is nearly one of the program's is reported; the shell's own are not")
    func misspelt() {
        let known = ["PORT", "HOST", "ORIGIN", "DATA", "GITHUB_CLIENT_ID"]
        let said = ServerProgram.misspelt(["ORIGN": "https://mcp.example.com", "PATH": "/bin", "HOME": "/", "HOSTNAME": "x", "TERM": "x"], of: known)
        #expect(said == ["the variable ORIGN is set, but not read. Did you mean ORIGIN?"])
        #expect(ServerProgram.misspelt(["ORIGIN": "x", "ORIGINS": "y", "PORT": "1"], of: known).isEmpty)
    }

    @Test("an issuer that calls itself otherwise, or is away, is a warning with the line to write")
    func issuers() async throws {
        let fetcher = ScriptedFetcher { request throws(OAuthError) in
            guard request.url.host == "login.example" else { throw OAuthError(.fetchFailed, "could not fetch from \(request.url.hostForURL)") }
            return .json(["issuer": "https://login.example/", "jwks_uri": "https://login.example/jwks"])
        }
        let auth = try ResourceServer("https://rs.example/mcp", trusting: .issuer("https://login.example"), fetcher: fetcher)
        let findings = await auth.findingsOfIssuers()
        #expect(findings.count == 1 && findings[0].contains(#"write https://login.example/, in code trusting: .issuer("https://login.example/")"#))
        let away = try ResourceServer("https://rs.example/mcp", trusting: .issuer("https://away.example"), fetcher: fetcher)
        #expect(await away.findingsOfIssuers().first?.contains("cannot be used") == true)
        let mint = try TokenMint()
        let good = try ResourceServer("https://rs.example/mcp", trusting: .issuer(mint.issuer), fetcher: mint)
        #expect(await good.findingsOfIssuers() == [])
    }

    @Test("a resource server of the same process records where its authorization server does, unless it is told otherwise")
    func audit() async throws {
        let sink = Recorder()
        let issuer = try await AuthorizationServer(
            Self.origin, configuration: .init(resources: [try ProtectedResource(Self.origin + "/mcp", scopes: [])]), store: MemoryStore(),
            master: .random(), audit: AuditLog([sink]))
        let request = HTTPRequest(method: .post, scheme: "http", authority: "127.0.0.1:8000", path: "/mcp")
        let silent = try ResourceServer(Self.origin + "/mcp", trusting: .local(issuer), audit: AuditLog())
        _ = await silent.authenticate(request)
        #expect(sink.count == 0)
        let standard = try ResourceServer(Self.origin + "/mcp", trusting: .local(issuer))
        _ = await standard.authenticate(request)
        #expect(sink.count == 1)
    }

    final class Recorder: AuditSink {
        private let counter = NIOLockedValue(0)
        var count: Int { counter.value }
        func record(_ event: AuditEvent) { counter.increment() }
    }
}

/// A number that threads share.
final class NIOLockedValue: Sendable {
    private let storage: Mutex<Int>
    init(_ value: Int) { storage = Mutex(value) }
    var value: Int { storage.withLock { $0 } }
    func increment() { storage.withLock { $0 += 1 } }
}

/// What a person or a probe gets who opens the address of a server.
@Suite("At the doorstep")
struct DoorstepTests {
    static let browser: HTTPFields = [.accept: "text/html,application/xhtml+xml,*/*;q=0.8"]

    func application(_ frontPage: FrontPage? = .standard, isLocal: Bool = true, store: (any AuthorizationServerStore)? = nil) async throws
        -> some ApplicationProtocol
    {
        let origin = "http://localhost:80"
        let server = MCPServer("My Notes", version: "1") { Tool("list", "List", requires: .authenticated) { _ in "nothing" } }
        if isLocal {
            let issuer = try await AuthorizationServer(
                origin, configuration: .init(resources: [try ProtectedResource(origin + "/mcp", scopes: [])]), store: store ?? MemoryStore(),
                master: .random())
            let auth = try ResourceServer(origin + "/mcp", trusting: .local(issuer), transport: .insecureUnchecked)
            return try MCPApplication.make(
                server, .http(port: 80), protectedBy: auth, authorizationServer: issuer, frontPage: frontPage,
                routes: { $0.get("own") { _, _ in "own" } })
        }
        let auth = try ResourceServer(
            origin + "/mcp", trusting: .keys([TokenMint().key.verificationKey], issuer: "https://i.example"), transport: .insecureUnchecked)
        return try MCPApplication.make(server, .http(port: 80), protectedBy: auth, frontPage: frontPage, routes: { $0.get("own") { _, _ in "own" } })
    }

    func get(_ application: some ApplicationProtocol, _ path: String, _ fields: HTTPFields = [:], method: HTTPRequest.Method = .get) async throws -> (
        status: Int, type: String, body: String, fields: HTTPFields
    ) {
        try await application.test(.router) { client in
            try await client.execute(uri: path, method: method, headers: fields) {
                ($0.status.code, $0.headers[.contentType] ?? "", String(buffer: $0.body), $0.headers)
            }
        }
    }

    @Test("a browser gets a front page at / and at the endpoint, with a line for each client", arguments: [true, false])
    func front(_ isLocal: Bool) async throws {
        let application = try await application(isLocal: isLocal)
        for path in ["/", "/mcp", "/mcp/", "/?utm=x"] {
            let reply = try await get(application, path, Self.browser)
            #expect(reply.status == 200 && reply.type.hasPrefix("text/html"), "\(path)")
            for text in [
                "claude mcp add --transport http my-notes http://localhost:80/mcp",
                "cursor://anysphere.cursor-deeplink/mcp/install?name=my-notes&amp;config=",
                "vscode:mcp/install?%7B%22name%22", "codex mcp add my-notes --url", "Goose", "gemini mcp add", "@modelcontextprotocol/inspector",
                "mcp-remote",
            ] { #expect(reply.body.contains(text), "\(text)") }
            #expect(!reply.body.contains("<script"))
            #expect(reply.body.contains("/account") == isLocal)
            #expect(reply.fields[.contentSecurityPolicy]?.contains("default-src 'none'") == true)
        }
        #expect(try await get(application, "/", [.accept: "text/html", .acceptLanguage: "de"]).body.contains("Eine Anwendung verbinden"))
        let style = try #require(try await get(application, "/", Self.browser).body.firstMatch(of: /rel="stylesheet" href="([^"]+)"/)).1
        #expect(try await get(application, String(style)).type == "text/css; charset=utf-8")
        let head = try await get(application, "/", Self.browser, method: .head)
        #expect(head.status == 200 && head.body.isEmpty)
    }

    @Test("programs get what they always got")
    func programs() async throws {
        let application = try await application()
        #expect(try await get(application, "/mcp").status == 401)
        #expect(try await get(application, "/mcp", [.accept: "application/json, text/event-stream"]).status == 401)
        #expect(try await get(application, "/mcp", [.accept: "text/event-stream, text/html"]).status == 401)
        #expect(try await get(application, "/mcp", Self.browser, method: .post).status == 401)
        var withToken = Self.browser
        withToken[.authorization] = "Bearer x"
        #expect(try await get(application, "/mcp", withToken).status == 401)
        for path in ["/", "/nope"] { #expect(try await get(application, path).status == 404) }
        #expect(try await get(application, "/own", Self.browser).body == "own")
        let nope = try await get(application, "/nope", Self.browser)
        #expect(nope.status == 404 && nope.type.hasPrefix("text/html") && nope.body.contains("This page does not exist"))
        #expect(nope.fields[HTTPField.Name("X-Robots-Tag")!] == "noindex")
        #expect(try await get(application, "/robots.txt").body.contains("Disallow: /"))
        #expect(try await get(application, "/favicon.ico").type == "image/svg+xml")
    }

    @Test("off by one line")
    func off() async throws {
        let application = try await application(nil)
        for path in ["/", "/nope", "/robots.txt", "/favicon.ico"] { #expect(try await get(application, path, Self.browser).status == 404, "\(path)") }
        #expect(try await get(application, "/mcp", Self.browser).status == 401)
        #expect(try await get(application, "/health").status == 200)
    }

    @Test("a server says whether it is well, and whether it is ready")
    func health() async throws {
        let application = try await application()
        #expect(try await get(application, "/health").body == #"{"status":"ok"}"#)
        #expect(try await get(application, "/ready").status == 200)
        #expect(try await get(application, "/health", method: .post).status == 404)
    }

    @Test("XSS: names of servers and descriptions are text")
    func hostile() async throws {
        let page = FrontPage(name: #""><script>alert(1)</script>"#, description: "<img src=x onerror=alert(1)>")
        let reply = try await get(try await application(page), "/", Self.browser)
        #expect(!reply.body.contains("<script>") && !reply.body.contains("<img src=x"))
    }
}

@Suite("Metrics on a port of their own")
struct MetricsListenerTests {
    @Test("they are served there, to names of this machine only", .timeLimit(.minutes(1)))
    func metrics() async throws {
        let metrics = PrometheusMetrics()
        Counter(label: "mcp_auth_test_total", dimensions: [("kind", "a\"b")], factory: metrics).increment(by: 3)
        #expect(metrics.text.contains(#"mcp_auth_test_total{kind="a\"b"} 3"#))
        let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
        let listener = MetricsListener(metrics, port: 0) { continuation.yield($0) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await listener.run() }
            var ports = stream.makeAsyncIterator()
            let port = try #require(await ports.next())
            #expect(try await Self.get(port, host: "127.0.0.1:\(port)").contains("mcp_auth_test_total"))
            #expect(try await Self.get(port, host: "rebound.example").contains("403"))
            group.cancelAll()
        }
    }

    private static func get(_ port: Int, host: String) async throws -> String {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(host: "127.0.0.1", port: port) { channel in
            channel.eventLoop.makeCompletedFuture { try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel) }
        }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(ByteBuffer(string: "GET /metrics HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n"))
            var text = ""
            for try await buffer in inbound { text += String(buffer: buffer) }
            return text
        }
    }
}
