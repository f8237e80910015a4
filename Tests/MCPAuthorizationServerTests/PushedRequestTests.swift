import HTTPTypes
import JOSE
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Pushed authorization requests (RFC 9126)")
struct PushedRequestTests {
    let harness: Harness
    let client: String

    init() async throws {
        harness = try await Harness()
        client = try await harness.registered()
    }

    func push(_ change: [(String, String?)] = [], _ more: [(String, String)] = [], on other: Harness? = nil, client id: String? = nil) async throws
        -> HTTPReply
    {
        let harness = other ?? self.harness
        return try await harness.post("/par", harness.parameters(id ?? client, change) + more)
    }

    func uri(_ change: [(String, String?)] = []) async throws -> String { try #require(try await push(change).json["request_uri"]?.string) }

    func open(_ uri: String, client id: String? = nil, _ more: [(String, String)] = []) async throws -> Browser {
        let browser = Browser(harness)
        try await browser.open([("client_id", id ?? client), ("request_uri", uri)] + more)
        return browser
    }

    @Test("positive control, R124: pushed, opened, allowed, redeemed; what the browser adds counts for nothing (X-01)")
    func control() async throws {
        let reply = try await push()
        #expect(reply.status == 201 && reply.json["expires_in"]?.int == 60)
        #expect(reply.response.headerFields[.cacheControl] == "no-store")
        let uri = try #require(reply.json["request_uri"]?.string)
        #expect(uri.hasPrefix("urn:ietf:params:oauth:request_uri:"))
        let browser = try await open(uri, [("redirect_uri", "https://evil.lab/cb"), ("scope", "write"), ("state", "other"), ("code_challenge", "x")])
        try await browser.signIn("ada")
        let location = try await browser.decide("allow")
        #expect(location.response.headerFields[.location]?.hasPrefix(Harness.redirectURI) == true && location.location?["state"] == "st")
        let tokens = try await harness.redeem(client, try #require(location.location?["code"]))
        #expect(tokens.status == 200 && tokens.json["scope"]?.string == "read")
    }

    @Test("X-01: used after a sign-in, too old, another client's, guessed, changed")
    func abuse() async throws {
        let used = try await uri()
        #expect(try await open(used).last.status == 200)
        let browser = try await open(used)
        #expect(browser.last.status == 200, "reloading is fine")
        try await browser.signIn("ada")
        #expect(try await browser.decide("allow").location?["code"] != nil)
        #expect(try await open(used).page.contains("invalid_request_uri"))
        let old = try await uri()
        let foreign = try await uri()
        #expect(try await open(foreign, client: try await harness.registered()).page.contains("invalid_request_uri"))
        #expect(try await open(foreign + "A").page.contains("invalid_request_uri"))
        #expect(try await open("urn:ietf:params:oauth:request_uri:x").page.contains("invalid_request_uri"))
        let other = try await Harness()
        let theirs = try await push(on: other, client: try await other.registered()).json["request_uri"]?.string ?? ""
        #expect(try await open(theirs).page.contains("invalid_request_uri"), "T-08: of another server")
        harness.time.advance(by: 60)
        #expect(try await open(old).page.contains("invalid_request_uri"))
    }

    @Test("X-01: two tabs with one pushed request give one code")
    func twice() async throws {
        let uri = try await uri()
        let (one, two) = (try await open(uri), try await open(uri))
        try await one.signIn("ada")
        try await two.signIn("ada")
        #expect(try await one.decide("allow").location?["code"] != nil)
        #expect(try await two.decide("allow").location?["code"] == nil)
    }

    @Test("X-02: what is wrong is said at the push: a nested request_uri, a foreign redirect URI, a weak challenge, a scope that is none")
    func refused() async throws {
        #expect(try await push([], [("request_uri", "urn:x")]).error == "invalid_request")
        #expect(try await push([("redirect_uri", "https://evil.lab/cb")]).status == 400)
        #expect(try await push([("code_challenge_method", "plain")]).error == "invalid_request")
        #expect(try await push([("scope", "a\"b")]).error == "invalid_scope")
        #expect(try await push([("resource", "https://evil.lab/")]).error == "invalid_target")
        #expect(try await push([("client_id", "client-unknown")]).status == 401)
        #expect(try await harness.send(.get, "/par").status == 405)
        let confidential = try await harness.registered(["redirect_uris": [.string(Harness.redirectURI)]])
        #expect(try await push([("client_id", confidential)]).status == 401, "a confidential client proves who it is")
    }

    @Test("X-02, R124: a server, and a client, may insist on pushing")
    func required() async throws {
        let strict = try await Harness { $0.requiresPushedRequests = true }
        let id = try await strict.registered()
        #expect(strict.server.metadata["require_pushed_authorization_requests"]?.bool == true)
        #expect(try await strict.send(.get, "/authorize?" + Form(strict.parameters(id)).encoded).text.contains("pushed"))
        #expect(try await push(on: strict, client: id).status == 201)
        let own = try await harness.registered([
            "redirect_uris": [.string(Harness.redirectURI)], "token_endpoint_auth_method": "none", "require_pushed_authorization_requests": true,
        ])
        #expect(try await harness.send(.get, "/authorize?" + Form(harness.parameters(own)).encoded).text.contains("pushed"))
        #expect(try await push([("client_id", own)]).status == 201)
        #expect(try await harness.send(.get, "/authorize?" + Form(harness.parameters(client)).encoded).status == 200)
    }

    @Test("X-06: a proof that comes with the push binds the code to its key")
    func bound() async throws {
        let prover = try ProofMint(clock: harness.time.clock)
        func proof(_ path: String) throws -> HTTPFields { [HTTPField.Name("DPoP")!: try prover.proof("POST", Harness.issuer + path)] }
        let reply = try await harness.post("/par", harness.parameters(client), try proof("/par"))
        let browser = try await open(try #require(reply.json["request_uri"]?.string))
        try await browser.signIn("ada")
        let code = try #require(try await browser.decide("allow").location?["code"])
        #expect(try await harness.redeem(client, code).error == "invalid_grant")
        #expect(try await harness.redeem(client, code, [], try proof("/token")).status == 200)
        let wrong = try await harness.post("/par", harness.parameters(client, [("dpop_jkt", String(repeating: "A", count: 43))]), try proof("/par"))
        #expect(wrong.error == "invalid_dpop_proof")
    }

    @Test("X-02, R97: pushing is limited by address, and costs no storage")
    func limits() async throws {
        var statuses: [Int] = []
        for _ in 0..<250 { statuses.append(try await push().status) }
        #expect(statuses.contains(429) && statuses.first == 201)
    }
}
