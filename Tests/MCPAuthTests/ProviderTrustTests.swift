import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import MCPAuthTesting
import OAuth
import Testing

@Suite("Trust in the access tokens of identity providers")
struct ProviderTrustTests {
    let time = TestClock()
    static let tenant = "9a8b7c6d-1111-2222-3333-444455556666"

    /// A provider whose keys are at every URL, and its tokens.
    func world(_ trust: Trust) throws -> (server: ResourceServer, sign: (JSONObject, String?) throws -> String) {
        let key = try SigningKey.generate(.es256)
        let fetcher = ScriptedFetcher { request throws(OAuthError) in
            let text = request.url.text
            if text.contains(".well-known") {
                let issuer = text.components(before: "/.well-known")
                return .json(["issuer": .string(issuer.hasSuffix("auth0.com") ? issuer + "/" : issuer), "jwks_uri": .string(issuer + "/keys")])
            }
            return .json(JWKSet([key.verificationKey]).publicDocument)
        }
        let server = try ResourceServer("https://mcp.example.com/mcp", trusting: trust, fetcher: fetcher, clock: time.clock)
        return (
            server,
            { claims, type in
                var all = claims
                all["iat"] = .int(time.now.seconds)
                all["exp"] = .int(time.now.advanced(by: 600).seconds)
                return try CompactJWS.sign(JSONValue.object(all).serialized, type: type, with: key)
            }
        )
    }

    func accepts(_ server: ResourceServer, _ token: String) async -> Bool {
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "mcp.example.com", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        if case .accepted = await server.authenticate(request) { return true }
        return false
    }

    @Test("Auth0: the issuer with its slash, the API as audience, and no token of another one")
    func auth0() async throws {
        let (server, sign) = try world(.auth0(domain: "acme.eu.auth0.com", audience: "https://api.acme.com"))
        let good: JSONObject = [
            "iss": "https://acme.eu.auth0.com/", "aud": ["https://api.acme.com", "https://acme.eu.auth0.com/userinfo"], "sub": "auth0|1",
        ]
        #expect(await accepts(server, try sign(good, "at+jwt")))
        #expect(await accepts(server, try sign(good, "JWT")))
        for (name, value) in [("iss", "https://acme.eu.auth0.com"), ("aud", "https://other.acme.com")] as [(String, String)] {
            var bad = good
            bad[name] = .string(value)
            #expect(await !accepts(server, try sign(bad, "at+jwt")), "\(name)")
        }
        var idToken = good
        idToken["nonce"] = "n"
        #expect(await !accepts(server, try sign(idToken, "JWT")), "an ID token")
    }

    @Test("an issuer whose metadata is elsewhere, or names wrong keys, is trusted as the configuration says")
    func metadataElsewhere() async throws {
        let issuer = "https://id.acme.example"
        for location in [
            MetadataLocation.url("https://cdn.acme.example/.well-known/x") { $0["issuer"] = .string(issuer) },
            .document(["jwks_uri": "https://id.acme.example/keys"]), .wellKnown { $0["jwks_uri"] = "https://id.acme.example/other" },
        ] {
            let (server, sign) = try world(.issuer(issuer, metadata: location))
            let token = try sign(["iss": .string(issuer), "aud": "https://mcp.example.com/mcp", "sub": "1"], "at+jwt")
            #expect(await accepts(server, token))
        }
        let (server, sign) = try world(.issuer(issuer, metadata: .url("https://cdn.acme.example/.well-known/x")))
        let token = try sign(["iss": .string(issuer), "aud": "https://mcp.example.com/mcp", "sub": "1"], "at+jwt")
        #expect(await !accepts(server, token), "a document of another issuer, not corrected")
        #expect(throws: OAuthError.self) { try world(.issuer(issuer, metadata: .url("http://cdn.acme.example/x"))) }
    }

