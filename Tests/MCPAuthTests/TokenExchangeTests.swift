import HTTPTypes
import JOSE
import MCPAuthTesting
import OAuth
import Synchronization
import Testing

@testable import MCPAuth

@Suite("Exchange of callers' tokens for tools")
struct TokenExchangeTests {
    static let issuer = "https://id.example.com"
    let time = TestClock()

    /// An issuer that answers exchanges, and remembers what it was asked.
    final class Exchanger: HTTPFetcher {
        let key: SigningKey
        let requests = Mutex<[Form]>([])
        let reply = Mutex<HTTPReply?>(nil)

        init() throws { key = try SigningKey.generate(.es256) }

        func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
            let text = request.url.text
            if text.contains(".well-known") {
                return .json([
                    "issuer": .string(TokenExchangeTests.issuer), "jwks_uri": "https://id.example.com/keys",
                    "token_endpoint": "https://id.example.com/token",
                ])
            }
            if text.hasSuffix("/keys") { return .json(JWKSet([key.verificationKey]).publicDocument) }
            guard text == "https://id.example.com/token", request.method == .post, let form = try? Form(parsing: request.body) else {
                return HTTPReply(.notFound)
            }
            let count = requests.withLock { all in
                all.append(form)
                return all.count
            }
            if let reply = reply.withLock({ $0 }) { return reply }
            try? await Task.sleep(for: .milliseconds(20))
            return .json(["access_token": .string("exchanged-\(count)"), "token_type": "Bearer", "expires_in": 3600, "scope": "api.read"])
        }

        var asked: Int { requests.withLock { $0.count } }
    }

    struct World: Sendable {
        let exchanger: Exchanger
        let server: ResourceServer
        let token: @Sendable (String) throws -> String
    }

    func world(
        _ profile: TokenExchange.Profile = .standard(audience: "https://api.example.com", resource: nil), exchangeIssuer: String = issuer
    ) throws -> World {
        let exchanger = try Exchanger()
        let exchange = try TokenExchange(
            "api", issuer: exchangeIssuer, profile: profile, authentication: .basic(clientID: "rs", secret: "s"),
            endpoint: exchangeIssuer == Self.issuer ? nil : "https://id.example.com/token", fetcher: exchanger, clock: time.clock)
        let server = try ResourceServer(
            "https://mcp.example.com/mcp", trusting: .issuer(Self.issuer), fetcher: exchanger, exchanges: [exchange], clock: time.clock)
        let time = time
        return World(exchanger: exchanger, server: server) { subject in
            let claims: JSONValue = [
                "iss": .string(Self.issuer), "aud": "https://mcp.example.com/mcp", "sub": .string(subject), "client_id": "c",
                "iat": .int(time.now.seconds), "exp": .int(time.now.advanced(by: 600).seconds),
            ]
            return try CompactJWS.sign(claims.serialized, type: "at+jwt", with: exchanger.key)
        }
    }

    func caller(_ world: World, _ token: String) async throws -> Caller {
        let request = HTTPRequest(
            method: .post, scheme: "https", authority: "mcp.example.com", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
        guard case .accepted(let caller) = await world.server.identify(request) else { throw OAuthError(.invalidToken, "refused") }
        return caller
    }

    func exchanged(_ world: World, _ token: String, scopes: [String] = ["api.read"], for id: String = "api") async throws -> UpstreamToken {
        let caller = try await caller(world, token)
        let source = try #require(world.server.upstreamTokens(for: caller))
        return try await source.token(of: try #require(caller.principal), from: id, scopes: scopes)
    }

    @Test("RFC 8693: the request is the standard's, and the new token is for the caller")
    func standard() async throws {
        let world = try world()
        let token = try world.token("ada")
        let upstream = try await exchanged(world, token)
        #expect(upstream.text == "exchanged-1" && upstream.scopes == ["api.read"])
        #expect(upstream.expiresAt == time.now.advanced(by: 630), "not longer than the caller's token and its leeway")
        let form = try #require(world.exchanger.requests.withLock { $0.first })
        #expect(try form.single("grant_type") == "urn:ietf:params:oauth:grant-type:token-exchange")
        #expect(try form.single("subject_token") == token && form.single("audience") == "https://api.example.com")
        #expect(try form.single("subject_token_type") == "urn:ietf:params:oauth:token-type:access_token" && form.single("scope") == "api.read")
    }

    @Test("Entra: the on-behalf-of flow")
    func onBehalfOf() async throws {
        let world = try world(.onBehalfOf)
        let token = try world.token("ada")
        _ = try await exchanged(world, token, scopes: ["https://graph.microsoft.com/User.Read"])
        let form = try #require(world.exchanger.requests.withLock { $0.first })
        #expect(try form.single("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer" && form.single("assertion") == token)
        #expect(try form.single("requested_token_use") == "on_behalf_of" && form.single("scope") == "https://graph.microsoft.com/User.Read")
    }

    @Test("many calls at once ask once, a later one uses the same token, and another user never gets it")
    func cached() async throws {
        let world = try self.world()
        let (ada, grace) = (try world.token("ada"), try world.token("grace"))
        let texts = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<20 { group.addTask { try await self.exchanged(world, ada).text } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(texts.count == 1 && world.exchanger.asked == 1)
        #expect(try await exchanged(world, ada).text == texts.first)
        #expect(try await exchanged(world, grace).text == "exchanged-2")
        #expect(try await exchanged(world, ada, scopes: ["api.write"]).text == "exchanged-3", "other scopes, another token")
        time.advance(by: 580)
        _ = try await exchanged(world, ada)
        #expect(world.exchanger.asked == 4, "shortly before it expires")
    }

    @Test("refusals are told apart: the user, the operator, or later")
    func refusals() async throws {
        let cases: [(HTTPReply, String)] = [
            (.json(["error": "invalid_grant", "error_description": "AADSTS50013: secret detail"], status: .badRequest), "Sign in again"),
            (.json(["error": "interaction_required"], status: .badRequest), "Sign in again"),
            (.json(["error": "invalid_scope"], status: .badRequest), "Tell the operator"),
            (.json(["error": "invalid_client"], status: .unauthorized), "try again in a minute"),
            (HTTPReply(.serviceUnavailable), "try again in a minute"), (.json([:]), "try again in a minute"),
            (.json(["access_token": "a b", "token_type": "Bearer"]), "try again in a minute"),
            (.json(["access_token": "good", "token_type": "N_A"]), "try again in a minute"),
        ]
        for (reply, words) in cases {
            let world = try world()
            world.exchanger.reply.withLock { $0 = reply }
            let token = try world.token("ada")
            let error = await #expect(throws: UpstreamTokenError.self) { try await exchanged(world, token) }
            #expect(error?.advice.contains(words) == true && error?.advice.contains("secret detail") == false, "\(error?.advice ?? "")")
            world.exchanger.reply.withLock { $0 = nil }
            #expect(try await exchanged(world, token).text == "exchanged-2", "a failure is not remembered")
        }
    }

    @Test("only tokens of the exchange's issuer are sent to it, and only to the exchange that was named")
    func otherIssuer() async throws {
        let world = try world(exchangeIssuer: "https://other.example.com")
        let token = try world.token("ada")
        for id in ["api", "unknown"] {
            await #expect(throws: UpstreamTokenError.self, "\(id)") { try await exchanged(world, token, for: id) }
        }
        #expect(world.exchanger.asked == 0)
        let caller = try await caller(world, token)
        #expect(!"\(caller)".contains(token), "a caller in a log contains no token")
    }
}
