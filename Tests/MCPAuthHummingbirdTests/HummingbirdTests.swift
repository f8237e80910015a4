import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JOSE
import MCPAuth
import MCPAuthHummingbird
import MCPAuthTesting
import MCPAuthorizationServer
import MCPServer
import NIOCore
import NIOPosix
import OAuth
import Synchronization
import Testing

@Suite("In front of Hummingbird")
struct HummingbirdTests {
    let mint: TokenMint
    let auth: ResourceServer
    init() throws {
        mint = try TokenMint()
        // The live tests listen on a port that nobody knows beforehand.
        auth = try ResourceServer(
            "http://localhost:80/mcp", trusting: .keys([mint.key.verificationKey], issuer: mint.issuer),
            policy: ScopePolicy(operations: [Operation(kind: "route", name: "admin"): "admin"]), transport: .insecureUnchecked)
    }

    func token(_ scopes: ScopeSet = []) throws -> HTTPFields {
        [.authorization: "Bearer " + (try mint.token(subject: "ada", audience: auth.resource.text, scopes: scopes))]
    }

    var routes: Router<MCPRequestContext> {
        let router = Router(context: MCPRequestContext.self)
        router.get("health") { _, _ in "up" }
        router.group("api").add(middleware: RequireToken(auth)).group(context: AuthenticatedContext<MCPRequestContext>.self)
            .get("me") { _, context in context.principal.subject }
        router.group("admin").add(middleware: RequireToken(auth, operation: Operation(kind: "route", name: "admin")))
            .get("") { _, context in context.caller?.principal?.subject ?? "nobody" }
        router.group("maybe").add(middleware: RequireToken(auth, isOptional: true)).get("") { _, context in
            context.caller?.principal?.subject ?? "nobody"
        }
        router.group("mixed").add(middleware: RequireToken(auth, excluding: ["/mixed/open"]))
            .get("open") { _, _ in "open" }
            .get("closed") { _, _ in "closed" }
        // A mistake: the context asks for a principal that no middleware lets in.
        router.group("forgotten").group(context: AuthenticatedContext<MCPRequestContext>.self).get("me") { _, context in context.principal.subject }
        return router
    }

    func get(_ path: String, _ fields: HTTPFields = [:]) async throws -> (status: Int, body: String, challenge: String?) {
        try await Application(router: routes).test(.router) { client in
            try await client.execute(uri: path, method: .get, headers: fields) {
                (status: $0.status.code, body: String(buffer: $0.body), challenge: $0.headers[.wwwAuthenticate])
            }
        }
    }

    @Test("the principal is in the handler by type, and nobody reaches it without a token")
    func principal() async throws {
        #expect(try await get("/api/me", token()).body == "ada")
        let refused = try await get("/api/me")
        #expect(refused.status == 401 && refused.challenge?.contains("resource_metadata=") == true)
        #expect(try await get("/api/me", [.authorization: "Bearer x"]).status == 401)
        #expect(try await get("/forgotten/me", token()).status == 401, "a forgotten middleware closes the route")
        #expect(try await get("/health").status == 200)
    }

    @Test("scopes of a route, optional tokens, excluded paths exactly")
    func options() async throws {
        let refused = try await get("/admin", token())
        #expect(refused.status == 403 && refused.challenge?.contains(#"scope="admin""#) == true)
        #expect(try await get("/admin", token(["admin"])).body == "ada")
        #expect(try await get("/maybe").body == "nobody")
        #expect(try await get("/maybe", token()).body == "ada")
        #expect(try await get("/maybe", [.authorization: "Bearer x"]).status == 401)
        #expect(try await get("/mixed/open").status == 200)
        #expect(try await get("/mixed/open?x=1").status == 200)
        for path in ["/mixed/closed", "/mixed/closed?/mixed/open", "/mixed/OPEN", "/mixed/open/", "/mixed/open/../closed", "/mixed//closed"] {
            #expect(try await get(path).status != 200, "\(path)")
        }
    }

    @Test(
        "behind proxies, the address is the one that the outermost of them saw",
        arguments: [
            (["203.0.113.9"], 1, "203.0.113.9"), (["10.0.0.1, 203.0.113.9"], 1, "203.0.113.9"), (["203.0.113.9, 10.0.0.1"], 2, "203.0.113.9"),
            (["evil", "203.0.113.9 ,10.0.0.1"], 2, "203.0.113.9"), (["203.0.113.9"], 2, nil), (["evil"], 1, nil), ([], 1, nil),
            (["2001:db8::1"], 1, "2001:db8::1"),
        ] as [([String], Int, String?)])
    func proxies(_ values: [String], _ count: Int, _ expected: String?) async throws {
        let router = Router(context: MCPRequestContext.self)
        router.add(middleware: TrustProxies(count))
        router.get("") { _, context in context.peer ?? "unknown" }
        var fields = HTTPFields()
        for value in values { fields.append(HTTPField(name: HTTPField.Name("X-Forwarded-For")!, value: value)) }
        let head = fields
        let seen = try await Application(router: router).test(.router) { client in
            try await client.execute(uri: "/", method: .get, headers: head) { String(buffer: $0.body) }
        }
        let real = try await Application(router: router).test(.router) { client in
            try await client.execute(uri: "/", method: .get) { String(buffer: $0.body) }
        }
        #expect(seen == expected ?? real)
    }

