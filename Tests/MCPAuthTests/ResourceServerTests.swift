import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import OAuth
import Testing

@Suite("Resource server")
struct ResourceServerTests {
    static let resource = "https://rs.example/mcp"
    let time = TestClock()
    let mint: TokenMint
    let auth: ResourceServer

    init() throws {
        mint = try TokenMint(clock: time.clock)
        auth = try Self.server(mint, time)
    }

    static func server(
        _ mint: TokenMint, _ time: TestClock, trusting trust: Trust? = nil, policy: ScopePolicy = policy, cacheCapacity: Int = 1024,
        audit: AuditLog = AuditLog()
    ) throws -> ResourceServer {
        try ResourceServer(
            resource, trusting: trust ?? .issuer(mint.issuer), policy: policy, fetcher: mint, audit: audit, clock: time.clock,
            cacheCapacity: cacheCapacity)
    }

    static let policy = ScopePolicy(
        operations: [.tool("read"): "read", .tool("delete"): "read delete", .tool("open"): .anonymous],
        implications: ["admin": ["read", "delete"], "delete": ["read"]])

    func request(_ authorization: String?, _ more: HTTPFields = [:], host: String? = "rs.example") -> HTTPRequest {
        var fields = more
        if let authorization { fields[.authorization] = authorization }
        return HTTPRequest(method: .post, scheme: "https", authority: host, path: "/mcp", headerFields: fields)
    }

    @Test("J-01: what is remembered of a good token's header opens nothing: not for another payload, signature or header, nor once its key is gone")
    func rememberedHeader() async throws {
        let verifier = JWTVerifier(
            JWTRequirements(issuer: mint.issuer, audiences: [Self.resource], type: .oneOf(["at+jwt"])), keys: FixedKeys([mint.key.verificationKey]))
        func isAccepted(_ text: String) -> Bool {
            if case .accepted = verifier.verify(AccessToken(text), at: time.now) { true } else { false }
        }
        let (good, other) = (try mint.token(audience: Self.resource), try mint.token(subject: "grace", audience: Self.resource))
        #expect(isAccepted(good) && isAccepted(other))
        let (one, two) = (good.split(separator: "."), other.split(separator: "."))
        #expect(!isAccepted("\(one[0]).\(two[1]).\(one[2])") && !isAccepted("\(one[0]).\(one[1]).\(two[2])"))
        let none = Base64URL.encode(Array(#"{"alg":"none","typ":"at+jwt"}"#.utf8))
        #expect(!isAccepted("\(none).\(one[1]).\(one[2])") && !isAccepted("\(one[0])A.\(one[1]).\(one[2])"))
        let stranger = try TokenMint(issuer: mint.issuer, keyID: mint.key.keyID ?? "", clock: time.clock)
        let forged = try stranger.token(audience: Self.resource)
        #expect(forged.split(separator: ".")[0] == one[0], "the same header, another key")
        #expect(!isAccepted(forged) && isAccepted(good))
    }

    func answer(_ authorization: String?, _ operation: Operation = .any, _ more: HTTPFields = [:], host: String? = "rs.example") async -> HTTPReply? {
        switch await auth.authenticate(request(authorization, more, host: host), operation: operation) {
        case .accepted: nil
        case .rejected(let reply): reply
        }
    }

    func bearer(_ scopes: ScopeSet = [], _ claims: JSONObject = [:], type: String? = "at+jwt") throws -> String {
        "Bearer " + (try mint.token(audience: Self.resource, scopes: scopes, claims: claims, type: type))
    }

    @Test("positive control: discovery, keys, a good token, and the principal in one shape")
    func control() async throws {
        let result = await auth.authenticate(request(try bearer("read write", ["email": "a@b.c", "roles": ["boss"]])))
        guard case .accepted(let principal) = result else { throw Refused() }
        #expect(
            principal.subject == "test-user" && principal.issuer == mint.issuer && principal.clientID == "test-client"
                && principal.scopes == ["read", "write"])
        #expect(
            principal.claims.root["email"]?.string == "a@b.c" && principal.roles == ["boss"] && principal.owner == "https://issuer.test|test-user")
    }
    struct Refused: Error {}

    @Test(
        "R-01, 3, 5, 7, 14, 120: without a credential: 401, where to go, what to ask for, and no error code",
        arguments: [nil, "Basic x", "Negotiate abc"])
    func noCredentials(_ header: String?) async throws {
        let reply = try #require(await answer(header, .tool("delete")))
        let challenge = try #require(reply.response.headerFields[.wwwAuthenticate])
        #expect(reply.response.status == .unauthorized)
        #expect(challenge == #"Bearer scope="read delete", resource_metadata="https://rs.example/.well-known/oauth-protected-resource/mcp""#)
    }

