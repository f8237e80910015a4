import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Browser surface")
struct BrowserSurfaceTests {
    let harness: Harness
    let client: String

    init() async throws {
        harness = try await Harness()
        client = try await harness.registered()
    }

    func confidential() async throws -> String {
        let json = try await harness.register(["redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "client_secret_basic"])
            .json
        return try #require(json["client_id"]?.string)
    }

    @Test("B-01, B-12, R63: every page refuses frames, scripts, caches and referrers")
    func headers() async throws {
        let browser = Browser(harness)
        var replies = [try await browser.open(harness.parameters(client))]
        replies.append(try await browser.signIn("ada", password: "wrong"))
        replies.append(try await browser.signIn("ada"))
        replies.append(try await browser.go(.get, "/account"))
        replies.append(try await harness.send(.get, "/authorize"))
        replies.append(try await browser.submit("/sign-out", []))
        for reply in replies {
            let fields = reply.response.headerFields
            let policy = fields[.contentSecurityPolicy] ?? ""
            #expect(
                policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'")
                    && !policy.contains("unsafe"))
            #expect(
                fields[HTTPField.Name("X-Frame-Options")!] == "DENY" && fields[.cacheControl] == "no-store"
                    && fields[.xContentTypeOptions] == "nosniff")
            #expect(
                fields[HTTPField.Name("Referrer-Policy")!] == "same-origin" && fields[.strictTransportSecurity] != nil
                    && fields[.accessControlAllowOrigin] == nil)
            #expect(!reply.text.contains("<script") && !reply.text.contains("style="))
        }
    }

    @Test("R43: a further permission is marked as new, the allowed ones are not")
    func furtherPermission() async throws {
        _ = try await harness.tokens(client)
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("scope", "read write")]))
        try await browser.signIn("ada")
        #expect(browser.page.contains("See things<code>read</code>"), "\(browser.page)")
        #expect(browser.page.contains(#"Change things<span class="flag new">new</span>"#), "\(browser.page)")
        let other = Browser(harness)
        try await other.open(harness.parameters(try await harness.registered(), [("scope", "read write")]))
        try await other.signIn("ada")
        #expect(!other.page.contains("flag new"))
    }

    @Test(
        "B-02, W-02, SF-3: nothing that a stranger wrote becomes markup",
        arguments: [
            #""><svg/onload=alert(1)>"#, "\"\u{301} autofocus onfocus=alert(1)", "<\u{301}script>", "{{7*7}}", "</script><script>", "'><img src=x>",
            "\u{0}<b>", "&lt;",
        ])
    func markup(_ payload: String) async throws {
        let reply = try await harness.register([
            "client_name": .string(payload), "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "none",
        ])
        let client = try #require(reply.json["client_id"]?.string)
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("state", payload), ("login_hint", payload)]))
        try await browser.signIn(payload, password: payload)
        try await browser.signIn("ada")
        let consent = browser.page
        let errors = [
            try await harness.send(.get, "/authorize?" + Form([("client_id", payload)]).encoded).text,
            try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [("scope", payload)])).encoded).text,
            try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [("resource", payload)])).encoded).text,
        ]
        for page in [consent] + errors {
            for fragment in ["<svg", "<script", "<img", "<b>", "onfocus=alert(1)\"", "\"\u{301} autofocus"] where fragment != payload {
                #expect(
                    !page.unicodeScalars.split(separator: "\0").contains { String($0).contains(fragment) } || fragment == "onfocus=alert(1)\"",
                    "\(fragment)")
            }
            #expect(!Self.hasBrokenAttribute(page))
        }
    }

    /// Reads a page byte by byte as a browser does: outside of quotes, a tag holds nothing but names, equals signs,
    /// spaces and slashes.
    static func hasBrokenAttribute(_ page: String) -> Bool {
        var inTag = false
        var inQuotes = false
        for byte in page.utf8 {
            switch byte {
            case UInt8(ascii: "<") where !inTag: inTag = true
            case UInt8(ascii: "<") where inTag && !inQuotes: return true
            case UInt8(ascii: "\"") where inTag: inQuotes.toggle()
            case UInt8(ascii: ">") where inTag && !inQuotes: inTag = false
            default: if inTag, !inQuotes, byte >= 0x80 { return true }
            }
        }
        return inTag
    }

    @Test(
        "B-03, L-02: names that disguise themselves are undressed",
        arguments: [
            ("Claude\u{202E}gpj", "Claudegpj"), ("a\u{200B}b\u{FEFF}c", "abc"), ("x" + String(repeating: "\u{301}", count: 100), "x\u{301}\u{301}"),
            ("a\r\nb\u{2028}c", "a b c"), ("\u{1B}[31mred", "[31mred"),
            (String(repeating: "W", count: 200), String(repeating: "W", count: 100) + "…"),
        ])
    func disguise(_ name: String, _ shown: String) async throws {
        let json = try await harness.register([
            "client_name": .string(name), "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "none",
        ]).json
        #expect(json["client_name"] == .string(shown))
    }

    @Test("B-03, R53: the consent page names the host that it returns to, and says that nobody checked the name")
    func warnings() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        #expect(
            browser.page.contains("registered itself") && browser.page.contains("<strong>c.example</strong>") && browser.page.contains("See things"))
        let local = try await harness.registered(["redirect_uris": ["http://127.0.0.1:7/cb"], "token_endpoint_auth_method": "none"])
        try await browser.open(harness.parameters(local, [("redirect_uri", "http://127.0.0.1:7/cb"), ("scope", "write")]))
        #expect(
            browser.page.contains("127.0.0.1:7") && browser.page.contains("runs on this computer") && browser.page.contains("cannot be undone"))
    }

    @Test("B-04: consent takes a form of our own page, in this browser, from this site")
    func forgery() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        let good = browser.transaction
        let stranger = Browser(harness)
        try await stranger.open(harness.parameters(client))
        try await stranger.signIn("grace")
        for (attempt, change) in [
            ("no token", { (b: Browser) in try await b.submit("/consent", [("decision", "allow")], transaction: "") }),
            ("foreign token", { b in try await b.submit("/consent", [("decision", "allow")], transaction: stranger.transaction) }),
            (
                "tampered token",
                { b in try await b.submit("/consent", [("decision", "allow")], transaction: String(good.dropLast()) + (good.last == "A" ? "B" : "A"))
                }
            ),
            ("approve by GET", { b in try await b.go(.get, "/consent?" + Form([("transaction", good), ("decision", "allow")]).encoded) }),
        ] as [(String, (Browser) async throws -> HTTPReply)] {
            let reply = try await change(browser)
            #expect(reply.location?["code"] == nil && (reply.status == 403 || reply.status == 200), "\(attempt)")
        }
        for (name, value) in [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "https://evil.lab"), ("Origin", "null")] {
            browser.headers = [HTTPField.Name(name)!: value]
            #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: good).status == 403)
        }
        browser.headers = Browser.sameOrigin
        #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: good).location?["code"] != nil)
        #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: good).status == 403, "the page is used up")
    }

    @Test("B-05: the session is new after sign-in, and a transaction belongs to the browser that began it")
    func fixation() async throws {
        let victim = Browser(harness)
        try await victim.open(harness.parameters(client))
        let before = victim.cookies
        #expect(before.keys.allSatisfy { $0.hasPrefix("__Host-") })
        try await victim.signIn("ada")
        #expect(before["__Host-mcp-auth-session"] == nil && victim.cookies["__Host-mcp-auth-session"] != nil && victim.cookies.count == 3)
        let attacker = Browser(harness)
        try await attacker.open(harness.parameters(client))
        let reply = try await victim.submit("/sign-in", [("username", "grace"), ("password", "battery staple")], transaction: attacker.transaction)
        #expect(reply.status == 403)
    }

    @Test("R64, B-05: cookies are __Host-, Secure, HttpOnly, SameSite=Lax")
    func cookieAttributes() async throws {
        let browser = Browser(harness)
        let reply = try await browser.open(harness.parameters(client))
        let cookie = try #require(reply.response.headerFields[.setCookie])
        for part in ["__Host-", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] { #expect(cookie.contains(part)) }
    }

    @Test("B-06: what a form says beside its transaction changes nothing")
    func tamper() async throws {
        let other = try await harness.registered()
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        let reply = try await browser.decide(
            "allow",
            [
                ("client_id", other), ("scope", "read write"), ("redirect_uri", "https://evil.lab"), ("resource", "https://evil.lab"),
                ("user", "grace"), ("state", "evil"),
            ])
        #expect(reply.response.headerFields[.location]?.hasPrefix(Harness.redirectURI + "?code=") == true && reply.location?["state"] == "st")
        let tokens = try await harness.redeem(client, try #require(reply.location?["code"]))
        #expect(tokens.json["scope"]?.string == "read")
    }

    @Test("B-07: two tabs do not mix, and another user in one of them ends the other's page")
    func tabs() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("state", "one")]))
        try await browser.signIn("ada")
        let one = browser.transaction
        try await browser.open(harness.parameters(client, [("state", "two")]))
        let two = browser.transaction
        #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: two).location?["state"] == "two")
        #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: one).location?["state"] == "one")
        try await browser.open(harness.parameters(client, [("state", "three")]))
        let three = browser.transaction
        try await browser.open(harness.parameters(client, [("prompt", "login")]))
        try await browser.signIn("grace")
        let reply = try await browser.submit("/consent", [("decision", "allow")], transaction: three)
        #expect(reply.status == 403 && reply.location == nil)
    }

    @Test("B-08: consent is remembered for a confidential client, and for nothing else")
    func remembered() async throws {
        let confidential = try await confidential()
        let browser = Browser(harness)
        try await browser.open(harness.parameters(confidential))
        try await browser.signIn("ada")
        #expect(browser.page.contains("Do not ask again"))
        try await browser.decide("allow", [("remember", "yes")])
        #expect(try await browser.open(harness.parameters(confidential)).location?["code"] != nil)
        #expect(try await browser.open(harness.parameters(confidential, [("scope", "read write")])).status == 200, "another scope asks again")
        #expect(try await browser.open(harness.parameters(confidential, [("prompt", "consent")])).status == 200)
        for site in ["cross-site", "same-site", nil] {
            browser.headers = site.map { [HTTPField.Name("Sec-Fetch-Site")!: $0] } ?? HTTPFields()
            #expect(try await browser.open(harness.parameters(confidential)).status == 200, "who comes from elsewhere is asked")
        }
        browser.headers = Browser.sameOrigin
        try await browser.open(harness.parameters(client))
        #expect(!browser.page.contains("Do not ask again"))
        try await browser.decide("allow", [("remember", "yes")])
        #expect(try await browser.open(harness.parameters(client)).status == 200, "a public client is always asked")
    }

    @Test("B-10: sign-in does not say which users exist, and is throttled by account and by real address")
    func guessing() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        let wrong = try await browser.signIn("ada", password: "no")
        let unknown = try await browser.signIn("nobody", password: "no")
        func stripped(_ reply: HTTPReply) -> String { reply.text.replacing(/value="[^"]*"/, with: "") }
        #expect(wrong.status == 401 && unknown.status == 401 && stripped(wrong) == stripped(unknown))
        var statuses: [Int] = []
        for index in 0..<30 {
            browser.headers[HTTPField.Name("X-Forwarded-For")!] = "10.0.0.\(index)"
            statuses.append(try await browser.signIn("ada", password: "no").status)
        }
        #expect(statuses.last == 429 && browser.last.response.headerFields[.retryAfter] != nil)
        harness.time.advance(by: 3600)
        try await browser.open(harness.parameters(client))
        #expect(try await browser.signIn("ada").status == 200)
    }

    @Test("B-10, K-06: an address that is throttled cannot lock anybody out, and success does not use anything up")
    func lockout() async throws {
        let attacker = Browser(harness)
        attacker.peer = "192.0.2.66"
        try await attacker.open(harness.parameters(client))
        for _ in 0..<20 { try await attacker.signIn("nobody\(Int.random(in: 0...1_000_000))", password: "no") }
        for _ in 0..<30 { #expect(try await attacker.signIn("grace", password: "no").status == 429) }
        for _ in 0..<40 {
            let grace = Browser(harness)
            try await grace.open(harness.parameters(client))
            #expect(try await grace.signIn("grace").status == 200)
        }
    }

    @Test("B-10: a host with a whole IPv6 network is one address")
    func networks() async throws {
        var statuses: [Int] = []
        for index in 0..<30 {
            let attacker = Browser(harness)
            attacker.peer = "2001:db8:0:1::\(String(index, radix: 16))"
            try await attacker.open(harness.parameters(client))
            statuses.append(try await attacker.signIn("user\(index)", password: "no").status)
        }
        #expect(statuses.first == 401 && statuses.last == 429)
    }

    @Test("B-07: two tabs sign in, in either order, and both go on")
    func bothTabs() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("state", "one")]))
        let first = browser.transaction
        try await browser.open(harness.parameters(client, [("state", "two")]))
        let second = browser.transaction
        let credentials = [("username", "ada"), ("password", "correct horse")]
        #expect(try await browser.submit("/sign-in", credentials, transaction: second).status == 200)
        #expect(try await browser.decide("allow").location?["state"] == "two")
        #expect(try await browser.submit("/sign-in", credentials, transaction: first).status == 200)
        #expect(try await browser.decide("allow").location?["state"] == "one")
    }

    @Test("B-03: a client's name cannot be invisible")
    func invisible() async throws {
        let id = try await harness.registered([
            "client_name": "\u{3164}\u{115F}\u{2800}\u{034F}", "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "none",
        ])
        let browser = Browser(harness)
        try await browser.open(harness.parameters(id))
        #expect(!browser.page.unicodeScalars.contains { ["\u{3164}", "\u{115F}", "\u{2800}", "\u{034F}"].contains($0) })
    }

    @Test("B-10: an endless password is refused before it costs anything")
    func longPassword() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        #expect(try await browser.signIn("ada", password: String(repeating: "x", count: 50_000)).status == 401)
    }

    @Test("W-01: the NFD twin of a user's name is nobody")
    func userTwin() async throws {
        await #expect(throws: OAuthError.self) { try await harness.server.addUser(named: "caf\u{E9}", password: "long enough") }
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        #expect(try await browser.signIn("ada\u{301}", password: "correct horse").status == 401)
    }

    @Test("B-11: no parameter of a page says where to go next", arguments: ["return_to", "next", "post_logout_redirect_uri", "redirect"])
    func localRedirects(_ name: String) async throws {
        let browser = Browser(harness)
        try await browser.go(.get, "/account?\(name)=//evil.lab")
        let reply = try await browser.submit("/sign-in", [("username", "ada"), ("password", "correct horse"), (name, "//evil.lab")])
        #expect(reply.response.headerFields[.location] == nil || reply.response.headerFields[.location] == "/account")
        #expect(!browser.page.contains("evil.lab"))
    }

    @Test("B-12: programs in web pages may use the token endpoint without cookies, and no page")
    func crossOrigin() async throws {
        let preflight = try await harness.send(.options, "/token", [.origin: "https://evil.lab"])
        #expect(
            preflight.response.headerFields[.accessControlAllowOrigin] == "*"
                && preflight.response.headerFields[HTTPField.Name("Access-Control-Allow-Credentials")!] == nil)
        for path in ["/authorize", "/sign-in", "/consent", "/account"] {
            let reply = try await harness.send(.options, path, [.origin: "https://evil.lab"])
            #expect(reply.status == 403 && reply.response.headerFields[.accessControlAllowOrigin] == nil)
        }
    }

    @Test("a person sees who can use the account, and ends it with one button, at once")
    func account() async throws {
        let tokens = try await harness.tokens(client)
        let grace = try await harness.tokens(client, as: "grace")
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        try await browser.signIn("ada")
        #expect(browser.page.contains("A client") && browser.page.contains("See things") && browser.page.contains("Disconnect"))
        let grant = try #require(browser.page.firstMatch(of: /name="grant" value="([^"]*)"/).map { String($0.1) })
        try await browser.submit("/account/disconnect", [("grant", grant)])
        #expect(browser.page.contains("No application"))
        #expect(try await !harness.accepts(tokens.access))
        #expect(try await harness.refresh(client, tokens.refresh).error == "invalid_grant")
        #expect(try await harness.accepts(grace.access))
        let foreign = grantID(of: grace.access)
        #expect(try await browser.submit("/account/disconnect", [("grant", foreign)]).status == 404)
        #expect(try await harness.accepts(grace.access), "nobody ends what is not theirs")
    }

    func grantID(of token: String) -> String {
        let claims = try? JWTClaims(parsing: CompactJWS(parsing: token).payload)
        return String((claims?.identifier ?? "").prefix { $0 != "." })
    }

    @Test("who cancels goes back with access_denied")
    func denied() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        let location = try await browser.decide("deny").location
        #expect(location?["error"] == "access_denied" && location?["state"] == "st" && location?["iss"] == Harness.issuer && location?["code"] == nil)
    }

    @Test("L-01, L-04: no secret is audited, and no answer tells what broke")
    func secrets() async throws {
        let code = try await harness.code(client)
        let reply = try await harness.redeem(client, code)
        let secrets = [code, reply.json["access_token"]?.string ?? "", reply.json["refresh_token"]?.string ?? "", "correct horse", Harness.verifier]
        for event in harness.events.events { for secret in secrets { #expect(!event.json.text.contains(secret)) } }
    }
}
