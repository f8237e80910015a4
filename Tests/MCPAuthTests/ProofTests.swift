import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import OAuth
import Testing

@Suite("Tokens that are bound to keys, at the resource server")
struct ProofTests {
    static let resource = "https://rs.example/mcp"
    let time = TestClock()
    let mint: TokenMint
    let prover: ProofMint
    let auth: ResourceServer

    init() throws {
        mint = try TokenMint(clock: time.clock)
        prover = try ProofMint(clock: time.clock)
        auth = try Self.server(mint, time)
    }

    static func server(_ mint: TokenMint, _ time: TestClock, _ proofs: ProofPolicy = ProofPolicy()) throws -> ResourceServer {
        try ResourceServer(resource, trusting: .issuer(mint.issuer), proofs: proofs, fetcher: mint, clock: time.clock)
    }

    func bound(_ confirmation: JSONValue? = nil) throws -> String {
        try mint.token(audience: Self.resource, claims: ["cnf": confirmation ?? ["jkt": .string(prover.thumbprint)]])
    }

    func answer(
        _ authorization: String, _ proofs: [String], method: HTTPRequest.Method = .post, path: String = "/mcp", on server: ResourceServer? = nil,
        _ more: HTTPFields = [:]
    ) async -> HTTPReply? {
        var fields = more
        fields[.authorization] = authorization
        for proof in proofs { fields.append(HTTPField(name: HTTPField.Name("DPoP")!, value: proof)) }
        let request = HTTPRequest(method: method, scheme: "https", authority: "rs.example", path: path, headerFields: fields)
        switch await (server ?? auth).authenticate(request) {
        case .accepted: return nil
        case .rejected(let reply): return reply
        }
    }

