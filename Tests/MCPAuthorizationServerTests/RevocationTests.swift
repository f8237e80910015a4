import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Revocation and introspection")
struct RevocationTests {
    let harness: Harness
    let client: String

    init() async throws {
        harness = try await Harness()
        client = try await harness.registered()
    }

    @Test(
        "122: a revoked access token ends at once, alone; a refresh token takes everything with it",
        arguments: ["access_token", "refresh_token", "nonsense", nil])
    func revoke(_ hint: String?) async throws {
        let tokens = try await harness.tokens(client)
        let more = hint.map { [("token_type_hint", $0)] } ?? []
        #expect(try await harness.post("/revoke", [("client_id", client), ("token", tokens.access)] + more).status == 200)
        #expect(try await !harness.accepts(tokens.access))
        let fresh = try await harness.refresh(client, tokens.refresh)
        let access = try #require(fresh.json["access_token"]?.string)
        #expect(try await harness.accepts(access))
        #expect(
            try await harness.post("/revoke", [("client_id", client), ("token", try #require(fresh.json["refresh_token"]?.string))] + more).status
                == 200)
        #expect(try await !harness.accepts(access))
        #expect(try await harness.refresh(client, try #require(fresh.json["refresh_token"]?.string)).error == "invalid_grant")
    }

    @Test(
        "103: the audit log says whose token it was that is revoked, with and without a cache; of an unknown token it says nothing",
        arguments: [0, 100])
    func holder(_ capacity: Int) async throws {
        let tokens = try await harness.tokens(client)
        let audit = EventRecorder()
        let resourceServer = try ResourceServer(
            Harness.resource, trusting: .local(harness.server), audit: AuditLog([audit]), clock: harness.time.clock, cacheCapacity: capacity)
        func ask(_ token: String) async {
            _ = await resourceServer.authenticate(
                HTTPRequest(
                    method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"]))
        }
        await ask(tokens.access)
        try await harness.post("/revoke", [("client_id", client), ("token", tokens.access)])
        await ask(tokens.access)
        await ask("no-token-of-this-server")
        let revoked = try #require(audit.events.first { $0.reason == "revoked" })
        let ada = try #require(try await harness.server.user(named: "ada"))
        #expect(revoked.subject == ada.id && revoked.clientID == client)
        #expect(audit.events.last?.subject == nil && audit.events.last?.reason != "revoked")
    }

    @Test("F-09: other clients' tokens and garbage are 200 and change nothing; a client that is none is 401")
    func foreign() async throws {
        let tokens = try await harness.tokens(client)
        let other = try await harness.registered()
        for token in [tokens.access, tokens.refresh, "garbage", "a.b.c"] {
            #expect(try await harness.post("/revoke", [("client_id", other), ("token", token)]).status == 200)
        }
        #expect(try await harness.accepts(tokens.access))
        #expect(try await harness.post("/revoke", [("client_id", "nobody"), ("token", tokens.access)]).status == 401)
        #expect(try await harness.refresh(client, tokens.refresh).status == 200)
    }

    @Test("F-11, O-07: when the store fails, revocation and every other write is a 503, never a 200 and never a theft")
    func failingStore() async throws {
        let store = FailingStore()
        let harness = try await Harness(store: store)
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        let code = try await harness.code(client)
        store.fails = true
        let answers = [
            try await harness.post("/revoke", [("client_id", client), ("token", tokens.refresh)]), try await harness.refresh(client, tokens.refresh),
            try await harness.redeem(client, code), try await harness.register(),
        ]
        #expect(answers.map(\.status) == [503, 503, 503, 503])
        #expect(answers.allSatisfy { !$0.text.contains("disk") && $0.response.headerFields[.retryAfter] != nil })
        store.fails = false
        #expect(try await harness.refresh(client, tokens.refresh).status == 200)
        #expect(try await harness.redeem(client, code).status == 200)
        #expect(try await harness.post("/revoke", [("client_id", client), ("token", tokens.refresh)]).status == 200)
    }

    @Test("I3: what was revoked stays revoked after a restart")
    func restart() async throws {
        let store = MemoryStore()
        let master = MasterKey.random()
        let before = try await Harness(store: store, master: master)
        let client = try await before.registered()
        let tokens = try await before.tokens(client)
        let alive = try await before.tokens(client)
        _ = try await before.post("/revoke", [("client_id", client), ("token", tokens.refresh)])
        let after = try await Harness(store: store, master: master)
        #expect(try await !after.accepts(tokens.access))
        #expect(try await after.accepts(alive.access))
    }

    @Test("R-12, F-06: somebody who is disabled is out at once, with everything they allowed")
    func disabled() async throws {
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        let grace = try await harness.tokens(client, as: "grace")
        #expect(try await harness.accepts(tokens.access))
        try await harness.server.disableUser(named: "ada")
        #expect(try await !harness.accepts(tokens.access))
        #expect(try await harness.refresh(client, tokens.refresh).status == 400)
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client))
        #expect(try await browser.signIn("ada").status == 401)
        #expect(try await harness.accepts(grace.access))
        await #expect(throws: OAuthError.self) { try await harness.server.disableUser(named: "nobody") }
    }

    @Test("M-14: a revocation that was made while the clock was wrong is not forgotten early")
    func clockFault() async throws {
        let client = try await harness.registered()
        let first = try await harness.tokens(client)
        let second = try await harness.tokens(client)
        _ = try await harness.post("/revoke", [("token", first.refresh), ("client_id", client)])
        harness.time.advance(by: -2 * 86400)
        _ = try await harness.post("/revoke", [("token", second.refresh), ("client_id", client)])
        harness.time.advance(by: 2 * 86400)
        #expect(try await !harness.accepts(second.access))
    }

    @Test("123, F-13: only a registered resource server learns about a token, and only about its own")
    func introspection() async throws {
        func server(_ id: String, _ resource: String) async throws {
            try await harness.store.save(
                Client(
                    id: ClientID(id)!, name: nil, redirectURIs: [], authenticationMethod: .post,
                    secrets: [ClientSecret(SecretHash(of: "secret-\(id)"))],
                    grantTypes: [], origin: .configured,
                    createdAt: harness.time.now, introspects: resource), limit: .max)
        }
        try await server("rs", Harness.resource)
        try await server("foreign", "https://other.example")
        let tokens = try await harness.tokens(client)
        func ask(_ id: String, _ token: String) async throws -> HTTPReply {
            try await harness.post("/introspect", [("client_id", id), ("client_secret", "secret-\(id)"), ("token", token)])
        }
        let good = try await ask("rs", tokens.access)
        #expect(good.json["active"]?.bool == true && good.json["aud"]?.string == Harness.resource && good.json["scope"]?.string == "read")
        for reply in [try await ask("foreign", tokens.access), try await ask("rs", tokens.refresh), try await ask("rs", "garbage")] {
            #expect(reply.text == #"{"active":false}"#)
        }
        #expect(try await harness.post("/introspect", [("client_id", client), ("token", tokens.access)]).status == 401)
        #expect(try await harness.post("/introspect", [("token", tokens.access)]).status == 401)
        _ = try await harness.post("/revoke", [("client_id", client), ("token", tokens.access)])
        #expect(try await ask("rs", tokens.access).text == #"{"active":false}"#)
    }
}

@Suite("Registration, metadata, start")
struct RegistrationTests {
    let harness: Harness
    init() async throws { harness = try await Harness() }

    @Test(
        "D-03, Z-07: redirect URIs that nobody may register",
        arguments: [
            "javascript:alert(1)", "data:text/html,x", "http://example.com/cb", "https://*.example.com/cb", "https://c.example/cb#f",
            "https://u:p@c.example/", "/cb", "myapp:cb", "https://10.0.0.1/cb", "file:///x",
        ])
    func badRedirects(_ uri: String) async throws {
        let reply = try await harness.register(["redirect_uris": [.string(uri)]])
        #expect(reply.status == 400 && reply.error == "invalid_redirect_uri")
    }

    @Test(
        "D-03: a program that can be reached in several ways is registered for all of them; a script never passes with others"
    )
    func mixedRedirects() async throws {
        let good: [JSONValue] = ["https://www.editor.example/callback", "http://localhost:8787/callback"]
        let reply = try await harness.register(["redirect_uris": .array(["editor://vendor.extension/callback"] + good)])
        #expect(reply.status == 201 && reply.json["redirect_uris"]?.array == ["editor://vendor.extension/callback"] + good)
        for bad in [
            "javascript:alert(1)", "javascript://x/%0aalert(1)", "data:text/html,x", "file:///x", "http://example.com/cb", "intent://x",
            "https://10.0.0.1/",
        ] {
            #expect(try await harness.register(["redirect_uris": .array([.string(bad)] + good)]).error == "invalid_redirect_uri", "\(bad)")
        }
    }

    @Test(
        "D-02, D-04, D-05: metadata of wrong types, and metadata that asks for more",
        arguments: [
            #"[]"#, #"{"redirect_uris":"https://c.example/cb"}"#, #"{"redirect_uris":null}"#, #"{"redirect_uris":{}}"#, #"{"redirect_uris":[]}"#,
            #"{"redirect_uris":[1]}"#, #"{}"#, #"x"#,
            #"{"redirect_uris":["https://c.example/cb"],"redirect_uris":["https://evil.lab"]}"#,
            #"{"redirect_uris":["https://c.example/cb"],"grant_types":["client_credentials"]}"#,
            #"{"redirect_uris":["https://c.example/cb"],"grant_types":["refresh_token"]}"#,
            #"{"redirect_uris":["https://c.example/cb"],"response_types":["token"]}"#,
            #"{"redirect_uris":["https://c.example/cb"],"token_endpoint_auth_method":"private_key_jwt"}"#,
            #"{"redirect_uris":["https://c.example/cb"],"jwks":{"keys":[]}}"#,
            #"{"redirect_uris":["https://c.example/cb"],"software_statement":"x"}"#,
            #"{"redirect_uris":["https://c.example/cb"],"dpop_bound_access_tokens":"yes"}"#,
            #"{"redirect_uris":["https://c.example/cb"],"scope":["read"]}"#,
        ])
    func badMetadata(_ text: String) async throws {
        let reply = try await harness.send(.post, "/register", [.contentType: "application/json"], body: text)
        #expect(reply.status == 400 && ["invalid_client_metadata", "invalid_redirect_uri", "invalid_software_statement"].contains(reply.error))
    }

    @Test("D-04: what a client may not choose is ignored, and the answer says what was registered")
    func ignored() async throws {
        let reply = try await harness.register([
            "redirect_uris": [.string(Harness.redirectURI)], "client_id": "admin", "client_secret": "x", "scope": "admin", "skip_consent": true,
            "trusted": true,
        ])
        #expect(
            reply.status == 201 && reply.json["client_id"]?.string?.hasPrefix("client-") == true && reply.json["client_secret"]?.string?.count == 43)
        #expect(
            reply.json["token_endpoint_auth_method"]?.string == "client_secret_basic" && reply.json["scope"] == nil && reply.json["trusted"] == nil)
    }

