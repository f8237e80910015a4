import Crypto
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Forms of tokens: opaque, signed introspection, ID tokens")
struct TokenFormTests {
    static func harness(_ format: ProtectedResource.TokenFormat = .opaque) async throws -> Harness {
        try await Harness { configuration in
            configuration.resources[0].tokenFormat = format
            configuration.clients = [
                Client(
                    id: ClientID("rs")!, name: nil, redirectURIs: [], authenticationMethod: .post, secrets: [ClientSecret(SecretHash(of: "secret"))],
                    grantTypes: [], origin: .configured, createdAt: NumericDate(seconds: 0), introspects: Harness.resource),
                Client(
                    id: ClientID("other")!, name: nil, redirectURIs: [], authenticationMethod: .post,
                    secrets: [ClientSecret(SecretHash(of: "secret"))],
                    grantTypes: [], origin: .configured, createdAt: NumericDate(seconds: 0), introspects: "https://other.example/mcp"),
            ]
        }
    }

    func introspect(_ harness: Harness, _ token: String, as client: String = "rs", accept: String? = nil) async throws -> HTTPReply {
        var fields: HTTPFields = [:]
        fields[.accept] = accept
        return try await harness.post("/introspect", [("token", token), ("client_id", client), ("client_secret", "secret")], fields)
    }

    @Test("an opaque token says nothing to anybody, works at our own resource server, is introspected, and ends at once when it is revoked")
    func opaque() async throws {
        let harness = try await Self.harness()
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        #expect(tokens.access.hasPrefix("mat_") && !tokens.access.contains("."))
        #expect(try await harness.accepts(tokens.access))
        #expect(try await !harness.accepts(tokens.access + "A"))
        #expect(try await !harness.accepts("mat_" + String(tokens.access.dropFirst(5))))
        let active = try await introspect(harness, tokens.access).json
        #expect(active["active"]?.bool == true && active["aud"]?.string == Harness.resource && active["token_type"]?.string == "Bearer")
        #expect(try await introspect(harness, tokens.access, as: "other").body == Array(#"{"active":false}"#.utf8))
        let elsewhere = try await Self.harness()
        #expect(try await !elsewhere.accepts(tokens.access), "T-08: another server's")
        _ = try await harness.post("/revoke", [("token", tokens.access), ("client_id", client)])
        #expect(try await !harness.accepts(tokens.access))
        #expect(try await introspect(harness, tokens.access).json["active"]?.bool == false)
        harness.time.advance(by: 901)
        let fresh = try await harness.refresh(client, tokens.refresh)
        #expect(fresh.json["access_token"]?.string?.hasPrefix("mat_") == true)
    }

    @Test("O-01, M-09: in an emergency, and after a restored backup, opaque tokens are worth nothing either")
    func emergency() async throws {
        let harness = try await Self.harness()
        let client = try await harness.registered()
        let first = try await harness.tokens(client)
        try await harness.server.replaceKeys(isEmergency: true)
        #expect(try await !harness.accepts(first.access))
        let second = try await harness.tokens(client)
        #expect(try await harness.accepts(second.access))
        try await harness.server.endEverything()
        #expect(try await !harness.accepts(second.access))
    }

    @Test("a resource may have shorter tokens than the others")
    func lifetime() async throws {
        let harness = try await Harness { $0.resources[0].accessTokenLifetime = 60 }
        let reply = try await harness.redeem(try await harness.registered(), "x")
        #expect(reply.status == 400)
        let client = try await harness.registered()
        let good = try await harness.redeem(client, try await harness.code(client))
        #expect(good.json["expires_in"]?.int == 60)
        await #expect(throws: OAuthError.self) { try await Harness { $0.resources[0].accessTokenLifetime = 100_000 } }
    }

