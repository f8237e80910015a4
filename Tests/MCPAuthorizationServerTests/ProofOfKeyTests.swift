import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Tokens that are bound to keys, at the authorization server (RFC 9449)")
struct ProofOfKeyTests {
    let harness: Harness
    let client: String
    let prover: ProofMint

    init() async throws {
        harness = try await Harness()
        client = try await harness.registered()
        prover = try ProofMint(clock: harness.time.clock)
    }

    func proof(_ prover: ProofMint? = nil, at path: String = "/token", nonce: String? = nil, _ claims: JSONObject = [:]) throws -> HTTPFields {
        [HTTPField.Name("DPoP")!: try (prover ?? self.prover).proof("POST", Harness.issuer + path, nonce: nonce, claims: claims)]
    }

    func refresh(_ token: String, _ fields: HTTPFields, _ harness: Harness? = nil, client: String? = nil) async throws -> HTTPReply {
        try await (harness ?? self.harness).post(
            "/token", [("grant_type", "refresh_token"), ("client_id", client ?? self.client), ("refresh_token", token)], fields)
    }

    @Test(
        "X-05: two instances of a resource server that share a store take a proof once between them, and neither takes it when the store cannot say")
    func sharedMemory() async throws {
        let store = FailingStore()
        func instance() throws -> ResourceServer {
            try ResourceServer(
                Harness.resource, trusting: .local(harness.server), proofs: ProofPolicy(memory: StoredProofMemory(in: store)),
                clock: harness.time.clock)
        }
        let instances = [try instance(), try instance()]
        let reply = try await harness.redeem(client, try await harness.code(client), [], try proof())
        let token = try #require(reply.json["access_token"]?.string)
        func status(_ text: String, _ instance: Int) async -> Int {
            var request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp")
            request.headerFields[.authorization] = "DPoP \(token)"
            request.headerFields[HTTPField.Name("DPoP")!] = text
            if case .rejected(let reply) = await instances[instance].authenticate(request) { return reply.response.status.code }
            return 200
        }
        for round in 0..<4 {
            let text = try prover.proof("POST", Harness.resource, accessToken: token)
            #expect(await status(text, round % 2) == 200)
            #expect(await status(text, 1 - round % 2) == 401)
        }
        store.fails = true
        #expect(await status(try prover.proof("POST", Harness.resource, accessToken: token), 0) == 503)
    }

