import HTTPTypes
import JOSE
import MCPAuthClient
import MCPAuthTesting
import OAuth
import Testing

@Suite("Hostile servers")
struct HostileServerTests {
    let world = World()

    @Test(
        "C-01, R70: an authorization endpoint that is not https reaches no browser",
        arguments: [
            "javascript:alert(1)", "data:text/html,x", "file:///bin/sh", "ms-settings:", "--help", "http://evil.example/authorize",
            "https://x/\u{0A}touch", "https://x/\"&calc&\"", "https://x/`touch pwned`",
        ])
    func authorizationURL(_ url: String) async throws {
        world.answer(World.well, World.metadata(World.issuer, ["authorization_endpoint": .string(url)]))
        let agent = Agent()
        await fails(.invalidMetadata) { _ = try await world.session(agent).call(world) }
        #expect(agent.visits.urls.isEmpty)
    }

    @Test("R71, C-01: what a shell would read is one argument, and nothing runs")
    func shell() async throws {
        world.answer(World.well, World.metadata(World.issuer, ["authorization_endpoint": "https://as.example/$(touch%20pwned);x&y"]))
        let agent = Agent()
        _ = try await world.session(agent).call(world)
        #expect(agent.visits.urls.first?.text.hasPrefix("https://as.example/$(touch%20pwned);x&y?response_type=code") == true)
    }

    @Test(
        "R20, C-03: metadata whose issuer is not the named one, byte for byte, is not used",
        arguments: ["https://other.example", "https://as.example/", "https://AS.example", "https://as.example/e\u{301}"])
    func issuerMismatch(_ issuer: String) async throws {
        world.answer(World.well, World.metadata(World.issuer, ["issuer": .string(issuer)]))
        await fails(.invalidMetadata) { _ = try await world.session().call(world) }
        #expect(world.requests(to: World.issuer + "/register").isEmpty)
    }

    @Test("R43, C-06: an authorization server that does not promise S256 gets no sign-in", arguments: [JSONValue.null, ["plain"], []])
    func codeChallenge(_ methods: JSONValue) async throws {
        world.answer(World.well, World.metadata(World.issuer, ["code_challenge_methods_supported": methods]))
        let agent = Agent()
        let message = await fails(.invalidMetadata) { _ = try await world.session(agent).call(world) }
        #expect(message.contains("S256") && agent.visits.urls.isEmpty)
        #expect(world.requests(to: World.issuer + "/register").isEmpty)
        // Unless the issuer is named.
        _ = try await world.session(agent) { $0.issuersWithUnadvertisedPKCE = [try! Issuer(World.issuer)] }.call(world)
        #expect(try agent.visits.forms.first?.single("code_challenge_method") == "S256")
    }

    @Test(
        "R34, R35, R36, R37, C-05: an answer of another issuer is not acted on, also when it is an error",
        arguments: [
            "code=c&state=STATE&iss=https%3A%2F%2Fother.example", "code=c&state=STATE&iss=https%3A%2F%2Fas.example%2F", "code=c&state=STATE",
            "error=access_denied&error_description=visit+evil.example&state=STATE&iss=https%3A%2F%2Fother.example",
            "error=access_denied&state=STATE", "code=c&state=STATE&iss=https%3A%2F%2Fas.example&iss=https%3A%2F%2Fas.example",
            "code=c&code=d&state=STATE&iss=https%3A%2F%2Fas.example",
        ])
    func mixUp(_ answer: String) async throws {
        let agent = Agent(answer: { _, state in answer.replacing("STATE", with: state) })
        do {
            _ = try await world.session(agent).call(world)
            Issue.record("accepted")
        } catch let error as OAuthError {
            #expect(error.code == .invalidResponse || error.code == .invalidRequest, "\(error)")
            #expect(!error.message.contains("evil.example"))
        }
        #expect(world.forms(to: World.issuer + "/token").isEmpty && world.sent(to: World.other).isEmpty)
    }