    @Test("an hour without the provider loses no valid token, and asks it at most once in twenty seconds")
    func hourWithoutProvider() async throws {
        let key = try SigningKey.generate(.es256)
        let isAway = Synchronized(false)
        let fetches = Synchronized(0)
        let fetcher = ScriptedFetcher { request throws(OAuthError) in
            if request.url.text.contains("oauth-authorization-server") { fetches.mutate { $0 += 1 } }
            if isAway.value { throw OAuthError(.fetchFailed, "away") }
            return request.url.text.contains("/keys")
                ? .json(JWKSet([key.verificationKey]).publicDocument)
                : .json(["issuer": "https://id.acme.example", "jwks_uri": "https://id.acme.example/keys"])
        }
        // No cache of tokens, so that every request needs the keys.
        let server = try ResourceServer(
            "https://mcp.example.com/mcp", trusting: .issuer("https://id.acme.example"), fetcher: fetcher, clock: time.clock, cacheCapacity: 0)
        let claims: JSONValue = [
            "iss": "https://id.acme.example", "aud": "https://mcp.example.com/mcp", "sub": "1", "iat": .int(time.now.seconds),
            "exp": .int(time.now.advanced(by: 7200).seconds),
        ]
        let token = try CompactJWS.sign(claims.serialized, type: "at+jwt", with: key)
        #expect(await accepts(server, token))
        isAway.mutate { $0 = true }
        fetches.mutate { $0 = 0 }
        var rejected = 0
        for _ in 0..<720 {
            time.advance(by: 5)
            if await !accepts(server, token) { rejected += 1 }
            // The fetch runs in the background.
            try await Task.sleep(for: .milliseconds(2))
        }
        #expect(rejected == 0)
        #expect((1...180).contains(fetches.value), "\(fetches.value) attempts")
        isAway.mutate { $0 = false }
        for _ in 0..<60 {
            time.advance(by: 1)
            #expect(await accepts(server, token))
        }
    }

    @Test("Entra: tokens of versions 1 and 2 of this tenant, and no other tenant's")
    func entra() async throws {
        let (server, sign) = try world(.entra(tenant: Self.tenant, audience: "api-client"))
        func token(_ issuer: String) throws -> String {
            try sign(["iss": .string(issuer), "aud": "api-client", "sub": "pairwise", "tid": .string(Self.tenant), "scp": "read write"], "JWT")
        }
        #expect(await accepts(server, try token("https://login.microsoftonline.com/\(Self.tenant)/v2.0")))
        #expect(await accepts(server, try token("https://sts.windows.net/\(Self.tenant)/")))
        #expect(await !accepts(server, try token("https://sts.windows.net/11111111-2222-3333-4444-555555555555/")))
        #expect(server.metadata.authorizationServers == ["https://login.microsoftonline.com/\(Self.tenant)/v2.0"])
    }

    @Test("Cognito: without an audience the client is checked; with one it must be the resource")
    func cognito() async throws {
        let provider = IdentityProvider.cognito(region: "eu-central-1", pool: "eu-central-1_AbC", domain: "acme.auth.eu-central-1.amazoncognito.com")
        let (server, sign) = try world(.provider(provider, clients: ["client-1"]))
        let good: JSONObject = [
            "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC", "sub": "s", "client_id": "client-1", "token_use": "access",
        ]
        #expect(await accepts(server, try sign(good, nil)))
        for (name, value) in [("client_id", "client-2"), ("token_use", "id"), ("aud", "https://other.example/mcp")] as [(String, String)] {
            var bad = good
            bad[name] = .string(value)
            #expect(await !accepts(server, try sign(bad, nil)), "\(name)")
        }
        var bound = good
        bound["aud"] = "https://mcp.example.com/mcp"
        #expect(await accepts(server, try sign(bound, nil)), "the resource that the client sent")
    }

    @Test(
        "what cannot be trusted is said when the server is made, with the way out",
        arguments: [
            (Trust.provider(.github()), "sign users in through it instead"), (.provider(.google()), "sign users in through it instead"),
            (.provider(.auth0(domain: "acme.eu.auth0.com")), "pass audience:"), (.provider(.clerk(domain: "clerk.acme.com")), "pass clients:"),
            (.provider(.firebase(project: "p"), audience: "p"), "insecureAllowIDTokens: true"),
            (.provider(.propelAuth(url: "https://auth.acme.com"), audience: "x"), ".introspection(issuer:"),
            (.provider(.okta(domain: "a b"), audience: "x"), "is not a URL"),
        ])
    func refusals(_ trust: Trust, _ words: String) {
        let error = #expect(throws: OAuthError.self) { try world(trust) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    @Test("Firebase: its ID tokens, where that was said in so many words")
    func firebase() async throws {
        let (server, sign) = try world(.provider(.firebase(project: "acme"), audience: "acme", insecureAllowIDTokens: true))
        #expect(await accepts(server, try sign(["iss": "https://securetoken.google.com/acme", "aud": "acme", "sub": "u", "user_id": "u"], "JWT")))
        #expect(await !accepts(server, try sign(["iss": "https://securetoken.google.com/other", "aud": "acme", "sub": "u"], "JWT")))
    }
}

extension String {
    fileprivate func components(before separator: String) -> String {
        guard let range = self.firstRange(of: separator) else { return self }
        return String(self[..<range.lowerBound])
    }
}