    @Test("R108, R130: with a proof the token is bound, says so, and is good with a proof only")
    func bound() async throws {
        let reply = try await harness.redeem(client, try await harness.code(client), [], try proof())
        #expect(reply.status == 200 && reply.json["token_type"]?.string == "DPoP")
        let token = try #require(reply.json["access_token"]?.string)
        #expect(try await !harness.accepts(token))
        let resourceServer = try ResourceServer(Harness.resource, trusting: .local(harness.server), clock: harness.time.clock)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp",
            headerFields: [
                .authorization: "DPoP \(token)",
                HTTPField.Name("DPoP")!: try prover.proof("POST", Harness.resource, accessToken: token),
            ])
        guard case .accepted(let principal) = await resourceServer.authenticate(request) else { throw Refused() }
        #expect(principal.keyThumbprint == prover.thumbprint)
    }
    struct Refused: Error {}

    @Test("R107, R129: the metadata names the algorithms, none of them none or symmetric")
    func advertised() {
        let values = harness.server.metadata["dpop_signing_alg_values_supported"]?.strings ?? []
        #expect(values.contains("ES256") && !values.contains { $0 == "none" || $0.hasPrefix("HS") })
    }

    @Test(
        "X-06: proofs that do not count",
        arguments: [
            ["htm": "GET"], ["htu": "https://as.example/par"], ["htu": "https://evil.lab/token"], ["iat": 1_799_999_000], ["jti": .null],
        ] as [JSONObject])
    func bad(_ claims: JSONObject) async throws {
        let code = try await harness.code(client)
        let reply = try await harness.redeem(client, code, [], try proof(claims))
        #expect(reply.status == 400 && reply.error == "invalid_dpop_proof")
        #expect(try await harness.redeem(client, code, [], try proof()).status == 200, "and the code is not used up")
    }

    func proof(_ claims: JSONObject) throws -> HTTPFields { try proof(nil, claims) }

    @Test("X-05, X-06: a proof is good once, and there is one only")
    func replay() async throws {
        let once = try proof()
        #expect(try await harness.redeem(client, try await harness.code(client), [], once).status == 200)
        #expect(try await harness.redeem(client, try await harness.code(client), [], once).error == "invalid_dpop_proof")
        var two = try proof()
        two.append(HTTPField(name: HTTPField.Name("DPoP")!, value: try prover.proof("POST", Harness.issuer + "/token")))
        #expect(try await harness.redeem(client, try await harness.code(client), [], two).error == "invalid_dpop_proof")
    }

    @Test("X-06, F-03, R130: a public client's refresh token works with its key only, and trying with another changes nothing")
    func refreshBinding() async throws {
        let reply = try await harness.redeem(client, try await harness.code(client), [], try proof())
        let token = try #require(reply.json["refresh_token"]?.string)
        let other = try ProofMint(clock: harness.time.clock)
        #expect(try await refresh(token, [:]).error == "invalid_grant")
        #expect(try await refresh(token, try proof(other)).error == "invalid_grant")
        let good = try await refresh(token, try proof())
        #expect(good.status == 200 && good.json["token_type"]?.string == "DPoP")
        #expect(try await refresh(token, try proof(other)).error == "invalid_grant", "not even within the grace period")
        #expect(try await refresh(try #require(good.json["refresh_token"]?.string), try proof()).status == 200, "and the chain goes on")
    }

    @Test("X-06: dpop_jkt: a code that is bound to a key is redeemed with it only")
    func boundCode() async throws {
        let other = try ProofMint(clock: harness.time.clock)
        let change: [(String, String?)] = [("dpop_jkt", prover.thumbprint)]
        let code = try await harness.code(client, change)
        #expect(try await harness.redeem(client, code).error == "invalid_grant")
        #expect(try await harness.redeem(client, code, [], try proof(other)).error == "invalid_grant")
        #expect(try await harness.redeem(client, code, [], try proof()).status == 200)
        let bad = try await harness.send(.get, "/authorize?" + Form(harness.parameters(client, [("dpop_jkt", "short")])).encoded)
        #expect(bad.text.contains("dpop_jkt"))
    }

    @Test("R108: a client that registered for it gets no token without a proof")
    func registered() async throws {
        let strict = try await harness.registered([
            "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "none", "dpop_bound_access_tokens": true,
        ])
        let code = try await harness.code(strict)
        #expect(try await harness.redeem(strict, code).error == "invalid_dpop_proof")
        #expect(try await harness.redeem(strict, code, [], try proof()).status == 200)
        let always = try await Harness(time: harness.time) { $0.dpop.isRequired = true }
        let anybody = try await always.registered()
        let second = try await always.code(anybody)
        #expect(try await always.redeem(anybody, second).error == "invalid_dpop_proof")
        #expect(try await always.redeem(anybody, second, [], try proof()).status == 200)
    }

    @Test("X-06, R106: nonces: asked for, good for a while, and no old or foreign one")
    func nonces() async throws {
        let careful = try await Harness(time: harness.time) { $0.dpop.requiresNonce = true }
        let client = try await careful.registered()
        let code = try await careful.code(client)
        let asked = try await careful.redeem(client, code, [], try proof())
        #expect(asked.status == 400 && asked.error == "use_dpop_nonce")
        let nonce = try #require(asked.response.headerFields[HTTPField.Name("DPoP-Nonce")!])
        #expect(try await careful.redeem(client, code, [], try proof(nonce: "foreign")).error == "use_dpop_nonce")
        let reply = try await careful.redeem(client, code, [], try proof(nonce: nonce))
        #expect(reply.status == 200 && reply.response.headerFields[HTTPField.Name("DPoP-Nonce")!] != nil)
        harness.time.advance(by: 301)
        let token = try #require(reply.json["refresh_token"]?.string)
        #expect(try await refresh(token, try proof(nonce: nonce), careful, client: client).error == "use_dpop_nonce")
    }
}