    @Test("F-13: a signed answer says what the plain one says, to whom it was given, and passes as nothing else (R133)")
    func signedIntrospection() async throws {
        let harness = try await Self.harness(.jwt)
        let token = try await harness.tokens(try await harness.registered()).access
        let type = "application/token-introspection+jwt"
        for (subject, client, isActive) in [(token, "rs", true), (token, "other", false), ("x", "rs", false)] {
            let reply = try await introspect(harness, subject, as: client, accept: type)
            #expect(reply.response.headerFields[.contentType] == type)
            let jws = try CompactJWS(parsing: reply.text)
            #expect(jws.header.hasType("token-introspection+jwt"))
            let claims = try JWTClaims(parsing: jws.payload)
            #expect(claims.audience == [client] && claims.issuer == Harness.issuer)
            #expect(claims["token_introspection"]?["active"]?.bool == isActive)
            if !isActive { #expect(claims["token_introspection"]?.members?.count == 1) }
            #expect(try await !harness.accepts(reply.text))
        }
        #expect(try await harness.post("/introspect", [("token", token), ("client_id", "x")], [.accept: type]).status == 401)
    }

    // MARK: OpenID Connect

    @Test(
        "a client that asks for openid learns who signed in, when, and that it is the answer to its own question; nothing takes it for an access token"
    )
    func idToken() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let code = try await harness.code(client, [("scope", "openid profile read"), ("nonce", "n-1")])
        let reply = try await harness.redeem(client, code)
        #expect(reply.json["scope"]?.string == "openid profile read")
        let (access, text) = (try #require(reply.json["access_token"]?.string), try #require(reply.json["id_token"]?.string))
        let jws = try CompactJWS(parsing: text)
        let keys = try JWKSet(parsing: try await harness.send(.get, "/jwks").body)
        try jws.verify(using: keys)
        let claims = try JWTClaims(parsing: jws.payload)
        let user = try #require(try await harness.server.user(named: "ada"))
        #expect(claims.subject == user.id && claims.audience == [client] && claims.issuer == Harness.issuer)
        #expect(claims["nonce"]?.string == "n-1" && claims["auth_time"]?.number?.int64 == harness.time.now.seconds)
        #expect(claims["preferred_username"]?.string == "ada")
        #expect(claims["at_hash"]?.string == Base64URL.encode(Array(SHA256.hash(data: Array(access.utf8))).prefix(16)))
        #expect(try await !harness.accepts(text), "J-19, R133")
        let info = try await harness.send(.get, "/userinfo", [.authorization: "Bearer \(access)"])
        #expect(info.status == 200 && info.json["sub"]?.string == user.id && info.json["preferred_username"]?.string == "ada")
    }

    @Test("userinfo: no token, a bad one, one without openid, one that is revoked, one that is bound")
    func userInfo() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        func status(_ authorization: String?, _ proof: String? = nil) async throws -> Int {
            var fields: HTTPFields = [:]
            fields[.authorization] = authorization
            if let proof { fields[HTTPField.Name("DPoP")!] = proof }
            return try await harness.send(.get, "/userinfo", fields).status
        }
        #expect(try await status(nil) == 401)
        #expect(try await status("Bearer x") == 401)
        let plain = try await harness.tokens(client).access
        #expect(try await status("Bearer \(plain)") == 403)
        let open = try await harness.tokens(client, [("scope", "openid")])
        #expect(try await status("Bearer \(open.access)") == 200)
        _ = try await harness.post("/revoke", [("token", open.refresh), ("client_id", client)])
        #expect(try await status("Bearer \(open.access)") == 401)
        let prover = try ProofMint(clock: harness.time.clock)
        let fields: HTTPFields = [HTTPField.Name("DPoP")!: try prover.proof("POST", Harness.issuer + "/token")]
        let reply = try await harness.redeem(client, try await harness.code(client, [("scope", "openid")]), [], fields)
        let bound = try #require(reply.json["access_token"]?.string)
        #expect(try await status("Bearer \(bound)") == 401)
        let proof = try prover.proof("GET", Harness.issuer + "/userinfo", accessToken: bound)
        #expect(try await status("DPoP \(bound)", proof) == 200)
        #expect(try await status("DPoP \(bound)", proof) == 401, "once")
        let other = try ProofMint(clock: harness.time.clock)
        #expect(try await status("DPoP \(bound)", try other.proof("GET", Harness.issuer + "/userinfo", accessToken: bound)) == 401)
    }

