import Foundation
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthClient
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

/// The client of this package and its servers, in one process.
struct OwnServer: HTTPFetcher, HTTPExchange {
    static let issuer = "https://as.example"
    static let resource = "https://rs.example/mcp"
    /// A service whose tools call the server for their callers.
    static let front = "https://front.example/mcp"

    let server: AuthorizationServer
    let resourceServer: ResourceServer
    let time = TestClock()
    let enterprise: EnterpriseProvider
    let platform: TokenMint
    let clientKey: SigningKey

    init(requiresNonce: Bool = false) async throws {
        enterprise = try EnterpriseProvider(downstreamClientID: "desktop", clock: time.clock)
        platform = try TokenMint(issuer: "https://platform.example", clock: time.clock)
        clientKey = try SigningKey.generate(.es256, keyID: "client-key")
        var configuration = AuthorizationServerConfiguration(resources: [
            try ProtectedResource(Self.resource, scopes: [ScopeDescription("read", "See things"), ScopeDescription("write", "Change things")]),
            try ProtectedResource(Self.front, scopes: [ScopeDescription("read", "See things")]),
        ])
        configuration.exchanges = [TokenExchangeRule(from: Self.front, to: [Self.resource])]
        configuration.grantTypes = [.authorizationCode, .refreshToken, .clientCredentials, .deviceCode, .tokenExchange, .jwtBearer]
        configuration.identityProviders = [TrustedIdentityProvider(issuer: enterprise.issuer.text, keys: .fixed([enterprise.key.verificationKey]))]
        configuration.workloads = [
            try WorkloadTrust(
                name: "robot", issuer: platform.issuer, keys: .fixed([platform.key.verificationKey]), subject: "robot-1", resource: Self.resource,
                scopes: ["read"])
        ]
        if requiresNonce { configuration.dpop = DPoPPolicy(requiresNonce: true) }
        server = try await AuthorizationServer(
            Self.issuer, configuration: configuration, store: MemoryStore(), master: .random(), hasher: PasswordHasher(cost: 10), clock: time.clock)
        resourceServer = try ResourceServer(
            Self.resource, trusting: .local(server), policy: ScopePolicy(default: "read"), clock: time.clock)
        let keys = JSONValue.object(["keys": [clientKey.verificationKey.publicJWK ?? .null]])
        let jwks = keys.text
        _ = try await server.addClient(
            Client(
                id: ClientID("robot")!, name: "robot", redirectURIs: [], authenticationMethod: .privateKeyJWT, keys: .inline(jwks),
                grantTypes: [.clientCredentials], scopes: ["read"], origin: .configured, createdAt: time.now))
        _ = try await server.addClient(
            Client(
                id: ClientID("front")!, name: "front", redirectURIs: [], authenticationMethod: .privateKeyJWT, keys: .inline(jwks),
                grantTypes: [.tokenExchange], origin: .configured, createdAt: time.now, introspects: Self.front))
        _ = try await server.addClient(
            Client(
                id: ClientID("desktop")!, name: "desktop", redirectURIs: [], authenticationMethod: .privateKeyJWT, keys: .inline(jwks),
                grantTypes: [.jwtBearer], origin: .configured, createdAt: time.now))
    }

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        if request.url.host == "idp.test" { return try await enterprise.fetch(request) }
        let head = HTTPRequest(
            method: request.method, scheme: request.url.scheme, authority: request.url.hostForURL,
            path: request.url.requestPath + (request.url.query.map { "?" + $0 } ?? ""), headerFields: request.fields)
        if request.url.host == "rs.example" {
            if let reply = resourceServer.metadataReply(for: head) { return reply }
            switch await resourceServer.authenticate(head) {
            case .accepted(let principal): return HTTPReply(.ok, body: Array(principal.subject.utf8))
            case .rejected(let reply): return reply
            }
        }
        return await server.reply(to: HTTPCall(head, body: request.body, peer: "192.0.2.1")) ?? HTTPReply(.notFound)
    }

    func send(_ request: OutboundRequest) async throws(OAuthError) -> StreamedReply { StreamedReply(try await fetch(request)) }

    func session(_ grant: ClientGrant, _ change: (inout ClientConfiguration) -> Void = { _ in }) throws -> AuthorizedSession {
        var configuration = ClientConfiguration(name: "Test", grant: grant)
        change(&configuration)
        return try AuthorizedSession(
            for: Self.resource, configuration: configuration, store: MemoryTokenStore(), fetcher: self, exchange: self, clock: time.clock)
    }

    /// The subject that the server sees.
    func subject(_ session: AuthorizedSession) async throws -> String {
        let reply = try await session.send(OutboundRequest(.post, WebURL(Self.resource)!))
        #expect(reply.response.status == .ok)
        return String(decoding: try await reply.body.collect(upTo: 1000), as: UTF8.self)
    }
}

@Suite("Grants at our own servers")
struct OwnServerTests {
    private func registered(_ id: String, _ own: OwnServer) -> [RegisteredClient] {
        [
            RegisteredClient(
                issuer: try! Issuer(OwnServer.issuer),
                authentication: .privateKeyJWT(clientID: id, key: own.clientKey, audience: OwnServer.issuer))
        ]
    }

