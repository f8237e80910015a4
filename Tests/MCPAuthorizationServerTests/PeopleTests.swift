import Crypto
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Synchronization
import Testing

@Suite("People: ways to sign in")
struct SignInTests {
    /// What an authenticator app shows for a secret (RFC 6238), computed here from the text that it would read.
    static func code(_ uri: String, at now: NumericDate) throws -> String {
        let secret = try #require(uri.firstMatch(of: /secret=([A-Z2-7]+)/)?.1)
        var (bits, count, bytes): (UInt32, Int, [UInt8]) = (0, 0, [])
        for letter in secret.utf8 {
            let value = letter >= 65 ? letter - 65 : letter - 50 + 26
            bits = bits << 5 | UInt32(value)
            count += 5
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        let counter = withUnsafeBytes(of: UInt64(now.seconds / 30).bigEndian) { Array($0) }
        let mac = Array(HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: bytes)))
        let offset = Int(mac[19] & 15)
        let number = mac[offset..<(offset + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        let text = "\(number % 1_000_000)"
        return String(repeating: "0", count: 6 - text.count) + text
    }

    @Test("one-time codes: a password alone is not enough; a code is good once, in its time, and for its user")
    func oneTimeCodes() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let uri = try await harness.server.requireOneTimePasswords(ofUser: "ada")
        #expect(uri.hasPrefix("otpauth://totp/"))
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        #expect(try await browser.signIn("ada", password: "wrong password").status == 401)
        try await browser.signIn("ada")
        #expect(browser.page.contains("one-time-code") && browser.cookies["__Host-mcp-auth-session"] == nil)
        let half = browser.transaction
        let code = try Self.code(uri, at: harness.time.now)
        #expect(try await browser.submit("/sign-in", [("code", "000000")], transaction: half).status == 401)
        #expect(try await browser.submit("/sign-in", [("code", "abcdef")], transaction: half).status == 401)
        // A half sign-in is none: it opens nothing.
        #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: half).location?["code"] == nil)
        #expect(try await browser.submit("/sign-in", [("code", code)], transaction: half).status == 200)
        #expect(try await browser.decide("allow").location?["code"] != nil)
        let second = Browser(harness)
        try await second.open(harness.parameters(client))
        try await second.signIn("ada")
        #expect(try await second.submit("/sign-in", [("code", code)]).status == 401, "used")
        harness.time.advance(by: 60)
        #expect(try await second.submit("/sign-in", [("code", code)]).status == 401, "old")
        let next = try Self.code(uri, at: harness.time.now)
        #expect(try await second.submit("/sign-in", [("code", String(next.prefix(3)) + " " + next.suffix(3))]).status == 200)
        try await harness.server.dropOneTimePasswords(ofUser: "ada")
        let third = Browser(harness)
        try await third.open(harness.parameters(client))
        try await third.signIn("ada")
        #expect(try await third.decide("allow").location?["code"] != nil)
    }