    @Test("C-11: only an answer with the expected state counts")
    func state() {
        #expect(AuthorizationAnswer.query(of: "/callback?code=c&state=right", state: "right") == "code=c&state=right")
        for wrong in [
            "/callback?code=c", "/callback?code=c&state=wrong", "/callback?state=right&state=right", "/callback?code=c#state=right", "",
            "/callback?code=c&state=right%00",
        ] {
            #expect(AuthorizationAnswer.query(of: wrong, state: "right") == nil, "\(wrong)")
        }
    }

    @Test(
        "R16, R17: the metadata must describe the server that was asked for",
        arguments: [
            ("https://rs.example/mcp", true), ("https://rs.example/mcp/", true), ("https://RS.example:443/mcp", true), ("https://rs.example", true),
            ("https://rs.example/", true), ("https://rs.example/mc", false), ("https://rs.example/mcp/more", false),
            ("https://evil.example/mcp", false), ("http://rs.example/mcp", false), ("https://rs.example/other", false),
        ])
    func resource(_ resource: String, _ isGood: Bool) async throws {
        world.answer(World.resourceDocument, ["resource": .string(resource), "authorization_servers": [.string(World.issuer)]])
        if isGood {
            _ = try await world.session().call(world)
        } else {
            await fails(.invalidMetadata) { _ = try await world.session().call(world) }
        }
    }

    @Test(
        "C-14: a token response that RFC 6749 does not allow is an error, and nothing is kept",
        arguments: [
            #"{"access_token":"a"}"#, #"{"access_token":"a","token_type":"mac"}"#, #"{"access_token":"a b","token_type":"Bearer"}"#,
            #"{"access_token":"a\r\nX: y","token_type":"Bearer"}"#, #"{"access_token":"","token_type":"Bearer"}"#,
            #"{"access_token":"a","token_type":"Bearer","expires_in":-1}"#, #"{"access_token":"a","token_type":"Bearer","expires_in":1e300}"#,
            #"{"access_token":"a","token_type":"Bearer","error":"invalid_grant"}"#,
            #"{"access_token":"a","token_type":"Bearer","refresh_token":"x y"}"#,
            #"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#, "[]", "", "<html>",
        ])
    func tokenResponse(_ body: String) async throws {
        world.answer(World.issuer + "/token") { _ in HTTPReply(.ok, body: Array(body.utf8)) }
        let store = MemoryTokenStore()
        await fails(.invalidResponse) { _ = try await world.session(store: store).call(world) }
        #expect(try await store.keys().allSatisfy { !$0.hasPrefix("tokens") })
    }

    @Test("C-14: a lifetime as text is read, and no lifetime means that the server decides")
    func lenient() async throws {
        world.answer(World.issuer + "/token") { [world] request in
            let reply = world.issue(request)
            var json = (try? JSONValue(parsing: reply.body))?.object ?? [:]
            json["expires_in"] = "60"
            json["token_type"] = "bearer"
            return .json(.object(json))
        }
        let session = try world.session()
        _ = try await session.call(world)
        #expect(try await session.stored()?.expiresAt == world.time.clock.now.advanced(by: 60))
    }

    @Test(
        "C-14: a registration that cannot be used is an error",
        arguments: [
            #"{"client_id":"a\nb"}"#, #"{}"#, #"{"client_id":"c","redirect_uris":["https://evil.example/cb"]}"#,
            #"{"client_id":"c","client_secret":"a b","token_endpoint_auth_method":"client_secret_basic"}"#,
            #"{"client_id":"c","token_endpoint_auth_method":"tls_client_auth"}"#, "[]",
        ])
    func registration(_ body: String) async throws {
        world.answer(World.issuer + "/register") { _ in HTTPReply(.created, body: Array(body.utf8)) }
        let agent = Agent()
        await fails(.invalidResponse) { _ = try await world.session(agent).call(world) }
        #expect(agent.visits.urls.isEmpty)
    }

