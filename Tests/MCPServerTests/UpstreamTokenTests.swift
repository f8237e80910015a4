import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import MCPServer
import OAuth
import Testing

/// The whole chain in one process: a tool that uses the provider's token of the user who called it.
@Suite("Tokens of identity providers in tools")
struct UpstreamTokenTests {
    static let issuer = "https://as.example"

    struct World {
        let provider: SimulatedProvider
        let server: AuthorizationServer
        let transport: StreamableHTTP
        let time: TestClock
        let seen: Seen
    }

    actor Seen {
        var tokens: [String] = []
        func note(_ token: UpstreamToken) { tokens.append(token.text) }
    }

    func world() async throws -> World {
        let time = TestClock()
        let account = SimulatedAccount("7", name: "Ada", userName: "ada", email: "ada@acme.example")
        let provider = try SimulatedProvider(.github(expires: true), accounts: [account], clock: time.clock)
        var configuration = AuthorizationServerConfiguration(resources: [
            try ProtectedResource("https://rs.example/mcp", scopes: [ScopeDescription("read", "See")])
        ])
        configuration.accessTokenLifetime = 86_400
        let server = try await AuthorizationServer(
            Self.issuer, configuration: configuration, store: MemoryStore(), master: .random(),
            signIn: [.github(clientID: "client-at-provider", clientSecret: "provider-secret-canary", scopes: ["repo"]), .password], fetcher: provider,
            hasher: PasswordHasher(cost: 10), clock: time.clock)
        try await server.addUser(named: "grace", password: "battery staple")
        let seen = Seen()
        let tools = MCPServer("test", version: "1") {
            Tool("repositories", "The repositories of the user.", requires: ["read"]) { (call: ToolCall) async throws -> String in
                let token = try await call.upstreamToken(for: "github", scopes: ["repo"])
                await seen.note(token)
                return "\(token) of \(call.principal.subject)"
            }
            Tool("elsewhere", "Another provider.", requires: ["read"]) { (call: ToolCall) async throws -> String in
                _ = try await call.upstreamToken(for: "google")
                return "no"
            }
            Tool("admin", "More than was granted.", requires: ["read"]) { (call: ToolCall) async throws -> String in
                _ = try await call.upstreamToken(for: "github", scopes: ["admin:org"])
                return "no"
            }
        }
        let resourceServer = try ResourceServer("https://rs.example/mcp", trusting: .local(server), clock: time.clock)
        let transport = try StreamableHTTP(tools, protectedBy: resourceServer)
        return World(provider: provider, server: server, transport: transport, time: time, seen: seen)
    }

    func send(_ world: World, _ method: HTTPRequest.Method, _ target: String, _ form: Form? = nil, cookies: [String: String] = [:]) async throws
        -> HTTPReply
    {
        var fields: HTTPFields = [HTTPField.Name("Sec-Fetch-Site")!: "same-origin"]
        if form != nil { fields[.contentType] = "application/x-www-form-urlencoded" }
        if method == .post { fields[.origin] = Self.issuer }
        fields[.cookie] = cookies.map { "\($0)=\($1)" }.joined(separator: "; ")
        let request = HTTPRequest(method: method, scheme: "https", authority: "as.example", path: target, headerFields: fields)
        return try #require(await world.server.reply(to: HTTPCall(request, body: Array((form?.encoded ?? "").utf8), peer: "192.0.2.1")))
    }

