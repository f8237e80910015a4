import HTTPTypes
import JOSE
import MCPAuthClient
import MCPAuthTesting
import OAuth
import Synchronization
import Testing

/// A deployment without a fault, in memory. Each part can be broken.
final class Deployment: HTTPFetcher {
    static let server = "https://rs.example/mcp"
    static let issuer = "https://as.example"
    static let resourceDocument = "https://rs.example/.well-known/oauth-protected-resource/mcp"

    typealias Answer = @Sendable (OutboundRequest, HTTPReply) -> HTTPReply

    let mint: TokenMint
    let time = TestClock()
    private let breaks = Mutex<[String: Answer]>([:])
    private let deleted = Mutex(0)
    var deletions: Int { deleted.withLock { $0 } }

    init() throws { mint = try TokenMint(issuer: Self.issuer, clock: time.clock) }

    /// Changes the answers of one URL, compared without its query.
    func change(_ url: String, _ answer: @escaping Answer) { breaks.withLock { $0[url] = answer } }
    func change(_ url: String, json: @escaping @Sendable (inout JSONObject) -> Void) {
        change(url) { _, reply in
            guard var object = (try? JSONValue(parsing: reply.body))?.object else { return reply }
            json(&object)
            return HTTPReply(reply.response.status, reply.response.headerFields, body: JSONValue.object(object).serialized)
        }
    }

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        let url = String(request.url.text.prefix { $0 != "?" })
        let reply = await good(request, url)
        return breaks.withLock { $0[url] }?(request, reply) ?? reply
    }

    private static let cors: HTTPFields = [.accessControlAllowOrigin: "*"]

    private func good(_ request: OutboundRequest, _ url: String) async -> HTTPReply {
        let query = (try? Form(queryOf: request.url.text)) ?? Form()
        switch url {
        case Self.server:
            if request.method == .options { return HTTPReply(.noContent, Self.cors) }
            return answer(request)
        case Self.resourceDocument:
            return json([
                "resource": .string(Self.server), "authorization_servers": [.string(Self.issuer)], "scopes_supported": ["read", "write"],
                "bearer_methods_supported": ["header"],
            ])
        case Self.issuer + "/.well-known/oauth-authorization-server":
            return json([
                "issuer": .string(Self.issuer), "authorization_endpoint": .string(Self.issuer + "/authorize"),
                "token_endpoint": .string(Self.issuer + "/token"), "registration_endpoint": .string(Self.issuer + "/register"),
                "jwks_uri": .string(Self.issuer + "/jwks"), "code_challenge_methods_supported": ["S256"], "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"], "token_endpoint_auth_methods_supported": ["none"],
                "client_id_metadata_document_supported": true, "authorization_response_iss_parameter_supported": true,
            ])
        case Self.issuer + "/jwks": return json(["keys": [mint.key.verificationKey.publicJWK ?? .null]])
        case Self.issuer + "/register":
            var metadata = (try? JSONValue(parsing: request.body))?.object ?? [:]
            metadata["client_id"] = "doctor-client"
            metadata["registration_client_uri"] = .string(Self.issuer + "/register/doctor-client")
            metadata["registration_access_token"] = "management"
            return .json(.object(metadata), status: .created)
        case Self.issuer + "/register/doctor-client":
            if request.method == .delete, request.fields[.authorization] == "Bearer management" { deleted.withLock { $0 += 1 } }
            return HTTPReply(.noContent)
        case Self.issuer + "/authorize":
            guard (try? query.single("client_id")) == "doctor-client", (try? query.single("redirect_uri"))?.hasPrefix("https://evil") == false else {
                return HTTPReply(.badRequest, body: Array("unknown".utf8))
            }
            let callback = (try? query.single("redirect_uri")) ?? ""
            func refuse(_ code: String) -> HTTPReply { HTTPReply(.seeOther, [.location: "\(callback)?error=\(code)&iss=https%3A%2F%2Fas.example"]) }
            guard (try? query.single("response_type")) == "code" else { return refuse("unsupported_response_type") }
            guard (try? query.single("code_challenge_method")) == "S256" else { return refuse("invalid_request") }
            return HTTPReply(
                .ok,
                [
                    .contentType: "text/html", .contentSecurityPolicy: "frame-ancestors 'none'", .cacheControl: "no-store",
                    .setCookie: "__Host-s=1; HttpOnly; Secure; SameSite=Lax; Path=/",
                ])
        case Self.issuer + "/token": return .error(OAuthError(.invalidClient, "unknown"), status: .unauthorized)
        default: return HTTPReply(.notFound)
        }
    }

    private func json(_ value: JSONValue) -> HTTPReply {
        HTTPReply(.ok, [.contentType: "application/json", .accessControlAllowOrigin: "*"], body: value.serialized)
    }

    /// What the server answers: it verifies tokens as it should.
    func answer(_ request: OutboundRequest, accepting isGood: (CompactJWS) -> Bool = { _ in false }) -> HTTPReply {
        func refuse(_ error: String) -> HTTPReply {
            HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer \(error)resource_metadata=\"\(Self.resourceDocument)\""])
        }
        guard let header = request.fields[.authorization] else { return refuse("") }
        let token = String(header.dropFirst("Bearer ".count))
        guard let jws = try? CompactJWS(parsing: token) else { return refuse("error=\"invalid_token\", ") }
        if (try? jws.verify(using: JWKSet([mint.key.verificationKey]))) != nil || isGood(jws) { return HTTPReply(.ok) }
        return refuse("error=\"invalid_token\", ")
    }

    func examine(as profile: DeploymentExamination.ClientProfile = .native, _ credentials: Credentials? = nil) async throws -> DeploymentExamination {
        await DeploymentExamination.examine(
            try ResourceIdentifier(Self.server), as: profile, credentials: credentials, with: self, clock: time.clock)
    }
}