    @Test("D-01: registration is limited by address, and in number")
    func flood() async throws {
        var statuses: [Int] = []
        for _ in 0..<70 { statuses.append(try await harness.register().status) }
        #expect(statuses.prefix(60).allSatisfy { $0 == 201 } && statuses.suffix(10).allSatisfy { $0 == 429 })
        let small = try await Harness { $0.maximumDynamicClients = 2 }
        #expect(try await [small.register().status, small.register().status, small.register().status] == [201, 201, 503])
    }

    @Test("registration can be switched off, and is then not advertised (R129)")
    func off() async throws {
        let closed = try await Harness { $0.dynamicRegistration = .off }
        #expect(!closed.server.serves("/register") && !closed.server.serves("/register/client"))
        #expect(closed.server.metadata["registration_endpoint"] == nil)
    }

    @Test("R47, R48, O-03: the metadata is at every well-known place of an issuer with a path, and says the same")
    func pathIssuer() async throws {
        let tenant = try await Harness(issuer: "https://as.example/tenant")
        for path in [
            "/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant", "/tenant/.well-known/openid-configuration",
        ] {
            let json = try await tenant.send(.get, path).json
            #expect(json["issuer"]?.string == "https://as.example/tenant" && json["token_endpoint"]?.string == "https://as.example/tenant/token")
            #expect(json["code_challenge_methods_supported"] == ["S256"] && json["authorization_response_iss_parameter_supported"] == true)
        }
        #expect(try await tenant.send(.get, "/tenant/jwks").json["keys"]?.array?.count == 1)
    }