    @Test("the MCP endpoint, its metadata and the authorization server on one origin, over a socket")
    func application() async throws {
        let configuration = AuthorizationServerConfiguration(resources: [try ProtectedResource(auth.resource.text, scopes: [])])
        let issuer = try await AuthorizationServer(
            "http://localhost:80", configuration: configuration, store: MemoryStore(), master: try MasterKey(RandomSource.system.bytes(32)))
        let server = MCPServer("x", version: "1") { Tool("whoami", "Who") { (call: ToolCall) in call.principal.subject } }
        let application = try MCPApplication.make(server, .http(port: 0), protectedBy: auth, authorizationServer: issuer) { router in
            router.get("health") { _, _ in "up" }
        }
        try await application.test(.live) { client in
            func status(_ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields = [:], _ body: String? = nil) async throws -> Int {
                try await client.execute(uri: path, method: method, headers: fields, body: body.map { ByteBuffer(string: $0) }) { $0.status.code }
            }
            #expect(try await status(.get, "/health") == 200)
            #expect(try await status(.get, "/.well-known/oauth-protected-resource/mcp") == 200)
            #expect(try await status(.get, "/.well-known/oauth-authorization-server") == 200)
            #expect(try await status(.get, "/jwks") == 200)
            #expect(try await status(.get, "/nothing") == 404)
            // R-07: other spellings of the path do not reach the endpoint.
            for path in ["/mcp/..;/", "//mcp", "/MCP", "/mcp%2f", "/mcp/", "/.well-known/../mcp"] {
                let code = try await status(.post, path, [.contentType: "application/json"], "{}")
                #expect([400, 401, 404].contains(code), "\(path) \(code)")
            }
            let big = String(repeating: " ", count: StreamableHTTP.maximumBodyBytes + 1)
            #expect(try await status(.post, "/mcp", [.contentType: "application/json"], big) == 401, "no body is read of nobody")
            var fields = try token()
            fields[.contentType] = "application/json"
            #expect(try await status(.post, "/mcp", fields, big) == 413)
            #expect(
                try await status(.post, "/token", [.contentType: "application/x-www-form-urlencoded"], String(repeating: "a", count: 70_000)) == 413)
        }
    }

    @Test("a client that closes its connection before the answer has begun ends the work on its call")
    func departure() async throws {
        let work = Work()
        let server = MCPServer("x", version: "1") {
            Tool("work", "Works until it is cancelled") { (call: ToolCall) in
                work.begin()
                do { try await Task.sleep(for: .seconds(60)) } catch { work.cancel() }
                return "done"
            }
        }
        // A path of its own, since traces of one process are all in one place.
        let auth = try ResourceServer(
            "http://localhost:80/work", trusting: .keys([mint.key.verificationKey], issuer: mint.issuer), transport: .insecureUnchecked)
        let application = try MCPApplication.make(server, .http(port: 0), protectedBy: auth)
        let credential = "Bearer " + (try mint.token(subject: "ada", audience: auth.resource.text))
        try await application.test(.live) { client in
            let body = """
                {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"work","arguments":{},"_meta":\
                {"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
                """
            let head = [
                "POST /work HTTP/1.1", "Host: localhost:80", "Authorization: \(credential)", "Content-Type: application/json",
                "Accept: application/json, text/event-stream", "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: work",
                "Content-Length: \(body.utf8.count)", "", body,
            ].joined(separator: "\r\n")
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: try #require(client.port)).get()
            try await channel.writeAndFlush(ByteBuffer(string: head))
            try await work.reaches(.running)
            try await channel.close()
            try await work.reaches(.cancelled)
        }
    }

    @Test("a server without tokens listens on loopback and nowhere else")
    func open() throws {
        let open = try ResourceServer("http://localhost:80/mcp", trusting: .insecureOpen())
        let server = MCPServer("x", version: "1") { Tool("whoami", "Who") { (call: ToolCall) in call.principal.subject } }
        for host in ["127.0.0.1", "localhost", "::1"] { _ = try MCPApplication.make(server, .http(host: host, port: 0), protectedBy: open) }
        for host in ["0.0.0.0", "::", "192.168.1.2", "example.com"] {
            let error = #expect(throws: OAuthError.self) { try MCPApplication.make(server, .http(host: host, port: 0), protectedBy: open) }
            #expect(error?.code == .invalidConfiguration)
        }
    }

    @Test("help for clients of MCP 2025-03-26 is served where it was asked for")
    func legacy() async throws {
        let fetcher = ScriptedFetcher { _ throws(OAuthError) in throw OAuthError(.fetchFailed, "away") }
        let server = MCPServer("x", version: "1") { Tool("whoami", "Who") { (call: ToolCall) in call.principal.subject } }
        for (endpoints, status) in [(LegacyEndpoints(issuer: try Issuer("https://as.test"), fetcher: fetcher), 503), (nil, 404)] {
            let application = try MCPApplication.make(server, .http(port: 0), protectedBy: auth, legacy: endpoints)
            try await application.test(.router) { client in
                try await client.execute(uri: "/authorize", method: .get) { #expect($0.status.code == status) }
            }
        }
    }
}

/// What a test sees of a handler that waits.
private final class Work: Sendable {
    enum Stage { case waiting, running, cancelled }
    private let stage = Mutex(Stage.waiting)

    func begin() { stage.withLock { $0 = .running } }
    func cancel() { stage.withLock { $0 = .cancelled } }

    func reaches(_ wanted: Stage) async throws {
        for _ in 0..<500 where stage.withLock({ $0 }) != wanted { try await Task.sleep(for: .milliseconds(20)) }
        #expect(stage.withLock { $0 } == wanted)
    }
}
