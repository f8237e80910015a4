import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import MCPServer
import OAuth

/// One target for each decoder, with what must hold of its answers.
enum Targets {
    static let all: [(name: String, body: @Sendable ([UInt8]) -> Void)] = [
        ("json", json), ("base64url", base64url), ("jws", jws), ("claims", claims), ("jwk-set", jwkSet), ("pem", pem), ("form", form), ("url", url),
        ("redirect-uri", redirectURI), ("scope", scope), ("metadata", metadata), ("credential", credential), ("mcp", mcp), ("token", token),
        ("register", register), ("authorize", authorize), ("cookie", cookie), ("proof", proof), ("assertion", assertion), ("device", device),
        ("audit-log", auditLog),
    ]

    static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    // MARK: JOSE

    @Sendable static func json(_ bytes: [UInt8]) {
        guard let value = try? JSONValue(parsing: bytes) else { return }
        let written = value.serialized
        guard let again = try? JSONValue(parsing: written) else { return require(false, "what was written can be read") }
        require(again == value && again.serialized == written, "writing and reading changes nothing")
        _ = (value.number?.int64, value.number?.double, value.strings, value.text)
    }

    @Sendable static func base64url(_ bytes: [UInt8]) {
        require((try? Base64URL.decode(Base64URL.encode(bytes))) == bytes, "what was encoded can be decoded")
        guard let decoded = try? Base64URL.decode(text(bytes)) else { return }
        require(Array(Base64URL.encode(decoded).utf8) == bytes, "exactly one text stands for some bytes")
    }

    static let key = try! SigningKey.generate(.es256, keyID: "k")
    static let keys = JWKSet([key.verificationKey])

    @Sendable static func jws(_ bytes: [UInt8]) {
        guard let jws = try? CompactJWS(parsing: bytes) else { return }
        require((try? jws.verify(using: keys)) == nil, "nobody else's signature verifies")
        _ = (jws.header.hasType("at+jwt"), jws.header.keyID)
    }

    @Sendable static func claims(_ bytes: [UInt8]) {
        guard let claims = try? JWTClaims(parsing: bytes) else { return }
        _ = (claims.issuer, claims.subject, claims.audience, claims.expiration, claims.notBefore, claims.issuedAt, claims.identifier)
        guard let token = try? CompactJWS.sign(bytes, type: "at+jwt", with: key), let jws = try? CompactJWS(parsing: token) else { return }
        let requirements = JWTRequirements(issuer: "https://i.test", audiences: ["https://rs.example/mcp"], type: .oneOf(["at+jwt"]))
        for now in [0, 1_800_000_000, Int64.max, Int64.min] {
            _ = requirements.violation(header: jws.header, claims: claims, now: NumericDate(seconds: now))
        }
    }

    @Sendable static func jwkSet(_ bytes: [UInt8]) {
        guard let set = try? JWKSet(parsing: bytes) else { return }
        for key in set.keys { require(key.algorithms.isDisjoint(with: [.hs256, .hs384, .hs512]), "no secret comes from a key set") }
        _ = set.publicDocument.serialized
    }

    @Sendable static func pem(_ bytes: [UInt8]) {
        _ = try? VerificationKey(pem: text(bytes))
        _ = try? SigningKey(pem: text(bytes), algorithm: .es256)
        _ = try? SigningKey(pem: text(bytes), algorithm: .edDSA)
    }

    // MARK: OAuth

    @Sendable static func form(_ bytes: [UInt8]) {
        guard let form = try? Form(parsing: bytes) else { return }
        guard let again = try? Form(parsing: Array(form.encoded.utf8)) else { return require(false, "what was written can be read") }
        require(again.encoded == form.encoded, "writing and reading changes nothing")
        _ = try? form.single("code")
    }

    @Sendable static func url(_ bytes: [UInt8]) {
        _ = IPAddress(text(bytes))
        guard let url = WebURL(text(bytes)) else { return }
        require(WebURL(url.text) != nil && url.text.utf8.elementsEqual(bytes), "a URL keeps its text")
        require(
            !url.host.isEmpty && (url.scheme == "https" || url.scheme == "http") && (1...65535).contains(url.effectivePort), "its parts are in bounds"
        )
        _ = (url.origin, url.isLoopback, url.path, url.query, url.fragment)
        _ = (try? Issuer(url.text))?.metadataURLs
        _ = (try? ResourceIdentifier(url.text))?.metadataURL
    }