@Suite("Doctor")
struct DeploymentExaminationTests {
    @Test("a deployment without a fault has no finding, and the client that was registered is deleted again")
    func healthy() async throws {
        let deployment = try Deployment()
        let examination = try await deployment.examine()
        #expect(examination.findings.isEmpty, "\(examination.findings.map(\.code))")
        #expect(examination.isUsable && deployment.deletions == 1)
        #expect(!examination.checklist.contains { $0.verdict == .notMet }, "\(examination.checklist)")
    }

    /// A fault, and the finding that it must lead to.
    struct Fault: Sendable, CustomTestStringConvertible {
        let code: String
        let plant: @Sendable (Deployment) -> Void
        var testDescription: String { code }

        init(_ code: String, _ plant: @escaping @Sendable (Deployment) -> Void) {
            self.code = code
            self.plant = plant
        }

        init(_ code: String, metadata: @escaping @Sendable (inout JSONObject) -> Void) {
            self.init(code) { $0.change(Deployment.issuer + "/.well-known/oauth-authorization-server", json: metadata) }
        }

        init(_ code: String, resource: @escaping @Sendable (inout JSONObject) -> Void) {
            self.init(code) { $0.change(Deployment.resourceDocument, json: resource) }
        }

        init(_ code: String, at path: String, _ answer: @escaping Deployment.Answer) {
            self.init(code) { $0.change(Deployment.issuer + path, answer) }
        }

        /// The server itself.
        init(_ code: String, server: @escaping Deployment.Answer) { self.init(code) { $0.change(Deployment.server, server) } }
    }

