import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Authorization endpoint")
struct AuthorizationEndpointTests {
    let harness: Harness
    let client: String

    init() async throws {
        harness = try await Harness()
        client = try await harness.registered()
    }

    @Test("R46: positive control: sign in, allow, and the code comes back with state and iss (R54)")
    func control() async throws {
        let browser = Browser(harness)
        let first = try await browser.open(harness.parameters(client))
        #expect(first.status == 200 && browser.page.contains("Sign in"))
        try await browser.signIn("ada")
        #expect(browser.page.contains("See things") && browser.page.contains("c.example") && browser.page.contains("A client"))
        let location = try await browser.decide("allow").location
        #expect(location?["state"] == "st" && location?["iss"] == Harness.issuer && location?["code"]?.count == 43)
    }

    @Test(
        "Z-02, R58: a redirect URI that is almost the registered one gets no redirect",
        arguments: [
            "https://c.example/cb/", "https://c.example/cb?x", "https://c.example/CB", "https://c.example//cb", "https://c.example:443/cb",
            "https://C.EXAMPLE/cb",
            "https://c.example@evil.lab/cb", #"https://evil.lab\@c.example/cb"#, " https://c.example/cb", "https://c.example/cb\n",
            "https://evil.lab/cb", "javascript:alert(1)",
            "http://c.example/cb", "https://c.example/cb#f",
        ])
    func nearMisses(_ uri: String) async throws {
        let reply = try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [("redirect_uri", uri)])).encoded)
        #expect(reply.status == 400 && reply.location == nil)
    }

    @Test("Z-04: a loopback client may use any port of the same literal")
    func loopback() async throws {
        let client = try await harness.registered(["redirect_uris": ["http://127.0.0.1:1/cb"], "token_endpoint_auth_method": "none"])
        let good = try await harness.send(
            .get, "/authorize?" + Form(harness.parameters(client, [("redirect_uri", "http://127.0.0.1:54321/cb")])).encoded)
        #expect(good.status == 200)
        for uri in ["http://localhost:1/cb", "http://[::1]:1/cb", "http://127.0.0.1:1/x", "https://127.0.0.1:1/cb", "http://127.0.0.1:99999/cb"] {
            #expect(try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [("redirect_uri", uri)])).encoded).status == 400)
        }
    }

    @Test(
        "Z-06: a parameter that is there twice",
        arguments: ["redirect_uri", "client_id", "state", "response_type", "code_challenge", "code_challenge_method", "scope"])
    func duplicates(_ name: String) async throws {
        var fields = harness.parameters(client)
        fields.append((name, fields.first { $0.0 == name }!.1))
        let reply = try await harness.send(.get, "/authorize?" + Form(fields).encoded)
        #expect(reply.status == 400 && reply.location == nil)
    }

    @Test("Z-06: no redirect URI, and two are registered")
    func ambiguousRedirect() async throws {
        let client = try await harness.registered([
            "redirect_uris": ["https://c.example/cb", "https://c.example/cb2"], "token_endpoint_auth_method": "none",
        ])
        #expect(try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [("redirect_uri", nil)])).encoded).status == 400)
    }

    @Test(
        "Z-08: an error never sends a stranger's client the browser by itself",
        arguments: [
            ("scope", "read\tadmin"), ("response_type", "token"), ("response_type", "code token"), ("response_type", ""),
            ("response_mode", "fragment"),
            ("response_mode", "form_post"), ("resource", "https://other.example"), ("prompt", "none"), ("prompt", "what"), ("max_age", "-1"),
            ("max_age", "1e20"),
            ("request", "x"), ("request_uri", "urn:x"), ("code_challenge", nil), ("code_challenge_method", "plain"), ("code_challenge_method", nil),
            ("code_challenge_method", "s256"),
            ("code_challenge_method", "S256 "), ("code_challenge", "short"), ("code_challenge", String(repeating: "A", count: 44)),
        ] as [(String, String?)])
    func errors(_ name: String, _ value: String?) async throws {
        let reply = try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [(name, value)])).encoded)
        #expect(reply.status == 400 && reply.location == nil)
        #expect(reply.text.contains("Return to c.example") && reply.text.contains("error="))
    }

    @Test(
        "Z-12, T-01, Z-14: the operator's own client gets its errors, with state and iss (R54)",
        arguments: [
            ("response_type", "token", "unsupported_response_type"), ("scope", "a\"b", "invalid_scope"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("resource", "https://rs.example/mcp%2F", "invalid_target"), ("resource", "https://rs.example/MCP", "invalid_target"),
            ("resource", "https://rs.example/mcp#f", "invalid_target"),
            ("prompt", "none", "login_required"),
        ])
    func configuredClientErrors(_ name: String, _ value: String, _ error: String) async throws {
        let own = Client(
            id: ClientID("own")!, name: "Own", redirectURIs: [try RedirectURI(Harness.redirectURI)], origin: .configured, createdAt: harness.time.now)
        try await harness.store.save(own, limit: .max)
        let location = try await harness.send(.get, "/authorize?" + Form(harness.parameters("own", [(name, value)])).encoded).location
        #expect(location?["error"] == error && location?["state"] == "st" && location?["iss"] == Harness.issuer)
    }

    @Test("Z-14: two resources; and none, which means the only one (R140)")
    func resources() async throws {
        var two = harness.parameters(client)
        two.append(("resource", "https://other.example"))
        #expect(try await harness.send(.get, "/authorize?" + Form(two).encoded).status == 400)
        let tokens = try await harness.tokens(client, [("resource", nil)])
        #expect(try JWTClaims(parsing: CompactJWS(parsing: tokens.access).payload).audience == [Harness.resource])
    }

    @Test(
        "Z-10: state comes back byte for byte",
        arguments: ["a+b&c=d%25\u{E9}\"<>~", "e\u{301}", String(repeating: "x", count: 2048), "\r\nSet-Cookie: a=b"])
    func state(_ state: String) async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("state", state)]))
        try await browser.signIn("ada")
        let returned = try await browser.decide("allow").location?["state"]
        #expect(returned.map { Array($0.utf8) } == Array(state.utf8))
        #expect(
            try await harness.send(
                .get, "/authorize?" + Form(harness.parameters(client, [("state", String(repeating: "x", count: 100_000))])).encoded
            ).status == 400)
    }

    @Test("Z-16: codes are 256 random bits and live a minute")
    func codes() async throws {
        var seen: Set<String> = []
        for _ in 0..<10 { seen.insert(try await harness.code(client)) }
        #expect(seen.count == 10 && seen.allSatisfy { $0.utf8.count == 43 })
        let late = try await harness.code(client)
        harness.time.advance(by: 60)
        #expect(try await harness.redeem(client, late).error == "invalid_grant")
    }

    @Test("Z-17: max_age=0 asks for the password again")
    func reauthentication() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        harness.time.advance(by: 5)
        try await browser.open(harness.parameters(client))
        #expect(browser.page.contains("Allow"))
        try await browser.open(harness.parameters(client, [("max_age", "3")]))
        #expect(browser.page.contains("name=\"password\""))
        try await browser.open(harness.parameters(client, [("prompt", "login")]))
        #expect(browser.page.contains("name=\"password\""))
    }

    @Test("W-01, Z-03: NFD twins of client, scope and resource are strangers")
    func twins() async throws {
        for change in [("client_id", client + "\u{301}"), ("scope", "re\u{301}ad"), ("resource", Harness.resource + "\u{301}")] {
            #expect(try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [change])).encoded).status == 400)
        }
    }

    @Test("the preflight that some clients make changes nothing: the request can be opened twice")
    func twice() async throws {
        _ = try await harness.send(.get, "/authorize?" + Form(harness.parameters(client)).encoded)
        #expect(try await harness.code(client).isEmpty == false)
    }

    @Test(
        "R8-06, R-06: nothing in the metadata comes from the request",
        arguments: [("authority", "evil.lab"), ("X-Forwarded-Host", "evil.lab"), ("X-Forwarded-Proto", "http")])
    func poisoning(_ name: String, _ value: String) async throws {
        var request = HTTPRequest(
            method: .get, scheme: "https", authority: name == "authority" ? value : "as.example", path: "/.well-known/oauth-authorization-server")
        if let field = HTTPField.Name(name) { request.headerFields[field] = value }
        let reply = try #require(await harness.server.reply(to: HTTPCall(request)))
        #expect(reply.json["issuer"]?.string == Harness.issuer && !reply.text.contains("evil") && !reply.text.contains("http://"))
    }
}
