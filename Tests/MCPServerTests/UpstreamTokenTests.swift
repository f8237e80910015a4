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

        func send(_ method: HTTPRequest.Method, _ target: String, _ form: Form? = nil, cookies: [String: String] = [:]) async throws -> HTTPReply {
            var fields: HTTPFields = [HTTPField.Name("Sec-Fetch-Site")!: "same-origin"]
            if form != nil { fields[.contentType] = "application/x-www-form-urlencoded" }
            if method == .post { fields[.origin] = UpstreamTokenTests.issuer }
            fields[.cookie] = cookies.map { "\($0)=\($1)" }.joined(separator: "; ")
            let request = HTTPRequest(method: method, scheme: "https", authority: "as.example", path: target, headerFields: fields)
            return try #require(await server.reply(to: HTTPCall(request, body: Array((form?.encoded ?? "").utf8), peer: "192.0.2.1")))
        }
    }

    actor Seen {
        var tokens: [String] = []
        func note(_ token: UpstreamToken) { tokens.append(token.text) }
    }

    func world(_ configure: (inout MCPServer) -> Void = { _ in }) async throws -> World {
        let time = TestClock()
        let account = SimulatedAccount("7", name: "Ada", userName: "ada", email: "ada@acme.example")
        let second = SimulatedAccount("8", name: "Other Ada", userName: "ada2", email: "ada2@acme.example")
        let provider = try SimulatedProvider(.github(expires: true), accounts: [account, second], clock: time.clock)
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
        var tools = MCPServer("test", version: "1") {
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
        configure(&tools)
        let resourceServer = try ResourceServer("https://rs.example/mcp", trusting: .local(server), clock: time.clock)
        let transport = try StreamableHTTP(tools, protectedBy: resourceServer)
        return World(provider: provider, server: server, transport: transport, time: time, seen: seen)
    }

    /// A user's browser.
    final class Browser {
        let world: World
        var cookies: [String: String] = [:]
        var page = ""
        var status = 0
        var signIns = 0
        /// Whether the browser does not go to the provider, but remembers the URL.
        var staysAway = false
        var departure = ""

        init(_ world: World) { self.world = world }

        /// Follows redirects on this server. The URL elsewhere to which the last one leads, or an empty text.
        @discardableResult
        func go(_ method: HTTPRequest.Method, _ target: String, _ form: Form? = nil) async throws -> String {
            var reply = try await world.send(method, target, form, cookies: cookies)
            while true {
                for header in reply.response.headerFields[values: .setCookie] {
                    let pair = header.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                    cookies[pair[0]] = pair[1]
                }
                guard let location = reply.response.headerFields[.location] else { break }
                guard location.hasPrefix("/") else { return location }
                reply = try await world.send(.get, location, cookies: cookies)
            }
            page = String(decoding: reply.body, as: UTF8.self)
            status = reply.response.status.code
            return ""
        }

        func submit(_ path: String, _ fields: [(String, String)]) async throws -> String {
            let transaction = page.firstMatch(of: /name="transaction" value="([^"]*)"/).map { String($0.1) } ?? ""
            return try await go(.post, path, Form([("transaction", transaction)] + fields))
        }

        /// Goes to the provider, signs in there, and returns.
        func visitProvider(_ url: String, as subject: String = "7") async throws -> String {
            departure = url
            if staysAway { throw ToolError("away") }
            guard case .redirect(let answer) = try world.provider.authorize(url, as: subject) else { throw ToolError("no redirect") }
            return try await go(.get, String(answer.dropFirst(UpstreamTokenTests.issuer.count)))
        }

        func signIn(_ name: String = "grace") async throws -> String {
            signIns += 1
            return try await submit("/sign-in", [("username", name), ("password", "battery staple")])
        }
    }

    /// An access token of ada, who signs in through the provider, or of a user with a password.
    func token(
        _ world: World, password: Bool = false, of name: String = "grace", scope: String = "read", in browser: Browser? = nil
    ) async throws -> String {
        let browser = browser ?? Browser(world)
        let registered = try await world.server.reply(
            to: HTTPCall(
                HTTPRequest(
                    method: .post, scheme: "https", authority: "as.example", path: "/register", headerFields: [.contentType: "application/json"]),
                body: Array(
                    #"{"redirect_uris":["https://c.example/cb"],"token_endpoint_auth_method":"none","client_name":"An agent"}"#.utf8)))
        let client = try JSONValue(parsing: try #require(registered).body)["client_id"]?.string ?? ""
        let verifier = CodeVerifier(String(repeating: "v", count: 43))!
        let query = Form([
            ("response_type", "code"), ("client_id", client), ("redirect_uri", "https://c.example/cb"),
            ("code_challenge", CodeChallenge(of: verifier).text),
            ("code_challenge_method", "S256"), ("scope", scope),
        ])
        try await browser.go(.get, "/authorize?" + query.encoded)
        var location: String
        if password {
            if browser.page.contains("name=\"password\"") { _ = try await browser.signIn(name) }
            #expect(browser.page.contains("Use your GitHub account") == scope.contains("connect:github"))
            location = try await browser.submit("/consent", [("decision", "allow")])
            if location.isEmpty, browser.page.contains("name=\"password\"") {
                // The session is too old for a new way into the account.
                _ = try await browser.signIn(name)
                location = try await browser.submit("/consent", [("decision", "allow")])
            }
            if location.hasPrefix("https://github.com/") { location = try await browser.visitProvider(location) }
        } else {
            _ = try await browser.submit("/sign-in/provider", [("provider", "github")])
            location = try await browser.visitProvider(try await browser.submit("/consent", [("decision", "allow")]))
        }
        let code = try #require(try Form(queryOf: location).single("code"))
        let reply = try await world.send(
            .post, "/token",
            Form([
                ("grant_type", "authorization_code"), ("client_id", client), ("code", code), ("redirect_uri", "https://c.example/cb"),
                ("code_verifier", verifier.text),
            ]))
        return try #require(try JSONValue(parsing: reply.body)["access_token"]?.string)
    }

    static let opensURLs: JSONValue = ["elicitation": ["form": [:], "url": [:]]]

    func call(
        _ world: World, _ tool: String, _ token: String, capabilities: JSONValue = [:], client: String = "agent", answers: JSONValue? = nil
    ) async throws -> JSONValue {
        var params: JSONObject = [
            "name": .string(tool), "arguments": [:],
            "_meta": [
                "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": capabilities,
                "io.modelcontextprotocol/clientInfo": ["name": .string(client), "version": "1"],
            ],
        ]
        params["inputResponses"] = answers
        let body: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": .object(params)]
        let fields: HTTPFields = [
            .contentType: "application/json", .authorization: "Bearer \(token)", .mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/call",
            .mcpName: tool,
        ]
        let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
        let answer = Answer(await world.transport.reply(to: HTTPCall(request, body: body.serialized)))
        return answer.status == 403 ? ["challenge": .string(answer.challenge)] : answer.result
    }

    /// The scopes of a challenge.
    func challenged(_ answer: JSONValue) -> Set<String> {
        let scope = answer["challenge"]?.string?.firstMatch(of: /scope="([^"]*)"/).map { String($0.1) } ?? ""
        return Set(scope.split(separator: " ").map(String.init))
    }

    /// The page that a response asks the user to open, as a target on the authorization server.
    func target(_ answer: JSONValue) throws -> String {
        #expect(answer["resultType"]?.string == "input_required", "\(answer.text)")
        let request = try #require(answer["inputRequests"]?["connect:github"])
        #expect(request["method"]?.string == "elicitation/create" && request["params"]?["mode"]?.string == "url")
        let url = try #require(request["params"]?["url"]?.string)
        #expect(url.hasPrefix("https://as.example/account/connect?request="))
        return String(url.dropFirst(Self.issuer.count))
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
        #expect(challenged(answer) == ["read", "connect:github"])
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
        #expect(
            challenged(answer) == ["read", "connect:github"] && answer.text.contains("Connect your GitHub account first"),
            "the provider rejected it: \(answer.text)")
    }

    @Test("R80, R81: a client that opens URLs is sent to the page, and the call goes on when the user is back")
    func elicitation() async throws {
        let world = try await world()
        let grace = try await token(world, password: true)
        let target = try target(try await call(world, "repositories", grace, capabilities: Self.opensURLs))
        #expect(!target.contains("grace") && !target.contains("github"), "the link says nothing, and signs no one in")
        let browser = Browser(world)
        try await browser.go(.get, target)
        #expect(browser.page.contains("name=\"password\"") && !browser.page.contains("Connect GitHub"))
        // The repeated call waits while the user is away.
        async let waiting = call(
            world, "repositories", grace, capabilities: Self.opensURLs, answers: ["connect:github": ["action": "accept"]])
        _ = try await browser.signIn()
        #expect(browser.page.contains("Connect GitHub") && browser.page.contains("An agent"))
        _ = try await browser.visitProvider(try await browser.submit("/sign-in/provider", [("provider", "github")]))
        #expect(browser.status == 200 && browser.page.contains("Return to the application"))
        let answer = try await waiting
        #expect(answer["isError"]?.bool != true && answer["content"] != nil, "\(answer.text)")
        #expect(await world.seen.tokens.count == 1)
    }

    @Test("R80: the page works for the user whose call needs the account, and for no other")
    func elicitationOfAnotherUser() async throws {
        let world = try await world()
        try await world.server.addUser(named: "mallory", password: "battery staple")
        let grace = try await token(world, password: true)
        let target = try target(try await call(world, "repositories", grace, capabilities: Self.opensURLs))
        let browser = Browser(world)
        try await browser.go(.get, target)
        _ = try await browser.signIn("mallory")
        #expect(browser.status == 403 && !browser.page.contains("/sign-in/provider"), "\(browser.page)")
        // A link that was changed, or that is too old.
        try await browser.go(.get, target + "x")
        #expect(browser.status == 400)
        world.time.advance(by: 3601)
        try await browser.go(.get, target)
        #expect(browser.status == 400 && browser.page.contains("call the tool again"))
    }

    @Test("further scopes are asked for, and of the same account only")
    func furtherScopes() async throws {
        let world = try await world()
        let ada = try await token(world)
        let target = try target(try await call(world, "admin", ada, capabilities: Self.opensURLs))
        let browser = Browser(world)
        try await browser.go(.get, target)
        let back = try await browser.submit("/sign-in/provider", [("provider", "github")])
        _ = try await browser.visitProvider(back)
        #expect(browser.page.contains("Permissions at GitHub") && browser.page.contains("admin:org"))
        let departure = try await browser.submit("/sign-in/provider", [("provider", "github")])
        let scope = try Form(queryOf: departure).single("scope") ?? ""
        #expect(scope.contains("admin:org") && scope.contains("repo"), "\(scope)")
        _ = try await browser.visitProvider(departure, as: "8")
        #expect(browser.status == 403 && browser.page.contains("another GitHub account"))
        try await browser.go(.get, target)
        _ = try await browser.visitProvider(try await browser.submit("/sign-in/provider", [("provider", "github")]))
        #expect(browser.status == 200)
        #expect(try await call(world, "admin", ada)["isError"]?.bool != true)
        // A refresh keeps them.
        world.time.advance(by: 28_790)
        #expect(try await call(world, "admin", ada)["isError"]?.bool != true)
    }

    @Test("clients that open no URLs, or are excepted, get the link as text; who declines is not asked again")
    func noElicitation() async throws {
        let world = try await world { $0.clientsWithoutURLElicitation = ["promises much"] }
        let (ada, grace) = (try await token(world), try await token(world, password: true))
        for (capabilities, client) in [
            ([:], "agent"), (["elicitation": [:]], "agent"), (["elicitation": ["form": [:]]], "agent"), (Self.opensURLs, "promises much"),
        ] as [(JSONValue, String)] {
            let answer = try await call(world, "admin", ada, capabilities: capabilities, client: client)
            #expect(answer["isError"]?.bool == true && answer.text.contains("https://as.example/account/connect?request="), "\(answer.text)")
        }
        for action in ["decline", "cancel"] {
            let answer = try await call(
                world, "repositories", grace, capabilities: Self.opensURLs, answers: ["connect:github": ["action": .string(action)]])
            #expect(answer["isError"]?.bool == true && answer.text.contains("did not connect"), "\(answer.text)")
        }
        for answers in [[], ["connect:github": [:]], ["connect:github": ["action": "maybe"]]] as [JSONValue] {
            let answer = try await call(world, "repositories", grace, capabilities: Self.opensURLs, answers: answers)
            #expect(answer["resultType"] == nil && answer["content"] == nil, "\(answer.text)")
        }
    }

    @Test("MCP 2025-11-25 has an error for it; earlier revisions have text", arguments: ["2025-11-25", "2025-06-18"])
    func elicitationWithHandshake(_ version: String) async throws {
        let world = try await world()
        let grace = try await token(world, password: true)
        func post(_ body: JSONValue, _ session: String? = nil) async -> MCPReply {
            var fields: HTTPFields = [
                .contentType: "application/json", .authorization: "Bearer \(grace)", .mcpProtocolVersion: version, .accept: "application/json",
            ]
            fields[.mcpSessionID] = session
            let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
            return await world.transport.reply(to: HTTPCall(request, body: body.serialized))
        }
        let opened = await post([
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": [
                "protocolVersion": .string(version), "capabilities": Self.opensURLs, "clientInfo": ["name": "agent", "version": "1"],
            ],
        ])
        let session = try #require(opened.response.headerFields[.mcpSessionID])
        let answer = Answer(
            await post(["jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": ["name": "repositories", "arguments": [:]]], session))
        if version == "2025-11-25" {
            #expect(answer.json["error"]?["code"]?.int == -32042)
            let elicitation = try #require(answer.json["error"]?["data"]?["elicitations"]?.array?.first)
            #expect(elicitation["mode"]?.string == "url" && elicitation["elicitationId"]?.string?.isEmpty == false)
            #expect(elicitation["url"]?.string?.hasPrefix("https://as.example/account/connect?request=") == true)
            #expect(elicitation["message"]?.string?.contains("your GitHub account") == true)
        } else {
            #expect(answer.status == 403 && answer.challenge.contains("connect:github"))
            #expect(answer.challenge.contains("Connect your GitHub account first: open https://as.example/account/connect?request="))
        }
    }

    @Test("a client that opens no URLs steps up to connect:github, and its authorization request leads through the provider")
    func stepUp() async throws {
        let world = try await world()
        let browser = Browser(world)
        let grace = try await token(world, password: true, in: browser)
        #expect(challenged(try await call(world, "repositories", grace)) == ["read", "connect:github"])
        let connected = try await token(world, password: true, scope: "read connect:github", in: browser)
        #expect(try await call(world, "repositories", connected)["isError"]?.bool != true)
        #expect(try await call(world, "repositories", grace)["isError"]?.bool != true, "it is connected for every client")
        // The second time nothing is left to do at the provider.
        _ = try await token(world, password: true, scope: "read connect:github", in: browser)
        // A token that was stepped up is not challenged again, so that no client goes round in circles.
        world.time.advance(by: 28_790)
        world.provider.setFaults { $0.closedAccounts = ["7"] }
        let answer = try await call(world, "repositories", connected)
        #expect(answer["isError"]?.bool == true && answer.text.contains("Connect your GitHub account first"), "\(answer.text)")
    }

    @Test("B-10: an old session adds no way into the account, also on the way to a code")
    func stepUpWithOldSession() async throws {
        let world = try await world()
        let browser = Browser(world)
        _ = try await token(world, password: true, in: browser)
        world.time.advance(by: 1000)
        let signIns = browser.signIns
        let connected = try await token(world, password: true, scope: "read connect:github", in: browser)
        #expect(browser.signIns == signIns + 1)
        #expect(try await call(world, "repositories", connected)["isError"]?.bool != true)
    }

    @Test("the scope is not advertised, not granted for providers that are not there, and no way past consent")
    func stepUpScope() async throws {
        let world = try await world()
        #expect(!world.server.metadata.text.contains("connect:"))
        let plain = try await token(world, password: true, scope: "read connect:google")
        let parts = plain.split(separator: ".")
        #expect(try JSONValue(parsing: Base64URL.decode(String(parts[1])))["scope"]?.string == "read")
        // The provider's answer in another browser finishes nothing.
        let (one, other) = (Browser(world), Browser(world))
        one.staysAway = true
        _ = try? await token(world, password: true, scope: "read connect:github", in: one)
        #expect(!one.departure.isEmpty)
        guard case .redirect(let answer) = try world.provider.authorize(one.departure, as: "7") else { throw ToolError("no redirect") }
        try await other.go(.get, String(answer.dropFirst(Self.issuer.count)))
        #expect(other.status == 403)
        let ada = try #require(try await world.server.user(named: "grace"))
        #expect(try await world.server.connections(ofUser: ada.id).isEmpty)
    }
}
