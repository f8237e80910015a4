import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Synchronization
import Testing

@Suite("Machines: client credentials and token exchange")
struct MachineGrantTests {
    static let second = "https://second.example/mcp"
    let harness: Harness

    init() async throws {
        harness = try await Harness { configuration in
            configuration.grantTypes.formUnion([.clientCredentials, .tokenExchange])
            if let second = try? ProtectedResource(
                Self.second, scopes: [ScopeDescription("read", "See other things"), ScopeDescription("admin", "Everything")])
            {
                configuration.resources.append(second)
            }
            configuration.exchanges = [TokenExchangeRule(from: Harness.resource, to: [Self.second])]
            func client(_ name: String, _ grants: [GrantType], scopes: ScopeSet? = nil, introspects: String? = nil) -> Client {
                Client(
                    id: ClientID(name)!, name: name, redirectURIs: [], authenticationMethod: .post, secrets: [ClientSecret(SecretHash(of: "secret"))],
                    grantTypes: grants, scopes: scopes, origin: .configured, createdAt: NumericDate(seconds: 0), introspects: introspects)
            }
            configuration.clients = [
                client("robot", [.clientCredentials], scopes: ["read"]), client("bare", [.clientCredentials]),
                client("server", [.tokenExchange], introspects: Harness.resource),
                client("second", [.tokenExchange], introspects: Self.second), client("outsider", [.tokenExchange]),
            ]
        }
    }

    func token(_ client: String, _ more: [(String, String)], _ fields: HTTPFields = [:]) async throws -> HTTPReply {
        try await harness.post("/token", [("client_id", client), ("client_secret", "secret")] + more, fields)
    }

    func credentials(_ client: String, _ more: [(String, String)] = [("resource", Harness.resource)]) async throws -> HTTPReply {
        try await token(client, [("grant_type", "client_credentials")] + more)
    }

    // MARK: Client credentials

