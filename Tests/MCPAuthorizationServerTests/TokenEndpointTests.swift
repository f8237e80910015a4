import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Token endpoint")
struct TokenEndpointTests {
    let harness: Harness
    let client: String

    init() async throws {
        harness = try await Harness()
        client = try await harness.registered()
    }

    @Test("R97: the tokens of one grant are exchanged so often and no more, which costs neither the token nor another grant anything")
    func refreshLimit() async throws {
        let harness = try await Harness { $0.rateLimits.refresh = RateLimits.Limit(burst: 3, everyMilliseconds: 10_000) }
        let client = try await harness.registered()
        let other = try await harness.tokens(client).refresh
        var token = try await harness.tokens(client).refresh
        for _ in 0..<3 { token = try #require(try await harness.refresh(client, token).json["refresh_token"]?.string) }
        let reply = try await harness.refresh(client, token)
        #expect(reply.status == 429 && reply.response.headerFields[.retryAfter] != nil)
        #expect(try await harness.refresh(client, other).status == 200)
        harness.time.advance(by: 10)
        #expect(try await harness.refresh(client, token).status == 200)
    }

    @Test("55, 101, 121, T-12: the token is what RFC 9068 says, and the answer is for nobody's cache")
    func token() async throws {
        let reply = try await harness.redeem(client, try await harness.code(client))
        #expect(
            reply.status == 200 && reply.response.headerFields[.cacheControl] == "no-store"
                && reply.response.headerFields[.contentType] == "application/json")
        let jws = try CompactJWS(parsing: try #require(reply.json["access_token"]?.string))
        let claims = try JWTClaims(parsing: jws.payload)
        #expect(jws.header.hasType("at+jwt") && jws.header.algorithm == .es256)
        #expect(
            claims.issuer == Harness.issuer && claims.audience == [Harness.resource] && claims["client_id"]?.string == client
                && claims["scope"]?.string == "read")
        #expect(claims.subject?.hasPrefix("user-") == true && claims.identifier != nil)
        #expect(try #require(reply.json["expires_in"]?.int) == Int(claims.expiration!.seconds - claims.issuedAt!.seconds))
        #expect(reply.json["expires_in"]?.int == 900)
        let said = Set((claims.document.root.members ?? []).map(\.name))
        #expect(said == ["iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope"], "and nothing about the person")
        #expect(try await harness.accepts(try #require(reply.json["access_token"]?.string)))
    }

    @Test(
        "T-02, 118: without the verifier, or with another one, there is no token",
        arguments: [nil, "", String(repeating: "w", count: 43), "short", String(repeating: "v", count: 129)])
    func verifier(_ verifier: String?) async throws {
        let code = try await harness.code(client)
        #expect(try await harness.redeem(client, code, [("code_verifier", verifier)]).status == 400)
        #expect(try await harness.redeem(client, code).status == 200)
    }

    @Test("T-04, 117: a replayed code is refused, and ends what came of it")
    func replay() async throws {
        let code = try await harness.code(client)
        let first = try await harness.redeem(client, code)
        let access = try #require(first.json["access_token"]?.string)
        #expect(try await harness.accepts(access))
        #expect(try await harness.redeem(client, code).error == "invalid_grant")
        #expect(try await !harness.accepts(access))
        #expect(try await harness.refresh(client, try #require(first.json["refresh_token"]?.string)).error == "invalid_grant")
        #expect(harness.events.contains("code.replayed"))
    }

