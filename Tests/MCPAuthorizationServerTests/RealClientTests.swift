import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

/// What clients in wide use send, as far as one endpoint answers it. Whole flows are in
/// `Tests/Interop/test_clients.py`.
@Suite("Habits of real clients: registration")
struct ClientRegistrationHabitTests {
    static let cursor = "cursor://anysphere.cursor-mcp/oauth/callback"

    @Test("57: private-use schemes are registered alone and beside others, whatever application_type says")
    func privateUse() async throws {
        let harness = try await Harness()
        for uris in [[Self.cursor], [Self.cursor, "http://localhost:8787/callback", "https://www.cursor.com/agents/mcp/oauth/callback"]] {
            for type in ["web", "native", "desktop"] {
                let reply = try await harness.register([
                    "application_type": .string(type), "redirect_uris": .strings(uris), "token_endpoint_auth_method": "none",
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
                ])
                #expect(reply.status == 201 && reply.json["redirect_uris"]?.strings == uris && reply.json["application_type"] == nil)
            }
        }
    }

    @Test("57: an operator who allows no private-use schemes gets none: not by registration, configuration, document or request")
    func policy() async throws {
        let harness = try await Harness { $0.privateUseSchemes = .only(["claude"]) }
        #expect(try await harness.register(["redirect_uris": [.string(Self.cursor)]]).error == "invalid_redirect_uri")
        let both = try await harness.register(["redirect_uris": [.string(Self.cursor), .string(Harness.redirectURI)]])
        #expect(both.status == 201 && both.json["redirect_uris"]?.strings == [Harness.redirectURI], "the other one stays, and the answer says so")
        await #expect(throws: OAuthError.self) {
            try await Harness { configuration in
                configuration.privateUseSchemes = .none
                configuration.clients = [
                    Client(
                        id: ClientID("c")!, name: nil, redirectURIs: [try! RedirectURI(Self.cursor)], origin: .configured,
                        createdAt: NumericDate(seconds: 1))
                ]
            }
        }
        // One that is stored from a time when it was allowed.
        let (store, master) = (MemoryStore(), MasterKey.random())
        let open = try await Harness(store: store, master: master)
        let client = try await open.registered(["redirect_uris": [.string(Self.cursor)], "token_endpoint_auth_method": "none"])
        let closed = try await Harness(store: store, master: master, time: open.time) { $0.privateUseSchemes = .none }
        let refused = try await closed.send(.get, "/authorize?" + Form(open.parameters(client, [("redirect_uri", Self.cursor)])).encoded)
        #expect(refused.status == 400 && refused.response.headerFields[.location] == nil)
    }

    @Test("members that are null, and optional ones that are empty, are absent")
    func nulls() async throws {
        let harness = try await Harness()
        var metadata: JSONObject = ["redirect_uris": [.string(Harness.redirectURI)]]
        for name in [
            "jwks", "jwks_uri", "logo_uri", "client_uri", "scope", "grant_types", "response_types", "contacts", "tos_uri", "policy_uri",
            "software_statement", "software_id", "token_endpoint_auth_method", "application_type", "token_endpoint_auth_signing_alg", "client_name",
            "dpop_bound_access_tokens", "require_pushed_authorization_requests",
        ] { metadata[name] = .null }
        let reply = try await harness.register(.object(metadata))
        #expect(reply.status == 201 && reply.json["grant_types"]?.strings == ["authorization_code", "refresh_token"])
        for name in ["client_uri", "logo_uri", "jwks_uri", "scope", "token_endpoint_auth_method", "client_name", "software_statement"] {
            metadata[name] = ""
        }
        for name in ["grant_types", "response_types"] { metadata[name] = [] }
        #expect(try await harness.register(.object(metadata)).status == 201)
        metadata["redirect_uris"] = .null
        #expect(try await harness.register(.object(metadata)).error == "invalid_redirect_uri")
    }

    @Test("what is only shown to people never refuses a registration, and the answer says what was registered")
    func decorative() async throws {
        let harness = try await Harness()
        let long = "https://c.example/" + String(repeating: "x", count: 5000)
        for uri in ["http://c.example", "", long, "javascript:alert(1)", "https://10.0.0.1/"] {
            let reply = try await harness.register([
                "redirect_uris": [.string(Harness.redirectURI)], "client_uri": .string(uri), "logo_uri": .string(uri), "tos_uri": .string(uri),
                "policy_uri": .string(uri), "client_uri#fr": .string(uri), "client_name": .string(String(repeating: "n", count: 3000)),
                "response_types": ["code", "token"],
            ])
            #expect(reply.status == 201 && reply.json["client_uri"] == nil && reply.json["logo_uri"] == nil, "\(uri.prefix(20))")
            #expect(reply.json["client_name"]?.string?.count ?? 0 <= 101 && reply.json["response_types"]?.strings == ["code"])
        }
        #expect(
            try await harness.register(["redirect_uris": ["https://c.example/cb"], "response_types": ["token"]]).error == "invalid_client_metadata")
    }

    @Test("42: a client that named codes alone gets refresh tokens, and the answer says so")
    func refreshTokens() async throws {
        let harness = try await Harness()
        let reply = try await harness.register([
            "redirect_uris": [.string(Harness.redirectURI)], "grant_types": ["authorization_code"], "token_endpoint_auth_method": "none",
        ])
        #expect(reply.json["grant_types"]?.strings == ["authorization_code", "refresh_token"])
        let client = try #require(reply.json["client_id"]?.string)
        let tokens = try await harness.tokens(client)
        #expect(try await harness.refresh(client, tokens.refresh).status == 200)
        let without = try await Harness { $0.grantTypes = [.authorizationCode] }
        #expect(try await without.register(["redirect_uris": [.string(Harness.redirectURI)]]).json["grant_types"]?.strings == ["authorization_code"])
    }

    @Test("A-06: a redirect URI that holds a parameter of the answer is refused, wherever it comes from")
    func answers() async throws {
        let harness = try await Harness()
        for query in ["code=x&state=y", "c%6Fde=x", "iss=https://evil.example"] {
            #expect(try await harness.register(["redirect_uris": [.string(Harness.redirectURI + "?" + query)]]).error == "invalid_redirect_uri")
        }
        let client = try await harness.registered([
            "redirect_uris": [.string(Harness.redirectURI + "?tenant=1")], "token_endpoint_auth_method": "none",
        ])
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("redirect_uri", Harness.redirectURI + "?tenant=1")]))
        try await browser.signIn("ada")
        let location = try #require(try await browser.decide("allow").response.headerFields[.location])
        #expect(location.hasPrefix(Harness.redirectURI + "?tenant=1&code="))
    }

    @Test("D-10: a registration is JSON and says so: what a page elsewhere can send without asking is 415")
    func mediaType() async throws {
        let harness = try await Harness()
        let body = #"{"redirect_uris":["https://c.example/cb"]}"#
        for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", nil] as [String?] {
            var fields = HTTPFields()
            if let type { fields[.contentType] = type }
            #expect(try await harness.send(.post, "/register", fields, body: body).status == 415, "\(type ?? "none")")
        }
        for type in ["application/json", "Application/JSON; charset=utf-8"] {
            #expect(try await harness.send(.post, "/register", [.contentType: type], body: body).status == 201)
        }
    }

    @Test("a client that named no method sends its secret either way; one that named one keeps to it")
    func secrets() async throws {
        let harness = try await Harness()
        func answers(_ method: String?) async throws -> (basic: Int, post: Int) {
            var metadata: JSONObject = ["redirect_uris": [.string(Harness.redirectURI)]]
            metadata["token_endpoint_auth_method"] = method.map { .string($0) }
            let reply = try await harness.register(.object(metadata))
            let (id, secret) = (try #require(reply.json["client_id"]?.string), try #require(reply.json["client_secret"]?.string))
            let form = [("grant_type", "refresh_token"), ("refresh_token", "none"), ("client_id", id)]
            let basic = "Basic " + Base64.encode(Array("\(id):\(secret)".utf8))
            return (
                try await harness.post("/token", form, [.authorization: basic]).status,
                try await harness.post("/token", form + [("client_secret", secret)]).status
            )
        }
        // 400 is invalid_grant: the client was let through to its token. 401 is not.
        #expect(try await answers(nil) == (400, 400))
        #expect(try await answers("client_secret_basic") == (400, 401))
        #expect(try await answers("client_secret_post") == (401, 400))
    }

    @Test("a client that named no method is not let in without its secret, nor with a wrong one")
    func noSecret() async throws {
        let harness = try await Harness()
        let reply = try await harness.register(["redirect_uris": [.string(Harness.redirectURI)]])
        let id = try #require(reply.json["client_id"]?.string)
        let form = [("grant_type", "refresh_token"), ("refresh_token", "none"), ("client_id", id)]
        #expect(try await harness.post("/token", form).status == 401)
        #expect(try await harness.post("/token", form + [("client_secret", "wrong")]).status == 401)
        #expect(
            try await harness.post("/token", form, [.authorization: "Basic " + Base64.encode(Array("\(id):wrong".utf8))]).status == 401)
    }
}

