import HTTPTypes
import Hummingbird
import HummingbirdTesting
import JOSE
import MCPAuth
import MCPAuthHummingbird
import MCPAuthTesting
import MCPAuthorizationServer
import MCPServer
import OAuth
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
}