    @Test("T-05: of fifty who redeem a code at once, one gets tokens")
    func race() async throws {
        let code = try await harness.code(client)
        let wins = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<50 { group.addTask { try await harness.redeem(client, code).status } }
            return try await group.reduce(0) { $0 + ($1 == 200 ? 1 : 0) }
        }
        #expect(wins == 1)
    }

    @Test("T-06: another client's attempt is no replay: the victim's tokens stay alive")
    func replayAsWeapon() async throws {
        let code = try await harness.code(client)
        let other = try await harness.registered()
        #expect(try await harness.redeem(other, code).error == "invalid_grant")
        let tokens = try await harness.redeem(client, code)
        #expect(tokens.status == 200)
        #expect(try await harness.redeem(other, code).error == "invalid_grant")
        #expect(try await harness.accepts(try #require(tokens.json["access_token"]?.string)))
    }

    @Test("T-08: a code of another server, with the same store, is worth nothing")
    func otherIssuer() async throws {
        let code = try await harness.code(client)
        let other = try await Harness(issuer: "https://other.example")
        #expect(try await other.redeem(client, code).status == 401)
    }

    @Test("T-11: another resource or scope at redemption is refused, and the code survives")
    func widening() async throws {
        let code = try await harness.code(client)
        #expect(try await harness.redeem(client, code, [("resource", "https://other.example")]).error == "invalid_target")
        #expect(try await harness.redeem(client, code, [("scope", "write")]).error == "invalid_scope")
        #expect(try await harness.redeem(client, code, [("redirect_uri", "https://evil.lab")]).error == "invalid_grant")
        #expect(try await harness.redeem(client, code, [("resource", Harness.resource)]).status == 200)
    }

    @Test(
        "119: grants that do not exist here",
        arguments: ["password", "client_credentials", "implicit", "urn:ietf:params:oauth:grant-type:device_code", ""])
    func grantTypes(_ type: String) async throws {
        let reply = try await harness.post("/token", [("grant_type", type), ("client_id", client)])
        #expect(reply.status == 400 && ["unsupported_grant_type", "invalid_request"].contains(reply.error))
    }

    @Test("a refresh token only for clients that the operator registered for it")
    func noRefresh() async throws {
        let own = Client(
            id: ClientID("own")!, name: "Own", redirectURIs: [try RedirectURI(Harness.redirectURI)], grantTypes: [.authorizationCode],
            origin: .configured, createdAt: harness.time.now)
        try await harness.store.save(own, limit: .max)
        let reply = try await harness.redeem("own", try await harness.code("own"))
        #expect(reply.status == 200 && reply.json["refresh_token"] == nil)
    }

    @Test(
        "wrong methods, content types and sizes",
        arguments: [
            ("GET", "application/x-www-form-urlencoded", 405), ("POST", "application/json", 400), ("POST", "", 400),
            ("POST", "multipart/form-data", 400),
        ])
    func shapes(_ method: String, _ type: String, _ status: Int) async throws {
        #expect(
            try await harness.send(HTTPRequest.Method(method)!, "/token", [.contentType: type], body: "grant_type=refresh_token").status == status)
    }

    @Test("F-05: a refresh cannot widen, and a failed one uses nothing up")
    func refreshWidening() async throws {
        let tokens = try await harness.tokens(client, [("scope", "read write")])
        #expect(try await harness.refresh(client, tokens.refresh, [("scope", "admin")]).error == "invalid_scope")
        #expect(try await harness.refresh(client, tokens.refresh, [("resource", "https://other.example")]).error == "invalid_target")
        let narrow = try await harness.refresh(client, tokens.refresh, [("scope", "read")])
        #expect(narrow.json["scope"]?.string == "read")
        let wide = try await harness.refresh(client, try #require(narrow.json["refresh_token"]?.string), [("scope", "read write")])
        #expect(wide.json["scope"]?.string == "read write", "narrowing is for one token; the grant stays what it was")
    }

    @Test("F-02, 131: twenty who refresh at once all get the same successor")
    func refreshRace() async throws {
        let tokens = try await harness.tokens(client)
        let successors = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<20 { group.addTask { try await harness.refresh(client, tokens.refresh).json["refresh_token"]?.string } }
            return try await group.reduce(into: Set<String?>()) { $0.insert($1) }
        }
        #expect(successors.count == 1 && successors.first! != nil)
    }

    @Test("F-03, F-04: the grace window covers the immediate predecessor, for thirty seconds")
    func grace() async throws {
        let tokens = try await harness.tokens(client)
        let second = try #require(try await harness.refresh(client, tokens.refresh).json["refresh_token"]?.string)
        harness.time.advance(by: 29)
        let repeated = try await harness.refresh(client, tokens.refresh)
        #expect(repeated.json["refresh_token"]?.string == second)
        let third = try #require(try await harness.refresh(client, second).json["refresh_token"]?.string)
        #expect(try await harness.refresh(client, tokens.refresh).error == "invalid_grant")
        #expect(try await harness.refresh(client, third).error == "invalid_grant", "the whole chain is over")
        #expect(try await !harness.accepts(try #require(repeated.json["access_token"]?.string)))
        #expect(harness.events.contains("refresh_token.reused"))
    }

    @Test("F-03, R131: a refresh token of long ago ends the grant, in whatever generation it is by now")
    func ancient() async throws {
        let tokens = try await harness.tokens(client)
        var latest = tokens.refresh
        for _ in 0..<20 {
            harness.time.advance(by: 86400)
            latest = try #require(try await harness.refresh(client, latest).json["refresh_token"]?.string)
        }
        #expect(try await harness.refresh(client, tokens.refresh).error == "invalid_grant")
        #expect(try await harness.refresh(client, latest).error == "invalid_grant")
        #expect(harness.events.contains("refresh_token.reused"))
    }

    @Test("F-02, R131: every instance with the same key gives the same successor; the texts of one grant never repeat")
    func successors() async throws {
        let (store, master) = (MemoryStore(), MasterKey.random())
        let one = try await Harness(store: store, master: master)
        let two = try await Harness(store: store, master: master)
        let client = try await one.registered()
        var latest = try await one.tokens(client).refresh
        var seen: Set = [latest]
        for _ in 0..<50 {
            let replies = try await (one.refresh(client, latest), two.refresh(client, latest))
            let successors = [replies.0, replies.1].map { $0.json["refresh_token"]?.string }
            #expect(successors[0] == successors[1])
            latest = try #require(successors[0])
            #expect(seen.insert(latest).inserted)
        }
    }

    @Test("F-03, F-06: refresh tokens that somebody made up, knowing all but the key, change nothing, also when the store is away")
    func forged() async throws {
        let tokens = try await harness.tokens(client)
        let other = try await harness.tokens(client, as: "grace")
        let claims = try JWTClaims(parsing: try CompactJWS(parsing: tokens.access).payload)
        let grantID = try #require(claims.identifier?.split(separator: ".").first.map(String.init))
        let secret = try #require(tokens.refresh.split(separator: ".").last.map(String.init))
        #expect(tokens.refresh == grantID + "." + secret, "what a resource server sees names the grant")
        var forgeries = [
            grantID, grantID + ".", "." + secret, grantID + ".." + secret, grantID + "." + secret + "=", grantID + "." + secret + ".",
            tokens.refresh + "A",
            String(tokens.refresh.dropLast()), String(tokens.refresh.dropLast(4)), " " + tokens.refresh, tokens.refresh.uppercased(),
            grantID + "." + RandomSource.system.token(bytes: 48), grantID + "." + (other.refresh.split(separator: ".").last.map(String.init) ?? ""),
            grantID + "." + String(repeating: "A", count: 64), grantID.dropLast() + "." + secret, "x" + tokens.refresh,
            String(repeating: "g", count: 200) + "." + secret, RandomSource.system.token(),
        ]
        let bytes = try Base64URL.decode(secret)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            forgeries.append(grantID + "." + Base64URL.encode(changed))
        }
        // Of another server, which uses the same store with another key.
        let stranger = try await Harness(store: MemoryStore())
        forgeries.append(try await stranger.tokens(try await stranger.registered()).refresh)
        for forgery in forgeries {
            #expect(try await harness.refresh(client, forgery).error == "invalid_grant", "\(forgery)")
            let revocation = try await harness.post("/revoke", [("client_id", client), ("token", forgery)])
            #expect(revocation.response.status == .ok, "\(forgery)")
        }
        #expect(!harness.events.contains("refresh_token.reused") && !harness.events.contains("grant.revoked"))
        #expect(try await harness.accepts(tokens.access))
        #expect(try await harness.refresh(client, tokens.refresh).status == 200)

        let store = FailingStore()
        let broken = try await Harness(store: store)
        let mine = try await broken.registered()
        let good = try await broken.tokens(mine).refresh
        store.fails = true
        #expect(try await broken.refresh(mine, "x" + good).error == "invalid_grant")
        #expect(try await broken.refresh(mine, good).status == 503)
    }

    @Test("F-06: refresh tokens of other clients and things that are none")
    func foreignRefresh() async throws {
        let tokens = try await harness.tokens(client)
        let other = try await harness.registered()
        for (client, token) in [(other, tokens.refresh), (client, tokens.access), (client, "x"), (client, "")] {
            let reply = try await harness.refresh(client, token)
            #expect(reply.status == 400)
        }
        #expect(try await harness.refresh(client, tokens.refresh).status == 200)
        #expect(try await !harness.accepts(tokens.refresh))
    }

    @Test("R131: a refresh does not give what the operator has taken away since")
    func withdrawn() async throws {
        let id = ClientID("limited")!
        var client = Client(
            id: id, name: nil, redirectURIs: [try RedirectURI(Harness.redirectURI)], scopes: ["read", "write"], origin: .configured,
            createdAt: harness.time.now)
        try await harness.store.save(client, limit: 10)
        let tokens = try await harness.tokens("limited", [("scope", "read write")])
        client.scopes = ["read"]
        try await harness.store.save(client, limit: 10)
        #expect(try await harness.refresh("limited", tokens.refresh).json["scope"]?.string == "read")
    }

    @Test("F-06: a disabled user's and a deleted client's refresh tokens")
    func disabled() async throws {
        let tokens = try await harness.tokens(client)
        var ada = try #require(try await harness.server.user(named: "ada"))
        let before = ada
        ada.isDisabled = true
        #expect(try await harness.store.update(ada, expecting: before))
        #expect(try await harness.refresh(client, tokens.refresh).error == "invalid_grant")
        #expect(try await harness.store.update(before, expecting: ada))
        try await harness.store.deleteClient(ClientID(client)!, at: harness.time.now)
        #expect(try await harness.refresh(client, tokens.refresh).error == "invalid_client")
    }

    @Test("F-07, I5: a grant ends after its whole life, however often it is refreshed")
    func absoluteLifetime() async throws {
        var refresh = try await harness.tokens(client).refresh
        var hours = 0
        while hours < 24 * 400 {
            harness.time.advance(by: 6 * 3600)
            hours += 6
            let reply = try await harness.refresh(client, refresh)
            guard reply.status == 200 else {
                #expect(reply.error == "invalid_grant")
                break
            }
            refresh = try #require(reply.json["refresh_token"]?.string)
        }
        #expect(hours >= 24 * 180 && hours <= 24 * 180 + 6)
    }

    @Test("a token never outlives its grant")
    func lastToken() async throws {
        let harness = try await Harness { $0.grantLifetime = 1000 }
        let client = try await harness.registered()
        let refresh = try await harness.tokens(client).refresh
        harness.time.advance(by: 990)
        #expect(try await harness.refresh(client, refresh).json["expires_in"]?.int == 10)
    }
}