    @Test("positive control, R83, R84: a registered client gets a token for itself, without a refresh token, and it can be revoked")
    func control() async throws {
        let reply = try await credentials("robot")
        #expect(reply.status == 200 && reply.json["scope"]?.string == "read" && reply.json["refresh_token"] == nil)
        let token = try #require(reply.json["access_token"]?.string)
        let resourceServer = try ResourceServer(Harness.resource, trusting: .local(harness.server), clock: harness.time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        guard case .accepted(let principal) = await resourceServer.authenticate(request) else { throw Refused() }
        #expect(principal.isClient && principal.subject == "robot", "X-15: nobody takes it for a user")
        _ = try await harness.post("/revoke", [("token", token), ("client_id", "robot"), ("client_secret", "secret")])
        #expect(try await !harness.accepts(token))
    }
    struct Refused: Error {}

    @Test(
        "F-06: a client that is disabled or deleted in the very moment when it asks gets nothing, as if it had come later", arguments: [true, false])
    func disabledMeanwhile(_ isDeleted: Bool) async throws {
        let store = FailingStore()
        let harness = try await Harness(store: store) { $0.grantTypes.formUnion([.clientCredentials]) }
        let robot = Client(
            id: ClientID("robot")!, name: nil, redirectURIs: [try RedirectURI(Harness.redirectURI)], authenticationMethod: .post,
            grantTypes: [.clientCredentials, .authorizationCode], scopes: ["read"], origin: .configured, createdAt: harness.time.now)
        let secret = try #require(try await harness.server.addClient(robot))
        let form = [
            ("grant_type", "client_credentials"), ("client_id", "robot"), ("client_secret", secret), ("resource", Harness.resource),
        ]
        #expect(try await harness.post("/token", form).status == 200)
        let code = try await harness.code("robot")
        let before = try await store.client(robot.id)
        if isDeleted {
            try await harness.server.removeClient(robot.id)
        } else {
            try await harness.server.setDisabled(true, client: robot.id)
        }
        store.staleClient.withLock { $0 = before }
        #expect(try await harness.post("/token", form).error == "invalid_client")
        #expect(try await harness.redeem("robot", code, [("client_secret", secret)]).error == "invalid_grant")
        #expect(try await store.grants(limit: 10, at: harness.time.now).isEmpty)
    }

    @Test("X-14: a public client, one that registered itself, a document's; scopes of users; no resource among several")
    func misuse() async throws {
        let open = try await harness.registered()
        let reply = try await harness.post("/token", [("grant_type", "client_credentials"), ("client_id", open), ("resource", Harness.resource)])
        #expect(reply.error == "unauthorized_client")
        let asked = try await harness.register(["redirect_uris": [.string(Harness.redirectURI)], "grant_types": ["client_credentials"]])
        #expect(asked.error == "invalid_client_metadata")
        // Not even if a store said that such a client may.
        for (name, origin, method) in [("stray", Client.Origin.dynamic, Client.AuthenticationMethod.post), ("bare-robot", .configured, .none)] {
            let stray = Client(
                id: ClientID(name)!, name: nil, redirectURIs: [], authenticationMethod: method, secrets: [ClientSecret(SecretHash(of: "secret"))],
                grantTypes: [.clientCredentials], scopes: ["read"], origin: origin, createdAt: harness.time.now)
            try await harness.store.save(stray, limit: 10)
            var form = [("grant_type", "client_credentials"), ("client_id", name), ("resource", Harness.resource)]
            if method == .post { form.append(("client_secret", "secret")) }
            #expect(try await harness.post("/token", form).error == "unauthorized_client")
        }
        #expect(try await credentials("robot", [("resource", Harness.resource), ("scope", "write")]).error == "invalid_scope")
        #expect(try await credentials("bare").json["scope"]?.string == "", "what was not given is not got")
        #expect(try await credentials("bare", [("resource", Harness.resource), ("scope", "read")]).error == "invalid_scope")
        #expect(try await credentials("robot", []).error == "invalid_target")
        #expect(try await credentials("server").error == "unauthorized_client", "a client gets the grants that it is registered for")
    }

    @Test("X-15: no client can have the identifier of a user")
    func disjoint() async throws {
        let user = try #require(try await harness.server.user(named: "ada"))
        let client = Client(
            id: ClientID(user.id)!, name: nil, redirectURIs: [], authenticationMethod: .post, origin: .configured, createdAt: harness.time.now)
        await #expect(throws: OAuthError.self) { _ = try await harness.server.addClient(client) }
        #expect(user.id.hasPrefix("user-"))
    }

    @Test("R97: what one client may ask for is limited, and that of others is not; so is what one address may ask for, but not that of this machine")
    func limits() async throws {
        let limited = try await Harness { configuration in
            configuration.rateLimits.client = .init(burst: 5, everyMilliseconds: 1000)
            configuration.rateLimits.token = .init(burst: 20, everyMilliseconds: 1000)
            configuration.clients = ["one", "two"].map { name in
                Client(
                    id: ClientID(name)!, name: nil, redirectURIs: [], authenticationMethod: .post, secrets: [ClientSecret(SecretHash(of: "secret"))],
                    grantTypes: [], origin: .configured, createdAt: NumericDate(seconds: 0))
            }
        }
        func statuses(_ client: String, _ count: Int, peer: String = "127.0.0.1") async throws -> [Int] {
            var statuses: [Int] = []
            for _ in 0..<count {
                let reply = try await limited.send(
                    .post, "/revoke", [.contentType: "application/x-www-form-urlencoded"], body: "token=x&client_id=\(client)&client_secret=secret",
                    peer: peer)
                statuses.append(reply.status)
                if reply.status == 429 { #expect(reply.error == "too_many_requests" && reply.response.headerFields[.retryAfter] != nil) }
            }
            return statuses
        }
        #expect(try await statuses("one", 7) == [200, 200, 200, 200, 200, 429, 429])
        #expect(try await statuses("two", 1) == [200])
        let flood = try await statuses("unknown", 25, peer: "198.51.100.7")
        #expect(flood.prefix(20).allSatisfy { $0 == 401 } && flood.suffix(5).allSatisfy { $0 == 429 })
        #expect(try await statuses("unknown", 1, peer: "198.51.100.8") == [401])
        #expect(try await statuses("unknown", 25).allSatisfy { $0 == 401 })
        limited.time.advance(by: 10)
        #expect(try await statuses("one", 1) == [200])
    }

    // MARK: Token exchange

    func userToken(_ scope: String = "read write", _ fields: HTTPFields = [:]) async throws -> String {
        let client = try await harness.registered()
        let code = try await harness.code(client, [("scope", scope)])
        return try #require(try await harness.redeem(client, code, [], fields).json["access_token"]?.string)
    }

    func exchange(_ token: String, as client: String = "server", _ change: [(String, String?)] = [], _ fields: HTTPFields = [:]) async throws
        -> HTTPReply
    {
        var form: [(String, String)] = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"), ("resource", Self.second),
        ]
        for (name, value) in change {
            form.removeAll { $0.0 == name }
            if let value { form.append((name, value)) }
        }
        return try await self.token(client, form, fields)
    }

    func claims(_ token: String) throws -> JWTClaims { try JWTClaims(parsing: try CompactJWS(parsing: token).payload) }

    @Test("positive control, R126: the same user, the other resource, fewer scopes, not longer, who acts; and it ends with the user's grant")
    func exchanged() async throws {
        let subject = try await userToken()
        harness.time.advance(by: 100)
        let reply = try await exchange(subject)
        #expect(reply.status == 200 && reply.json["refresh_token"] == nil)
        #expect(reply.json["issued_token_type"]?.string == "urn:ietf:params:oauth:token-type:access_token")
        let token = try #require(reply.json["access_token"]?.string)
        let (old, new) = (try claims(subject), try claims(token))
        #expect(new.audience == [Self.second] && new.subject == old.subject && new["scope"]?.string == "read")
        #expect(new.expiration == old.expiration && new["act"]?["sub"]?.string == "server" && new["client_id"]?.string == "server")
        #expect(try await !harness.accepts(token))
        let second = try ResourceServer(Self.second, trusting: .local(harness.server), clock: harness.time.clock)
        func isAccepted() async -> Bool {
            let request = HTTPRequest(
                method: .post, scheme: "https", authority: "second.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
            if case .accepted = await second.authenticate(request) { return true }
            return false
        }
        #expect(await isAccepted())
        try await harness.server.disableUser(named: "ada")
        #expect(await !isAccepted())
    }

    @Test("X-10: subject tokens that do not count")
    func wrongSubject() async throws {
        let token = try await userToken()
        let client = try await harness.registered()
        let refresh = try await harness.tokens(client).refresh
        let mint = try TokenMint(issuer: Harness.issuer, clock: harness.time.clock)
        let forged = try mint.token(audience: Harness.resource, scopes: "read")
        for bad in [
            refresh, forged, "x", token + "x", try await credentials("robot", [("resource", Self.second)]).json["access_token"]?.string ?? "",
        ] {
            #expect(try await exchange(bad).error == "invalid_request")
        }
        #expect(try await exchange(token, as: "second").error == "unauthorized_client", "X-10: a resource without a rule")
        #expect(try await exchange(token, as: "outsider").error == "unauthorized_client")
        for type in ["urn:ietf:params:oauth:token-type:refresh_token", "urn:ietf:params:oauth:token-type:id_token", "x"] {
            #expect(try await exchange(token, [("subject_token_type", type)]).error == "invalid_request")
        }
        #expect(try await exchange(token, [("subject_token_type", nil)]).error == "invalid_request")
        #expect(try await exchange(token, [("actor_token", "x")]).error == "invalid_request")
        #expect(try await exchange(token).status == 200)
        harness.time.advance(by: 901)
        #expect(try await exchange(token).error == "invalid_request", "expired")
    }

    @Test("X-11: never wider: other scopes, other resources, a refresh token, a longer life")
    func widening() async throws {
        let token = try await userToken("read")
        #expect(try await exchange(token, [("scope", "admin")]).error == "invalid_scope")
        #expect(try await exchange(token, [("scope", "write")]).error == "invalid_scope")
        #expect(try await exchange(token, [("resource", Harness.resource)]).error == "invalid_target")
        #expect(try await exchange(token, [("resource", "https://evil.lab/")]).error == "invalid_target")
        #expect(try await exchange(token, [("resource", nil)]).error == "invalid_target")
        let kind = "urn:ietf:params:oauth:token-type:refresh_token"
        #expect(try await exchange(token, [("requested_token_type", kind)]).error == "invalid_request")
        let none = try await exchange(try await userToken("write"))
        #expect(none.json["scope"]?.string == "")
    }

    @Test("X-11: what the exchanging client may ask for at most holds here too; and a token of a client that is kept out is not active any more")
    func clientLimits() async throws {
        let token = try await userToken()
        let limited = Client(
            id: ClientID("limited")!, name: nil, redirectURIs: [], authenticationMethod: .post, secrets: [ClientSecret(SecretHash(of: "secret"))],
            grantTypes: [.tokenExchange], scopes: ["admin"], origin: .configured, createdAt: harness.time.now, introspects: Harness.resource)
        try await harness.store.save(limited, limit: 10)
        #expect(try await exchange(token, as: "limited", [("scope", "read")]).error == "invalid_scope")
        let exchanged = try #require(try await exchange(token, as: "limited").json["access_token"]?.string)
        func isActive() async throws -> Bool? {
            try await harness.post("/introspect", [("token", exchanged), ("client_id", "second"), ("client_secret", "secret")]).json["active"]?.bool
        }
        let elsewhere = try ResourceServer(Self.second, trusting: .local(harness.server), clock: harness.time.clock)
        func isAccepted(_ token: String) async -> Bool {
            let request = HTTPRequest(
                method: .post, scheme: "https", authority: "second.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
            if case .accepted = await elsewhere.authenticate(request) { return true }
            return false
        }
        #expect(try await isActive() == true)
        #expect(await isAccepted(exchanged))
        try await harness.server.setDisabled(true, client: limited.id)
        #expect(try await isActive() == false)
        #expect(await !isAccepted(exchanged), "F-08: at once, also where signatures alone are looked at, as long as it is our own process")
        harness.time.advance(by: 1)
        try await harness.server.setDisabled(false, client: limited.id)
        #expect(await !isAccepted(exchanged), "what it had got stays worth nothing")
        let another = try #require(try await exchange(token, as: "limited").json["access_token"]?.string)
        #expect(await isAccepted(another), "what it gets now does not")
    }

    @Test("X-12: the proof is not lost on the way")
    func proofs() async throws {
        let (user, server) = (try ProofMint(clock: harness.time.clock), try ProofMint(clock: harness.time.clock))
        func proof(_ mint: ProofMint) throws -> HTTPFields { [HTTPField.Name("DPoP")!: try mint.proof("POST", Harness.issuer + "/token")] }
        let bound = try await userToken("read", try proof(user))
        #expect(try await exchange(bound).error == "invalid_dpop_proof")
        let reply = try await exchange(bound, [], try proof(server))
        #expect(reply.status == 200 && reply.json["token_type"]?.string == "DPoP")
        #expect(try claims(try #require(reply.json["access_token"]?.string))["cnf"]?["jkt"]?.string == server.thumbprint)
    }

    func exchange(_ token: String, _ change: [(String, String?)], _ fields: HTTPFields = [:]) async throws -> HTTPReply {
        try await exchange(token, as: "server", change, fields)
    }
}

@Suite("Assertions: enterprise-managed authorization and workloads")
struct AssertionGrantTests {
    static let provider = "https://idp.example/tenant"
    static let platform = "https://platform.example"
    let harness: Harness
    let idp: TokenMint
    let platform: TokenMint
    let fetches: ScriptedFetcher

    init() async throws {
        let time = TestClock()
        let (idp, platform) = (
            try TokenMint(issuer: Self.provider, clock: time.clock), try TokenMint(issuer: Self.platform, algorithm: .rs256, clock: time.clock)
        )
        let fetcher = ScriptedFetcher { request throws(OAuthError) in
            let mint = request.url.host == "idp.example" ? idp : platform
            return try await mint.fetch(request)
        }
        (self.idp, self.platform, fetches) = (idp, platform, fetcher)
        harness = try await Harness(fetcher: fetcher, time: time) { configuration in
            configuration.grantTypes.insert(.jwtBearer)
            configuration.identityProviders = [
                TrustedIdentityProvider(issuer: Self.provider),
                TrustedIdentityProvider(issuer: "https://idp.example/closed", keys: .fixed([idp.key.verificationKey]), admitsNewUsers: false),
            ]
            var off = TrustedIdentityProvider(issuer: "https://idp.example/off", keys: .fixed([idp.key.verificationKey]))
            off.isEnabled = false
            configuration.identityProviders.append(off)
            if let workload = try? WorkloadTrust(
                name: "builder", issuer: Self.platform, subject: "repo:acme/app", claims: ["ref": "refs/heads/main"], resource: Harness.resource,
                scopes: ["read"])
            {
                configuration.workloads = [workload]
            }
            configuration.clients = [
                Client(
                    id: ClientID("agent")!, name: "Agent", redirectURIs: [], authenticationMethod: .post,
                    secrets: [ClientSecret(SecretHash(of: "secret"))],
                    grantTypes: [.jwtBearer, .refreshToken], origin: .configured, createdAt: NumericDate(seconds: 0)),
                Client(
                    id: ClientID("public")!, name: nil, redirectURIs: [], grantTypes: [.jwtBearer], origin: .configured,
                    createdAt: NumericDate(seconds: 0)),
            ]
        }
    }

    func assertion(_ change: JSONObject = [:], type: String? = "oauth-id-jag+jwt", key: SigningKey? = nil) throws -> String {
        let now = harness.time.now.seconds
        var claims: JSONObject = [
            "iss": .string(Self.provider), "sub": "u-1", "aud": .string(Harness.issuer), "client_id": "agent", "iat": .int(now),
            "exp": .int(now + 300),
            "jti": .string(RandomSource.system.token(bytes: 12)), "resource": .string(Harness.resource), "scope": "read",
        ]
        for claim in change { claims[claim.name] = claim.value.isNull ? nil : claim.value }
        return try CompactJWS.sign(JSONValue.object(claims).serialized, type: type, with: key ?? idp.key)
    }

    func send(_ assertion: String, _ more: [(String, String)] = [("client_id", "agent"), ("client_secret", "secret")], _ fields: HTTPFields = [:])
        async throws -> HTTPReply
    {
        try await harness.post(
            "/token", [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion)] + more, fields)
    }

    func subject(_ reply: HTTPReply) throws -> String {
        let token = try #require(reply.json["access_token"]?.string)
        return try #require(try JWTClaims(parsing: try CompactJWS(parsing: token).payload).subject)
    }

    // MARK: ID-JAG

    @Test("positive control, R88 to R92: a user of the provider is let in, the same user each time, with no refresh token")
    func control() async throws {
        #expect(harness.server.metadata["authorization_grant_profiles_supported"]?.strings == ["urn:ietf:params:oauth:grant-profile:id-jag"])
        let reply = try await send(try assertion())
        #expect(reply.status == 200 && reply.json["scope"]?.string == "read" && reply.json["refresh_token"] == nil)
        #expect(try await harness.accepts(try #require(reply.json["access_token"]?.string)))
        let again = try await send(try assertion())
        #expect(try subject(again) == subject(reply) && subject(reply).hasPrefix("user-"))
        let other = try await send(try assertion(["sub": "u-2"]))
        #expect(try subject(other) != subject(reply))
    }

    @Test(
        "X-16: assertions that do not count",
        arguments: [
            ["aud": "https://as.example/token"], ["aud": ["https://as.example", "https://evil.lab"]], ["aud": .null], ["client_id": "other"],
            ["client_id": .null], ["exp": 1_799_999_000], ["exp": .null], ["exp": 1_800_086_400], ["iat": .null], ["iat": 1_800_000_600],
            ["jti": .null],
            ["iss": "https://idp.example/other"], ["iss": "https://idp.example/off"], ["iss": "https://idp.example/tenant/"], ["sub": .null],
            ["sub": ""],
            ["nbf": 1_800_000_600], ["resource": "https://evil.lab/"], ["resource": 7], ["resource": []], ["scope": ["read"]], ["scope": ["a": 1]],
            ["authorization_details": []], ["cnf": ["jkt": "x"]],
        ] as [JSONObject])
    func refused(_ change: JSONObject) async throws {
        let reply = try await send(try assertion(change))
        #expect(reply.status == 400 && reply.error == "invalid_grant")
    }

    @Test("X-16, X-20: wrong keys, wrong kinds, our own tokens")
    func kinds() async throws {
        #expect(try await send(try assertion(key: try SigningKey.generate(.es256, keyID: idp.key.keyID))).error == "invalid_grant")
        for type in [nil, "JWT", "at+jwt", "dpop+jwt"] { #expect(try await send(try assertion(type: type)).error == "invalid_grant") }
        let pem = try #require(idp.key.verificationKey.pem)
        let hmac = try SigningKey.hmac(secret: Array(pem.utf8), algorithm: .hs256, keyID: idp.key.keyID)
        #expect(try await send(try assertion(key: hmac)).error == "invalid_grant")
        let own = try #require(try await send(try assertion()).json["access_token"]?.string)
        #expect(try await send(own).error == "invalid_grant")
        #expect(try await send("x").error == "invalid_grant")
        let none = Base64URL.encode(#"{"alg":"none","typ":"oauth-id-jag+jwt"}"#.utf8) + "." + (try assertion().split(separator: ".")[1]) + "."
        #expect(try await send(none).error == "invalid_grant")
    }

    @Test("O-07: while the keys of a provider cannot be had the answer is a retryable 503, and the assertion is not used up")
    func outage() async throws {
        let isAway = Synchronized(true)
        let idp = idp
        let fetcher = ScriptedFetcher { request throws(OAuthError) in
            if isAway.value { throw OAuthError(.fetchFailed, "away") }
            return try await idp.fetch(request)
        }
        let server = try await Harness(fetcher: fetcher, time: harness.time) { configuration in
            configuration.grantTypes.insert(.jwtBearer)
            configuration.identityProviders = [TrustedIdentityProvider(issuer: Self.provider)]
            configuration.clients = [
                Client(
                    id: ClientID("agent")!, name: nil, redirectURIs: [], authenticationMethod: .post,
                    secrets: [ClientSecret(SecretHash(of: "secret"))],
                    grantTypes: [.jwtBearer], origin: .configured, createdAt: NumericDate(seconds: 0))
            ]
        }
        let form = [
            ("grant_type", GrantType.jwtBearer.rawValue), ("client_id", "agent"), ("client_secret", "secret"), ("assertion", try assertion()),
        ]
        let reply = try await server.post("/token", form)
        #expect(reply.status == 503 && reply.error == "temporarily_unavailable")
        isAway.value = false
        harness.time.advance(by: 31)
        #expect(try await server.post("/token", form).status == 200)
    }

    @Test("X-17, R93, R135: an assertion is good once, of twenty at once too")
    func replay() async throws {
        let assertion = try assertion()
        let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<20 { group.addTask { try await send(assertion).status == 200 } }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(wins == 1)
        #expect(try await send(assertion).error == "invalid_grant")
    }

    @Test("X-18: nobody becomes somebody else by a subject of another tenant or by an e-mail address")
    func mapping() async throws {
        let ada = try #require(try await harness.server.user(named: "ada"))
        let reply = try await send(try assertion(["email": "ada", "email_verified": true, "preferred_username": "ada", "sub": .string(ada.id)]))
        #expect(try subject(reply) != ada.id)
        #expect(try await send(try assertion(["iss": "https://idp.example/closed"])).error == "invalid_grant", "a provider that admits nobody new")
    }

    @Test("X-19, R91: narrowed to what the provider and the request say; public clients and unproven bindings are refused")
    func constraints() async throws {
        #expect(try await send(try assertion(["scope": "read admin"])).json["scope"]?.string == "read")
        let form = [("client_id", "agent"), ("client_secret", "secret")]
        #expect(try await send(try assertion(["scope": "read write"]), form + [("scope", "write")]).json["scope"]?.string == "write")
        #expect(try await send(try assertion(["client_id": "public"]), [("client_id", "public")]).error == "unauthorized_client")
        let prover = try ProofMint(clock: harness.time.clock)
        let bound = try assertion(["cnf": ["jkt": .string(prover.thumbprint)]])
        #expect(try await send(bound).error == "invalid_grant")
        let proof: HTTPFields = [HTTPField.Name("DPoP")!: try prover.proof("POST", Harness.issuer + "/token")]
        #expect(try await send(bound, form, proof).json["token_type"]?.string == "DPoP")
        try await harness.server.disableUser(named: try await name(of: "u-1"))
        #expect(try await send(try assertion()).error == "invalid_grant", "somebody who is disabled here")
    }

    func name(of subject: String) async throws -> String {
        _ = try await send(try assertion(["sub": .string(subject)]))
        return try #require(try await harness.store.user(ExternalIdentity(issuer: Self.provider, subject: subject))).name
    }

    // MARK: Workloads

    func workload(_ change: JSONObject = [:], type: String? = nil, key: SigningKey? = nil) throws -> String {
        let now = harness.time.now.seconds
        var claims: JSONObject = [
            "iss": .string(Self.platform), "sub": "repo:acme/app", "aud": .string(Harness.issuer), "iat": .int(now), "exp": .int(now + 300),
            "jti": .string(RandomSource.system.token(bytes: 12)), "ref": "refs/heads/main",
        ]
        for claim in change { claims[claim.name] = claim.value.isNull ? nil : claim.value }
        return try CompactJWS.sign(JSONValue.object(claims).serialized, type: type, with: key ?? platform.key)
    }

    @Test("positive control, R110 to R113: a workload gets its token without any client, and is no user")
    func workloadControl() async throws {
        let reply = try await send(try workload(), [("resource", Harness.resource)])
        #expect(reply.status == 200 && reply.json["scope"]?.string == "read")
        #expect(try subject(reply) == "workload:builder")
        #expect(try await harness.accepts(try #require(reply.json["access_token"]?.string)))
        #expect(harness.server.metadata["grant_types_supported"]?.strings?.contains("urn:ietf:params:oauth:grant-type:jwt-bearer") == true)
    }

    @Test(
        "R113 to R115: what its platform does not say, or says otherwise",
        arguments: [
            ["sub": "repo:acme/other"], ["sub": "repo:acme/app\u{301}"], ["iss": "https://evil.lab"], ["aud": "https://evil.lab"],
            ["aud": ["https://as.example", "x"]], ["ref": "refs/heads/evil"], ["ref": .null], ["ref": ["refs/heads/main"]], ["exp": .null],
            ["iat": .null], ["jti": .null], ["exp": 1_800_086_400],
        ] as [JSONObject])
    func workloadRefused(_ change: JSONObject) async throws {
        #expect(try await send(try workload(change), []).error == "invalid_grant")
    }

    @Test("R115: once, by the platform's key, and never one of our own kinds of token")
    func workloadReplay() async throws {
        let assertion = try workload()
        #expect(try await send(assertion, []).status == 200)
        #expect(try await send(assertion, []).error == "invalid_grant")
        #expect(try await send(try workload(key: try SigningKey.generate(.rs256, keyID: platform.key.keyID)), []).error == "invalid_grant")
        for type in ["at+jwt", "dpop+jwt", "oauth-id-jag+jwt"] { #expect(try await send(try workload(type: type), []).error == "invalid_grant") }
        #expect(try await send(try workload(), [("resource", "https://evil.lab/")]).status == 400)
    }
}