    @Test(
        "R25: the answer of the registration decides how the client authenticates", arguments: ["client_secret_basic", "client_secret_post", "none"])
    func authenticationMethod(_ method: String) async throws {
        world.answer(World.issuer + "/register", ["client_id": "c", "client_secret": "s", "token_endpoint_auth_method": .string(method)], .created)
        _ = try await world.session().call(world)
        let request = try #require(world.requests(to: World.issuer + "/token").first)
        let form = try Form(parsing: request.body)
        #expect((request.fields[.authorization] == "Basic Yzpz") == (method == "client_secret_basic"))
        #expect(try (form.single("client_secret") == "s") == (method == "client_secret_post"))
    }

    @Test("R29: a redirect URI with the other name of this machine is tried when the first is rejected")
    func otherLoopbackName() async throws {
        world.answer(World.issuer + "/register") { request in
            let metadata = (try? JSONValue(parsing: request.body))?.object ?? [:]
            guard metadata["redirect_uris"]?.strings?.first?.hasPrefix("http://localhost") == true else {
                return .error(OAuthError(.invalidRedirectURI, "localhost only"))
            }
            var reply = metadata
            reply["client_id"] = "c"
            return .json(.object(reply), status: .created)
        }
        let agent = Agent(uris: [Agent.redirectURI, "http://localhost:3999/callback"])
        _ = try await world.session(agent).call(world)
        #expect(try agent.visits.forms.first?.single("redirect_uri") == "http://localhost:3999/callback")
    }

    @Test("R24, R25, R26, R27: the order is registered, metadata document, registration; a document is used where it is supported")
    func registrationOrder() async throws {
        world.answer(World.well, World.metadata(World.issuer, ["client_id_metadata_document_supported": true]))
        let agent = Agent()
        let document = try ClientMetadataDocument("https://app.example/client.json")
        _ = try await world.session(agent) { $0.metadataDocument = document }.call(world)
        #expect(try agent.visits.forms[0].single("client_id") == "https://app.example/client.json")
        world.answer(World.well, World.metadata())
        _ = try await world.session(agent) { $0.metadataDocument = document }.call(world)
        #expect(try agent.visits.forms[1].single("client_id") == "client-of-as.example")
        _ = try await world.session(agent) {
            $0.metadataDocument = document
            $0.registered = [RegisteredClient(issuer: try! Issuer(World.issuer), authentication: .none(clientID: "mine"))]
        }.call(world)
        #expect(try agent.visits.forms[2].single("client_id") == "mine")
        world.answer(World.well, World.metadata(World.issuer, ["registration_endpoint": nil]))
        let message = await fails(.unauthorizedClient) { _ = try await world.session(agent).call(world) }
        #expect(message.contains("client ID"))
    }

    @Test("R24: where the metadata document is rejected, the client registers instead, keeps to that, and renews", arguments: [false, true])
    func rejectedDocument(_ pushes: Bool) async throws {
        world.answer(
            World.well,
            World.metadata(
                World.issuer,
                [
                    "client_id_metadata_document_supported": true, "require_pushed_authorization_requests": .bool(pushes),
                    "pushed_authorization_request_endpoint": .string(World.issuer + "/par"),
                ]))
        world.answer(World.issuer + "/authorize") { request in
            HTTPReply(request.url.query?.contains("app.example") == true ? .badRequest : .ok)
        }
        world.answer(World.issuer + "/par") { request in
            String(decoding: request.body, as: UTF8.self).contains("app.example")
                ? .error(OAuthError(.invalidClient, "the document cannot be fetched"), status: .unauthorized)
                : .json(["request_uri": "urn:ietf:params:oauth:request_uri:1", "expires_in": 60], status: .created)
        }
        let agent = Agent()
        let document = try ClientMetadataDocument("https://app.example/client.json")
        let session = try world.session(agent) { $0.metadataDocument = document }
        _ = try await session.call(world)
        let ids = try world.forms(to: World.issuer + "/token").map { try $0.single("client_id") }
        #expect(ids == ["client-of-as.example"])
        // The tokens of that client are renewed as that client, although the document is still preferred elsewhere.
        world.time.advance(by: 3600)
        _ = try await session.call(world)
        let forms = world.forms(to: World.issuer + "/token")
        #expect(try forms.last?.single("grant_type") == "refresh_token")
        #expect(world.requests(to: World.issuer + "/register").count == 1)
        // Without a registration endpoint there is no way out, and nothing is hidden.
        let other = World()
        other.answer(
            World.well, World.metadata(World.issuer, ["client_id_metadata_document_supported": true, "registration_endpoint": nil]))
        other.answer(World.issuer + "/authorize") { _ in HTTPReply(.badRequest) }
        _ = try await other.session(agent) { $0.metadataDocument = document }.call(other)
        #expect(try other.forms(to: World.issuer + "/token")[0].single("client_id") == "https://app.example/client.json")
    }