    @Sendable static func redirectURI(_ bytes: [UInt8]) {
        guard let uri = try? RedirectURI(text(bytes)) else { return }
        require(uri.matches(uri.text), "a redirect URI matches itself")
        require(!uri.text.utf8.contains { $0 <= 0x20 || $0 >= 0x7F || $0 == UInt8(ascii: "#") }, "nothing in it breaks a header")
        require(!uri.matches(uri.text + "x") || uri.kind == .loopback, "and no other")
        _ = uri.displayHost
    }

    @Sendable static func scope(_ bytes: [UInt8]) {
        let lenient = ScopeSet(lenient: text(bytes))
        require(ScopeSet(lenient.text) == lenient, "what is kept of a lenient reading is a scope list")
        guard let strict = ScopeSet(text(bytes)) else { return }
        require(strict == lenient, "both readings agree on what both take")
    }

    static let issuer = try! Issuer("https://issuer.test")

    @Sendable static func metadata(_ bytes: [UInt8]) {
        guard let metadata = try? AuthorizationServerMetadata(parsing: bytes, expected: issuer) else { return }
        _ = (metadata.tokenEndpoint, metadata.jwksURI, metadata.introspectionEndpoint)
    }

    // MARK: Endpoints, through their public faces

    static let mint = try! TokenMint()
    static let goodToken = try! mint.token(subject: "ada", audience: "https://rs.example/mcp", scopes: "read")
    static let resourceServer = try! ResourceServer("https://rs.example/mcp", trusting: .keys([mint.key.verificationKey], issuer: mint.issuer))

    @Sendable static func credential(_ bytes: [UInt8]) {
        let value = text(bytes)
        guard HTTPField.isValidValue(value) else { return }
        wait {
            let request = HTTPRequest(
                method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: [.authorization: value])
            if case .rejected(let reply) = await resourceServer.authenticate(request) {
                require([400, 401].contains(reply.response.status.code), "a bad credential is 400 or 401")
            } else {
                require(value.hasSuffix(goodToken), "only the good token is accepted")
            }
        }
    }

    struct Query: Decodable, Sendable { var text: String; var number: Int?; var list: [Double]? }

    static let transport = try! StreamableHTTP(
        MCPServer("fuzz", version: "1") {
            Tool("echo", "Echo", requires: "read") { (query: Query, _: ToolCall) in query.text }
            Resource(template: "note://{name}", name: "note") { variables, _ in .text(variables["name"] ?? "") }
            Prompt("greet", "Greets", arguments: [.init("name")]) { arguments, _ in [.user(arguments["name"] ?? "")] }
        }, protectedBy: resourceServer)

    @Sendable static func mcp(_ bytes: [UInt8]) {
        wait {
            for version in ["2026-07-28", "2025-11-25"] {
                let fields: HTTPFields = [
                    .contentType: "application/json", .authorization: "Bearer \(goodToken)", HTTPField.Name("MCP-Protocol-Version")!: version,
                    HTTPField.Name("Mcp-Method")!: "tools/call", HTTPField.Name("Mcp-Name")!: "echo",
                ]
                let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
                let reply = await transport.reply(to: HTTPCall(request, body: bytes))
                require(reply.response.status.code < 500 || reply.response.status.code == 503, "no body is a server error")
            }
        }
    }

    static let server: AuthorizationServer = {
        nonisolated(unsafe) var made: AuthorizationServer?
        wait {
            var configuration = AuthorizationServerConfiguration(resources: [
                try! ProtectedResource("https://rs.example/mcp", scopes: [.init("read", "Read")])
            ])
            configuration.grantTypes = [.authorizationCode, .refreshToken, .clientCredentials, .deviceCode, .tokenExchange, .jwtBearer]
            configuration.workloads = [
                try! WorkloadTrust(
                    name: "w", issuer: "https://platform.test", keys: .fixed([key.verificationKey]), subject: "s", resource: "https://rs.example/mcp",
                    scopes: ["read"])
            ]
            configuration.clients = [
                Client(
                    id: ClientID("c")!, name: "C", redirectURIs: [try! RedirectURI("https://c.example/cb")], origin: .configured,
                    createdAt: Clock.system.now)
            ]
            made = try! await AuthorizationServer(
                "https://as.example", configuration: configuration, store: MemoryStore(), master: .random(), hasher: PasswordHasher(cost: 10))
        }
        return made!
    }()