    @Test("B-10: guessing one-time codes is throttled like guessing passwords")
    func guessing() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        _ = try await harness.server.requireOneTimePasswords(ofUser: "ada")
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        try await browser.signIn("ada")
        let half = browser.transaction
        var statuses: [Int] = []
        for index in 0..<30 {
            browser.peer = "198.51.100.\(index)"
            statuses.append(try await browser.submit("/sign-in", [("code", "00000\(index % 10)")], transaction: half).status)
        }
        #expect(statuses.count { $0 == 401 } <= 10 && statuses.last == 429)
    }

    @Test("B-10: strangers who guess cannot lock the owner out of a browser in which they signed in before")
    func knownBrowser() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let owner = Browser(harness)
        try await owner.open(harness.parameters(client))
        try await owner.signIn("ada")
        for index in 0..<60 {
            let stranger = Browser(harness)
            stranger.peer = "198.51.\(index).1"
            try await stranger.open(harness.parameters(client))
            try await stranger.signIn("ada", password: "wrong password")
        }
        let elsewhere = Browser(harness)
        elsewhere.peer = "203.0.113.9"
        try await elsewhere.open(harness.parameters(client))
        #expect(try await elsewhere.signIn("ada").status == 429, "a browser that nobody knows waits")
        try await owner.open(harness.parameters(client, [("prompt", "login")]))
        owner.peer = "203.0.113.10"
        #expect(try await owner.signIn("ada").status == 200, "the owner's does not")
        // What shows that it is known is worth nothing in another browser, or for somebody else.
        let thief = Browser(harness)
        thief.peer = "203.0.113.11"
        try await thief.open(harness.parameters(client))
        thief.cookies["__Host-mcp-auth-known"] = owner.cookies["__Host-mcp-auth-known"]
        #expect(try await thief.signIn("ada").status == 429)
        // And even there guessing is limited.
        var statuses: [Int] = []
        for index in 0..<30 {
            owner.peer = "192.0.2.\(index + 50)"
            try await owner.open(harness.parameters(client, [("prompt", "login")]))
            statuses.append(try await owner.signIn("ada", password: "wrong password").status)
        }
        #expect(statuses.last == 429)
    }

    @Test("somebody else's table of users: a closure says who it is; the same person is the same user; a failure is no wrong password")
    func custom() async throws {
        struct Down: Error {}
        let harness = try await Harness(
            signIn: [
                .custom { name, password in
                    if name == "down" { throw Down() }
                    guard password == "right" else { return nil }
                    return SignedInPerson(issuer: "https://accounts.example", subject: "id-of-\(name)", displayName: "Person <\(name)>")
                }
            ])
        let client = try await harness.registered()
        func enter(_ name: String, _ password: String) async throws -> Browser {
            let browser = Browser(harness)
            try await browser.open(harness.parameters(client))
            try await browser.signIn(name, password: password)
            return browser
        }
        let first = try await enter("alan", "right")
        #expect(first.page.contains("Person &lt;alan&gt;"))
        let code = try #require(try await first.decide("allow").location?["code"])
        let token = try #require(try await harness.redeem(client, code).json["access_token"]?.string)
        let subject = try JWTClaims(parsing: try CompactJWS(parsing: token).payload).subject
        let user = try #require(try await harness.store.user(ExternalIdentity(issuer: "https://accounts.example", subject: "id-of-alan")))
        #expect(subject == user.id)
        let again = try await enter("alan", "right")
        #expect(again.page.contains("Person &lt;alan&gt;"))
        #expect(try await harness.store.users(after: "", limit: 10).count == 3)
        #expect(try await enter("alan", "wrong").last.status == 401)
        #expect(try await enter("down", "right").last.status == 503)
        #expect(try await enter("ada", "correct horse").last.status == 401, "passwords of our own do not count then")
        try await harness.server.disableUser(named: user.name)
        #expect(try await enter("alan", "right").last.status == 401)
    }

    @Test("L-02: a blocked user is refused like a wrong password, and the audit log says which it was")
    func blocked() async throws {
        let harness = try await Harness()
        let ada = try #require(try await harness.server.user(named: "ada"))
        try await harness.server.disableUser(named: "ada")
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        let reply = try await browser.signIn("ada")
        #expect(reply.status == 401)
        let refused = try #require(harness.events.events.last { $0.action == "sign_in" })
        #expect(refused.reason == "user_disabled" && refused.subject == ada.id)
        try await browser.go(.get, "/account")
        try await browser.signIn("grace", password: "wrong")
        #expect(harness.events.contains("sign_in", "wrong_password"))
    }

    @Test("a password of before is hashed anew when hashing costs more")
    func rehash() async throws {
        let store = MemoryStore()
        let master = MasterKey.random()
        let time = TestClock()
        let old = try await Harness(store: store, master: master, time: time)
        let before = try #require(try await old.server.user(named: "ada")?.passwordHash)
        let configuration = old.server.configuration
        let server = try await AuthorizationServer(
            Harness.issuer, configuration: configuration, store: store, master: master, hasher: PasswordHasher(cost: 11), clock: time.clock)
        #expect(before.text.contains("n=10"))
        let browser = Browser(Harness(old, server))
        try await browser.go(.get, "/account")
        try await browser.signIn("ada")
        #expect(try await server.user(named: "ada")?.passwordHash?.text.contains("n=11") == true)
        try await browser.go(.get, "/account")
        #expect(browser.page.contains("ada"))
    }

    @Test("a new password ends what was begun with the old one")
    func newPassword() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        try await harness.server.setPassword("another horse", ofUser: "ada")
        #expect(try await !harness.accepts(tokens.access))
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        #expect(try await browser.signIn("ada").status == 401)
        #expect(try await browser.signIn("ada", password: "another horse").status == 200)
    }
}

@Suite("What ends while somebody decides")
struct MeanwhileTests {
    let store = FailingStore()
    let harness: Harness

    init() async throws { harness = try await Harness(store: store) { $0.grantTypes.insert(.deviceCode) } }