    @Test("S, R38: a token exchange sends the caller's token to the named issuer only, with type, resource and the client's secret")
    func tokenExchange() async throws {
        func subject(_ issuer: String) throws -> SubjectToken {
            SubjectToken(issuer: try Issuer(issuer)) { () throws(OAuthError) in "the-token-of-the-caller" }
        }
        let client = try RegisteredClient(issuer: World.issuer, clientID: "front", secret: "a-secret")
        let session = try world.session {
            $0.grant = .tokenExchange(try! subject(World.issuer))
            $0.registered = [client]
        }
        _ = try await session.call(world)
        let form = try #require(world.forms(to: World.issuer + "/token").first)
        #expect(try form.single("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange")
        #expect(try form.single("subject_token") == "the-token-of-the-caller")
        #expect(try form.single("subject_token_type") == SubjectToken.accessTokenType)
        #expect(try form.single("resource") == World.server)
        world.answer(World.resourceDocument, World.resource(World.other))
        let there = try RegisteredClient(issuer: World.other, clientID: "front", secret: "another-secret")
        let moved = try world.session {
            $0.grant = .tokenExchange(try! subject(World.issuer))
            $0.registered = [there]
        }
        await fails(.invalidConfiguration) { _ = try await moved.call(world) }
        #expect(!world.sent(to: World.other).contains("the-token-of-the-caller"))
        let unregistered = try world.session { $0.grant = .tokenExchange(try! subject(World.other)) }
        await fails(.invalidConfiguration) { _ = try await unregistered.call(world) }
        #expect(!world.sent(to: World.other).contains("the-token-of-the-caller"))
    }