    static func send(_ method: HTTPRequest.Method, _ target: String, _ fields: HTTPFields, _ body: [UInt8] = []) {
        wait {
            let request = HTTPRequest(method: method, scheme: "https", authority: "as.example", path: target, headerFields: fields)
            let reply = await server.reply(to: HTTPCall(request, body: body, peer: "192.0.2.1"))
            require((reply?.response.status.code ?? 0) < 500 || reply?.response.status.code == 503, "nothing that is sent is a server error")
            for field in reply?.response.headerFields ?? [:] { require(HTTPField.isValidValue(field.value), "headers stay headers") }
        }
    }

    @Sendable static func token(_ bytes: [UInt8]) {
        send(.post, "/token", [.contentType: "application/x-www-form-urlencoded"], bytes)
        let value = "Basic " + text(bytes)
        if HTTPField.isValidValue(value) {
            send(.post, "/token", [.contentType: "application/x-www-form-urlencoded", .authorization: value], Array("grant_type=refresh_token".utf8))
        }
    }

    // MARK: Proofs, assertions, devices, logs

    static let here = WebURL("https://rs.example/mcp")!

    @Sendable static func proof(_ bytes: [UInt8]) {
        let now = NumericDate(seconds: 1_800_000_000)
        if let proof = try? DPoPProof(parsing: text(bytes), method: "POST", url: here, accessToken: "x", at: now) {
            require(DPoPProof.isThumbprint(proof.thumbprint), "a proof that counts names its key")
        }
        // The same bytes as header and as payload of a proof that is signed as it says.
        let encoded = Base64URL.encode(bytes)
        _ = try? DPoPProof(parsing: encoded + "." + encoded + "." + encoded, method: "POST", url: here, accessToken: nil, at: now)
        guard let token = try? CompactJWS.sign(bytes, type: "dpop+jwt", with: key) else { return }
        _ = try? DPoPProof(parsing: token, method: "POST", url: here, accessToken: nil, at: now)
    }

    @Sendable static func assertion(_ bytes: [UInt8]) {
        let form: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
        let kind = "client_assertion_type=" + Form.encode("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        for text in [text(bytes), (try? CompactJWS.sign(bytes, with: key)) ?? ""] {
            send(.post, "/token", form, Array("grant_type=client_credentials&\(kind)&client_assertion=\(Form.encode(text))".utf8))
            send(.post, "/token", form, Array("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=\(Form.encode(text))".utf8))
        }
    }

    @Sendable static func device(_ bytes: [UInt8]) {
        send(.get, "/device?user_code=" + Form.encode(text(bytes)), [:])
        send(.get, "/authorize?client_id=c&request_uri=" + Form.encode("urn:ietf:params:oauth:request_uri:" + text(bytes)), [:])
        send(.post, "/device_authorization", [.contentType: "application/x-www-form-urlencoded"], bytes)
        send(.post, "/par", [.contentType: "application/x-www-form-urlencoded"], bytes)
    }

    @Sendable static func auditLog(_ bytes: [UInt8]) {
        let result = AuditChain.verify([(name: "log", bytes: bytes)])
        require(result.lines == 0 || !result.findings.isEmpty || result.head.utf8.count == 43, "no stranger's line is in order")
    }

    @Sendable static func register(_ bytes: [UInt8]) { send(.post, "/register", [.contentType: "application/json"], bytes) }

    @Sendable static func authorize(_ bytes: [UInt8]) {
        let query = bytes.filter { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }
        send(.get, "/authorize?client_id=c&" + text(query), [:])
    }

    @Sendable static func cookie(_ bytes: [UInt8]) {
        let value = text(bytes)
        if HTTPField.isValidValue(value) { send(.get, "/account", [.cookie: value]) }
        if HTTPField.isValidValue(value) { send(.post, "/sign-in", [.cookie: value, .contentType: "application/x-www-form-urlencoded"], bytes) }
    }
}