    static let faults: [Fault] = [
        // The endpoint
        Fault("not_protected", server: { _, _ in HTTPReply(.ok, body: Array(#"{"jsonrpc":"2.0","id":1,"result":{}}"#.utf8)) }),
        Fault("redirects", server: { _, _ in HTTPReply(.permanentRedirect, [.location: "https://rs.example/mcp/"]) }),
        Fault("forbidden_without_token", server: { _, _ in HTTPReply(.forbidden) }),
        Fault("endpoint_not_found", server: { _, _ in HTTPReply(.notFound) }),
        Fault("server_error", server: { _, _ in HTTPReply(.badGateway) }),
        Fault("not_mcp", server: { _, _ in HTTPReply(.notImplemented, [.contentType: "text/html; charset=utf-8"]) }),
        Fault(
            "challenge_missing",
            server: { request, reply in
                request.fields[.authorization] == nil ? HTTPReply(.unauthorized) : reply
            }),
        Fault(
            "challenge_not_bearer",
            server: { request, reply in
                request.fields[.authorization] == nil ? HTTPReply(.unauthorized, [.wwwAuthenticate: "Basic realm=\"x\""]) : reply
            }),
        Fault(
            "resource_metadata_not_in_challenge",
            server: { request, reply in
                request.fields[.authorization] == nil ? HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer realm=\"x\""]) : reply
            }),
        Fault(
            "resource_metadata_not_https",
            server: { request, reply in
                request.fields[.authorization] == nil
                    ? HTTPReply(
                        .unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"http://rs.example/.well-known/oauth-protected-resource/mcp\""])
                    : reply
            }),
        Fault(
            "resource_metadata_url_dead",
            server: { request, reply in
                request.fields[.authorization] == nil
                    ? HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"https://rs.example/dead\""]) : reply
            }),
        Fault(
            "error_without_token",
            server: { request, reply in
                request.fields[.authorization] == nil
                    ? HTTPReply(
                        .unauthorized, [.wwwAuthenticate: "Bearer error=\"invalid_token\", resource_metadata=\"\(Deployment.resourceDocument)\""])
                    : reply
            }),
        Fault("any_token_accepted", server: { request, reply in request.fields[.authorization] == nil ? reply : HTTPReply(.ok) }),
        Fault("bad_token_status", server: { request, reply in request.fields[.authorization] == nil ? reply : HTTPReply(.forbidden) }),
        Fault(
            "bad_token_without_error",
            server: { request, reply in
                request.fields[.authorization] == nil ? reply : HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer"])
            }),
        Fault(
            "error_leaks",
            server: { request, reply in
                request.fields[.authorization] == nil
                    ? reply : HTTPReply(.internalServerError, body: Array("Traceback (most recent call last):".utf8))
            }),
        Fault("query_token_accepted", server: { request, reply in request.url.query != nil ? HTTPReply(.ok) : reply }),
        Fault(
            "session_replaces_token",
            server: { request, reply in
                request.fields[HTTPField.Name("Mcp-Session-Id")!] != nil ? HTTPReply(.badRequest) : reply
            }),
        Fault(
            "unsigned_token_accepted",
            server: { request, reply in
                request.fields[.authorization]?.hasSuffix(".") == true ? HTTPReply(.ok) : reply
            }),
        Fault("forged_token_accepted") { deployment in
            deployment.change(Deployment.server) { request, _ in deployment.answer(request) { $0.header.algorithm == .es256 } }
        },
        Fault("confused_key_accepted") { deployment in
            deployment.change(Deployment.server) { request, _ in deployment.answer(request) { $0.header.algorithm == .hs256 } }
        },
        Fault("preflight_needs_token", server: { request, reply in request.method == .options ? HTTPReply(.unauthorized) : reply }),
        Fault("cors_missing", server: { request, reply in request.method == .options ? HTTPReply(.noContent) : reply }),
        Fault(
            "cors_with_credentials",
            server: { request, reply in
                request.method == .options
                    ? HTTPReply(.noContent, [.accessControlAllowOrigin: request.fields[.origin] ?? "", .accessControlAllowCredentials: "true"])
                    : reply
            }),
        Fault("clock_differs", server: { _, reply in reply.with(.date, "Thu, 14 Jan 2027 08:00:00 GMT") }),
        // The metadata of the resource
        Fault("resource_metadata_missing") { deployment in
            deployment.change(Deployment.resourceDocument) { _, _ in HTTPReply(.notFound) }
            deployment.change(Deployment.server) { request, reply in
                request.fields[.authorization] == nil ? HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer"]) : reply
            }
        },
        Fault("resource_metadata_invalid", resource: { $0["resource"] = nil }),
        Fault("resource_metadata_content_type") { $0.change(Deployment.resourceDocument) { _, reply in reply.with(.contentType, "text/plain") } },
        Fault("resource_mismatch", resource: { $0["resource"] = "http://localhost:3000/mcp" }),
        Fault("resource_spelling", resource: { $0["resource"] = "https://rs.example/mcp/" }),
        Fault("authorization_servers_missing", resource: { $0["authorization_servers"] = nil }),
        Fault("scopes_not_listed", resource: { $0["scopes_supported"] = nil }),
        Fault("bearer_methods", resource: { $0["bearer_methods_supported"] = ["header", "query"] }),
        Fault("metadata_cors_missing") {
            $0.change(Deployment.resourceDocument) { _, reply in HTTPReply(.ok, [.contentType: "application/json"], body: reply.body) }
        },
        Fault("issuer_invalid", resource: { $0["authorization_servers"] = ["http://as.example"] }),
        // The metadata of the authorization server
        Fault("metadata_not_found", at: "/.well-known/oauth-authorization-server", { _, _ in HTTPReply(.notFound) }),
        Fault("issuer_mismatch", metadata: { $0["issuer"] = "https://as.example/" }),
        Fault("issuer_endpoint_not_https", metadata: { $0["token_endpoint"] = "http://as.example/token" }),
        Fault("pkce_not_supported", metadata: { $0["code_challenge_methods_supported"] = nil }),
        Fault("s256_code_challenge_method_not_supported", metadata: { $0["code_challenge_methods_supported"] = ["plain"] }),
        Fault(
            "no_client_registration",
            metadata: {
                $0["registration_endpoint"] = nil
                $0["client_id_metadata_document_supported"] = nil
            }),
        Fault("refresh_token_grant_not_supported", metadata: { $0["grant_types_supported"] = ["authorization_code"] }),
        Fault("jwks_not_found", at: "/jwks", { _, _ in HTTPReply(.notFound) }),
        Fault(
            "secret_key_published", at: "/jwks",
            { _, reply in
                var keys = (try? JSONValue(parsing: reply.body))?["keys"]?.array ?? []
                keys.append(["kty": "oct", "k": "c2VjcmV0"])
                return .json(["keys": .array(keys)])
            }),
        Fault(
            "private_key_published", at: "/jwks",
            { _, reply in
                var key = (try? JSONValue(parsing: reply.body))?["keys"]?.array?.first?.object ?? [:]
                key["d"] = "c2VjcmV0"
                return .json(["keys": [.object(key)]])
            }),
        // Its endpoints
        Fault("registration_rejected", at: "/register", { _, _ in .error(OAuthError(.invalidRedirectURI, "no loopback")) }),
        Fault("registration_status", at: "/register", { _, reply in HTTPReply(.ok, reply.response.headerFields, body: reply.body) }),
        Fault(
            "open_redirect", at: "/authorize",
            { request, reply in
                let query = (try? Form(queryOf: request.url.text)) ?? Form()
                guard let uri = try? query.single("redirect_uri"), uri.hasPrefix("https://evil") else { return reply }
                return HTTPReply(.seeOther, [.location: uri + "?error=invalid_request"])
            }),
        Fault(
            "pkce_not_enforced", at: "/authorize",
            { request, reply in
                let query = (try? Form(queryOf: request.url.text)) ?? Form()
                return (try? query.single("code_challenge")) == nil ? HTTPReply(.ok) : reply
            }),
        Fault(
            "plain_accepted", at: "/authorize",
            { request, reply in
                let query = (try? Form(queryOf: request.url.text)) ?? Form()
                return (try? query.single("code_challenge_method")) == "plain" ? HTTPReply(.ok) : reply
            }),
        Fault(
            "implicit_grant", at: "/authorize",
            { request, reply in
                let query = (try? Form(queryOf: request.url.text)) ?? Form()
                guard (try? query.single("response_type")) == "token", let uri = try? query.single("redirect_uri") else { return reply }
                return HTTPReply(.seeOther, [.location: uri + "#access_token=x"])
            }),
        Fault("authorization_rejected", at: "/authorize", { _, _ in HTTPReply(.badRequest) }),
        Fault(
            "resource_not_accepted", at: "/authorize",
            { request, reply in
                let query = (try? Form(queryOf: request.url.text)) ?? Form()
                guard reply.response.status == .ok, let uri = try? query.single("redirect_uri") else { return reply }
                return HTTPReply(
                    .seeOther, [.location: uri + "?error=invalid_target&error_description=unknown%20resource&iss=https%3A%2F%2Fas.example"])
            }),
        Fault(
            "iss_promised_and_missing", at: "/authorize",
            { request, reply in
                let query = (try? Form(queryOf: request.url.text)) ?? Form()
                guard reply.response.status == .ok, let uri = try? query.single("redirect_uri") else { return reply }
                return HTTPReply(.seeOther, [.location: uri + "?code=x"])
            }),
        Fault(
            "iss_differs", at: "/authorize",
            { request, reply in
                let query = (try? Form(queryOf: request.url.text)) ?? Form()
                guard reply.response.status == .ok, let uri = try? query.single("redirect_uri") else { return reply }
                return HTTPReply(.seeOther, [.location: uri + "?code=x&iss=https%3A%2F%2Fas.example%2F"])
            }),
        Fault(
            "page_can_be_framed", at: "/authorize",
            { _, reply in
                reply.response.status == .ok ? reply.with(.contentSecurityPolicy, "default-src 'self'") : reply
            }),
        Fault("page_can_be_cached", at: "/authorize", { _, reply in reply.response.status == .ok ? reply.with(.cacheControl, "max-age=60") : reply }),
        Fault("cookie_attributes", at: "/authorize", { _, reply in reply.response.status == .ok ? reply.with(.setCookie, "sid=1; Path=/") : reply }),
        Fault("token_without_grant", at: "/token", { _, _ in .json(["access_token": "x", "token_type": "Bearer"]) }),
        Fault("token_endpoint_fails", at: "/token", { _, _ in HTTPReply(.internalServerError) }),
        Fault("token_error_not_json", at: "/token", { _, _ in HTTPReply(.badRequest, body: Array("no".utf8)) }),
        Fault("token_endpoint_cacheable", at: "/token", { _, reply in reply.with(.cacheControl, "private") }),
    ]

    @Test("each planted fault is found, with what fails and what to do", arguments: faults)
    func planted(_ fault: Fault) async throws {
        let deployment = try Deployment()
        fault.plant(deployment)
        let examination = try await deployment.examine()
        let finding = examination.findings.first { $0.code == fault.code }
        #expect(finding != nil, "found \(examination.findings.map(\.code))")
        #expect(finding.map { !$0.problem.isEmpty && !$0.effect.isEmpty && !$0.remedy.isEmpty } ?? false)
        // A fault hides no other part, and accuses none.
        #expect(examination.findings.count <= 6, "\(examination.findings.map(\.code))")
    }

    @Test("the remedy names the side that is wrong, and the reason why a document cannot be had")
    func remedies() async throws {
        func finding(_ code: String, _ plant: (Deployment) -> Void) async throws -> DeploymentExamination.Finding {
            let deployment = try Deployment()
            plant(deployment)
            return try #require(try await deployment.examine().findings.first { $0.code == code })
        }
        // One slash too many in the configuration of the MCP server.
        let slash = try await finding("issuer_mismatch") {
            $0.change(Deployment.resourceDocument, json: { $0["authorization_servers"] = ["https://as.example/"] })
        }
        #expect(slash.remedy.hasPrefix("Configure the issuer at the MCP server"), "\(slash)")
        let missing = try await finding("metadata_not_found") {
            $0.change(Deployment.issuer + "/.well-known/oauth-authorization-server") { _, _ in HTTPReply(.notFound) }
        }
        #expect(missing.problem.contains("answers 404"), "\(missing)")
        let documents = try await finding("client_documents_not_supported") {
            $0.change(Deployment.issuer + "/.well-known/oauth-authorization-server", json: { $0["client_id_metadata_document_supported"] = nil })
        }
        #expect(documents.severity == .note && documents.remedy.contains("fetcher: GuardedHTTPClient.shared"))
        let refused = try await finding("authorization_rejected") {
            $0.change(Deployment.issuer + "/authorize") { request, reply in
                guard reply.response.status == .ok, let uri = try? Form(queryOf: request.url.text).single("redirect_uri") else { return reply }
                return HTTPReply(.seeOther, [.location: uri + "?error=invalid_scope&iss=https%3A%2F%2Fas.example"])
            }
        }
        #expect(refused.problem.contains("invalid_scope"))
        // A server that wants a user first has accepted the request.
        let deployment = try Deployment()
        deployment.change(Deployment.issuer + "/authorize") { request, reply in
            guard reply.response.status == .ok, let uri = try? Form(queryOf: request.url.text).single("redirect_uri") else { return reply }
            return HTTPReply(.seeOther, [.location: uri + "?error=login_required&iss=https%3A%2F%2Fas.example"])
        }
        #expect(try await deployment.examine().findings.isEmpty)
    }

    @Test("there are more than thirty of them, and each is planted once")
    func enough() { #expect(Set(Self.faults.map(\.code)).count == Self.faults.count && Self.faults.count > 30) }

    @Test("a web page's client needs CORS, so its absence is an error for it alone")
    func webPage() async throws {
        let deployment = try Deployment()
        deployment.change(Deployment.server) { request, reply in request.method == .options ? HTTPReply(.noContent) : reply }
        let inspector = try #require(DeploymentExamination.ClientProfile.all.first { $0.name == "inspector" })
        #expect(try await deployment.examine(as: inspector).findings.first { $0.code == "cors_missing" }?.severity == .error)
        #expect(try await deployment.examine().findings.first { $0.code == "cors_missing" }?.severity == .note)
    }
}

