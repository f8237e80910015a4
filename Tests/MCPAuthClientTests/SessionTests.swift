import HTTPTypes
import JOSE
import MCPAuthClient
import MCPAuthTesting
import OAuth
import Testing

@Suite("Authorized session")
struct SessionTests {
    let world = World()

    @Test("R16, R17, R24, R28, R38, R40, R43, R45: a first request leads through discovery, registration and sign-in")
    func firstRequest() async throws {
        let agent = Agent()
        let session = try world.session(agent)
        #expect(try await session.call(world) == "access-1")
        let registration = try #require(try? JSONValue(parsing: world.requests(to: World.issuer + "/register").first?.body ?? []))
        #expect(registration["application_type"]?.string == "native")
        #expect(registration["grant_types"]?.strings == ["authorization_code", "refresh_token"])
        #expect(registration["redirect_uris"]?.strings == [Agent.redirectURI])
        let asked = try #require(agent.visits.forms.first)
        #expect(try asked.single("resource") == World.server && asked.single("code_challenge_method") == "S256" && asked.single("scope") == "read")
        #expect(try (asked.single("state")?.utf8.count ?? 0) >= 43)
        let form = try #require(world.forms(to: World.issuer + "/token").first)
        #expect(
            try form.single("resource") == World.server && form.single("code") == "the-code" && form.single("client_id") == "client-of-as.example")
        let verifier = try #require(try form.single("code_verifier").flatMap { CodeVerifier($0) })
        #expect(try asked.single("code_challenge") == CodeChallenge(of: verifier).text)
        // The token stands in the header only.
        #expect(!world.log.contains { $0.url.text.contains("access-1") })
        #expect(try await session.call(world) == "access-1" && agent.visits.urls.count == 1)
    }

    @Test("R42, C-15: a token is renewed before it expires, by one request for fifty callers, with the resource")
    func oneRefresh() async throws {
        let session = try world.session()
        _ = try await session.call(world)
        world.time.advance(by: 580)
        let tokens = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<50 { group.addTask { try await session.call(self.world) } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(tokens == ["access-2"])
        let forms = world.forms(to: World.issuer + "/token")
        #expect(forms.count == 2)
        #expect(try forms[1].single("grant_type") == "refresh_token" && forms[1].single("resource") == World.server)
    }

    @Test("C-15: two sessions that share a store refresh once, and the second takes what the first has stored")
    func sharedStore() async throws {
        let store = MemoryTokenStore()
        let (one, two) = (try world.session(store: store), try world.session(store: store))
        _ = try await one.call(world)
        #expect(try await two.call(world) == "access-1")
        world.revokeTokens()
        #expect(try await one.call(world) == "access-2")
        // A new sign-in elsewhere is noticed when the old token is rejected, without a request to the token endpoint.
        #expect(try await two.call(world) == "access-2")
        #expect(world.forms(to: World.issuer + "/token").count == 2)
    }

    @Test("C-15: a renewal that fails costs nothing while the token is good, and the refresh token stays")
    func failedRefresh() async throws {
        let session = try world.session()
        _ = try await session.call(world)
        world.time.advance(by: 580)
        world.answer(World.issuer + "/token") { _ in HTTPReply(.serviceUnavailable) }
        #expect(try await session.call(world) == "access-1")
        world.fail(OAuthError(.fetchFailed, "cut"))
        #expect(try await session.call(world) == "access-1")
        world.time.advance(by: 60)
        await fails(.fetchFailed) { _ = try await session.call(world) }
        world.fail(nil)
        world.answer(World.issuer + "/token") { [world] request in world.issue(request) }
        #expect(try await session.call(world) == "access-2")
    }

    @Test("C-15: a grant that has ended leads to a new sign-in, and an old credential is not deleted before")
    func endedGrant() async throws {
        let (store, agent) = (MemoryTokenStore(), Agent())
        let session = try world.session(agent, store: store)
        _ = try await session.call(world)
        world.revokeTokens()
        world.answer(World.issuer + "/token") { [world] request in
            (try? Form(parsing: request.body).single("grant_type")) == "refresh_token"
                ? .error(OAuthError(.invalidGrant, "ended")) : world.issue(request)
        }
        // Without a user, the old record stays.
        let lonely = try world.session(nil, store: store)
        await fails(.loginRequired) { _ = try await lonely.call(world) }
        #expect(try await lonely.stored()?.accessToken == "access-1")
        #expect(try await session.call(world) == "access-2")
        #expect(agent.visits.urls.count == 2)
    }

    @Test("C-13: a server that rejects every token gets a few of them, then the user is told")
    func endlessChallenges() async throws {
        world.answer(World.server) { _ in HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer error=\"invalid_token\""]) }
        let agent = Agent()
        let session = try world.session(agent)
        let message = await fails(.invalidToken) { _ = try await session.call(world) }
        #expect(message.contains("rejects a token"))
        #expect(world.forms(to: World.issuer + "/token").count <= 3 && agent.visits.urls.count <= 2)
    }

    @Test("R31, R32, R33, C-13: further scopes are asked for with what was granted, at most three times, and not again after a refusal")
    func stepUp() async throws {
        let agent = Agent()
        let session = try world.session(agent)
        _ = try await session.call(world)
        world.demand("write")
        let reply = try await session.send(world.request)
        // The server still demands it, although it was granted: nothing is asked again.
        #expect(reply.response.status == .forbidden)
        #expect(try agent.visits.forms.last?.single("scope") == "read write")
        #expect(agent.visits.urls.count == 2)

        let growing = World()
        let count = Agent()
        let second = try growing.session(count)
        _ = try await second.call(growing)
        growing.answer(World.server) { request in
            HTTPReply(.forbidden, [.wwwAuthenticate: "Bearer error=\"insufficient_scope\", scope=\"more-\(growing.log.count)\""])
        }
        #expect(try await second.send(growing.request).response.status == .forbidden)
        #expect(count.visits.urls.count == 1 + AuthorizedSession.maximumStepUps)

        let refusing = World()
        let no = Agent(answer: { form, state in
            (try? form.single("scope")) == "read"
                ? "code=c&state=\(state)&iss=https://as.example" : "error=access_denied&state=\(state)&iss=https://as.example"
        })
        let third = try refusing.session(no)
        _ = try await third.call(refusing)
        refusing.demand("write")
        await fails(.insufficientScope) { _ = try await third.send(refusing.request) }
        await fails(.insufficientScope) { _ = try await third.send(refusing.request) }
        #expect(no.visits.urls.count == 2)
        refusing.demand([])
        #expect(try await third.call(refusing) == "access-1")
    }

    @Test("R21, R22, C-07: a server that moves to another authorization server gets nothing of the first one there")
    func moved() async throws {
        let agent = Agent(answer: { form, state in
            let id = (try? form.single("client_id")) ?? ""
            return "code=the-code&state=\(state)&iss=\(Form.encode(id.hasSuffix("other.example") ? World.other : World.issuer))"
        })
        let session = try world.session(agent)
        _ = try await session.call(world)
        world.answer(World.resourceDocument, World.resource(World.other))
        world.revokeTokens()
        #expect(try await session.call(world) == "access-2")
        let sent = world.sent(to: World.other)
        #expect(!sent.contains("refresh-1") && !sent.contains("access-1") && !sent.contains("client-of-as.example"))
        #expect(sent.contains("client-of-other.example"))
    }

    @Test("R22, R23, CVE-2026-104850: credentials of one issuer are never used at another, whatever the server says")
    func pinned() async throws {
        world.answer(World.resourceDocument, World.resource(World.other))
        let session = try world.session { configuration in
            configuration.registered = [
                RegisteredClient(issuer: try! Issuer(World.issuer), authentication: .basic(clientID: "mine", secret: "the-secret"))
            ]
        }
        let message = await fails(.invalidConfiguration) { _ = try await session.call(world) }
        #expect(message.contains("Nothing was sent"))
        #expect(!world.sent(to: World.other).contains("the-secret") && !world.sent(to: World.other).contains("bWluZTp0aGUtc2VjcmV0"))
        let machine = try world.session { configuration in
            configuration.grant = .workload(
                WorkloadIdentity(issuer: try! Issuer(World.issuer)) { () throws(OAuthError) in "the-assertion" })
        }
        await fails(.invalidConfiguration) { _ = try await machine.call(world) }
        #expect(!world.log.contains { String(decoding: $0.body, as: UTF8.self).contains("the-assertion") })
    }

    @Test("a request that no user waits for opens no browser, and the next one that a user waits for does")
    func background() async throws {
        let agent = Agent()
        let session = try world.session(agent)
        await fails(.loginRequired) { _ = try await session.send(world.request, mayAskUser: false) }
        #expect(agent.visits.urls.isEmpty)
        _ = try await session.call(world)
        #expect(try await session.send(world.request, mayAskUser: false).response.status == .ok && agent.visits.urls.count == 1)
    }

    @Test("C-15: a user who refuses further scopes to one caller fails no other caller, whose token is renewed")
    func refusalOfAnother() async throws {
        let agent = SlowRefusal()
        let session = try world.session(agent)
        _ = try await session.call(world)
        world.demand("write")
        async let refused = fails(.insufficientScope) { _ = try await session.send(world.request) }
        while await agent.gate.waiting == 0 { try await Task.sleep(for: .milliseconds(5)) }
        world.demand([])
        world.time.advance(by: 700)
        async let other = session.call(world)
        try await Task.sleep(for: .milliseconds(50))
        await agent.gate.open()
        _ = await refused
        #expect(try await other == "access-2")
    }

    @Test("static headers go to the exact server that they are for")
    func headers() async throws {
        let session = try world.session { configuration in
            configuration.grant = .headers(FixedHeaders(for: try! ResourceIdentifier("https://rs.example/other"), [.authorization: "Bearer static"]))
        }
        await fails(.invalidConfiguration) { _ = try await session.send(world.request) }
        #expect(world.log.isEmpty)
    }

    @Test(
        "R40, R41, C-08: redirects to another origin carry nothing, and those within the origin are followed once",
        arguments: ["https://evil.example/mcp", "http://rs.example/mcp", "//evil.example/mcp"])
    func redirects(_ location: String) async throws {
        let session = try world.session()
        _ = try await session.call(world)
        world.answer(World.server) { _ in HTTPReply(.temporaryRedirect, [.location: location]) }
        let reply = try await session.send(world.request)
        #expect(reply.response.status == .temporaryRedirect)
        #expect(!world.log.contains { $0.url.host == "evil.example" || $0.url.scheme == "http" })
        world.answer(World.server) { _ in HTTPReply(.temporaryRedirect, [.location: "/mcp/"]) }
        #expect(try await session.send(world.request).response.status == .ok)
        #expect(world.log.last?.url.text == "https://rs.example/mcp/")
        await fails(.invalidRequest) { _ = try await session.send(OutboundRequest(.post, WebURL("https://evil.example/mcp")!)) }
    }

    @Test("a server that needs no token gets none")
    func open() async throws {
        world.answer(World.server) { _ in HTTPReply(.ok) }
        let session = try world.session(nil)
        #expect(try await session.send(world.request).response.status == .ok)
        #expect(world.log.count == 1 && world.log[0].fields[.authorization] == nil)
    }

    @Test("a registration that the server has forgotten is replaced before the browser opens")
    func forgottenClient() async throws {
        let (store, agent) = (MemoryTokenStore(), Agent())
        _ = try await world.session(agent, store: store).call(world)
        world.revokeTokens()
        world.answer(World.issuer + "/token") { [world] request in
            (try? Form(parsing: request.body).single("grant_type")) == "refresh_token"
                ? .error(OAuthError(.invalidGrant, "ended")) : world.issue(request)
        }
        world.answer(World.issuer + "/authorize") { _ in HTTPReply(.badRequest) }
        #expect(try await world.session(agent, store: store).call(world) == "access-2")
        #expect(world.requests(to: World.issuer + "/register").count == 2 && agent.visits.urls.count == 2)
    }

    @Test("signing out revokes the refresh token and forgets everything for the server")
    func signOut() async throws {
        let session = try world.session()
        _ = try await session.call(world)
        #expect(try await session.signOut())
        #expect(try world.forms(to: World.issuer + "/revoke").first?.single("token") == "refresh-1")
        #expect(try await session.stored() == nil)
    }

    @Test("three calls are enough for an HTTP client of another project: headers, send, answer")
    func closures() async throws {
        let session = try world.session()
        #expect(try await session.headers().isEmpty)
        let refused = HTTPResponse(status: .unauthorized, headerFields: [.wwwAuthenticate: "Bearer resource_metadata=\"\(World.resourceDocument)\""])
        #expect(try await session.answer(refused, token: nil))
        #expect(try await session.headers()[.authorization] == "Bearer access-1")
        #expect(try await session.answer(HTTPResponse(status: .notFound), token: "access-1") == false)
    }
}
