import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Devices (RFC 8628)")
struct DeviceTests {
    let harness: Harness
    let client: String

    init() async throws {
        harness = try await Harness { $0.grantTypes.insert(.deviceCode) }
        client = try await harness.registered([
            "client_name": "A television", "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
            "token_endpoint_auth_method": "none", "redirect_uris": [],
        ])
    }

    struct Codes {
        let device: String
        let user: String
    }

    func begin(_ more: [(String, String)] = []) async throws -> Codes {
        let reply = try await harness.post("/device_authorization", [("client_id", client)] + more)
        return Codes(device: try #require(reply.json["device_code"]?.string), user: try #require(reply.json["user_code"]?.string))
    }

    func poll(_ codes: Codes, _ more: [(String, String)] = [], client id: String? = nil) async throws -> HTTPReply {
        try await harness.post(
            "/token",
            [
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("client_id", id ?? client), ("device_code", codes.device),
            ] + more)
    }

    func signedIn(_ user: String = "ada") async throws -> Browser {
        let browser = Browser(harness)
        try await browser.go(.get, "/device")
        try await browser.signIn(user)
        return browser
    }

    @discardableResult
    func enter(_ code: String, _ browser: Browser) async throws -> HTTPReply {
        try await browser.go(.get, "/device")
        return try await browser.submit("/device", [("user_code", code)])
    }

    @discardableResult
    func decide(_ decision: String, _ browser: Browser, _ more: [(String, String)] = []) async throws -> HTTPReply {
        try await browser.submit("/device/decision", [("decision", decision)] + more)
    }

    @Test("positive control, R125: begun, allowed, redeemed once; the answer is what the RFC says")
    func control() async throws {
        let reply = try await harness.post("/device_authorization", [("client_id", client), ("scope", "read")])
        #expect(reply.status == 200 && reply.json["expires_in"]?.int == 600 && reply.json["interval"]?.int == 5)
        #expect(reply.json["verification_uri"]?.string == "https://as.example/device")
        let user = try #require(reply.json["user_code"]?.string)
        #expect(user.contains(/^[B-Z]{4}-[B-Z]{4}$/))
        #expect(reply.json["verification_uri_complete"]?.string == "https://as.example/device?user_code=\(user)")
        let codes = Codes(device: try #require(reply.json["device_code"]?.string), user: user)
        #expect(try await poll(codes).error == "authorization_pending")
        let browser = try await signedIn()
        try await enter(user, browser)
        #expect(browser.page.contains("A television") && browser.page.contains(user) && browser.page.contains("class=\"warning\""))
        #expect(try await decide("allow", browser).status == 200)
        harness.time.advance(by: 6)
        let tokens = try await poll(codes)
        #expect(tokens.status == 200 && tokens.json["scope"]?.string == "read")
        #expect(try await harness.accepts(try #require(tokens.json["access_token"]?.string)))
        #expect(try await harness.refresh(client, try #require(tokens.json["refresh_token"]?.string)).status == 200)
        harness.time.advance(by: 6)
        #expect(try await poll(codes).error == "invalid_grant", "once")
    }

    @Test("the page for a code names the user, and lets another one go on with the same code")
    func anotherUser() async throws {
        let codes = try await begin()
        let browser = try await signedIn()
        try await browser.go(.get, "/device?user_code=\(codes.user)")
        #expect(browser.page.contains("Not ada? Use another account"))
        try await browser.submit("/sign-out", [])
        try await browser.signIn("grace")
        #expect(browser.page.contains("value=\"\(codes.user)\"") && browser.page.contains("Not grace?"))
        try await browser.submit("/device", [("user_code", codes.user)])
        try await decide("allow", browser)
        let tokens = try await poll(codes)
        let decided = try #require(harness.events.events.last { $0.action == "device.decided" })
        let grace = try #require(try await harness.server.user(named: "grace"))
        #expect(tokens.status == 200 && decided.subject == grace.id)
    }

    @Test("X-08: asking too often is answered so, and makes the interval longer")
    func slowDown() async throws {
        let codes = try await begin()
        #expect(try await poll(codes).error == "authorization_pending")
        harness.time.advance(by: 1)
        let early = try await poll(codes)
        #expect(early.status == 400 && early.error == "slow_down")
        harness.time.advance(by: 6)
        #expect(try await poll(codes).error == "slow_down")
        harness.time.advance(by: 16)
        #expect(try await poll(codes).error == "authorization_pending")
    }

    @Test("X-08: denied, too late, another client's, unknown")
    func ends() async throws {
        let denied = try await begin()
        let browser = try await signedIn()
        try await enter(denied.user, browser)
        try await decide("deny", browser)
        #expect(try await poll(denied).error == "access_denied")
        let foreign = try await begin()
        let other = try await harness.registered([
            "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "token_endpoint_auth_method": "none", "redirect_uris": [],
        ])
        #expect(try await poll(foreign, client: other).error == "invalid_grant")
        #expect(try await poll(Codes(device: "x", user: "")).error == "invalid_grant")
        harness.time.advance(by: 600)
        #expect(try await poll(foreign).error == "expired_token")
        #expect(try await enter(foreign.user, browser).status == 404)
    }

    @Test("X-08: a device that was allowed and has not asked yet ends with everything else of its user")
    func signedOut() async throws {
        let codes = try await begin()
        let browser = try await signedIn()
        try await enter(codes.user, browser)
        try await decide("allow", browser)
        try await harness.server.setPassword("another password", ofUser: "ada")
        #expect(try await poll(codes).error == "invalid_grant")
    }

    @Test("X-08: of twenty who ask at the moment of approval, one gets tokens")
    func race() async throws {
        for _ in 0..<10 {
            let codes = try await begin()
            let browser = try await signedIn()
            try await enter(codes.user, browser)
            try await decide("allow", browser)
            let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 { group.addTask { try await poll(codes).status == 200 } }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(wins == 1)
        }
    }

    @Test("X-08: wider scopes at redemption, and somebody who was locked out meanwhile")
    func widening() async throws {
        let codes = try await begin([("scope", "read")])
        let browser = try await signedIn("grace")
        try await enter(codes.user, browser)
        try await decide("allow", browser)
        #expect(try await poll(codes, [("scope", "write")]).error == "invalid_scope")
        try await harness.server.disableUser(named: "grace")
        #expect(try await poll(codes).error == "invalid_grant")
        #expect(try await harness.post("/device_authorization", [("client_id", client), ("scope", "admin")]).error == "invalid_scope")
    }

    @Test("X-08, B-06: the decision belongs to the page that asked: another session, another code, a second time")
    func tamper() async throws {
        let (one, two) = (try await begin(), try await begin())
        let browser = try await signedIn()
        try await enter(one.user, browser)
        let question = browser.transaction
        let stranger = try await signedIn("grace")
        #expect(try await stranger.submit("/device/decision", [("decision", "allow")], transaction: question).status == 403)
        let tampered: [(String, String)] = [("user_code", two.user), ("client_id", "x"), ("decision", "allow")]
        _ = try await browser.submit("/device/decision", tampered, transaction: question)
        #expect(try await poll(two).error == "authorization_pending")
        #expect(try await poll(one).status == 200)
        #expect(try await browser.submit("/device/decision", [("decision", "allow")], transaction: question).status == 410)
        // The page for typing the code is no page for deciding.
        try await browser.go(.get, "/device?user_code=\(two.user)")
        #expect(try await decide("allow", browser).status == 403)
        browser.headers = [HTTPField.Name("Sec-Fetch-Site")!: "cross-site"]
        #expect(try await browser.submit("/device", [("user_code", two.user)]).status == 403)
    }

    @Test("X-07: guesses are throttled by account, codes are the same in every spelling, and nothing typed comes back as HTML")
    func guessing() async throws {
        let codes = try await begin()
        let browser = try await signedIn()
        for spelling in [codes.user.lowercased(), codes.user.replacing("-", with: ""), codes.user.replacing("-", with: " ")] {
            #expect(try await enter(spelling, browser).text.contains("A television"), "\(spelling)")
        }
        var statuses: [Int] = []
        for index in 0..<20 {
            browser.peer = "198.51.100.\(index)"
            statuses.append(try await enter("BBBB-BBB" + ["B", "C", "D"][index % 3], browser).status)
        }
        #expect(statuses.prefix(5).allSatisfy { $0 == 404 } && statuses.dropFirst(5).allSatisfy { $0 == 429 })
        let other = try await signedIn("grace")
        let reply = try await enter("\"><svg/onload=alert(1)>", other)
        #expect(!reply.text.contains("<svg"))
        let fresh = Browser(harness)
        try await fresh.go(.get, "/device?user_code=" + Form.encode("\"><svg/onload=alert(1)>"))
        #expect(!fresh.page.contains("<svg"))
        #expect(fresh.page.contains("name=\"password\""), "nobody types a code before they have signed in")
    }

    @Test("choosing fewer permissions works for devices too")
    func fewer() async throws {
        let codes = try await begin([("scope", "read write")])
        let browser = try await signedIn()
        try await enter(codes.user, browser)
        #expect(try await decide("allow", browser, [("choice", "offered")]).status == 400)
        try await decide("allow", browser, [("choice", "offered"), ("scope", "write"), ("scope", "admin")])
        #expect(try await poll(codes).json["scope"]?.string == "write")
    }

    @Test("X-21, R129: off unless it is switched on")
    func off() async throws {
        let plain = try await Harness()
        #expect(plain.server.metadata["device_authorization_endpoint"] == nil && !plain.server.serves("/device"))
        #expect(harness.server.metadata["device_authorization_endpoint"]?.string == "https://as.example/device_authorization")
        let reply = try await plain.post("/token", [("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", "x")])
        #expect(reply.error == "unsupported_grant_type")
    }
}