/// A server on this machine that answers every preflight in one way.
private struct LocalServer: HTTPFetcher {
    let preflight: @Sendable (_ origin: String) -> HTTPFields

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        guard request.method == .options else { return HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer"]) }
        return HTTPReply(.noContent, preflight(request.fields[.origin] ?? ""))
    }
}

@Suite("Examination of a server on this machine")
struct LocalExaminationTests {
    private func codes(_ preflight: @escaping @Sendable (String) -> HTTPFields) async throws -> Set<String> {
        let server = try ResourceIdentifier("http://127.0.0.1:8000/mcp")
        let examination = await DeploymentExamination.examine(server, with: LocalServer(preflight: preflight))
        return Set(examination.findings.map(\.code))
    }

    @Test("pages of this machine are enough for CORS; pages of strangers with cookies are an error here too")
    func pages() async throws {
        let local = try await codes { $0.hasPrefix("http://localhost") ? [.accessControlAllowOrigin: $0] : [:] }
        #expect(local.isDisjoint(with: ["cors_missing", "cors_with_credentials"]))
        #expect(try await codes { _ in [:] }.contains("cors_missing"))
        let open = try await codes { [.accessControlAllowOrigin: $0, .accessControlAllowCredentials: "true"] }
        #expect(open.contains("cors_with_credentials"))
    }
}