    /// An access token of ada, who signs in through the provider, or of grace, who has a password.
    func token(_ world: World, password: Bool = false) async throws -> String {
        var cookies: [String: String] = [:]
        var page = ""
        func go(_ method: HTTPRequest.Method, _ target: String, _ form: Form? = nil) async throws -> String {
            var reply = try await send(world, method, target, form, cookies: cookies)
            while true {
                for header in reply.response.headerFields[values: .setCookie] {
                    let pair = header.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                    cookies[pair[0]] = pair[1]
                }
                guard let location = reply.response.headerFields[.location] else { break }
                guard location.hasPrefix("/") else { return location }
                reply = try await send(world, .get, location, cookies: cookies)
            }
            page = String(decoding: reply.body, as: UTF8.self)
            return ""
        }
        func transaction() -> String { page.firstMatch(of: /name="transaction" value="([^"]*)"/).map { String($0.1) } ?? "" }
        let registered = try await world.server.reply(
            to: HTTPCall(
                HTTPRequest(
                    method: .post, scheme: "https", authority: "as.example", path: "/register", headerFields: [.contentType: "application/json"]),
                body: Array(#"{"redirect_uris":["https://c.example/cb"],"token_endpoint_auth_method":"none"}"#.utf8)))
        let client = try JSONValue(parsing: try #require(registered).body)["client_id"]?.string ?? ""
        let verifier = CodeVerifier(String(repeating: "v", count: 43))!
        let query = Form([
            ("response_type", "code"), ("client_id", client), ("redirect_uri", "https://c.example/cb"),
            ("code_challenge", CodeChallenge(of: verifier).text),
            ("code_challenge_method", "S256"), ("scope", "read"),
        ])
        _ = try await go(.get, "/authorize?" + query.encoded)
        var location: String
        if password {
            _ = try await go(.post, "/sign-in", Form([("transaction", transaction()), ("username", "grace"), ("password", "battery staple")]))
            location = try await go(.post, "/consent", Form([("transaction", transaction()), ("decision", "allow")]))
        } else {
            _ = try await go(.post, "/sign-in/provider", Form([("transaction", transaction()), ("provider", "github")]))
            let url = try await go(.post, "/consent", Form([("transaction", transaction()), ("decision", "allow")]))
            guard case .redirect(let answer) = try world.provider.authorize(url, as: "7") else { throw ToolError("no redirect") }
            location = try await go(.get, String(answer.dropFirst(Self.issuer.count)))
        }
        let code = try #require(try Form(queryOf: location).single("code"))
        let reply = try await send(
            world, .post, "/token",
            Form([
                ("grant_type", "authorization_code"), ("client_id", client), ("code", code), ("redirect_uri", "https://c.example/cb"),
                ("code_verifier", verifier.text),
            ]))
        return try #require(try JSONValue(parsing: reply.body)["access_token"]?.string)
    }

    func call(_ world: World, _ tool: String, _ token: String) async throws -> JSONValue {
        let body: JSONValue = [
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": [
                "name": .string(tool), "arguments": [:],
                "_meta": ["io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:]],
            ],
        ]
        let fields: HTTPFields = [
            .contentType: "application/json", .authorization: "Bearer \(token)", .mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/call",
            .mcpName: tool,
        ]
        let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
        return Answer(await world.transport.reply(to: HTTPCall(request, body: body.serialized))).result
    }

    @Test("a tool gets the caller's token of the provider, fresh, and the client never sees it")
    func token() async throws {
        let world = try await world()
        let ada = try await token(world)
        let answer = try await call(world, "repositories", ada)
        #expect(answer["isError"]?.bool != true && !answer.text.contains("canary"), "\(answer.text)")
        world.time.advance(by: 28_790)
        _ = try await call(world, "repositories", ada)
        let tokens = await world.seen.tokens
        #expect(tokens.count == 2 && tokens[0] != tokens[1], "refreshed before it expired")
        #expect(world.provider.tokenRequests("refresh_token") == 1)
    }

    @Test("who has not connected the provider, or not granted enough, is told where; an outage is worth another try")
    func refusals() async throws {
        let world = try await world()
        let grace = try await token(world, password: true)
        var answer = try await call(world, "repositories", grace)
        #expect(answer["isError"]?.bool == true && answer.text.contains("Connect your GitHub account first: open https://as.example/account"))
        let ada = try await token(world)
        answer = try await call(world, "admin", ada)
        #expect(answer["isError"]?.bool == true && answer.text.contains("more permissions at GitHub (admin:org)"))
        answer = try await call(world, "elsewhere", ada)
        #expect(answer["isError"]?.bool == true && answer.text.contains("no sign-in through google"))
        world.time.advance(by: 28_790)
        world.provider.setFaults { $0.tokenReply = HTTPReply(.tooManyRequests, [.retryAfter: "60"]) }
        answer = try await call(world, "repositories", ada)
        #expect(answer["isError"]?.bool == true && answer.text.contains("Your connection is kept"))
        world.provider.setFaults { $0.tokenReply = nil }
        #expect(try await call(world, "repositories", ada)["isError"]?.bool != true, "and it was")
        world.time.advance(by: 28_790)
        world.provider.setFaults { $0.closedAccounts = ["7"] }
        answer = try await call(world, "repositories", ada)
        #expect(answer.text.contains("Connect your GitHub account first"), "the provider rejected it: \(answer.text)")
    }
}