@Suite("Client authentication")
struct ClientAuthenticationTests {
    let harness: Harness
    init() async throws { harness = try await Harness() }

    func confidential(_ method: String) async throws -> (id: String, secret: String) {
        let json = try await harness.register(["redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": .string(method)]).json
        return (try #require(json["client_id"]?.string), try #require(json["client_secret"]?.string))
    }

    func basic(_ id: String, _ secret: String) -> HTTPFields {
        [.authorization: "Basic " + Base64.encode(Array("\(Form.encode(id)):\(Form.encode(secret))".utf8))]
    }

    @Test("Basic and post work, each for those who registered it")
    func control() async throws {
        let one = try await confidential("client_secret_basic")
        #expect(try await harness.redeem(one.id, try await harness.code(one.id), [("client_id", nil)], basic(one.id, one.secret)).status == 200)
        let two = try await confidential("client_secret_post")
        #expect(try await harness.redeem(two.id, try await harness.code(two.id), [("client_secret", two.secret)]).status == 200)
    }

    @Test("K-01: two methods at once")
    func two() async throws {
        let one = try await confidential("client_secret_basic")
        let code = try await harness.code(one.id)
        #expect(try await harness.redeem(one.id, code, [("client_secret", one.secret)], basic(one.id, one.secret)).error == "invalid_request")
        #expect(try await harness.redeem("other", code, [], basic(one.id, one.secret)).error == "invalid_request")
    }

    @Test("K-02: another method than the registered one")
    func downgrade() async throws {
        let one = try await confidential("client_secret_basic")
        let post = try await confidential("client_secret_post")
        let open = try await harness.registered()
        let code = try await harness.code(one.id)
        #expect(try await harness.redeem(one.id, code).error == "invalid_client")
        #expect(try await harness.redeem(one.id, code, [("client_secret", one.secret)]).error == "invalid_client")
        #expect(try await harness.redeem(post.id, code, [], basic(post.id, post.secret)).error == "invalid_client")
        #expect(try await harness.redeem(open, code, [("client_secret", "junk")]).error == "invalid_client")
        #expect(try await harness.redeem(one.id, code, [("client_assertion", "x.y.z")]).error == "invalid_client")
    }

    @Test(
        "K-04, 119: broken Basic headers are 401 with a Basic challenge",
        arguments: ["Basic", "Basic x", "Basic !!!!", "basic QQ==", "Basic OnNlY3JldA==", "Bearer abc", "Basic Y2xpZW50Og=="])
    func brokenBasic(_ header: String) async throws {
        let reply = try await harness.post("/token", [("grant_type", "refresh_token"), ("refresh_token", "x")], [.authorization: header])
        #expect(reply.status == 401 && reply.response.headerFields[.wwwAuthenticate]?.hasPrefix("Basic ") == true)
    }

    @Test("W-01: secrets compare by bytes")
    func secretTwin() async throws {
        let secret = "caf\u{E9}-with-enough-entropy"
        let client = Client(
            id: ClientID("own")!, name: nil, redirectURIs: [try RedirectURI(Harness.redirectURI)], authenticationMethod: .basic,
            secrets: [ClientSecret(SecretHash(of: secret))],
            origin: .configured, createdAt: harness.time.now)
        try await harness.store.save(client, limit: .max)
        let code = try await harness.code("own")
        #expect(try await harness.redeem("own", code, [("client_id", nil)], basic("own", "cafe\u{301}-with-enough-entropy")).status == 401)
        #expect(try await harness.redeem("own", code, [("client_id", nil)], basic("own", secret)).status == 200)
    }

    @Test("K-06: guessing secrets is throttled for the guesser, not for the client")
    func guessing() async throws {
        let one = try await confidential("client_secret_basic")
        var statuses: Set<Int> = []
        for _ in 0..<60 {
            statuses.insert(
                try await harness.post("/token", [("grant_type", "refresh_token"), ("refresh_token", "x")], basic(one.id, "wrong")).status)
        }
        #expect(statuses.contains(503) || statuses.contains(429))
        var fields = basic(one.id, one.secret)
        fields[.contentType] = "application/x-www-form-urlencoded"
        let elsewhere = try await harness.send(.post, "/token", fields, body: "grant_type=refresh_token&refresh_token=x", peer: "198.51.100.7")
        #expect(elsewhere.error == "invalid_grant")
    }
}