@Suite("Habits of real clients: authorization requests")
struct AuthorizationHabitTests {
    let harness: Harness
    init() async throws { harness = try await Harness() }

    func open(_ client: String, _ change: [(String, String?)], extra: [(String, String)] = []) async throws -> HTTPReply {
        try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, change) + extra).encoded)
    }

    @Test(
        "RFC 6749 §3.3: scopes that nobody knows are left out, and the answer says what was granted",
        arguments: [("read email-send", "read"), (" read  write ", "read write"), ("write nonsense offline_access", "write")])
    func unknownScopes(_ requested: String, _ granted: String) async throws {
        let client = try await harness.registered()
        let reply = try await harness.redeem(client, try await harness.code(client, [("scope", requested)]))
        #expect(reply.json["scope"]?.string == granted)
    }

    @Test("and with none left, the user chooses among the default ones, none of which is ticked: nothing is granted silently")
    func noKnownScope() async throws {
        let client = try await harness.registered()
        for scope in ["email-send files", "offline_access"] {
            let browser = Browser(harness)
            try await browser.open(harness.parameters(client, [("scope", scope)]))
            try await browser.signIn("ada")
            #expect(browser.page.contains(#"name="choice""#) && browser.page.contains(#"value="read""#) && !browser.page.contains(#"checked="#))
            // Neither by ticking nothing, nor by a form that hides that there was a choice.
            for fields in [[("choice", "offered")], []] as [[(String, String)]] {
                let again = try await browser.decide("allow", fields)
                #expect(again.status == 400 && again.response.headerFields[.location] == nil && !again.text.contains(#"checked="#))
            }
            let code = try #require(try await browser.decide("allow", [("choice", "offered"), ("scope", "read")]).location?["code"])
            #expect(try await harness.redeem(client, code).json["scope"]?.string == "read")
        }
    }

    @Test("an empty scope means the default ones, as does one of spaces", arguments: ["", "  "])
    func emptyScope(_ scope: String) async throws {
        let client = try await harness.registered()
        #expect(try await harness.redeem(client, try await harness.code(client, [("scope", scope)])).json["scope"]?.string == "read write")
    }

    @Test("an operator can have unknown scopes refused")
    func refusedScopes() async throws {
        let strict = try await Harness { $0.unknownScopes = .refuse }
        let client = try await strict.registered(["redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none"])
        let reply = try await strict.send(
            .get, "/authorize?" + Form(strict.parameters(client, [("redirect_uri", "http://127.0.0.1:5/cb"), ("scope", "read email-send")])).encoded)
        #expect(reply.location?["error"] == "invalid_scope")
    }

    @Test(
        "RFC 8707: the resource in another spelling is the registered one, which is what the token says",
        arguments: ["HTTPS://rs.example/mcp", "https://RS.example:443/mcp", "https://rs.example/mcp/"])
    func resource(_ spelling: String) async throws {
        let client = try await harness.registered()
        let code = try await harness.code(client, [("resource", spelling)])
        let reply = try await harness.redeem(client, code, [("resource", spelling)])
        #expect(reply.status == 200)
        let refreshed = try await harness.refresh(client, try #require(reply.json["refresh_token"]?.string), [("resource", spelling)])
        for token in [reply, refreshed] {
            let access = try #require(token.json["access_token"]?.string)
            let claims = try JWTClaims(parsing: CompactJWS(parsing: access).payload)
            #expect(claims.audience == [Harness.resource])
            #expect(try await harness.accepts(access))
        }
        #expect(try await open(client, [("resource", "https://rs.example/other")]).status == 400)
    }

    @Test("the same resource twice is one; two are not")
    func twice() async throws {
        let client = try await harness.registered()
        #expect(try await open(client, [], extra: [("resource", Harness.resource)]).status == 200)
        #expect(try await open(client, [], extra: [("resource", Harness.resource + "/")]).status == 400)
    }

    @Test("two configured resources that differ by a slash are told apart by their exact spelling")
    func slash() async throws {
        let two = try await Harness { configuration in
            configuration.resources.append(try! ProtectedResource(Harness.resource + "/", scopes: [ScopeDescription("read", "See")]))
        }
        let client = try await two.registered()
        for resource in [Harness.resource, Harness.resource + "/"] {
            let reply = try await two.redeem(client, try await two.code(client, [("resource", resource)]))
            let claims = try JWTClaims(parsing: CompactJWS(parsing: try #require(reply.json["access_token"]?.string)).payload)
            #expect(claims.audience == [resource])
        }
        let unclear = try await two.send(.get, "/authorize?" + Form(two.parameters(client, [("resource", "HTTPS://rs.example/mcp")])).encoded)
        #expect(unclear.status == 400)
    }

    static let mistakes: [(String, String?, String)] = [
        ("code_challenge", nil, "invalid_request"), ("response_type", "token", "unsupported_response_type"), ("prompt", "none", "login_required"),
        ("resource", "https://other.example", "invalid_target"), ("max_age", "x", "invalid_request"),
    ]

    @Test("RFC 6749 §4.1.2.1: an error goes to a program on the user's own machine by itself", arguments: mistakes)
    func errorsToPrograms(_ name: String, _ value: String?, _ error: String) async throws {
        for (registered, requested) in [("http://127.0.0.1/cb", "http://127.0.0.1:4711/cb"), ("cursor://app/cb", "cursor://app/cb")] {
            let client = try await harness.registered(["redirect_uris": [.string(registered)], "token_endpoint_auth_method": "none"])
            let reply = try await open(client, [("redirect_uri", requested), (name, value)])
            #expect(reply.status == 303 && reply.response.headerFields[.location]?.hasPrefix(requested + "?error=") == true)
            #expect(reply.location?["error"] == error && reply.location?["state"] == "st" && reply.location?["iss"] == Harness.issuer)
        }
    }

    @Test("Z-08: an error goes to a stranger's web site only once this user has approved the client", arguments: mistakes)
    func errorsToSites(_ name: String, _ value: String?, _ error: String) async throws {
        let client = try await harness.registered()
        let browser = Browser(harness)
        #expect(try await browser.open(harness.parameters(client, [(name, value)])).status == 400, "nobody is signed in")
        try await browser.open(harness.parameters(try await harness.registered()))
        try await browser.signIn("ada")
        let stranger = try await browser.open(harness.parameters(client, [(name, value)]))
        #expect(stranger.status == 400 && stranger.response.headerFields[.location] == nil, "signed in, and never approved")
        let tokens = try await harness.tokens(client, as: "grace")
        #expect(try await browser.open(harness.parameters(client, [(name, value)])).status == 400, "approved by somebody else")
        _ = tokens
        _ = try await harness.tokens(client, as: "ada")
        let known = try await browser.open(harness.parameters(client, [(name, value)]))
        let expected = error == "login_required" ? "consent_required" : error
        #expect(known.status == 303 && known.location?["error"] == expected)
    }

    @Test("Z-08: what is uncertain goes nowhere, whatever was approved before")
    func uncertain() async throws {
        let client = try await harness.registered()
        _ = try await harness.tokens(client)
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        for change in [("redirect_uri", "https://evil.example/cb"), ("client_id", "nobody"), ("state", String(repeating: "s", count: 3000))] {
            let reply = try await browser.open(harness.parameters(client, [change]))
            #expect(reply.status == 400 && reply.response.headerFields[.location] == nil, "\(change.0)")
        }
    }

    @Test("HEAD answers as GET does, without a body, and gives no code to anybody")
    func head() async throws {
        let client = try await harness.registered([
            "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "client_secret_basic",
        ])
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        _ = try await browser.decide("allow", [("remember", "yes")])
        let target = "/authorize?" + Form(harness.parameters(client)).encoded
        #expect(try await browser.go(.get, target).location?["code"] != nil, "remembered: GET gives a code")
        let head = try await browser.go(.head, target)
        #expect(head.status == 200 && head.body.isEmpty && head.response.headerFields[.location] == nil)
        for path in ["/account", "/assets/style.css", "/.well-known/oauth-authorization-server", "/jwks"] {
            let (get, head) = (try await harness.send(.get, path), try await harness.send(.head, path))
            #expect(get.status == head.status && head.body.isEmpty && head.response.headerFields[.setCookie] == nil, "\(path)")
        }
    }

    @Test("preflights may name the headers of tracing libraries")
    func tracing() async throws {
        let asked = "content-type, traceparent, tracestate, baggage, sentry-trace, x-secret"
        for path in ["/token", "/register", "/.well-known/oauth-authorization-server"] {
            let reply = try await harness.send(
                .options, path,
                [.origin: "https://page.example", .accessControlRequestMethod: "POST", .accessControlRequestHeaders: asked])
            let allowed = reply.response.headerFields[.accessControlAllowHeaders] ?? ""
            #expect(reply.status == 204 && allowed == "content-type, traceparent, tracestate, baggage, sentry-trace", "\(path)")
        }
    }

    @Test("popups: no page on the way of an authorization cuts the window that opened it off; the account page does")
    func popups() async throws {
        let name = HTTPField.Name("Cross-Origin-Opener-Policy")!
        let client = try await harness.registered()
        let browser = Browser(harness)
        #expect(try await browser.open(harness.parameters(client)).response.headerFields[name] == nil)
        #expect(try await browser.signIn("ada").response.headerFields[name] == nil)
        #expect(try await browser.decide("choose").response.headerFields[name] == nil)
        #expect(try await browser.decide("allow").response.headerFields[name] == nil)
        #expect(try await browser.go(.get, "/account").response.headerFields[name] == "same-origin")
    }

    @Test("B-07: two tabs of one person: who signs in again in one goes on in the other; somebody else does not")
    func tabs() async throws {
        let client = try await harness.registered()
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        let first = browser.transaction
        try await browser.open(harness.parameters(client, [("prompt", "login")]))
        try await browser.signIn("ada")
        #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: first).location?["code"] != nil)

        try await browser.open(harness.parameters(client))
        let second = browser.transaction
        try await browser.open(harness.parameters(client, [("prompt", "login")]))
        try await browser.signIn("grace")
        let other = try await browser.submit("/consent", [("decision", "allow")], transaction: second)
        #expect(other.status == 403 && other.response.headerFields[.location] == nil, "what ada was asked, grace does not answer")
    }

    @Test("a request at the token endpoint that repeats what was once asked for gets what was granted, and never more")
    func repeated() async throws {
        let client = try await harness.registered()
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("scope", "read write")]))
        try await browser.signIn("ada")
        try await browser.decide("choose")
        let code = try #require(try await browser.decide("allow", [("choice", "offered"), ("scope", "read")]).location?["code"])
        let reply = try await harness.redeem(client, code, [("scope", "read write")])
        #expect(reply.json["scope"]?.string == "read")
        let token = try #require(reply.json["refresh_token"]?.string)
        let refreshed = try await harness.refresh(client, token, [("scope", "read write nonsense")])
        #expect(refreshed.json["scope"]?.string == "read")
        let next = try #require(refreshed.json["refresh_token"]?.string)
        #expect(try await harness.refresh(client, next, [("scope", "write")]).error == "invalid_scope")
    }

    @Test("139: the code's redirect URI may lack the slash of a loopback URI, or have it")
    func loopbackSlash() async throws {
        let client = try await harness.registered(["redirect_uris": ["http://127.0.0.1/"], "token_endpoint_auth_method": "none"])
        for (asked, redeemed) in [("http://127.0.0.1:7", "http://127.0.0.1:7/"), ("http://127.0.0.1:7/", "http://127.0.0.1:7")] {
            let code = try await harness.code(client, [("redirect_uri", asked)])
            #expect(try await harness.redeem(client, code, [("redirect_uri", redeemed)]).status == 200)
        }
        let code = try await harness.code(client, [("redirect_uri", "http://127.0.0.1:7/")])
        #expect(try await harness.redeem(client, code, [("redirect_uri", "http://127.0.0.1:8/")]).status == 400)
    }

    @Test("rate limits count this machine's own addresses where that was asked for")
    func loopbackLimits() async throws {
        for (counts, status) in [(false, 400), (true, 429)] {
            let harness = try await Harness { configuration in
                configuration.rateLimits.countsLoopback = counts
                configuration.rateLimits.token = RateLimits.Limit(burst: 2, everyMilliseconds: 100_000)
            }
            var last = 0
            for _ in 0..<4 {
                last = try await harness.send(
                    .post, "/token", [.contentType: "application/x-www-form-urlencoded"], body: "grant_type=none", peer: "127.0.0.1"
                ).status
            }
            #expect(last == status)
        }
    }
}