    @Test("R18, R19: the metadata of an issuer with a path is looked for in the order of the specification")
    func order() async throws {
        world.answer(World.resourceDocument, World.resource("https://as.example/tenant"))
        await fails(.fetchFailed) { _ = try await world.session().call(world) }
        #expect(
            world.log.map(\.url.text).filter { $0.hasPrefix("https://as.example") } == [
                "https://as.example/.well-known/oauth-authorization-server/tenant", "https://as.example/.well-known/openid-configuration/tenant",
                "https://as.example/tenant/.well-known/openid-configuration",
            ])
    }

    @Test("2025-03-26: without resource metadata the origin is the issuer, with metadata or without any document")
    func earlierRevisions() async throws {
        for hasDocument in [true, false] {
            let world = World()
            world.answer(World.server) { request in
                request.fields[.authorization] == "Bearer access-1" ? HTTPReply(.ok, body: Array("access-1".utf8)) : HTTPReply(.unauthorized)
            }
            world.answer(World.resourceDocument) { _ in HTTPReply(.notFound) }
            let origin = "https://rs.example"
            if hasDocument { world.answer(origin + "/.well-known/oauth-authorization-server", World.metadata(origin)) }
            world.answer(origin + "/register", ["client_id": "c"], .created)
            world.answer(origin + "/authorize") { _ in HTTPReply(.ok) }
            world.answer(origin + "/token") { [world] request in world.issue(request) }
            let agent = Agent(answer: { _, state in "code=c&state=\(state)&iss=\(Form.encode(origin))" })
            #expect(try await world.session(agent).call(world) == "access-1")
            #expect(agent.visits.urls.first?.text.hasPrefix(origin + "/authorize?") == true)
            #expect(try agent.visits.forms.first?.single("code_challenge_method") == "S256")
        }
    }

    @Test(
        "C-13: challenges that are broken, many or long end no process and say nothing",
        arguments: [
            "", ",,,", "Bearer", "Bearer ,", "Bearer realm=\"x", "Bearer a=\"\\", "Bearer =", "Basic YTpi, Bearer scope=\"a b\"",
            "Bearer scope=a, scope=b",
            String(repeating: "Bearer a=b, ", count: 5000), "Negotiate a87421000492aa874209af8bc028==, Bearer error=\"x\"",
        ])
    func challenges(_ header: String) {
        let found = AuthenticationChallenge.parse(header)
        #expect(found.count <= 16)
        if header.contains("a b") { #expect(found.last?["scope"] == "a b") }
        if header.contains("scope=a, scope=b") { #expect(found.first?["scope"] == nil) }
        if header.contains("error=") { #expect(found.last?["error"] == "x") }
    }

    @Test("C-13: a Basic challenge gets no OAuth credential")
    func basic() async throws {
        world.answer(World.server) { _ in HTTPReply(.unauthorized, [.wwwAuthenticate: "Basic realm=\"files\""]) }
        world.answer(World.resourceDocument) { _ in HTTPReply(.notFound) }
        let session = try world.session { configuration in
            configuration.registered = [
                RegisteredClient(issuer: try! Issuer(World.issuer), authentication: .basic(clientID: "mine", secret: "the-secret"))
            ]
        }
        _ = try? await session.send(world.request)
        #expect(!world.sent(to: "https://rs.example").contains("bWluZTp0aGUtc2VjcmV0"))
    }

    @Test("R102, R103, C-20: a nonce is asked for twice at most, every proof is new, and a bound client never falls back to Bearer")
    func nonces() async throws {
        world.answer(World.well, World.metadata(World.issuer, ["dpop_signing_alg_values_supported": ["ES256"]]))
        world.answer(World.issuer + "/token") { request in
            HTTPReply(.badRequest, [HTTPField.Name("DPoP-Nonce")!: "n-\(request.fields.count)"], body: Array(#"{"error":"use_dpop_nonce"}"#.utf8))
        }
        let session = try world.session { $0.proofOfPossession = .required }
        await fails(.useDPoPNonce) { _ = try await session.call(world) }
        let proofs = world.requests(to: World.issuer + "/token").compactMap { $0.fields[HTTPField.Name("DPoP")!] }
        #expect(proofs.count == 3 && Set(proofs).count == 3)
        let url = try #require(WebURL(World.issuer + "/token"))
        #expect(try DPoPProof(parsing: proofs[2], method: "POST", url: url, accessToken: nil, at: world.time.clock.now).nonce != nil)
        world.answer(World.issuer + "/token") { [world] request in world.issue(request, type: "Bearer") }
        await fails(.invalidResponse) { _ = try await session.call(world) }
        world.answer(World.issuer + "/token") { [world] request in world.issue(request, type: "DPoP") }
        _ = try await session.call(world)
        let request = try #require(world.requests(to: World.server).last)
        #expect(request.fields[.authorization]?.hasPrefix("DPoP ") == true)
        let proof = try #require(request.fields[HTTPField.Name("DPoP")!])
        let token = try #require(try await session.stored()?.accessToken)
        _ = try DPoPProof(parsing: proof, method: "POST", url: WebURL(World.server)!, accessToken: token, at: world.time.clock.now)
    }

    @Test("C-20: a token type that needs a key is refused when there is none")
    func unexpectedBinding() async throws {
        world.answer(World.issuer + "/token") { [world] request in world.issue(request, type: "DPoP") }
        await fails(.invalidResponse) { _ = try await world.session().call(world) }
    }
}
