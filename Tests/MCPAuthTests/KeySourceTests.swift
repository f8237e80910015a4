import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import OAuth
import Testing

@Suite("Keys of an issuer")
struct KeySourceTests {
    let time = TestClock()

    func server(_ fetcher: any HTTPFetcher) throws -> ResourceServer {
        try ResourceServer(
            "https://rs.example/mcp", trusting: .jwks("https://issuer.test/jwks", issuer: "https://issuer.test"), fetcher: fetcher, clock: time.clock)
    }

    func status(_ server: ResourceServer, _ token: String) async -> Int {
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        if case .rejected(let reply) = await server.authenticate(request) { return reply.response.status.code }
        return 200
    }

    @Test("J-23: a flood of unknown kids costs three fetches in a minute, and good tokens go on")
    func stampede() async throws {
        let mint = try TokenMint(keyID: "good", clock: time.clock)
        let fetcher = ScriptedFetcher { _ in .json(JWKSet([mint.key.verificationKey]).publicDocument) }
        let server = try server(fetcher)
        let good = try mint.token(audience: "https://rs.example/mcp")
        #expect(await status(server, good) == 200)
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<200 {
                group.addTask {
                    let attacker = try? TokenMint(keyID: "random-\(index)", clock: time.clock)
                    guard let token = try? attacker?.token(audience: "https://rs.example/mcp") else { return }
                    #expect(await status(server, token) == 401)
                }
            }
        }
        // Whoever comes while one is on its way waits for that one.
        #expect((2...RemoteKeySet.maximumAttempts).contains(fetcher.requests.count))
        for index in 0..<5 {
            let attacker = try TokenMint(keyID: "more-\(index)", clock: time.clock)
            #expect(await status(server, try attacker.token(audience: "https://rs.example/mcp")) == 401)
        }
        #expect(fetcher.requests.count == RemoteKeySet.maximumAttempts)
        time.advance(by: 59)
        #expect(await status(server, try TokenMint(keyID: "soon", clock: time.clock).token(audience: "https://rs.example/mcp")) == 401)
        #expect(fetcher.requests.count == RemoteKeySet.maximumAttempts, "not before the minute is over")
        time.advance(by: 2)
        for index in 0..<20 {
            let attacker = try TokenMint(keyID: "later-\(index)", clock: time.clock)
            #expect(await status(server, try attacker.token(audience: "https://rs.example/mcp")) == 401)
        }
        #expect(fetcher.requests.count == 2 * RemoteKeySet.maximumAttempts)
        #expect(await status(server, good) == 200)
    }

    @Test("O-01, 132: a new key is found when its first token arrives")
    func rotation() async throws {
        let old = try TokenMint(keyID: "old", clock: time.clock)
        let new = try TokenMint(keyID: "new", clock: time.clock)
        let published = Synchronized([old.key.verificationKey])
        let server = try server(ScriptedFetcher { _ in .json(JWKSet(published.value).publicDocument) })
        let token = try old.token(audience: "https://rs.example/mcp")
        #expect(await status(server, token) == 200)
        published.mutate { $0.append(new.key.verificationKey) }
        // A moment after the last fetch: a client that is refused would throw its grant away.
        time.advance(by: 1)
        #expect(await status(server, try new.token(audience: "https://rs.example/mcp")) == 200)
        #expect(await status(server, token) == 200)
        published.mutate { $0.removeFirst() }
        time.advance(by: 31)
        let newest = try TokenMint(keyID: "newest", clock: time.clock)
        #expect(await status(server, try newest.token(audience: "https://rs.example/mcp")) == 401)
        #expect(await status(server, token) == 401, "a token whose key is gone is not served from the cache")
    }

    @Test(
        "J-23, O-07: what is not a key set never replaces one, and an outage is no outage while there are keys",
        arguments: [
            "<html>", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", "", "[1,]",
        ])
    func poisoning(_ document: String) async throws {
        let mint = try TokenMint(keyID: "good", clock: time.clock)
        let answer = Synchronized(JWKSet([mint.key.verificationKey]).publicDocument.text)
        let server = try server(ScriptedFetcher { _ in HTTPReply(.ok, body: Array(answer.value.utf8)) })
        #expect(await status(server, try mint.token(audience: "https://rs.example/mcp")) == 200)
        answer.mutate { $0 = document }
        time.advance(by: 3000)
        #expect(await status(server, try mint.token(audience: "https://rs.example/mcp")) == 200)
        let stranger = try TokenMint(keyID: "x", clock: time.clock)
        #expect(await status(server, try stranger.token(audience: "https://rs.example/mcp")) == 401)
        #expect(await status(server, try mint.token(audience: "https://rs.example/mcp")) == 200)
    }

    @Test("O-07: without any keys the answer is a retryable 503, never a yes", arguments: [302, 404, 500])
    func unavailable(_ code: Int) async throws {
        let mint = try TokenMint(clock: time.clock)
        let server = try server(ScriptedFetcher { _ in HTTPReply(.init(code: code)) })
        #expect(await status(server, try mint.token(audience: "https://rs.example/mcp")) == 503)
        #expect(await status(server, "garbage") == 401)
    }

    @Test("M-14: keys that were asked for before the machine slept are asked for again after it")
    func sleep() async throws {
        let mint = try TokenMint(keyID: "good", clock: time.clock)
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let isSlow = Synchronized(false)
        let fetcher = ScriptedFetcher { _ in
            if isSlow.value { for await _ in gate { break } }
            return .json(JWKSet([mint.key.verificationKey]).publicDocument)
        }
        let server = try server(fetcher)
        #expect(await status(server, try mint.token(audience: "https://rs.example/mcp")) == 200)
        isSlow.mutate { $0 = true }
        time.advance(by: RemoteKeySet.refreshInterval)
        #expect(await status(server, try mint.token(audience: "https://rs.example/mcp")) == 200, "from the keys that are there")
        while fetcher.requests.count < 2 { await Task.yield() }
        time.advance(by: 2 * RemoteKeySet.maximumAge)
        let token = try mint.token(audience: "https://rs.example/mcp")
        async let answer = status(server, token)
        isSlow.mutate { $0 = false }
        for _ in 0..<50 { await Task.yield() }
        opener.finish()
        #expect(await answer == 200)
        #expect(fetcher.requests.count == 3)
    }

    @Test("M-14: a refresh that was asked for in the background before a sleep, and gets its turn after it, takes nothing away")
    func lateFlight() async throws {
        let mint = try TokenMint(keyID: "good", clock: time.clock)
        let document = HTTPReply.json(JWKSet([mint.key.verificationKey]).publicDocument)
        // Sixteen at once on few threads: what runs in the background comes late.
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    let keys = RemoteKeySet(.url(WebURL("https://issuer.test/jwks")!), fetcher: ScriptedFetcher { _ in document })
                    var now = NumericDate(seconds: 1_800_000_000)
                    for _ in 0..<200 {
                        #expect(await keys.refresh(at: now) == nil)
                        now = now.advanced(by: RemoteKeySet.refreshInterval)
                        #expect(keys.snapshot(at: now) != nil)
                        now = now.advanced(by: 2 * RemoteKeySet.maximumAge)
                        #expect(await keys.refresh(at: now) == nil)
                        for _ in 0..<5 { await Task.yield() }
                        #expect(keys.snapshot(at: now) != nil)
                    }
                }
            }
        }
    }

    @Test("J-04: no token makes the server fetch anything but its issuer's keys")
    func noOtherFetch() async throws {
        let mint = try TokenMint(clock: time.clock)
        let fetcher = ScriptedFetcher { _ in .json(JWKSet([mint.key.verificationKey]).publicDocument) }
        let server = try server(fetcher)
        let header: JSONObject = ["alg": "ES256", "typ": "at+jwt", "jku": "https://evil.lab/jwks", "x5u": "https://evil.lab/x"]
        let input =
            Base64URL.encode(JSONValue.object(header).serialized) + "."
            + Base64URL.encode(Array(#"{"iss":"https://issuer.test","aud":"https://rs.example/mcp","sub":"u","exp":1800000100}"#.utf8))
        _ = await status(server, input + ".AAAA")
        #expect(fetcher.requests.allSatisfy { $0.url.text == "https://issuer.test/jwks" })
    }
}

@Suite("Introspection")
struct IntrospectionTests {
    let time = TestClock()

    func server(
        _ answer: @escaping @Sendable (OutboundRequest) async throws(OAuthError) -> HTTPReply,
        _ authentication: IntrospectionVerifier.ClientAuthentication = .basic(clientID: "a b", secret: "s:%")
    ) throws -> (ResourceServer, ScriptedFetcher) {
        let fetcher = ScriptedFetcher(answer)
        let trust = Trust.introspection(issuer: "https://issuer.test", endpoint: "https://issuer.test/introspect", authentication: authentication)
        return (try ResourceServer("https://rs.example/mcp", trusting: trust, fetcher: fetcher, clock: time.clock), fetcher)
    }

    func status(_ server: ResourceServer, _ token: String = "opaque") async -> Int {
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        if case .rejected(let reply) = await server.authenticate(request) { return reply.response.status.code }
        return 200
    }

    static let active: JSONObject = [
        "active": true, "sub": "u", "aud": "https://rs.example/mcp", "exp": 1_800_000_600, "scope": "read", "iss": "https://issuer.test",
    ]

    @Test("positive control, and one question for many requests within the cache's time")
    func control() async throws {
        let (server, fetcher) = try server { _ in .json(.object(Self.active)) }
        #expect(await status(server) == 200)
        #expect(await status(server) == 200)
        #expect(fetcher.requests.count == 1)
        time.advance(by: 31)
        #expect(await status(server) == 200)
        #expect(fetcher.requests.count == 2)
    }

    @Test(
        "R-15: anything but a boolean true with the right audience fails closed",
        arguments: [
            (#"{"active":"true"}"#, 503), (#"{"active":1}"#, 503), (#"{}"#, 503), (#"{"active":false}"#, 401), (#"{"active":true,"sub":"u"}"#, 401),
            (#"{"active":true,"sub":"u","aud":"https://other"}"#, 401),
            (#"{"active":true,"sub":"u","aud":"https://rs.example/mcp","exp":1}"#, 401),
            (#"{"active":true,"sub":"u","aud":"https://rs.example/mcp","iss":"https://evil"}"#, 401), ("<html>", 503), ("", 503),
            (#"{"active":true,"active":false,"sub":"u","aud":"https://rs.example/mcp"}"#, 503),
            (#"{"active":true,"aud":"https://rs.example/mcp"}"#, 401),
            (#"{"active":true,"sub":"u","aud":"https://rs.example/mcp","exp":1e300}"#, 503),
        ])
    func hostile(_ body: String, _ expected: Int) async throws {
        let (server, _) = try server { _ in HTTPReply(.ok, body: Array(body.utf8)) }
        #expect(await status(server) == expected)
    }

    @Test("R-15, R-16: an issuer that is down is a 503, also for a token that was good a minute ago", arguments: [302, 401, 500])
    func down(_ code: Int) async throws {
        let isDown = Synchronized(false)
        let (server, _) = try server { _ in isDown.value ? HTTPReply(.init(code: code)) : .json(.object(Self.active)) }
        #expect(await status(server) == 200)
        isDown.mutate { $0 = true }
        time.advance(by: 61)
        #expect(await status(server) == 503)
    }

    @Test("R-16: the token is form-encoded once, and the credentials as RFC 6749 §2.3.1 says")
    func encoding() async throws {
        let (server, fetcher) = try server { _ in .json(.object(Self.active)) }
        #expect(await status(server, "a+b/c~d") == 200)
        let request = try #require(fetcher.requests.first)
        #expect(String(decoding: request.body, as: UTF8.self).hasPrefix("token=a%2Bb%2Fc~d&"))
        #expect(request.fields[.authorization] == "Basic " + Base64.encode(Array("a%20b:s%3A%25".utf8)))
    }

    @Test("post and private_key_jwt")
    func authentication() async throws {
        let (post, asked) = try server({ _ in .json(.object(Self.active)) }, .post(clientID: "rs", secret: "s&"))
        #expect(await status(post) == 200)
        let sent = String(decoding: asked.requests.first?.body ?? [], as: UTF8.self)
        #expect(sent.contains("client_secret=s%26"))
        let key = try SigningKey.generate()
        let (jwt, fetcher) = try server(
            { _ in .json(.object(Self.active)) }, .privateKeyJWT(clientID: "rs", key: key, audience: "https://issuer.test"))
        #expect(await status(jwt) == 200)
        let assertion = try #require(try Form(parsing: fetcher.requests.first?.body ?? []).single("client_assertion"))
        let jws = try CompactJWS(parsing: assertion)
        try jws.verify(using: JWKSet([key.verificationKey]))
        let claims = try JWTClaims(parsing: jws.payload)
        #expect(claims.issuer == "rs" && claims.subject == "rs" && claims.audience == ["https://issuer.test"] && claims.identifier != nil)
    }
}

@Suite("Other verifiers")
struct OtherVerifierTests {
    let time = TestClock()

    func principal(_ trust: Trust, _ token: String, fetcher: (any HTTPFetcher)? = nil) async throws -> Principal? {
        let server = try ResourceServer("https://rs.example/mcp", trusting: trust, fetcher: fetcher, clock: time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        if case .accepted(let principal) = await server.authenticate(request) { return principal }
        return nil
    }

    func plain(_ issuer: String, _ subject: String) throws -> Principal {
        Principal(issuer: issuer, subject: subject, expiration: time.now.advanced(by: 100), claims: try JSONDocument(parsing: "{}"))
    }

    @Test("static tokens, and a closure")
    func simple() async throws {
        let fixed = try plain("test", "ada")
        #expect(try await principal(.verifier(StaticTokenVerifier(["t1": fixed])), "t1")?.subject == "ada")
        #expect(try await principal(.verifier(StaticTokenVerifier(["t1": fixed])), "t2") == nil)
        #expect(try await principal(.custom { $0.text == "magic" ? fixed : nil }, "magic")?.subject == "ada")
        #expect(try await principal(.custom { _ in nil }, "magic") == nil)
    }

    @Test("any of several issuers: each speaks for its own users only")
    func anyOf() async throws {
        let one = try TokenMint(issuer: "https://one.test", clock: time.clock)
        let two = try TokenMint(issuer: "https://two.test", clock: time.clock)
        let trust = Trust.anyOf(
            .keys([one.key.verificationKey], issuer: one.issuer), .keys([two.key.verificationKey], issuer: two.issuer),
            .custom { $0.text == "opaque" ? try plain("own", "ada") : nil })
        let first = try #require(try await principal(trust, one.token(subject: "ada", audience: "https://rs.example/mcp")))
        let second = try #require(try await principal(trust, two.token(subject: "ada", audience: "https://rs.example/mcp")))
        #expect(
            first.issuer == "https://one.test" && second.issuer == "https://two.test" && first.owner != second.owner && !first.isSameUser(as: second))
        let forged = try one.token(subject: "ada", audience: "https://rs.example/mcp", claims: ["iss": "https://two.test"])
        #expect(try await principal(trust, forged) == nil)
        #expect(try await principal(trust, "opaque")?.issuer == "own")
    }

    @Test("P-08, W-01: a user is issuer and subject, byte for byte")
    func owners() throws {
        #expect(try !plain("https://a", "caf\u{E9}").isSameUser(as: plain("https://a", "cafe\u{301}")))
        #expect(try plain("https://a", "b|c").owner != plain("https://a|b", "c").owner)
    }

    @Test("HMAC works for an owner who configured a secret, and only then")
    func hmac() async throws {
        let secret = [UInt8](repeating: 7, count: 32)
        let key = try SigningKey.hmac(secret: secret, algorithm: .hs256)
        let claims: JSONValue = ["iss": "https://i.test", "sub": "u", "aud": "https://rs.example/mcp", "exp": .int(time.now.seconds + 60)]
        let token = try CompactJWS.sign(claims.serialized, type: "at+jwt", with: key)
        #expect(try await principal(.keys([try VerificationKey.hmac(secret: secret, algorithm: .hs256)], issuer: "https://i.test"), token) != nil)
    }

    @Test("a key pair that mints test tokens in two lines, in any algorithm", arguments: [SigningAlgorithm.rs256, .es256, .edDSA])
    func mint(_ algorithm: SigningAlgorithm) async throws {
        let mint = try TokenMint(algorithm: algorithm, clock: time.clock)
        let token = try mint.token(subject: "ada", audience: "https://rs.example/mcp", scopes: "read")
        let trust = Trust.keys([try VerificationKey(pem: mint.publicKeyPEM)], issuer: mint.issuer)
        #expect(try await principal(trust, token)?.subject == "ada")
        #expect(try await principal(trust, mint.token(audience: "https://rs.example/mcp", expiresIn: -100)) == nil)
    }

    @Test(
        "the environment of the seed tools",
        arguments: [
            ["AUTH_ISSUER": "https://issuer.test"], ["AUTH_ISSUER": "https://issuer.test", "AUTH_AUDIENCE": "https://rs.example/mcp"],
            ["AUTH_ISSUER": "https://issuer.test", "JWT_PUBLIC_KEY": "PEM"], ["AUTH_ISSUER": "https://issuer.test", "JWT_PUBLIC_KEY": "ESCAPED"],
            ["AUTH_ISSUER": "https://issuer.test", "AUTH_CLIENT_ID": "rs", "AUTH_CLIENT_SECRET": "s"],
            ["AUTH_ISSUER": "https://issuer.test", "AUTH_CLIENT_ID": "rs"],
        ])
    func environment(_ variables: [String: String]) async throws {
        let mint = try TokenMint(clock: time.clock)
        var variables = variables
        if variables["JWT_PUBLIC_KEY"] == "PEM" { variables["JWT_PUBLIC_KEY"] = mint.publicKeyPEM }
        if variables["JWT_PUBLIC_KEY"] == "ESCAPED" { variables["JWT_PUBLIC_KEY"] = mint.publicKeyPEM.replacing("\n", with: "\\n") }
        let trust = try #require(try Trust.environment(variables))
        #expect(try await principal(trust, mint.token(audience: "https://rs.example/mcp", type: "JWT"), fetcher: mint)?.subject == "test-user")
        #expect(try await principal(trust, mint.token(audience: "https://other.example", type: "JWT"), fetcher: mint) == nil)
    }

    @Test("AUTH0_DOMAIN and AUTH0_AUDIENCE")
    func auth0() async throws {
        let mint = try TokenMint(issuer: "https://acme.eu.auth0.com/", clock: time.clock)
        let fetcher = ScriptedFetcher { request in
            switch request.url.text {
            case "https://acme.eu.auth0.com/.well-known/oauth-authorization-server": HTTPReply(.notFound)
            case "https://acme.eu.auth0.com/.well-known/openid-configuration":
                .json(["issuer": "https://acme.eu.auth0.com/", "jwks_uri": "https://acme.eu.auth0.com/.well-known/jwks.json"])
            default: .json(JWKSet([mint.key.verificationKey]).publicDocument)
            }
        }
        let trust = try #require(try Trust.environment(["AUTH0_DOMAIN": "acme.eu.auth0.com", "AUTH0_AUDIENCE": "https://api"]))
        #expect(
            try await principal(trust, mint.token(audience: "https://api", type: "JWT"), fetcher: fetcher)?.issuer == "https://acme.eu.auth0.com/")
        #expect(try await principal(trust, mint.token(audience: "https://rs.example/mcp", type: "JWT"), fetcher: fetcher) == nil)
    }

    @Test(
        "a misconfigured environment says which variable",
        arguments: [
            (["AUTH_AUDIENCE": "x"], "AUTH_ISSUER"), (["JWT_PUBLIC_KEY": "x"], "AUTH_ISSUER"),
            (["AUTH_ISSUER": "https://i.test", "JWT_PUBLIC_KEY": "x"], "JWT_PUBLIC_KEY"),
            (["AUTH0_DOMAIN": "https://acme.auth0.com"], "AUTH0_DOMAIN"),
            (["AUTH_ISSUER": "https://i.test", "AUTH_CLIENT_SECRET": "x"], "AUTH_CLIENT_ID"), (["AUTH_ISSUER": "http://i.test"], "https"),
        ])
    func environmentMistakes(_ variables: [String: String], _ word: String) throws {
        let error = #expect(throws: OAuthError.self) { try Trust.environment(variables) }
        #expect(error?.message.contains(word) == true)
        #expect(try Trust.environment([:]) == nil)
    }
}

@Suite("Legacy endpoints")
struct LegacyEndpointTests {
    @Test("a client of 2025-03-26 finds the authorization server on our origin")
    func legacy() async throws {
        let fetcher = ScriptedFetcher { request in
            request.url.text.hasSuffix("oauth-authorization-server")
                ? .json([
                    "issuer": "https://as.test", "authorization_endpoint": "https://as.test/authorize", "token_endpoint": "https://as.test/token",
                ]) : HTTPReply(.notFound)
        }
        let legacy = LegacyEndpoints(issuer: try Issuer("https://as.test"), fetcher: fetcher)
        func get(_ path: String) async -> HTTPReply? {
            await legacy.reply(to: HTTPRequest(method: .get, scheme: "https", authority: "rs.example", path: path))
        }
        #expect(
            try JSONDocument(parsing: await get("/.well-known/oauth-authorization-server")?.body ?? []).root["token_endpoint"]?.string
                == "https://as.test/token")
        #expect(await get("/authorize?a=b%20c")?.response.headerFields[.location] == "https://as.test/authorize?a=b%20c")
        #expect(await get("/token")?.response.status == .notFound)
        #expect(await get("/other") == nil)
        #expect(fetcher.requests.count == 1)
    }
}

@Suite("Token cache")
struct TokenCacheTests {
    @Test("bounded, whatever is put in")
    func bounded() throws {
        let cache = TokenCache(capacity: 320)
        let now = NumericDate(seconds: 1000)
        for index in 0..<5000 {
            let principal = Principal(issuer: "i", subject: "s", expiration: now.advanced(by: 100), claims: try JSONDocument(parsing: "{}"))
            cache.insert(principal, for: AccessToken("\(index)").digest, at: now, lifetime: 100, epoch: 0)
        }
        #expect(cache.count <= 320)
        #expect(cache.principal(for: AccessToken("4999").digest, at: now, epoch: 0) != nil)
        #expect(cache.principal(for: AccessToken("4999").digest, at: now, epoch: 1) == nil)
        #expect(cache.principal(for: AccessToken("4999").digest, at: now.advanced(by: 100), epoch: 0) == nil)
    }
}

@Suite("Audit events")
struct AuditEventTests {
    @Test(
        "L-02: whatever is in an event, it is one line of JSON",
        arguments: ["a\r\nb", "\r", "\u{2028}", "\u{1B}[31m", "\u{0}", "\",\"level\":\"x", "\u{85}", String(repeating: "x", count: 100_000)])
    func oneLine(_ text: String) throws {
        let line = AuditEvent(
            "access", .denied, at: NumericDate(seconds: 1), detail: text, subject: text, clientID: text, operation: text, peer: text
        ).json.serialized
        #expect(!line.contains { $0 < 0x20 || $0 == 0x7F } && line.count < 8000)
        #expect(!String(decoding: line, as: UTF8.self).unicodeScalars.contains("\u{2028}"))
        #expect(try JSONDocument(parsing: line).root["verdict"]?.string == "denied")
    }

    @Test(
        "times are RFC 3339",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_800_000_000, "2027-01-15T08:00:00Z"), (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"), (-1, "1969-12-31T23:59:59Z"), (.max, "9999-12-31T23:59:59Z"), (.min, "0001-01-01T00:00:00Z"),
        ] as [(Int64, String)])
    func times(_ seconds: Int64, _ text: String) { #expect(NumericDate(seconds: seconds).iso8601 == text) }
}