    @Test("X-21: without OpenID there is no ID token, no userinfo and no scope openid")
    func off() async throws {
        let harness = try await Harness { $0.isOpenIDProvider = false }
        #expect(harness.server.metadata["userinfo_endpoint"] == nil && !harness.server.serves("/userinfo"))
        let client = try await harness.registered()
        let reply = try await harness.redeem(client, try await harness.code(client, [("scope", "openid profile email read")]))
        #expect(reply.json["scope"]?.string == "read" && reply.json["id_token"] == nil)
    }
}

@Suite("Keys that turn by themselves")
struct KeyRotationTests {
    static let day: Int64 = 86400

    @Test(
        "132, O-01: a hundred rotations under load: every token is accepted by somebody who caches keys for ten minutes, and each key is published before it signs"
    )
    func rotations() async throws {
        let harness = try await Harness {
            $0.signingAlgorithms = [.es256, .edDSA]
            $0.accessTokenLifetime = 86400
        }
        let client = try await harness.registered()
        var refresh = try await harness.tokens(client).refresh
        let remote = ScriptedFetcher { request throws(OAuthError) in
            let reply = await harness.server.reply(
                to: HTTPCall(HTTPRequest(method: .get, scheme: "https", authority: "as.example", path: request.url.requestPath)))
            return reply ?? HTTPReply(.notFound)
        }
        let elsewhere = try ResourceServer(Harness.resource, trusting: .issuer(Harness.issuer), fetcher: remote, clock: harness.time.clock)
        func isAccepted(_ token: String) async -> Bool {
            let request = HTTPRequest(
                method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
            if case .accepted = await elsewhere.authenticate(request) { return true }
            return false
        }
        var (signers, rejected, checked, unpublished): (Set<String>, Int, Int, Int) = ([], 0, 0, 0)
        var published: Set<String> = []
        // Every five days a token that lives for a day; it is used at once, and again twenty hours later.
        for step in 0..<750 {
            harness.time.advance(by: 4 * Self.day + 4 * 3600)
            await harness.server.maintain(sweeps: step % 50 == 0)
            let reply = try await harness.refresh(client, refresh)
            let token: String
            if reply.status == 200 {
                token = try #require(reply.json["access_token"]?.string)
                refresh = try #require(reply.json["refresh_token"]?.string)
            } else {
                // A grant has its end, as it should.
                let tokens = try await harness.tokens(client)
                (token, refresh) = (tokens.access, tokens.refresh)
            }
            let keyID = try #require(try CompactJWS(parsing: token).header.keyID)
            if step > 0, !signers.contains(keyID), !published.contains(keyID) { unpublished += 1 }
            signers.insert(keyID)
            if await !isAccepted(token) { rejected += 1 }
            harness.time.advance(by: 20 * 3600)
            await harness.server.maintain(sweeps: false)
            published.formUnion(try JWKSet(parsing: try await harness.send(.get, "/jwks").body).keys.compactMap(\.keyID))
            if await !isAccepted(token) { rejected += 1 }
            checked += 2
        }
        #expect(
            signers.count >= 100 && rejected == 0 && unpublished == 0 && checked >= 1400, "\(signers.count) \(rejected) \(unpublished) \(checked)")
        #expect(try await harness.store.signingKeys().count <= 6, "old keys go")
    }

    @Test("132: a token of the old key is good until it expires, across the turn and with a day's life")
    func overlap() async throws {
        let harness = try await Harness { $0.accessTokenLifetime = 86400 }
        let client = try await harness.registered()
        harness.time.advance(by: 29 * Self.day)
        await harness.server.maintain(sweeps: false)
        #expect(try await JWKSet(parsing: harness.send(.get, "/jwks").body).keys.count == 2, "published ahead")
        harness.time.advance(by: Self.day - 60)
        let old = try await harness.tokens(client).access
        harness.time.advance(by: 120)
        await harness.server.maintain(sweeps: false)
        let new = try await harness.tokens(client).access
        #expect(try CompactJWS(parsing: old).header.keyID != CompactJWS(parsing: new).header.keyID)
        harness.time.advance(by: 86400 - 200)
        await harness.server.maintain(sweeps: true)
        #expect(try await harness.accepts(old))
        #expect(try await harness.accepts(new))
    }

