import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import OAuth
import Testing

/// What access tokens and introspection answers of issuers in wide use look like, beyond RFC 9068 and RFC 7662.
@Suite("Habits of issuers")
struct IssuerHabitTests {
    static let resource = "https://rs.example/mcp"
    let time = TestClock()
    let mint: TokenMint
    init() throws { mint = try TokenMint(clock: time.clock) }

    func principal(_ trust: Trust, _ token: String, fetcher: (any HTTPFetcher)? = nil) async throws -> Principal? {
        let server = try ResourceServer(Self.resource, trusting: trust, fetcher: fetcher, clock: time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        if case .accepted(let principal) = await server.authenticate(request) { return principal }
        return nil
    }

    func trust(_ audience: Trust.Audience = .resource, _ tokens: Trust.TokenProfile = .anyJWT) -> Trust {
        .keys([mint.key.verificationKey], issuer: mint.issuer, audience: audience, tokens: tokens)
    }

    @Test("scopes may be an array, in scope and in scp; what is no scope in it grants nothing")
    func scopes() async throws {
        for name in ["scope", "scp"] {
            let token = try mint.token(audience: Self.resource, claims: [name: ["read", "write", "a b", "", "ä"]])
            #expect(try await principal(trust(), token)?.scopes == ["read", "write"])
        }
        let mixed = try mint.token(audience: Self.resource, claims: ["scope": ["read", 7]])
        #expect(try await principal(trust(), mixed)?.scopes == [])
    }

    @Test("J-18: tokens without aud count for the clients that are named, by client_id or azp, and for no others")
    func clients() async throws {
        let cognito = trust(.clients(["app-1", "app-2"]))
        func token(_ claims: JSONObject) throws -> String {
            var all: JSONObject = ["aud": .null, "client_id": .null]
            for claim in claims { all[claim.name] = claim.value }
            return try mint.token(audience: Self.resource, claims: all, type: "JWT")
        }
        #expect(try await principal(cognito, token(["client_id": "app-1", "token_use": "access"]))?.clientID == "app-1")
        #expect(try await principal(cognito, token(["azp": "app-2"])) != nil)
        #expect(try await principal(cognito, token(["client_id": "app-3", "azp": "app-1"])) == nil, "client_id says whose it is")
        for claims in [["client_id": "app-3"], [:], ["client_id": "APP-1"], ["client_id": ["app-1"]], ["cid": "app-1"]] as [JSONObject] {
            #expect(try await principal(cognito, token(claims)) == nil)
        }
        // Where there is an audience, it is what counts.
        #expect(try await principal(cognito, token(["aud": .string(Self.resource), "client_id": "app-9"])) != nil)
        for audience in ["https://other.example", "app-1", []] as [JSONValue] {
            #expect(try await principal(cognito, token(["aud": audience, "client_id": "app-1"])) == nil)
        }
        #expect(try await principal(trust(), token(["client_id": "app-1"])) == nil, "not unless it was configured")
    }

    @Test("J-24: Keycloak's access tokens repeat a nonce and say that they are Bearer; ID tokens are refused all the same")
    func keycloak() async throws {
        func token(_ claims: JSONObject) throws -> String { try mint.token(audience: Self.resource, claims: claims, type: "JWT") }
        #expect(try await principal(trust(), token(["typ": "Bearer", "nonce": "n"])) != nil)
        for claims in [
            ["nonce": "n"], ["typ": "ID", "nonce": "n"], ["typ": "Bearer", "at_hash": "h"], ["typ": "bearer", "nonce": "n"],
            ["typ": ["Bearer"], "nonce": "n"],
            ["typ": "Refresh"],
        ] as [JSONObject] { #expect(try await principal(trust(), token(claims)) == nil) }
    }

    @Test("J-24, 133: ID tokens count as access tokens only where that was said of the issuer, and then for its audience only")
    func idTokens() async throws {
        let token = try mint.token(audience: "dex-client", claims: ["nonce": "n", "at_hash": "h"], type: nil)
        #expect(try await principal(trust(.exactly(["dex-client"])), token) == nil)
        #expect(try await principal(trust(.exactly(["dex-client"]), .insecureAllowIDTokens), token) != nil)
        #expect(try await principal(trust(.exactly(["other"]), .insecureAllowIDTokens), token) == nil)
        for claims in [["events": [:]], ["typ": "Refresh"], ["typ": "Logout"]] as [JSONObject] {
            let other = try mint.token(audience: "dex-client", claims: claims, type: nil)
            #expect(try await principal(trust(.exactly(["dex-client"]), .insecureAllowIDTokens), other) == nil, "neither an access nor an ID token")
        }
        let proof = try mint.token(audience: "dex-client", type: "dpop+jwt")
        #expect(try await principal(trust(.exactly(["dex-client"]), .insecureAllowIDTokens), proof) == nil)
    }

    @Test("introspection: null members are absent, and a user who is only named gets a namespace of their own")
    func introspection() async throws {
        func answer(_ json: JSONValue, clients: [String] = []) async throws -> Principal? {
            let trust = Trust.introspection(
                issuer: mint.issuer, endpoint: mint.issuer + "/introspect", authentication: .basic(clientID: "rs", secret: "s"),
                audience: clients.isEmpty ? .resource : .clients(clients))
            return try await principal(trust, "opaque", fetcher: ScriptedFetcher { _ in .json(json) })
        }
        let nulls = try await answer([
            "active": true, "sub": "ada", "aud": .string(Self.resource), "exp": nil, "nbf": nil, "iat": nil, "iss": nil, "jti": nil, "cnf": nil,
            "scope": nil, "token_type": nil, "username": nil, "client_id": nil,
        ])
        #expect(nulls?.subject == "ada" && nulls?.issuer == mint.issuer)
        let named = try await answer(["active": true, "username": "ada", "client_id": "app", "aud": .string(Self.resource)])
        #expect(named?.subject == "ada" && named?.issuer == mint.issuer + "#username" && named?.owner != nulls?.owner)
        let both = try await answer(["active": true, "username": "ada@example.com", "sub": "u1", "aud": .string(Self.resource)])
        #expect(both?.subject == "u1" && both?.issuer == mint.issuer && both?.preferredUsername == "ada@example.com")
        #expect(try await answer(["active": true, "sub": "ada", "client_id": "app"], clients: ["app"]) != nil)
        #expect(try await answer(["active": true, "sub": "ada", "client_id": "app"]) == nil)
        #expect(try await answer(["active": true, "sub": "ada", "aud": nil, "client_id": "other"], clients: ["app"]) == nil)
    }

    @Test("a person reads well whatever the issuer's claims are called, and what is no text is nothing")
    func person() async throws {
        let principal = try #require(
            try await principal(
                trust(),
                mint.token(
                    audience: Self.resource,
                    claims: [
                        "name": "Ada Lovelace", "username": "ada", "email": "ada@example.com", "email_verified": "true", "locale": "en-GB",
                        "picture": "https://p.example/a.png", "department": ["maths"],
                    ])))
        #expect(principal.name == "Ada Lovelace" && principal.preferredUsername == "ada" && principal.isEmailVerified)
        #expect(principal.locale == "en-GB" && principal.picture == "https://p.example/a.png")
        #expect(principal.claims["department"]?.strings == ["maths"] && principal.claims["nothing"] == nil)
        for claims in [["email_verified": true], ["email": "", "email_verified": true], ["email": 7, "email_verified": true]] as [JSONObject] {
            let other = try #require(try await self.principal(trust(), mint.token(audience: Self.resource, claims: claims)))
            #expect(other.email == nil && !other.isEmailVerified && other.name == nil)
        }
        let unverified = try #require(
            try await self.principal(trust(), mint.token(audience: Self.resource, claims: ["email": "a@b", "email_verified": "yes"])))
        #expect(!unverified.isEmailVerified)
    }
}