    @Test("R83: client credentials with private_key_jwt, also with DPoP and nonces of both sides")
    func clientCredentials() async throws {
        let own = try await OwnServer(requiresNonce: true)
        let session = try own.session(.clientCredentials) { $0.registered = registered("robot", own) }
        #expect(try await own.subject(session) == "robot")
        let bound = try own.session(.clientCredentials) {
            $0.registered = registered("robot", own)
            $0.proofOfPossession = .required
        }
        #expect(try await own.subject(bound) == "robot")
        #expect(try await bound.stored()?.tokenType == .dpop)
    }

    @Test("R110, R111: a workload gets a token for its assertion, without a client, and a rejected one is not tried again")
    func workload() async throws {
        let own = try await OwnServer()
        let issuer = try Issuer(OwnServer.issuer)
        let session = try own.session(
            .workload(
                WorkloadIdentity(issuer: issuer) { () throws(OAuthError) in
                    do throws(JOSEError) {
                        return try own.platform.token(subject: "robot-1", audience: OwnServer.issuer, expiresIn: 300, type: "JWT")
                    } catch { throw OAuthError(.invalidConfiguration, error.message) }
                }))
        #expect(try await own.subject(session).contains("robot"))
        let wrong = try own.session(.workload(WorkloadIdentity(issuer: issuer) { () throws(OAuthError) in "not-a-jwt" }))
        await fails(.invalidGrant) { _ = try await own.subject(wrong) }
    }

    @Test("RFC 8693: a service exchanges the token of its caller for one of the server behind it, with the caller as the subject")
    func exchange() async throws {
        let own = try await OwnServer()
        let endpoint = try #require(WebURL(OwnServer.issuer + "/token"))
        var form = Form([("grant_type", "client_credentials"), ("resource", OwnServer.front), ("scope", "read")])
        var fields: HTTPFields = [.contentType: "application/x-www-form-urlencoded"]
        try ClientAuthentication.privateKeyJWT(clientID: "robot", key: own.clientKey, audience: OwnServer.issuer)
            .add(to: &form, &fields, at: own.time.now)
        let reply = try await own.fetch(OutboundRequest(.post, endpoint, fields: fields, body: Array(form.encoded.utf8)))
        let received = try #require(try JSONValue(parsing: reply.body)["access_token"]?.string)
        let subject = SubjectToken(issuer: try Issuer(OwnServer.issuer)) { () throws(OAuthError) in received }
        let session = try own.session(.tokenExchange(subject)) { $0.registered = registered("front", own) }
        #expect(try await own.subject(session) == "robot")
        #expect(try await session.stored()?.clientID == "front")
        let wrong = SubjectToken(issuer: try Issuer(OwnServer.issuer)) { () throws(OAuthError) in "made-up" }
        let refused = try own.session(.tokenExchange(wrong)) { $0.registered = registered("front", own) }
        await fails(.invalidRequest) { _ = try await own.subject(refused) }
    }

    @Test("R86, R87: enterprise-managed authorization, both legs; what the enterprise does not allow is an error")
    func enterprise() async throws {
        let own = try await OwnServer()
        func identity(_ secret: String) throws -> EnterpriseIdentity {
            let token = try own.enterprise.idToken(subject: "ada@corp")
            return EnterpriseIdentity(
                identityProvider: own.enterprise.issuer, authentication: .basic(clientID: own.enterprise.client.id, secret: secret),
                idToken: { () throws(OAuthError) in token })
        }
        let session = try own.session(.enterprise(try identity("idp-secret"))) { $0.registered = registered("desktop", own) }
        #expect(try await own.subject(session).hasPrefix("user-"))
        let wrong = try own.session(.enterprise(try identity("wrong"))) { $0.registered = registered("desktop", own) }
        await fails(.invalidClient) { _ = try await own.subject(wrong) }
    }
}

@Suite("Token stores")
struct TokenStoreTests {
    @Test("the store in memory meets every requirement", arguments: TokenStoreConformance.checks)
    func memory(_ check: TokenStoreConformance.Check) async throws { try await check.run(on: MemoryTokenStore()) }

    @Test("C-16: what a process left that was killed while it wrote is swept, and hinders nothing")
    func afterKill() async throws {
        try await inTemporaryFolder { folder in
            let path = folder + "/store"
            _ = try FileTokenStore(folder: path)
            for (name, age) in [("old.json.x.tmp", -7200.0), ("new.json.x.tmp", 0)] {
                FileManager.default.createFile(
                    atPath: "\(path)/\(name)", contents: Data(), attributes: [.modificationDate: Date().addingTimeInterval(age)])
            }
            let store = try FileTokenStore(folder: path, sealing: .passphrase("a passphrase"))
            try await store.write(Array("{}".utf8), for: "tokens a")
            #expect(try await FileTokenStore(folder: path, sealing: .passphrase("a passphrase")).read("tokens a") == Array("{}".utf8))
            let names = try FileManager.default.contentsOfDirectory(atPath: path)
            #expect(!names.contains("old.json.x.tmp") && names.contains("new.json.x.tmp") && names.contains("salt"))
            #expect(names.count { $0.hasSuffix(".tmp") } == 1)
        }
    }

    @Test("R15, C-16: the store in files meets every requirement, plain and sealed", arguments: TokenStoreConformance.checks)
    func files(_ check: TokenStoreConformance.Check) async throws {
        for sealing in [FileTokenStore.Sealing.none, .key([UInt8](repeating: 7, count: 32)), .passphrase("a passphrase")] {
            try await inTemporaryFolder { folder in try await check.run(on: try FileTokenStore(folder: folder + "/store", sealing: sealing)) }
        }
    }
}