    @Test("O-01: in an emergency every token that was signed before is refused at once, and new ones work")
    func emergency() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let old = try await harness.tokens(client)
        let cached = try ResourceServer(Harness.resource, trusting: .local(harness.server), clock: harness.time.clock)
        func isAccepted(_ token: String) async -> Bool {
            let request = HTTPRequest(
                method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
            if case .accepted = await cached.authenticate(request) { return true }
            return false
        }
        #expect(await isAccepted(old.access))
        try await harness.server.replaceKeys(isEmergency: true)
        #expect(await !isAccepted(old.access), "also where it was cached")
        let fresh = try await harness.refresh(client, old.refresh)
        #expect(await isAccepted(try #require(fresh.json["access_token"]?.string)))
    }

    @Test("by hand: the next key is published now and signs when everybody can know it; a key made elsewhere signs at once")
    func byHand() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        let first = try CompactJWS(parsing: try await harness.tokens(client).access).header.keyID
        try await harness.server.replaceKeys(isEmergency: false)
        #expect(try CompactJWS(parsing: try await harness.tokens(client).access).header.keyID == first)
        harness.time.advance(by: Self.day)
        #expect(try CompactJWS(parsing: try await harness.tokens(client).access).header.keyID != first)
        let own = try SigningKey.generate(.es256, keyID: "mine")
        try await harness.server.importKey(own)
        #expect(try CompactJWS(parsing: try await harness.tokens(client).access).header.keyID == "mine")
        await #expect(throws: OAuthError.self) { try await harness.server.importKey(try SigningKey.generate(.rs256)) }
    }

    @Test("O-01: several servers on one store agree on the next key, and a clock that jumps leaves no server without one")
    func several() async throws {
        let (store, master, time) = (MemoryStore(), MasterKey.random(), TestClock())
        let one = try await Harness(store: store, master: master, time: time)
        let two = try await Harness(store: store, master: master, time: time)
        let client = try await one.registered()
        for _ in 0..<8 {
            time.advance(by: 15 * Self.day)
            async let first = one.server.maintain(sweeps: false)
            async let second = two.server.maintain(sweeps: false)
            _ = await (first, second)
            #expect(try await two.accepts(try await one.tokens(client).access))
            #expect(try await one.accepts(try await two.tokens(client).access))
        }
        #expect(store.signingKeys().count <= 3)
        time.advance(by: -400 * Self.day)
        await one.server.maintain(sweeps: false)
        #expect(try await one.accepts(try await one.tokens(client).access), "M-14")
    }

    @Test("M-14: a clock that jumps ahead destroys no key and stops no rotation")
    func clock() async throws {
        let harness = try await Harness()
        let client = try await harness.registered()
        harness.time.advance(by: 29 * Self.day)
        await harness.server.maintain(sweeps: false)
        let token = try await harness.tokens(client)
        harness.time.advance(by: 3 * Self.day)
        await harness.server.maintain(sweeps: true, isClockDoubtful: true)
        harness.time.advance(by: -3 * Self.day)
        await harness.server.maintain(sweeps: true, isClockDoubtful: true)
        #expect(try await harness.accepts(token.access))
        harness.time.advance(by: 3650 * Self.day)
        await harness.server.maintain(sweeps: false, isClockDoubtful: true)
        harness.time.advance(by: -3650 * Self.day)
        var signers: Set<String?> = []
        for _ in 0..<4 {
            harness.time.advance(by: 30 * Self.day)
            await harness.server.maintain(sweeps: false)
            signers.insert(try CompactJWS(parsing: try await harness.tokens(client).access).header.keyID)
        }
        #expect(signers.count >= 3, "keys go on turning")
    }

    @Test("a rotation that could not work is refused at the start")
    func configuration() async throws {
        for rotation in [KeyRotation(interval: 60), KeyRotation(interval: 7200, publishedAhead: 7200), KeyRotation(publishedAhead: 1)] {
            await #expect(throws: OAuthError.self) { try await Harness { $0.keyRotation = rotation } }
        }
    }
}