    @Test(
        "8: malformed credentials are 400",
        arguments: ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer é", "bearer \"x\"", "Bearer a=b", "Basic a, Bearer b"])
    func malformed(_ header: String) async throws { #expect(await answer(header)?.response.status == .badRequest) }

    @Test(
        "8: each character of a credential is looked at, wherever it stands: what no token68 has is 400, what it may have is a token that is refused")
    func characters() async {
        let allowed = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/")
        for length in [5, 8, 9, 16, 30] {
            for position in Set([1, 3, 6, 7, 8, 15, 16, 23, 28]) where position < length - 1 {
                for scalar in (0...UInt8.max).map(Unicode.Scalar.init) {
                    var token = Array(repeating: Character("a"), count: length)
                    token[position] = Character(scalar)
                    let status = await answer("Bearer " + String(token))?.response.status
                    #expect(
                        status == (allowed.contains(token[position]) ? .unauthorized : .badRequest), "\(scalar.value) at \(position) of \(length)")
                }
            }
        }
        #expect(await answer("Bearer " + String(repeating: "a", count: 40) + "==")?.response.status == .unauthorized)
    }

    @Test("R-08: which hosts are served is what was said last", arguments: [["other.example"], ["a", "b", "c", "d", "e", "f"], []])
    func hosts(_ hosts: [String]) throws {
        var transport = TransportSecurity(for: auth.resource.url)
        #expect(transport.violation(request(nil)) == nil)
        transport.allowedHosts = Set(hosts)
        #expect(transport.violation(request(nil)) != nil)
        for host in hosts + hosts.map({ $0.uppercased() }) {
            var request = request(nil)
            request.authority = host
            #expect(transport.violation(request) == nil)
        }
        transport.allowedHosts = nil
        #expect(transport.violation(request(nil)) == nil)
    }

    @Test("two Authorization headers are 400, also joined into one")
    func twoHeaders() async throws {
        let token = try bearer()
        var fields = HTTPFields()
        fields.append(HTTPField(name: .authorization, value: token))
        fields.append(HTTPField(name: .authorization, value: token))
        #expect(await answer(nil, .any, fields)?.response.status == .badRequest)
        #expect(await answer(token + ", " + token)?.response.status == .badRequest)
    }

    @Test("40: a token in the query is no token")
    func query() async throws {
        var request = request(nil)
        request.path = "/mcp?access_token=" + (try mint.token(audience: Self.resource))
        guard case .rejected(let reply) = await auth.authenticate(request) else { throw Refused() }
        #expect(reply.response.status == .unauthorized)
    }

    @Test(
        "J-15, J-17, J-18, J-21: tokens that are not for here, not now, not from there, or bound to a key",
        arguments: [
            ["aud": "https://other.example"], ["aud": "https://rs.example/mcp/"], ["aud": "https://rs.example"], ["aud": []], ["aud": .null],
            ["iss": "https://issuer.test/"],
            ["iss": .null], ["exp": .null], ["exp": "9999999999"], ["exp": 1], ["exp": 9_999_999_999_999], ["nbf": 9_999_999_999],
            ["cnf": ["jkt": "x"]], ["cnf": [:]],
            ["cnf": ["x5t#S256": "x"]], ["sub": 1], ["sub": "", "client_id": .null],
        ] as [JSONObject])
    func claims(_ change: JSONObject) async throws {
        let reply = try #require(await answer(try bearer("read", change)))
        #expect(reply.response.status == .unauthorized)
        #expect(reply.response.headerFields[.wwwAuthenticate]?.contains(#"error="invalid_token""#) == true)
    }

    @Test(
        "J-19, 133: other kinds of JWT of the same issuer and key",
        arguments: [nil, "JWT", "oauth-id-jag+jwt", "dpop+jwt", "logout+jwt", "token-introspection+jwt", "jwt"])
    func kinds(_ type: String?) async throws { #expect(await answer(try bearer([], [:], type: type))?.response.status == .unauthorized) }

    @Test("J-19: a legacy issuer's access tokens are taken, its ID tokens are not")
    func legacy() async throws {
        let legacy = try Self.server(mint, time, trusting: .issuer(mint.issuer, tokens: .anyJWT))
        guard case .accepted = await legacy.authenticate(request(try bearer([], [:], type: "JWT"))) else { throw Refused() }
        for claims in [["nonce": "n"], ["at_hash": "h"], ["token_use": "id"]] as [JSONObject] {
            guard case .rejected = await legacy.authenticate(request(try bearer([], claims, type: "JWT"))) else { throw Refused() }
        }
    }

    @Test(
        "4, 9, 10, 11: a missing scope is 403, names everything at once, and knows the hierarchy",
        arguments: [
            ("", "read", "read"), ("other", "delete", "read delete other"), ("read", "delete", "read delete"), ("delete", "delete", nil),
            ("admin", "delete", nil), ("delete", "read", nil),
            ("readwrite", "read", "read readwrite"), ("*", "read", "read *"),
        ] as [(String, String, String?)])
    func scopes(_ granted: String, _ tool: String, _ challenged: String?) async throws {
        let reply = await answer(try bearer(ScopeSet(granted) ?? []), .tool(tool))
        guard let challenged else {
            #expect(reply == nil || reply?.response.status == nil)
            return
        }
        let header = try #require(reply?.response.headerFields[.wwwAuthenticate])
        #expect(
            reply?.response.status == .forbidden && header.contains(#"error="insufficient_scope""#) && header.contains("scope=\"\(challenged)\"")
                && header.contains("resource_metadata="))
    }

    @Test(
        "J-24: only exact tokens of a scope string count",
        arguments: [
            "\"read\\tadmin\"", "\"read\\u00a0admin\"", "[\"read \"]", "[[\"read\"]]", "[\"read\",1]", "\"readwrite\"", "\"*\"", "\"\"", "1",
            "\"re\\u0301ad\"",
        ])
    func scopeForms(_ json: String) async throws {
        #expect(await answer(try bearer([], ["scope": try JSONValue(parsing: json)]), .tool("read"))?.response.status == .forbidden)
    }

    @Test("scp, permissions and azp count too", arguments: [["scp": ["read"]], ["scp": "read x"], ["permissions": ["read"]]] as [JSONObject])
    func otherClaims(_ claims: JSONObject) async throws { #expect(await answer(try bearer([], claims), .tool("read")) == nil) }

    @Test("an operation that allows nobody: nobody passes, a bad token does not")
    func anonymous() async throws {
        guard case .accepted(let nobody) = await auth.identify(request(nil)) else { throw Refused() }
        #expect(
            nobody.principal == nil && auth.authorize(nobody, .tool("open")) == nil
                && auth.authorize(nobody, .tool("read"))?.response.status == .unauthorized)
        guard case .rejected = await auth.identify(request("Bearer bad")) else { throw Refused() }
    }

    @Test(
        "R-08, 76: Host and Origin",
        arguments: [
            ("evil.lab", nil), ("rs.example.evil.lab", nil), ("rs.example:8443", nil), ("", nil), (nil, nil), ("rs.example", "https://evil.lab"),
            ("rs.example", "null"), ("rs.example", "http://rs.example"),
        ] as [(String?, String?)])
    func transport(_ host: String?, _ origin: String?) async throws {
        let reply = await answer(try bearer(), .any, origin.map { [.origin: $0] } ?? [:], host: host)
        #expect(reply?.response.status == .forbidden)
        #expect(await answer(try bearer(), .any, [.origin: "https://rs.example"], host: "RS.example") == nil)
    }

    @Test("R-08: on loopback its three names count, with the port")
    func loopback() throws {
        let security = TransportSecurity(for: try #require(WebURL("http://127.0.0.1:8000/mcp")))
        for host in ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"] {
            #expect(security.violation(HTTPRequest(method: .get, scheme: "http", authority: host, path: "/")) == nil)
        }
        for host in ["127.0.0.1", "127.0.0.1:80", "localhost.evil.lab:8000", "127.0.0.1.evil.lab:8000", "0.0.0.0:8000"] {
            #expect(security.violation(HTTPRequest(method: .get, scheme: "http", authority: host, path: "/")) != nil)
        }
    }

    @Test("57: a proxy that says the client spoke http is believed")
    func forwardedHTTP() async throws {
        #expect(await answer(try bearer(), .any, [HTTPField.Name("X-Forwarded-Proto")!: "http"])?.response.status == .forbidden)
        #expect(await answer(try bearer(), .any, [HTTPField.Name("X-Forwarded-Proto")!: "https"]) == nil)
    }

    @Test(
        "1, 2, R-07: the metadata, at its path and at the root, and nowhere else",
        arguments: [
            ("/.well-known/oauth-protected-resource/mcp", true), ("/.well-known/oauth-protected-resource", true),
            ("/.well-known/oauth-protected-resource/mcp?x", true),
            ("/.well-known/oauth-protected-resource/other", false), ("/.well-known/oauth-protected-resource/..%2f..%2fetc/passwd", false),
            ("/.well-known/oauth-protected-resource//evil.lab", false),
            ("/.well-known/oauth-protected-resource/mcp;x", false), ("/.well-known/oauth-protected-resource/MCP", false),
            ("/.well-known/oauth-protected-resource/%6dcp", false), ("/mcp", false),
        ])
    func metadata(_ path: String, _ isServed: Bool) throws {
        let reply = auth.metadataReply(for: HTTPRequest(method: .get, scheme: "https", authority: "evil.lab", path: path))
        #expect((reply != nil) == isServed)
        if let reply {
            let json = try JSONDocument(parsing: reply.body).root
            #expect(
                json["resource"]?.string == Self.resource && json["authorization_servers"]?.strings == [mint.issuer]
                    && json["scopes_supported"]?.strings == ["read", "delete"])
        }
    }

    @Test("12: offline_access is in no challenge and in no metadata")
    func offlineAccess() throws {
        let policy = ScopePolicy(default: "read offline_access")
        #expect(try Self.server(mint, time, policy: policy).metadata.scopesSupported == ["read"])
    }

    @Test("every RFC 9728 field can be set")
    func metadataFields() throws {
        let server = try ResourceServer(
            Self.resource, trusting: .issuer(mint.issuer),
            metadata: { metadata in
                metadata.resourceName = "n"; metadata.resourceDocumentation = "d"; metadata.resourcePolicyURI = "p";
                metadata.resourceTermsOfServiceURI = "t"; metadata.jwksURI = "j"
                metadata.resourceSigningAlgorithmsSupported = ["ES256"]; metadata.tlsClientCertificateBoundAccessTokens = false;
                metadata.authorizationDetailsTypesSupported = ["x"]
                metadata.dpopSigningAlgorithmsSupported = ["ES256"]; metadata.dpopBoundAccessTokensRequired = false; metadata.signedMetadata = "s";
                metadata.additional["resource_name#de"] = "N"
            }, fetcher: mint)
        #expect(server.metadata.json.object?.count == 15)
    }

    @Test("J-16: a token that expires is refused from then on, cached or not")
    func expiry() async throws {
        let token = "Bearer " + (try mint.token(audience: Self.resource, expiresIn: 100))
        #expect(await answer(token) == nil)
        time.advance(by: 129)
        #expect(await answer(token) == nil)
        time.advance(by: 1)
        #expect(await answer(token)?.response.status == .unauthorized)
    }

    @Test("every decision is audited once, with reason, and never with a token")
    func audit() async throws {
        let log = Recorder()
        let server = try Self.server(mint, time, audit: AuditLog([log]))
        let good = try bearer("read")
        _ = await server.authenticate(request(good), operation: .tool("read"), peer: "192.0.2.1", requestID: "id1")
        _ = await server.authenticate(request(good), operation: .tool("delete"))
        _ = await server.authenticate(request("Bearer bad"))
        _ = await server.authenticate(request(nil))
        #expect(log.events.map(\.reason) == [nil, "insufficient_scope", "malformed_jws", "no_credentials"])
        #expect(
            log.events[0].verdict == .allowed && log.events[0].subject == "test-user" && log.events[0].clientID == "test-client"
                && log.events[0].peer == "192.0.2.1" && log.events[0].requestID == "id1")
        #expect(log.events[1].missingScopes == ["delete"] && log.events[1].operation == "tool delete")
        for event in log.events { #expect(!event.json.text.contains(good.dropFirst(7))) }
    }

    @Test("the audit trail as a stream")
    func stream() async throws {
        let log = AuditLog()
        let events = log.events
        let server = try Self.server(mint, time, audit: log)
        _ = await server.authenticate(request(nil))
        var iterator = events.makeAsyncIterator()
        #expect(await iterator.next()?.reason == "no_credentials")
    }

    @Test("configuration mistakes say what to do", arguments: ["http://rs.example/mcp", "rs.example/mcp", "https://rs.example/mcp#x", ""])
    func mistakes(_ resource: String) {
        let error = #expect(throws: OAuthError.self) { try ResourceServer(resource, trusting: .issuer("https://issuer.test"), fetcher: mint) }
        #expect(error?.code == .invalidIdentifier)
    }

    @Test("a trust that needs the network says how to give it one")
    func noFetcher() {
        let error = #expect(throws: OAuthError.self) { try ResourceServer(Self.resource, trusting: .issuer("https://issuer.test")) }
        #expect(error?.message.contains("GuardedHTTPClient") == true)
    }
}

final class Recorder: AuditSink {
    private let log = Synchronized<[AuditEvent]>([])
    var events: [AuditEvent] { log.value }
    func record(_ event: AuditEvent) { log.mutate { $0.append(event) } }
}