    @Test("X-21: every endpoint that the metadata names answers")
    func truth() async throws {
        for (name, value) in harness.server.metadata.object ?? [:] where name.hasSuffix("_endpoint") || name == "jwks_uri" {
            let path = try #require(value.string.flatMap(WebURL.init)?.path)
            #expect(harness.server.serves(path), "\(name)")
        }
    }

    @Test("the keys survive a restart; another master key is refused with advice", arguments: [SigningAlgorithm.es256, .edDSA, .rs256])
    func keys(_ algorithm: SigningAlgorithm) async throws {
        let store = MemoryStore()
        let master = MasterKey.random()
        let before = try await Harness(store: store, master: master) { $0.signingAlgorithms = [algorithm] }
        let token = try await before.tokens(try await before.registered()).access
        let after = try await Harness(store: store, master: master) { $0.signingAlgorithms = [algorithm] }
        #expect(try await after.accepts(token))
        let error = await #expect(throws: OAuthError.self) { try await Harness(store: store) }
        #expect(error?.code == .invalidConfiguration && error?.message.contains("master key") == true)
    }

    @Test("M-11: the store never holds a private key in clear")
    func sealedKeys() async throws {
        let store = MemoryStore()
        _ = try await Harness(store: store)
        for key in store.signingKeys() { #expect(!String(decoding: key.sealed, as: UTF8.self).contains("PRIVATE")) }
    }

    @Test("configuration mistakes get an answer that says what to do")
    func configuration() async throws {
        for configure: (inout AuthorizationServerConfiguration) -> Void in [
            { $0.resources = [] }, { $0.accessTokenLifetime = 0 }, { $0.codeLifetime = 3600 }, { $0.refreshGrace = 61 },
            { $0.signingAlgorithms = [.hs256] },
        ] { await #expect(throws: OAuthError.self) { try await Harness(configure: configure) } }
        await #expect(throws: OAuthError.self) { try await Harness(issuer: "http://as.example") }
    }
}