@Suite("Examination from inside")
struct InsideExaminationTests {
    /// The codes that are found at a server with this fault, with a sign-in that the examination spends.
    private func codes(loads: Bool = false, _ fault: (World) -> Void) async throws -> Set<String> {
        let world = World()
        // Tokens end with a revocation, and a session is opened with a token only.
        let ended = Mutex(false)
        world.answer(World.issuer + "/revoke") { _ in
            ended.withLock { $0 = true }
            return HTTPReply(.ok)
        }
        world.answer(World.issuer + "/token") { request in
            ended.withLock { $0 } || Self.isMadeUp(request) ? .error(OAuthError(.invalidGrant, "no")) : world.issue(request)
        }
        world.answer(World.issuer + "/jwks", ["keys": []])
        world.answer(World.server) { request in
            guard request.fields[.authorization]?.hasPrefix("Bearer access-") == true, !ended.withLock({ $0 }) else {
                return HTTPReply(
                    .unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"\(World.resourceDocument)\", error=\"invalid_token\""])
            }
            return HTTPReply(.ok, [HTTPField.Name("Mcp-Session-Id")!: "0123456789abcdef0123456789abcdef"], body: Array("{}".utf8))
        }
        fault(world)
        let session = try world.session()
        try await session.signIn()
        let server = try ResourceIdentifier(World.server)
        let examination = await DeploymentExamination.examine(server, spending: session, loads: loads, with: world, clock: world.time.clock)
        return Set(examination.findings.map(\.code))
    }

    /// A token request with a code that no server has issued.
    private static func isMadeUp(_ request: OutboundRequest) -> Bool { String(decoding: request.body, as: UTF8.self).contains("code=doctor") }

    private static let inside: Set<String> = [
        "refresh_rejected", "refresh_token_not_rotated", "used_refresh_token_accepted", "session_replaces_token", "session_id_guessable",
        "revocation_missing", "revocation_rejected", "revocation_without_effect", "access_token_outlives_revocation", "good_token_rejected",
    ]

    @Test("a server without these faults is not accused of them")
    func good() async throws {
        let found = try await codes { _ in }
        #expect(found.isDisjoint(with: Self.inside))
    }

    @Test("each fault of renewal, session and revocation is found, and accuses no other")
    func faults() async throws {
        func expect(_ code: String, _ fault: (World) -> Void) async throws {
            let found = try await codes(fault)
            #expect(found.intersection(Self.inside) == [code])
        }
        let grant = World.issuer + "/token"
        @Sendable func isRefresh(_ request: OutboundRequest) -> Bool {
            String(decoding: request.body, as: UTF8.self).contains("grant_type=refresh_token")
        }
        try await expect("refresh_rejected") { world in
            world.answer(grant) { isRefresh($0) ? .error(OAuthError(.invalidGrant, "no")) : world.issue($0) }
        }
        let fixed: JSONValue = ["access_token": "access-1", "token_type": "Bearer", "expires_in": 600, "refresh_token": "the-same"]
        try await expect("refresh_token_not_rotated") { world in
            let ended = Mutex(false)
            world.answer(World.issuer + "/revoke") { _ in
                ended.withLock { $0 = true }
                return HTTPReply(.ok)
            }
            world.answer(grant) { _ in ended.withLock { $0 } ? .error(OAuthError(.invalidGrant, "revoked")) : .json(fixed) }
            world.answer(World.server) { request in
                request.fields[.authorization] == "Bearer access-1" && !ended.withLock { $0 }
                    ? HTTPReply(.ok) : HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"\(World.resourceDocument)\""])
            }
        }
        try await expect("revocation_rejected") { $0.answer(World.issuer + "/revoke") { _ in .error(OAuthError(.invalidRequest, "no")) } }
        try await expect("revocation_missing") { $0.answer(World.well, World.metadata(World.issuer, ["revocation_endpoint": nil])) }
        try await expect("revocation_without_effect") { world in
            let number = Mutex(0)
            let ended = Mutex(false)
            world.answer(World.issuer + "/revoke") { _ in
                ended.withLock { $0 = true }
                return HTTPReply(.ok)
            }
            // Used tokens are rejected; the last one lives on.
            world.answer(grant) { request in
                guard !Self.isMadeUp(request) else { return .error(OAuthError(.invalidClient, "unknown")) }
                let used = (try? Form(parsing: request.body).single("refresh_token")) ?? nil
                return number.withLock { number in
                    guard used == nil || used == "refresh-\(number)" else { return .error(OAuthError(.invalidGrant, "used")) }
                    number += 1
                    return .json([
                        "access_token": .string("access-\(number)"), "token_type": "Bearer", "expires_in": 600,
                        "refresh_token": .string("refresh-\(number)"),
                    ])
                }
            }
            world.answer(World.server) { request in
                request.fields[.authorization] != nil && !ended.withLock { $0 }
                    ? HTTPReply(.ok) : HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"\(World.resourceDocument)\""])
            }
        }
        try await expect("access_token_outlives_revocation") { world in
            world.answer(World.server) { request in
                request.fields[.authorization]?.hasPrefix("Bearer access-") == true
                    ? HTTPReply(.ok) : HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"\(World.resourceDocument)\""])
            }
        }
    }

    @Test("a sign-in that fails is a finding of its own, and the rest of the report is there")
    func signInFails() async throws {
        let world = World()
        world.answer(World.issuer + "/jwks", ["keys": []])
        world.answer(World.issuer + "/token") { _ in .error(OAuthError(.invalidTarget, "no tokens for this resource")) }
        world.answer(World.server) { _ in
            HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"\(World.resourceDocument)\""])
        }
        let server = try ResourceIdentifier(World.server)
        let examination = await DeploymentExamination.examine(server, spending: try world.session(), with: world, clock: world.time.clock)
        let finding = try #require(examination.findings.first { $0.code == "sign_in_failed" })
        #expect(finding.severity == .error && finding.problem.contains("no tokens for this resource"))
        #expect(!examination.isUsable && !examination.checklist.isEmpty)
    }

    @Test("load: missing limits and failures are found, and only when load is asked for")
    func load() async throws {
        #expect(try await codes { _ in }.contains("token_endpoint_has_no_limit") == false)
        #expect(try await codes(loads: true) { _ in }.contains("token_endpoint_has_no_limit"))
        let limited = try await codes(loads: true) { world in
            let count = Mutex(0)
            world.answer(World.issuer + "/token") { request in
                guard String(decoding: request.body, as: UTF8.self).contains("client_credentials") else { return world.issue(request) }
                return count.withLock {
                    $0 += 1; return $0
                } > 20 ? HTTPReply(.tooManyRequests) : .error(OAuthError(.invalidClient, "no"))
            }
        }
        #expect(limited.contains("token_endpoint_limit_without_retry_after") && !limited.contains("token_endpoint_has_no_limit"))
        let failing = try await codes(loads: true) { world in
            world.answer(World.issuer + "/token") { request in
                String(decoding: request.body, as: UTF8.self).contains("client_credentials") ? HTTPReply(.internalServerError) : world.issue(request)
            }
        }
        #expect(failing.contains("token_endpoint_fails_under_load"))
    }
}
