import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("What a client learns of a user")
struct PersonTests {
    let harness: Harness
    init() async throws {
        harness = try await Harness()
        try await harness.server.addUser(
            named: "lin", password: "correct horse", displayName: "Lin Chen", email: "lin@example.com", isEmailVerified: true)
    }

    func tokens(_ client: String, _ scope: String, as user: String = "lin") async throws -> JSONValue {
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("scope", scope)]))
        try await browser.signIn(user, password: user == "grace" ? "battery staple" : "correct horse")
        let code = try #require(try await browser.decide("allow").location?["code"])
        return try await harness.redeem(client, code).json
    }

    func claims(_ reply: JSONValue) throws -> JWTClaims {
        try JWTClaims(parsing: CompactJWS(parsing: try #require(reply["access_token"]?.string)).payload)
    }

    @Test("a resource has no scope named like those of OpenID Connect, unless that is off; then it means nothing but the resource's own")
    func collision() async throws {
        let resource = try ProtectedResource("https://rs.example/mcp", scopes: [.init("email", "Send e-mail")])
        var configuration = AuthorizationServerConfiguration(resources: [resource])
        func server() async throws(OAuthError) -> AuthorizationServer {
            try await AuthorizationServer("https://as.example", configuration: configuration, store: MemoryStore(), master: .random())
        }
        let error = await #expect(throws: OAuthError.self) { try await server() }
        #expect(error?.code == .invalidConfiguration && error?.message.contains("email") == true)
        configuration.isOpenIDProvider = false
        _ = try await server()
    }

    @Test("access token, ID token, userinfo and introspection agree, also after a refresh, and the principal reads well")
    func agreement() async throws {
        let client = try await harness.registered()
        let reply = try await tokens(client, "openid profile email read")
        let expected: [(String, JSONValue)] = [
            ("name", "Lin Chen"), ("preferred_username", "lin"), ("email", "lin@example.com"), ("email_verified", true),
        ]
        let refreshed = try await harness.refresh(client, try #require(reply["refresh_token"]?.string)).json
        let id = try JWTClaims(parsing: CompactJWS(parsing: try #require(reply["id_token"]?.string)).payload)
        let access = try #require(refreshed["access_token"]?.string)
        let userInfo = try await harness.send(.get, "/userinfo", [.authorization: "Bearer \(access)"]).json
        for (name, value) in expected {
            #expect(try claims(reply)[name]?.value == value, "access token")
            #expect(try claims(refreshed)[name]?.value == value, "access token after a refresh")
            #expect(id[name]?.value == value, "ID token")
            #expect(userInfo[name] == value, "userinfo")
        }
        let resourceServer = try ResourceServer(Harness.resource, trusting: .local(harness.server), clock: harness.time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(access)"])
        guard case .accepted(let principal) = await resourceServer.authenticate(request) else { throw Refused() }
        #expect(principal.name == "Lin Chen" && principal.preferredUsername == "lin" && principal.email == "lin@example.com")
        #expect(principal.isEmailVerified && principal.locale == nil && principal.picture == nil)
        #expect(principal.claims["email"]?.string == "lin@example.com")
    }
    struct Refused: Error {}

    @Test("101: nothing is shared without its scope, and no address without one")
    func least() async throws {
        let client = try await harness.registered()
        for scope in ["read", "openid read"] {
            let claims = try claims(try await tokens(client, scope))
            for name in ["name", "preferred_username", "email", "email_verified"] { #expect(claims[name] == nil, "\(scope): \(name)") }
        }
        let named = try claims(try await tokens(client, "profile read"))
        #expect(named["name"]?.string == "Lin Chen" && named["email"] == nil)
        let addressed = try claims(try await tokens(client, "email read", as: "grace"))
        #expect(addressed["email"] == nil && addressed["email_verified"] == nil, "grace has no address")
    }

    @Test("consent says in words what identity scopes share, and what was unticked is not shared")
    func consent() async throws {
        let client = try await harness.registered()
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("scope", "openid profile email read")]))
        try await browser.signIn("lin", password: "correct horse")
        for text in ["See things", "See your name", "See your e-mail address", "Recognize your account"] { #expect(browser.page.contains(text)) }
        try await browser.decide("choose")
        #expect(!browser.page.contains(#"value="openid""#), "nothing to choose about")
        let code = try #require(
            try await browser.decide("allow", [("choice", "offered"), ("scope", "read"), ("scope", "profile")]).location?["code"])
        let reply = try await harness.redeem(client, code).json
        #expect(reply["scope"]?.string == "openid profile read" && reply["id_token"]?.string != nil)
        #expect(try claims(reply)["email"] == nil)
        try await browser.go(.get, "/account")
        #expect(browser.page.contains("See your name") && !browser.page.contains("See your e-mail address"))
    }

    @Test("an exchanged token says nothing of the user: the scopes of identity do not go along")
    func addresses() async throws {
        for text in ["", "lin", "lin@", "@example.com", "a@b@c", "a b@c", "a@b\n", "a@\u{202E}b", String(repeating: "x", count: 250) + "@e.org"] {
            #expect(User.validEmail(text) == nil, "\(text)")
            await #expect(throws: OAuthError.self) {
                try await harness.server.addUser(named: "new", password: "correct horse", email: text)
            }
        }
        #expect(User.validEmail("lin.chen+mcp@example.co.uk") != nil)
    }

    @Test("P-08: a user of another table is known by what that table says, and by no made-up name")
    func external() async throws {
        let harness = try await Harness(
            signIn: [
                .custom { name, _ in
                    SignedInPerson(
                        issuer: "https://people.example", subject: name, displayName: name == "x" ? "Ex" : nil, email: "\(name)@people.example")
                }
            ])
        let client = try await harness.registered()
        for (name, displayed) in [("x", "Ex"), ("y", nil)] as [(String, String?)] {
            let browser = Browser(harness)
            try await browser.open(harness.parameters(client, [("scope", "profile email read")]))
            try await browser.signIn(name, password: "any")
            let code = try #require(try await browser.decide("allow").location?["code"])
            let claims = try claims(try await harness.redeem(client, code).json)
            #expect(claims["name"]?.string == displayed && claims["preferred_username"] == nil)
            #expect(claims["email"]?.string == "\(name)@people.example" && claims["email_verified"]?.bool == false)
        }
    }
}

@Suite("A refresh answer that was lost")
struct LostAnswerTests {
    let harness: Harness
    let client: String
    init() async throws {
        harness = try await Harness()
        client = try await harness.registered()
    }

    func use(_ token: String) async throws {
        let resourceServer = try ResourceServer(Harness.resource, trusting: .local(harness.server), clock: harness.time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        guard case .accepted = await resourceServer.authenticate(request, operation: .tool("search")) else { throw Refused() }
    }
    struct Refused: Error {}

    @Test("131: the client that never heard the answer gets the same successor, for an hour, and goes on")
    func recovered() async throws {
        let tokens = try await harness.tokens(client)
        harness.time.advance(by: 100)
        let lost = try await harness.refresh(client, tokens.refresh).json
        try await use(tokens.access)
        harness.time.advance(by: 3000)
        let again = try await harness.refresh(client, tokens.refresh)
        #expect(again.status == 200 && again.json["refresh_token"] == lost["refresh_token"])
        #expect(harness.events.contains("token.refreshed", "recovered"))
        #expect(try await harness.refresh(client, try #require(again.json["refresh_token"]?.string)).status == 200)
    }

    @Test("F-04: once the successor was used, by its access token or by itself, its predecessor ends the grant", arguments: [true, false])
    func used(_ isAccess: Bool) async throws {
        let tokens = try await harness.tokens(client)
        harness.time.advance(by: 100)
        let next = try await harness.refresh(client, tokens.refresh).json
        let (access, refresh) = (try #require(next["access_token"]?.string), try #require(next["refresh_token"]?.string))
        if isAccess { try await use(access) } else { _ = try await harness.refresh(client, refresh) }
        harness.time.advance(by: 60)
        #expect(try await harness.refresh(client, tokens.refresh).error == "invalid_grant")
        #expect(harness.events.contains("refresh_token.reused"))
        #expect(try await !harness.accepts(access))
        #expect(try await harness.refresh(client, refresh).error == "invalid_grant")
    }

    @Test("F-04: a use that was written down counts as one that was not yet; introspection and userinfo count too")
    func writtenDown() async throws {
        let tokens = try await harness.tokens(client)
        harness.time.advance(by: 100)
        let next = try await harness.refresh(client, tokens.refresh).json
        try await use(try #require(next["access_token"]?.string))
        await harness.server.maintain(sweeps: false)
        harness.time.advance(by: 60)
        #expect(try await harness.refresh(client, tokens.refresh).error == "invalid_grant")

        let other = try await harness.redeem(client, try await harness.code(client, [("scope", "openid read")])).json
        harness.time.advance(by: 100)
        let second = try await harness.refresh(client, try #require(other["refresh_token"]?.string)).json
        let info = try await harness.send(.get, "/userinfo", [.authorization: "Bearer \(try #require(second["access_token"]?.string))"])
        #expect(info.status == 200)
        harness.time.advance(by: 60)
        #expect(try await harness.refresh(client, try #require(other["refresh_token"]?.string)).error == "invalid_grant")
    }

    @Test("the time is bounded, and can be turned off", arguments: [(Int64(3600), Int64(3599), 200), (3600, 3600, 400), (0, 31, 400)])
    func bounded(_ period: Int64, _ after: Int64, _ status: Int) async throws {
        let harness = try await Harness { $0.refreshRecovery = period }
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        harness.time.advance(by: 100)
        _ = try await harness.refresh(client, tokens.refresh)
        harness.time.advance(by: after)
        #expect(try await harness.refresh(client, tokens.refresh).status == status)
    }

    @Test("F-05: nobody but the client of the token recovers anything, or ends anything")
    func foreign() async throws {
        let tokens = try await harness.tokens(client)
        harness.time.advance(by: 100)
        let next = try await harness.refresh(client, tokens.refresh).json
        harness.time.advance(by: 60)
        #expect(try await harness.refresh(try await harness.registered(), tokens.refresh).error == "invalid_grant")
        #expect(try await harness.refresh(client, try #require(next["refresh_token"]?.string)).status == 200)
    }
}