@Suite("Web pages as clients (CORS)")
struct CrossOriginTests {
    let mint: TokenMint
    init() throws { mint = try TokenMint() }

    func server(_ resource: String = "https://rs.example/mcp", allowing origins: Set<String> = []) throws -> ResourceServer {
        try ResourceServer(
            resource, trusting: .keys([mint.key.verificationKey], issuer: mint.issuer),
            policy: ScopePolicy(operations: [.tool("delete"): "delete"]), allowedOrigins: origins)
    }

    func request(
        _ method: HTTPRequest.Method, _ resource: String = "https://rs.example/mcp", origin: String?, _ more: HTTPFields = [:]
    ) throws -> HTTPRequest {
        let url = try #require(WebURL(resource))
        var fields = more
        if let origin { fields[.origin] = origin }
        let authority = url.hostForURL + (url.port.map { ":\($0)" } ?? "")
        return HTTPRequest(method: method, scheme: url.scheme, authority: authority, path: url.path, headerFields: fields)
    }

    static let loopback = "http://127.0.0.1:8000/mcp"

    @Test(
        "a preflight needs no token, and is answered for the own origin, for those that were allowed, and on loopback for every loopback origin",
        arguments: [
            ("https://rs.example/mcp", "https://rs.example", true), ("https://rs.example/mcp", "https://app.example.com", true),
            ("https://rs.example/mcp", "http://localhost:6274", false), ("https://rs.example/mcp", "https://evil.example", false),
            ("https://rs.example/mcp", "null", false), ("https://rs.example/mcp", "https://app.example.com.evil.org", false),
            (loopback, "http://localhost:6274", true), (loopback, "http://127.0.0.1:1", true), (loopback, "https://[::1]:9", true),
            (loopback, "http://localhost", true), (loopback, "http://localhost.evil.example", false), (loopback, "http://127.0.0.2:80", false),
            (loopback, "http://[::ffff:127.0.0.1]", false), (loopback, "null", false), (loopback, "http://0.0.0.0:80", false),
            (loopback, "http://LOCALHOST:6274", false), (loopback, "http://localhost:6274/", false), (loopback, "file://", false),
            (loopback, "https://app.example.com", true), (loopback, "http://2130706433", false),
        ])
    func preflight(_ resource: String, _ origin: String, _ isAllowed: Bool) throws {
        let server = try server(resource, allowing: ["https://app.example.com"])
        let asked = "authorization, content-type, mcp-param-region, mcp-param-, x-secret, traceparent"
        let reply = try #require(
            server.preflightReply(
                for: try request(
                    .options, resource, origin: origin, [.accessControlRequestMethod: "POST", .accessControlRequestHeaders: asked])))
        let fields = reply.response.headerFields
        #expect(reply.response.status.code == (isAllowed ? 204 : 403))
        #expect(fields[.accessControlAllowOrigin] == (isAllowed ? origin : nil) && fields[.accessControlAllowCredentials] == nil)
        if isAllowed {
            #expect(fields[.accessControlAllowMethods] == "GET, POST, DELETE" && fields[.vary]?.contains("Origin") == true)
            #expect(fields[.accessControlAllowHeaders] == "authorization, content-type, mcp-param-region, mcp-param-, traceparent")
        }
    }

    @Test("access from public pages to a private network is granted to allowed origins only, never to every origin")
    func privateNetwork() throws {
        let asked = HTTPField.Name("Access-Control-Request-Private-Network")!
        let granted = HTTPField.Name("Access-Control-Allow-Private-Network")!
        let server = try server(Self.loopback, allowing: ["https://app.example.com"])
        let allowed = server.preflightReply(
            for: try request(.options, Self.loopback, origin: "https://app.example.com", [.accessControlRequestMethod: "POST", asked: "true"]))
        #expect(allowed?.response.headerFields[granted] == "true")
        let metadata = try request(.options, origin: "https://evil.example", [asked: "true"])
        let open = CrossOrigin.preflight(metadata, allowing: "*", methods: "GET")
        #expect(open.response.headerFields[.accessControlAllowOrigin] == "*" && open.response.headerFields[granted] == nil)
    }

    @Test("R-04: the Host is looked at for a preflight too, and one without an Origin is told the methods")
    func host() throws {
        var other = try request(.options, origin: "https://rs.example")
        other.authority = "evil.example"
        #expect(try server().preflightReply(for: other)?.response.status == .forbidden)
        let plain = try #require(try server().preflightReply(for: request(.options, origin: nil)))
        #expect(plain.response.status == .noContent && plain.response.headerFields[.allow] == "GET, POST, DELETE, OPTIONS")
        #expect(plain.response.headerFields[.accessControlAllowOrigin] == nil)
        #expect(try server().preflightReply(for: request(.post, origin: "https://rs.example")) == nil)
    }

    @Test("refusals can be read by a page that may call, and by no other")
    func refusals() async throws {
        let server = try server()
        func answer(_ origin: String?, _ authorization: String?) async throws -> HTTPReply? {
            var fields = HTTPFields()
            if let authorization { fields[.authorization] = authorization }
            switch await server.authenticate(try request(.post, origin: origin, fields), operation: .tool("delete")) {
            case .accepted: return nil
            case .rejected(let reply): return reply
            }
        }
        let weak = "Bearer " + (try mint.token(audience: server.resource.text))
        for (authorization, status) in [(nil, 401), ("Bearer x", 401), (weak, 403), ("Bearer a b", 400)] as [(String?, Int)] {
            let reply = try #require(try await answer("https://rs.example", authorization))
            let fields = reply.response.headerFields
            #expect(reply.response.status.code == status && fields[.accessControlAllowOrigin] == "https://rs.example")
            for name in ["WWW-Authenticate", "Mcp-Session-Id", "MCP-Protocol-Version", "DPoP-Nonce", "Retry-After"] {
                #expect(fields[.accessControlExposeHeaders]?.contains(name) == true)
            }
            #expect(fields[.vary] == "Origin" && fields[.accessControlAllowCredentials] == nil)
            #expect(try await answer(nil, authorization)?.response.headerFields[.accessControlAllowOrigin] == nil)
        }
        let foreign = try #require(try await answer("https://evil.example", weak))
        #expect(foreign.response.status == .forbidden && foreign.response.headerFields[.accessControlAllowOrigin] == nil)
    }

    @Test("an allowed origin is one origin: what matches many or none is an error at start")
    func configuration() throws {
        for origin in ["*", "null", "https://app.example.com/", "app.example.com", "https://*.example.com", "https://APP.example.com", ""] {
            let error = #expect(throws: OAuthError.self) { try server(allowing: [origin]) }
            #expect(error?.code == .invalidConfiguration)
        }
    }

    @Test("somebody without a token who types another name of this machine is told which one to type; with a token nothing is in the way")
    func misdirected() async throws {
        let server = try server(Self.loopback)
        for (authority, status) in [("localhost:8000", 421), ("[::1]:8000", 421), ("127.0.0.1:8000", 401)] {
            var head = try request(.post, Self.loopback, origin: nil)
            head.authority = authority
            guard case .rejected(let reply) = await server.authenticate(head) else { throw Accepted() }
            #expect(reply.response.status.code == status)
            if status == 421 {
                #expect(
                    String(decoding: reply.body, as: UTF8.self).contains(Self.loopback.replacing("/", with: "\\/"))
                        || String(decoding: reply.body, as: UTF8.self).contains(Self.loopback))
            }
            head.headerFields[.authorization] = "Bearer " + (try mint.token(audience: Self.loopback))
            guard case .accepted = await server.authenticate(head) else { throw Accepted() }
        }
    }
    struct Accepted: Error {}

    @Test("RFC 9449 §7.1: what is wrong with a token of the scheme DPoP is answered by a challenge of that scheme")
    func proofs() async throws {
        let server = try server()
        let foreign = try mint.token(audience: "https://other.example", claims: ["cnf": ["jkt": .string(String(repeating: "A", count: 43))]])
        for proofs in [["p", "p"], [], ["p"]] {
            var head = try request(.post, origin: nil, [.authorization: "DPoP " + foreign])
            for proof in proofs { head.headerFields.append(HTTPField(name: .dpop, value: proof)) }
            guard case .rejected(let reply) = await server.authenticate(head) else { throw Accepted() }
            #expect(reply.response.status == .unauthorized && reply.response.headerFields[.wwwAuthenticate]?.hasPrefix("DPoP ") == true)
        }
    }

    @Test("the paths of the metadata are different ones for every router, and each is answered with a slash at its end too")
    func metadataPaths() throws {
        for (resource, count) in [
            ("https://rs.example/mcp", 2), ("https://rs.example/mcp/", 2), ("https://rs.example", 1), ("https://rs.example/", 1),
        ] {
            let server = try server(resource)
            let trimmed = server.metadataPaths.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
            #expect(Set(trimmed).count == count && server.metadataPaths == trimmed)
            for path in server.metadataPaths.flatMap({ [$0, $0 + "/"] }) {
                let reply = server.metadataReply(for: HTTPRequest(method: .get, scheme: "https", authority: "rs.example", path: path))
                #expect(reply?.response.status == .ok, "\(path)")
            }
        }
    }
}

