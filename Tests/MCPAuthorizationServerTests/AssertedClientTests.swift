import HTTPTypes
import JOSE
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

/// A client that proves who it is with a key.
struct AssertingClient {
    let id: String
    let key: SigningKey
    let time: TestClock

    func assertion(_ claims: JSONObject = [:], type: String? = nil, key: SigningKey? = nil) throws -> String {
        let now = time.now.seconds
        var all: JSONObject = [
            "iss": .string(id), "sub": .string(id), "aud": .string(Harness.issuer), "iat": .int(now), "exp": .int(now + 60),
            "jti": .string(RandomSource.system.token(bytes: 12)),
        ]
        for claim in claims { all[claim.name] = claim.value.isNull ? nil : claim.value }
        return try CompactJWS.sign(JSONValue.object(all).serialized, type: type, with: key ?? self.key)
    }

    func fields(_ assertion: String) -> [(String, String)] {
        [("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), ("client_assertion", assertion)]
    }

    /// What a client registers.
    var registration: JSONValue {
        [
            "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "private_key_jwt",
            "jwks": ["keys": [key.verificationKey.publicJWK ?? .null]],
        ]
    }
}

@Suite("Clients with keys (RFC 7523)")
struct AssertedClientTests {
    let harness: Harness
    let client: AssertingClient

    init() async throws {
        harness = try await Harness()
        let key = try SigningKey.generate(.es256)
        let registration = AssertingClient(id: "", key: key, time: harness.time).registration
        client = AssertingClient(id: try await harness.registered(registration), key: key, time: harness.time)
    }

    /// The status of a request to revoke something unknown: 200 for whoever is let in, with the least of everything
    /// else.
    func status(_ assertion: String, _ more: [(String, String)] = []) async throws -> Int {
        try await harness.post("/revoke", [("token", "x")] + client.fields(assertion) + more).status
    }

    @Test("positive control, R127: an assertion lets its client in, for a code too")
    func control() async throws {
        #expect(try await status(try client.assertion()) == 200)
        #expect(try await status(try client.assertion(), [("client_id", client.id)]) == 200)
        #expect(try await status(try client.assertion(type: "client-authentication+jwt")) == 200)
        #expect(try await status(try client.assertion(["aud": [.string(Harness.issuer)]])) == 200)
        let code = try await harness.code(client.id)
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("code_verifier", Harness.verifier), ("redirect_uri", Harness.redirectURI)]
            + client.fields(try client.assertion())
        #expect(try await harness.post("/token", form).status == 200)
    }

    @Test(
        "K-07, R136: the audience is this issuer, alone",
        arguments: [
            "https://as.example/token", "https://as.example/par", "https://as.example/", "https://other.example",
            ["https://as.example", "https://evil.lab"],
            .null, [],
        ] as [JSONValue])
    func audience(_ value: JSONValue) async throws { #expect(try await status(try client.assertion(["aud": value])) == 401) }

    @Test("K-07: an old client's audience is taken where that was allowed")
    func oldAudience() async throws {
        let lenient = try await Harness(time: harness.time) { $0.insecureAllowTokenEndpointAudience = true }
        let id = try await lenient.registered(client.registration)
        let other = AssertingClient(id: id, key: client.key, time: harness.time)
        let reply = try await lenient.post("/revoke", [("token", "x")] + other.fields(try other.assertion(["aud": "https://as.example/token"])))
        #expect(reply.status == 200)
    }

    @Test(
        "K-08: claims and times",
        arguments: [
            ["iss": "someone"], ["sub": "someone"], ["iss": .null], ["exp": .null], ["exp": 1_799_999_900], ["exp": 1_800_086_400],
            ["iat": 1_800_000_600], ["iat": 1_799_990_000], ["nbf": 1_800_000_600], ["jti": .null], ["jti": ""], ["jti": 1],
            ["exp": .number(JSONNumber(1e300)!)], ["exp": "1800000060"],
        ] as [JSONObject])
    func claims(_ change: JSONObject) async throws {
        #expect(try await status(try client.assertion(change), [("client_id", client.id)]) == 401)
    }

    @Test("K-08: other keys, other algorithms, JWTs of other kinds")
    func signatures() async throws {
        #expect(try await status(try client.assertion(key: try SigningKey.generate(.es256, keyID: client.key.keyID))) == 401)
        #expect(try await status(try client.assertion(key: try SigningKey.generate(.rs256))) == 401)
        for type in ["at+jwt", "dpop+jwt", "oauth-id-jag+jwt", "token-introspection+jwt", "logout+jwt"] {
            #expect(try await status(try client.assertion(type: type)) == 401, "\(type)")
        }
        let pem = try #require(client.key.verificationKey.pem)
        let hmac = try SigningKey.hmac(secret: Array(pem.utf8), algorithm: .hs256, keyID: client.key.keyID)
        #expect(try await status(try client.assertion(key: hmac)) == 401)
        let parts = try client.assertion().split(separator: ".").map(String.init)
        let unsigned = Base64URL.encode(#"{"alg":"none"}"#.utf8) + "." + parts[1] + "."
        #expect(try await status(unsigned) == 401)
        for text in ["x", "a.b.c", ""] { #expect(try await status(text) != 200) }
    }

    @Test("K-08: the algorithm that the client registered, and no other")
    func registeredAlgorithm() async throws {
        let key = try SigningKey.generate(.rs256)
        var registration = AssertingClient(id: "", key: key, time: harness.time).registration.object ?? [:]
        registration["jwks"] = ["keys": [client.key.verificationKey.publicJWK ?? .null, key.verificationKey.publicJWK ?? .null]]
        registration["token_endpoint_auth_signing_alg"] = "ES256"
        let id = try await harness.registered(.object(registration))
        let both = AssertingClient(id: id, key: client.key, time: harness.time)
        for (key, expected) in [(client.key, 200), (key, 401)] {
            #expect(try await harness.post("/revoke", [("token", "x")] + both.fields(try both.assertion(key: key))).status == expected)
        }
    }

    @Test("K-09, R135: an assertion is good once, of twenty at once too, and another client's jti is another jti")
    func replay() async throws {
        let assertion = try client.assertion(["jti": "same"])
        let wins = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<20 { group.addTask { try await status(assertion) } }
            return try await group.reduce(0) { $0 + ($1 == 200 ? 1 : 0) }
        }
        #expect(wins == 1)
        #expect(try await status(try client.assertion(["jti": "same"])) == 401)
        let other = AssertingClient(id: try await harness.registered(client.registration), key: client.key, time: harness.time)
        #expect(try await harness.post("/revoke", [("token", "x")] + other.fields(try other.assertion(["jti": "same"]))).status == 200)
    }

    @Test("K-01, K-02: the registered method and no other, and never two at once")
    func methods() async throws {
        #expect(try await harness.post("/revoke", [("token", "x"), ("client_id", client.id)]).status == 401)
        #expect(try await harness.post("/revoke", [("token", "x"), ("client_id", client.id), ("client_secret", "x")]).status == 401)
        #expect(try await status(try client.assertion(), [("client_secret", "x")]) == 400)
        let basic: HTTPFields = [.authorization: "Basic eDp5"]
        #expect(try await harness.post("/revoke", [("token", "x")] + client.fields(try client.assertion()), basic).status == 400)
        #expect(try await status(try client.assertion(), [("client_id", "other")]) == 401)
        let wrongType = [("client_assertion_type", "urn:x"), ("client_assertion", try client.assertion())]
        #expect(try await harness.post("/revoke", [("token", "x")] + wrongType).status == 401)
        // A client with another method is not let in by an assertion, however well signed.
        let plain = AssertingClient(id: try await harness.registered(), key: client.key, time: harness.time)
        #expect(try await harness.post("/revoke", [("token", "x")] + plain.fields(try plain.assertion())).status == 401)
    }

    @Test("K-10, R94: keys at an address: rotated ones are found, trouble is invalid_client, and nobody makes us fetch without end")
    func remoteKeys() async throws {
        let keys = Synchronized([client.key.verificationKey])
        let failing = Synchronized(false)
        let fetcher = ScriptedFetcher { _ throws(OAuthError) in
            guard !failing.value else { throw OAuthError(.fetchFailed, "away") }
            return .json(JWKSet(keys.value).publicDocument)
        }
        let server = try await Harness(fetcher: fetcher, time: harness.time)
        let id = try await server.registered([
            "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "private_key_jwt",
            "jwks_uri": "https://c.example/jwks",
        ])
        #expect(fetcher.requests.isEmpty, "D-05: nothing is fetched at registration")
        let remote = AssertingClient(id: id, key: client.key, time: harness.time)
        func status(_ key: SigningKey) async throws -> Int {
            try await server.post("/revoke", [("token", "x")] + remote.fields(try remote.assertion(key: key))).status
        }
        #expect(try await status(client.key) == 200)
        let next = try SigningKey.generate(.es256)
        keys.value = [next.verificationKey]
        harness.time.advance(by: 31)
        #expect(try await status(next) == 200)
        let before = fetcher.requests.count
        for _ in 0..<20 { #expect(try await status(try SigningKey.generate(.es256)) == 401) }
        #expect(fetcher.requests.count <= before + 1)
        failing.value = true
        harness.time.advance(by: 86401)
        #expect(try await status(next) == 401)
    }

    @Test("D-05: keys that must not be registered")
    func badKeys() async throws {
        let good = client.key.verificationKey.publicJWK ?? .null
        var secret = good.object ?? [:]
        secret["d"] = "AAAA"
        for jwks in [
            ["keys": []], ["keys": [.object(secret)]], ["keys": [["kty": "oct", "k": "AAAA"]]], ["keys": [good, "x"]], "x",
            ["keys": .array(Array(repeating: good, count: 1000))], [good],
        ] as [JSONValue] {
            let reply = try await harness.register([
                "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "private_key_jwt", "jwks": jwks,
            ])
            #expect(reply.error == "invalid_client_metadata")
        }
        for uri in ["http://c.example/jwks", "https://127.0.0.1/jwks", "https://169.254.169.254/jwks", "javascript:x"] {
            let reply = try await harness.register([
                "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": .string(uri),
            ])
            #expect(reply.error == "invalid_client_metadata", "\(uri)")
        }
        let both = try await harness.register([
            "redirect_uris": [.string(Harness.redirectURI)], "jwks": ["keys": [good]], "jwks_uri": "https://c.example/jwks",
        ])
        #expect(both.error == "invalid_client_metadata")
    }
}