    @Test("B-05: a code that is allowed while the session ends is shown to nobody")
    func code() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(try await harness.registered()))
        try await browser.signIn("ada")
        let ada = try #require(try await harness.server.user(named: "ada"))
        store.meanwhile.withLock { $0 = { $0.deleteSessions(ofUser: ada.id) } }
        let reply = try await browser.decide("allow")
        #expect(reply.status == 403 && reply.location == nil)
    }

    @Test("B-05: a device that is allowed while the session ends gets nothing")
    func device() async throws {
        let client = try await harness.registered([
            "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "token_endpoint_auth_method": "none",
        ])
        let begun = try await harness.post("/device_authorization", [("client_id", client)])
        let browser = Browser(harness)
        try await browser.go(.get, "/device")
        try await browser.signIn("ada")
        try await browser.go(.get, "/device")
        try await browser.submit("/device", [("user_code", try #require(begun.json["user_code"]?.string))])
        let ada = try #require(try await harness.server.user(named: "ada"))
        store.meanwhile.withLock { $0 = { $0.deleteSessions(ofUser: ada.id) } }
        #expect(try await browser.submit("/device/decision", [("decision", "allow")]).status == 403)
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("client_id", client),
            ("device_code", try #require(begun.json["device_code"]?.string)),
        ]
        #expect(try await harness.post("/token", form).error == "invalid_grant")
    }

    @Test("B-05: nobody comes in by a password that is changed in that moment")
    func password() async throws {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(try await harness.registered()))
        store.meanwhile.withLock {
            $0 = { store in
                guard let ada = store.user(named: "ada") else { return }
                var changed = ada
                changed.passwordHash = nil
                _ = store.update(changed, expecting: ada)
            }
        }
        #expect(try await browser.signIn("ada").status == 403)
        #expect(try await browser.go(.get, "/account").text.contains("password"), "and is asked for it")
    }
}

@Suite("People: pages")
struct PeopleTests {
    @Test("choosing fewer: what is unticked is not granted, nothing ticked is asked again, and nothing can be added")
    func fewer() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        func decide(_ ticked: [String]) async throws -> Browser {
            let browser = Browser(harness)
            try await browser.open(harness.parameters(client, [("scope", "read write")]))
            try await browser.signIn("ada")
            #expect(!browser.page.contains("checkbox"))
            try await browser.decide("choose")
            #expect(browser.page.contains("value=\"read\" checked") && browser.page.contains("value=\"write\" checked"))
            try await browser.decide("allow", [("choice", "offered")] + ticked.map { ("scope", $0) })
            return browser
        }
        let code = try #require(try await decide(["read"]).last.location?["code"])
        #expect(try await harness.redeem(client, code).json["scope"]?.string == "read")
        let more = try #require(try await decide(["read", "write", "admin", "delete"]).last.location?["code"])
        #expect(try await harness.redeem(client, more).json["scope"]?.string == "read write")
        let none = try await decide([])
        #expect(none.last.status == 400 && none.page.contains("role=\"alert\""))
        #expect(try await none.decide("allow", [("choice", "offered"), ("scope", "write")]).location?["code"] != nil)
    }

    @Test("languages: what the client asks for, else what the browser asks for, else the first; and the page says which")
    func languages() async throws {
        let harness = try await Harness {
            $0.resources[0].scopes = [
                ScopeDescription("read", "See things", translations: ["de": "Dinge sehen"]), ScopeDescription("write", "Change things"),
            ]
        }
        let client = try await harness.registered()
        func page(_ locales: String?, _ accepted: String?) async throws -> Browser {
            let browser = Browser(harness)
            if let accepted { browser.headers[.acceptLanguage] = accepted }
            try await browser.open(harness.parameters(client, [("ui_locales", locales)]))
            return browser
        }
        #expect(try await page(nil, nil).page.contains("<html lang=\"en\">"))
        #expect(try await page(nil, "fr, de-AT;q=0.9, en;q=0.8").page.contains("<html lang=\"de\">"))
        #expect(try await page("en", "de").page.contains("<html lang=\"en\">"))
        #expect(try await page("tlh de", nil).page.contains("Anmelden"))
        #expect(try await page("\"><svg>", "\"><svg>").page.contains("<html lang=\"en\">"))
        let german = try await page("de", nil)
        try await german.signIn("ada")
        #expect(german.page.contains("Dinge sehen") && german.page.contains("Erlauben"), "and stays so after sign-in")
        #expect(german.last.response.headerFields[.contentLanguage] == "de")
        #expect(harness.server.metadata["ui_locales_supported"]?.strings == ["en", "de"])
    }

    @Test("every word is there in every language, with the same places for what is put in")
    func words() {
        func texts(_ words: PageWords) -> [String: String] {
            Dictionary(
                uniqueKeysWithValues: Mirror(reflecting: words).children.compactMap { child in child.label.map { ($0, child.value as? String ?? "") }
                })
        }
        let (english, german) = (texts(PageLanguage.english.words), texts(PageLanguage.german.words))
        #expect(english.count > 50)
        for (name, text) in english {
            #expect(german[name]?.isEmpty == false && !text.isEmpty)
            for place in ["{0}", "{1}"] { #expect(text.contains(place) == german[name]?.contains(place), "\(name)") }
            #expect(text != german[name] || name == "deviceCode", "\(name) is not translated")
        }
    }

    @Test("branding: name, colours and a logo of our own, escaped, under a policy that lets nothing else in")
    func branding() async throws {
        let logo = Branding.Logo(Array("<svg onload=alert(1)/>".utf8), mediaType: "image/svg+xml", description: "\"><script>")
        let harness = try await Harness {
            $0.name = "Acme <Tools>"
            $0.branding.logo = logo
            $0.branding.accent = (light: "#ffee00", dark: "#0a0a0a")
        }
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        #expect(browser.page.contains("Acme &lt;Tools&gt;") && !browser.page.contains("<script>"))
        #expect(browser.page.contains("src=\"/assets/logo\""))
        #expect(browser.last.response.headerFields[.contentSecurityPolicy]?.contains("img-src 'self'") == true)
        let image = try await harness.send(.get, "/assets/logo")
        #expect(image.body == logo.bytes && image.response.headerFields[.contentSecurityPolicy]?.contains("sandbox") == true)
        let style = try await harness.send(.get, "/assets/style.css").text
        #expect(style.contains("light-dark(#ffee00, #0a0a0a)") && style.contains("light-dark(#000000, #ffffff)"), "readable text on either")
        let plain = try await Harness()
        #expect(!plain.server.serves("/assets/logo"))
        for colour in ["red", "#fff", "#ffee0g", "#ffffff;}body{"] {
            await #expect(throws: OAuthError.self) { try await Harness { $0.branding.accent = (light: colour, dark: "#000000") } }
        }
        await #expect(throws: OAuthError.self) {
            try await Harness { $0.branding.logo = Branding.Logo([], mediaType: "text/html", description: "") }
        }
    }

    @Test("L-02: what a caller called its operation is kept short and without what a terminal obeys")
    func operationNames() async throws {
        let harness = try await Harness()
        let tokens = try await harness.tokens(try await harness.registered())
        let resourceServer = try ResourceServer(Harness.resource, trusting: .local(harness.server), clock: harness.time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(tokens.access)"])
        for name in ["a\r\nb\u{1B}[2J\u{202E}", String(repeating: "x", count: 1_000_000)] {
            harness.time.advance(by: 1)
            _ = await resourceServer.authenticate(request, operation: .tool(name))
            await harness.server.maintain(sweeps: false)
            let user = try #require(try await harness.store.user(named: "ada"))
            let kept = try #require(try await harness.store.grants(ofUser: user.id, at: harness.time.now).first?.lastOperation)
            #expect(kept.utf8.count < 200 && kept.hasPrefix("tool "), "\(kept.utf8.count)")
            #expect(!kept.unicodeScalars.contains { $0.value < 0x20 || $0 == "\u{202E}" }, "\(kept.debugDescription)")
        }
    }

    @Test("the account page says what each application did last, and one button ends it all")
    func account() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        let resourceServer = try ResourceServer(Harness.resource, trusting: .local(harness.server), clock: harness.time.clock)
        harness.time.advance(by: 100)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(tokens.access)"])
        _ = await resourceServer.authenticate(request, operation: .tool("search-<b>tasks"))
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        try await browser.signIn("ada")
        #expect(browser.page.contains("tool search-&lt;b&gt;tasks"), "before it is written down")
        await harness.server.maintain(sweeps: false)
        try await browser.go(.get, "/account")
        #expect(browser.page.contains("tool search-&lt;b&gt;tasks"), "and after")
        let other = Browser(harness)
        try await other.go(.get, "/account")
        try await other.signIn("ada")
        let stranger = Browser(harness)
        try await stranger.go(.get, "/account")
        try await stranger.signIn("grace")
        #expect(try await stranger.submit("/account/sign-out-everywhere", [], transaction: browser.transaction).status == 403, "B-04")
        let shared = Browser(harness)
        try await shared.go(.get, "/account")
        try await shared.signIn("ada")
        let adas = shared.transaction
        try await shared.submit("/sign-out", [])
        try await shared.go(.get, "/account")
        try await shared.signIn("grace")
        #expect(
            try await shared.submit("/account/sign-out-everywhere", [], transaction: adas).status == 403, "B-07: ada's page, with grace signed in")
        let waiting = try await harness.code(client)
        #expect(try await browser.submit("/account/sign-out-everywhere", []).status == 200)
        #expect(try await harness.redeem(client, waiting).error == "invalid_grant", "a code that somebody else may have got")
        #expect(try await !harness.accepts(tokens.access))
        try await other.go(.get, "/account")
        #expect(other.page.contains("name=\"password\""), "every browser of theirs")
        try await stranger.go(.get, "/account")
        #expect(!stranger.page.contains("name=\"password\""), "and nobody else's")
    }
}