@Suite("A server that asks for no tokens, on purpose")
struct InsecureOpenTests {
    @Test("everybody is one principal who may do everything; only on loopback, and for its own Host")
    func open() async throws {
        let server = try ResourceServer(
            "http://127.0.0.1:8000/mcp", trusting: .insecureOpen(subject: "dev"), policy: ScopePolicy(operations: [.tool("delete"): "delete"]))
        func answer(_ authority: String, _ fields: HTTPFields = [:]) async -> Authentication {
            await server.authenticate(
                HTTPRequest(method: .post, scheme: "http", authority: authority, path: "/mcp", headerFields: fields), operation: .tool("delete"))
        }
        for fields in [[:], [.authorization: "Bearer x"], [.authorization: "DPoP y"]] as [HTTPFields] {
            guard case .accepted(let principal) = await answer("127.0.0.1:8000", fields) else { throw Refused() }
            #expect(principal.subject == "dev")
        }
        for (authority, fields) in [("evil.example:8000", [:]), ("127.0.0.1:8000", [.origin: "https://evil.example"])] as [(String, HTTPFields)] {
            guard case .rejected(let reply) = await answer(authority, fields) else { throw Refused() }
            #expect(reply.response.status == .forbidden)
        }
        for resource in ["https://rs.example/mcp", "https://10.0.0.1/mcp"] {
            let error = #expect(throws: OAuthError.self) { try ResourceServer(resource, trusting: .insecureOpen()) }
            #expect(error?.code == .invalidConfiguration)
        }
    }
    struct Refused: Error {}
}