    @Test("positive control, R104: a bound token with its proof is taken, and the principal knows the key")
    func control() async throws {
        let token = try bound()
        let proof = try prover.proof("POST", Self.resource, accessToken: token)
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "rs.example", path: "/mcp",
            headerFields: [.authorization: "DPoP \(token)", HTTPField.Name("DPoP")!: proof])
        guard case .accepted(let principal) = await auth.authenticate(request) else { throw Refused() }
        #expect(principal.keyThumbprint == prover.thumbprint)
        #expect(auth.metadata.dpopSigningAlgorithmsSupported?.contains("ES256") == true)
        #expect(auth.metadata.dpopSigningAlgorithmsSupported?.contains { $0 == "none" || $0.hasPrefix("HS") } == false)
    }
    struct Refused: Error {}

    @Test("X-04: normalised equals are the same URL")
    func normalised() async throws {
        for url in ["HTTPS://RS.example/mcp", "https://rs.example:443/mcp", "https://rs.example/mcp?a=b", "https://rs.example/mcp#f"] {
            let token = try bound()
            #expect(await answer("DPoP \(token)", [try prover.proof("POST", url, accessToken: token)]) == nil, "\(url)")
        }
        let token = try bound()
        #expect(await answer("dpop \(token)", [try prover.proof("POST", Self.resource, accessToken: token)], path: "/mcp?x=1") == nil)
    }

    struct Change: Sendable {
        let name: String
        var claims: JSONObject = [:]
        var header: JSONObject = [:]
        init(_ name: String, claim: String, _ value: JSONValue) {
            self.name = name
            claims[claim] = value
        }
        init(_ name: String, header member: String, _ value: JSONValue) {
            self.name = name
            header[member] = value
        }
    }

    static let changes: [Change] = [
        Change("method", claim: "htm", "GET"), Change("method in another case", claim: "htm", "post"), Change("no method", claim: "htm", .null),
        Change("URL", claim: "htu", "https://rs.example/mcp2"), Change("host", claim: "htu", "https://evil.lab/mcp"),
        Change("scheme", claim: "htu", "http://rs.example/mcp"), Change("port", claim: "htu", "https://rs.example:8443/mcp"),
        Change("path in another case", claim: "htu", "https://rs.example/MCP"), Change("no URL", claim: "htu", .null),
        Change("a URL that is none", claim: "htu", "rs.example/mcp"), Change("hash of another token", claim: "ath", "x"),
        Change("no hash", claim: "ath", .null), Change("no identifier", claim: "jti", .null), Change("identifier of no type", claim: "jti", 1),
        Change("empty identifier", claim: "jti", ""), Change("old", claim: "iat", 1_799_999_699), Change("future", claim: "iat", 1_800_000_301),
        Change("no time", claim: "iat", .null), Change("time of no type", claim: "iat", "1800000000"),
        Change("expired", claim: "exp", 1_800_000_000), Change("typ", header: "typ", "JWT"), Change("no typ", header: "typ", .null),
        Change("no key", header: "jwk", .null), Change("a key that is none", header: "jwk", "x"), Change("alg none", header: "alg", "none"),
        Change("alg symmetric", header: "alg", "HS256"), Change("another alg", header: "alg", "ES384"), Change("crit", header: "crit", ["x"]),
    ]

    @Test("X-04, R104: a proof for another request, another token, or of another form is refused", arguments: changes)
    func refused(_ change: Change) async throws {
        let token = try bound()
        let proof = try prover.proof("POST", Self.resource, accessToken: token, claims: change.claims, header: change.header)
        let reply = await answer("DPoP \(token)", [proof])
        #expect(reply?.response.status == .unauthorized, "\(change.name)")
        let challenge = reply?.response.headerFields[.wwwAuthenticate] ?? ""
        #expect(challenge.hasPrefix("DPoP error=\"invalid_dpop_proof\"") && challenge.contains("algs="), "\(change.name): \(challenge)")
    }

    @Test("R105: ten seconds either way are no reason to refuse")
    func skew() async throws {
        let server = try Self.server(mint, time)
        let token = try bound()
        #expect(await answer("DPoP \(token)", [try prover.proof("POST", Self.resource, accessToken: token)], on: server) == nil)
        time.advance(by: 60)
        for delta in [-10, 10, -50] as [Int64] {
            let proof = try prover.proof("POST", Self.resource, accessToken: token, claims: ["iat": .int(time.now.seconds + delta)])
            #expect(await answer("DPoP \(token)", [proof], on: server) == nil, "\(delta)")
        }
        let ahead = try prover.proof("POST", Self.resource, accessToken: token, claims: ["iat": .int(time.now.seconds + 100)])
        #expect(await answer("DPoP \(token)", [ahead], on: server) != nil, "X-05: it may have been used before this server started")
        time.advance(by: 400)
        for delta in [-10, 10, -50, 290] as [Int64] {
            let proof = try prover.proof("POST", Self.resource, accessToken: token, claims: ["iat": .int(time.now.seconds + delta)])
            #expect(await answer("DPoP \(token)", [proof], on: server) == nil, "\(delta)")
        }
    }

    @Test("X-04: another key, a private key in the header, and a symmetric key")
    func keys() async throws {
        let token = try bound()
        let other = try ProofMint(clock: time.clock)
        #expect(await answer("DPoP \(token)", [try other.proof("POST", Self.resource, accessToken: token)]) != nil)
        var jwk = prover.key.verificationKey.publicJWK?.object ?? [:]
        jwk["d"] = "AAAA"
        #expect(await answer("DPoP \(token)", [try prover.proof("POST", Self.resource, accessToken: token, header: ["jwk": .object(jwk)])]) != nil)
        let symmetric: JSONValue = ["kty": "oct", "k": .string(String(repeating: "A", count: 43))]
        #expect(await answer("DPoP \(token)", [try prover.proof("POST", Self.resource, accessToken: token, header: ["jwk": symmetric])]) != nil)
        // The other key's JWK under our signature.
        let foreign = other.key.verificationKey.publicJWK ?? .null
        #expect(await answer("DPoP \(token)", [try prover.proof("POST", Self.resource, accessToken: token, header: ["jwk": foreign])]) != nil)
    }

    @Test("X-04: what a proxy or the client says of the host does not change the URL that counts")
    func forwarded() async throws {
        let token = try bound()
        let proof = try prover.proof("POST", "https://evil.lab/mcp", accessToken: token)
        for name in ["X-Forwarded-Host", "Forwarded", "X-Original-URL"] {
            let fields: HTTPFields = [HTTPField.Name(name)!: name == "Forwarded" ? "host=evil.lab" : "evil.lab"]
            #expect(await answer("DPoP \(token)", [proof], fields) != nil)
        }
    }

    @Test("J-21, X-06: a bound token as Bearer, an unbound one as DPoP, a binding that is not known, no proof, two proofs")
    func downgrade() async throws {
        let token = try bound()
        let proof = try prover.proof("POST", Self.resource, accessToken: token)
        let bare = try #require(await answer("Bearer \(token)", []))
        let challenges = bare.response.headerFields[values: .wwwAuthenticate]
        #expect(bare.response.status == .unauthorized && challenges.count == 2)
        #expect(challenges[0].hasPrefix("Bearer error=\"invalid_token\"") && challenges[1].hasPrefix("DPoP algs="))
        #expect(await answer("Bearer \(token)", [proof])?.response.status == .unauthorized)
        #expect(await answer("DPoP \(token)", [])?.response.status == .unauthorized)
        let again = try prover.proof("POST", Self.resource, accessToken: token)
        #expect(await answer("DPoP \(token)", [proof, again])?.response.status == .unauthorized)
        let plain = try mint.token(audience: Self.resource)
        #expect(await answer("DPoP \(plain)", [try prover.proof("POST", Self.resource, accessToken: plain)])?.response.status == .unauthorized)
        #expect(await answer("Bearer \(plain)", []) == nil)
        for confirmation in [
            [:], ["x5t#S256": .string(prover.thumbprint)], ["jkt": .string(prover.thumbprint), "x5t#S256": "x"], ["jkt": "short"], "x", ["jkt": 1],
        ] as [JSONValue] {
            let odd = try bound(confirmation)
            #expect(await answer("Bearer \(odd)", [])?.response.status == .unauthorized)
            #expect(await answer("DPoP \(odd)", [try prover.proof("POST", Self.resource, accessToken: odd)])?.response.status == .unauthorized)
        }
    }

    @Test("X-05: a proof is good once, also for fifty at the same time, and not again after a restart")
    func replay() async throws {
        let token = try bound()
        let proof = try prover.proof("POST", Self.resource, accessToken: token)
        let wins = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 { group.addTask { await answer("DPoP \(token)", [proof]) == nil } }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(wins == 1)
        #expect(await answer("DPoP \(token)", [proof])?.response.headerFields[.wwwAuthenticate]?.contains("invalid_dpop_proof") == true)
        time.advance(by: 30)
        let restarted = try Self.server(mint, time)
        #expect(await answer("DPoP \(token)", [proof], on: restarted) != nil)
        #expect(await answer("DPoP \(token)", [try prover.proof("POST", Self.resource, accessToken: token)], on: restarted) == nil)
    }

    @Test("X-05: several instances with one memory take a proof once between them")
    func instances() async throws {
        let shared = LocalProofMemory()
        let (one, two) = (try Self.server(mint, time, ProofPolicy(memory: shared)), try Self.server(mint, time, ProofPolicy(memory: shared)))
        let token = try bound()
        let proof = try prover.proof("POST", Self.resource, accessToken: token)
        #expect(await answer("DPoP \(token)", [proof], on: one) == nil)
        #expect(await answer("DPoP \(token)", [proof], on: two) != nil)
    }

    @Test("X-05: the memory is bounded: full, it refuses for a while and forgets nothing that could be used again")
    func bounded() async throws {
        let memory = LocalProofMemory(capacity: 10, capacityOfKey: 10)
        func proof(_ number: Int) throws -> DPoPProof {
            let text = try prover.proof("POST", Self.resource, claims: ["jti": .string("j\(number)")])
            return try DPoPProof(parsing: text, method: "POST", url: try #require(WebURL(Self.resource)), accessToken: nil, at: time.now)
        }
        let first = try proof(0)
        #expect(memory.isFirstUse(of: first, at: time.now) == true)
        for number in 1..<10 { #expect(memory.isFirstUse(of: try proof(number), at: time.now) == true) }
        #expect(memory.isFirstUse(of: try proof(10), at: time.now) == nil)
        #expect(memory.isFirstUse(of: first, at: time.now) == false)
        time.advance(by: 600)
        #expect(memory.isFirstUse(of: first, at: time.now) == false)
        time.advance(by: 600)
        #expect(memory.isFirstUse(of: try proof(11), at: time.now) == true)
        let server = try Self.server(mint, time, ProofPolicy(memory: LocalProofMemory(capacity: 0)))
        let token = try bound()
        #expect(
            await answer("DPoP \(token)", [try prover.proof("POST", Self.resource, accessToken: token)], on: server)?.response.status
                == .serviceUnavailable)
    }

    @Test("X-05: whoever fills the memory with proofs of one key keeps nobody else out")
    func boundedByKey() async throws {
        let memory = LocalProofMemory(capacity: 100, capacityOfKey: 3)
        func isFirst(_ prover: ProofMint, _ number: Int) throws -> Bool? {
            let text = try prover.proof("POST", Self.resource, claims: ["jti": .string("j\(number)")])
            let proof = try DPoPProof(parsing: text, method: "POST", url: try #require(WebURL(Self.resource)), accessToken: nil, at: time.now)
            return memory.isFirstUse(of: proof, at: time.now)
        }
        for number in 0..<3 { #expect(try isFirst(prover, number) == true) }
        #expect(try isFirst(prover, 3) == nil)
        #expect(try isFirst(prover, 2) == false)
        #expect(try isFirst(try ProofMint(clock: time.clock), 0) == true)
        time.advance(by: 600)
        #expect(try isFirst(prover, 4) == nil, "both generations count")
        time.advance(by: 600)
        #expect(try isFirst(prover, 5) == true)
    }

    @Test("X-06, R106: a server that wants nonces says which, takes that one, and no old or foreign one")
    func nonces() async throws {
        let server = try Self.server(mint, time, ProofPolicy(requiresNonce: true))
        let token = try bound()
        func send(_ nonce: String?) async throws -> HTTPReply? {
            await answer("DPoP \(token)", [try prover.proof("POST", Self.resource, accessToken: token, nonce: nonce)], on: server)
        }
        let asked = try #require(try await send(nil))
        #expect(asked.response.headerFields[.wwwAuthenticate]?.hasPrefix("DPoP error=\"use_dpop_nonce\"") == true)
        let nonce = try #require(asked.response.headerFields[HTTPField.Name("DPoP-Nonce")!])
        #expect(try await send(nonce) == nil)
        #expect(try await send("foreign") != nil)
        time.advance(by: 301)
        #expect(try await send(nonce)?.response.headerFields[.wwwAuthenticate]?.contains("use_dpop_nonce") == true)
    }

    @Test("M-14: a clock that was ahead when the first proof came locks nobody out once it is right")
    func clock() async throws {
        let memory = LocalProofMemory()
        func proof(at now: NumericDate) throws -> DPoPProof {
            let text = try prover.proof("POST", Self.resource, claims: ["iat": .int(now.seconds)])
            return try DPoPProof(parsing: text, method: "POST", url: try #require(WebURL(Self.resource)), accessToken: nil, at: now)
        }
        let ahead = time.now.advanced(by: 1_000_000)
        #expect(memory.isFirstUse(of: try proof(at: ahead), at: ahead) == true)
        #expect(memory.isFirstUse(of: try proof(at: time.now), at: time.now) == true)
    }

    @Test("a server may insist on bound tokens, and says so")
    func required() async throws {
        let server = try Self.server(mint, time, ProofPolicy(isRequired: true))
        let plain = try mint.token(audience: Self.resource)
        let reply = await answer("Bearer \(plain)", [], on: server)
        #expect(reply?.response.headerFields[values: .wwwAuthenticate].map { String($0.prefix(5)) } == ["DPoP "])
        #expect(server.metadata.dpopBoundAccessTokensRequired == true)
    }
}
