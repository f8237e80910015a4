import Foundation
import HTTPTypes
import JOSE
import MCPAuthClient
import MCPAuthTesting
import OAuth
import Synchronization
import Testing

/// A protected server and two authorization servers in memory. Each answer can be replaced.
final class World: HTTPFetcher, HTTPExchange {
    static let server = "https://rs.example/mcp"
    static let issuer = "https://as.example"
    static let other = "https://other.example"

    typealias Answer = @Sendable (OutboundRequest) -> HTTPReply

    private struct State {
        var answers: [String: Answer] = [:]
        var log: [OutboundRequest] = []
        var tokens: Set<String> = []
        var refresh = "refresh-0"
        var number = 0
        var needed: ScopeSet = []
        var failure: OAuthError?
    }

    private let state = Mutex(State())
    let time = TestClock()

    /// The requests to one URL, without its query.
    func requests(to url: String) -> [OutboundRequest] {
        state.withLock { $0.log }.filter { $0.url.text.prefix { $0 != "?" } == url }
    }
    var log: [OutboundRequest] { state.withLock { $0.log } }
    func forms(to url: String) -> [Form] { requests(to: url).compactMap { try? Form(parsing: $0.body) } }

    /// Everything that was sent to an origin, as text.
    func sent(to origin: String) -> String {
        log.filter { $0.url.origin == origin }.map { request in
            request.url.text + request.fields.map { "\($0.name): \($0.value)" }.joined() + String(decoding: request.body, as: UTF8.self)
        }.joined(separator: "\n")
    }

    func answer(_ url: String, _ answer: @escaping Answer) { state.withLock { $0.answers[url] = answer } }
    func answer(_ url: String, _ json: JSONValue, _ status: HTTPResponse.Status = .ok) { answer(url) { _ in .json(json, status: status) } }
    func fail(_ error: OAuthError?) { state.withLock { $0.failure = error } }
    func revokeTokens() { state.withLock { $0.tokens.removeAll() } }
    func demand(_ scopes: ScopeSet) { state.withLock { $0.needed = scopes } }

    static func metadata(_ issuer: String = issuer, _ change: JSONObject = [:]) -> JSONValue {
        var document: JSONObject = [
            "issuer": .string(issuer), "authorization_endpoint": .string(issuer + "/authorize"), "token_endpoint": .string(issuer + "/token"),
            "registration_endpoint": .string(issuer + "/register"), "revocation_endpoint": .string(issuer + "/revoke"),
            "code_challenge_methods_supported": ["S256"], "authorization_response_iss_parameter_supported": true,
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        ]
        for member in change { document[member.name] = member.value.isNull ? nil : member.value }
        return .object(document)
    }

    static let well = issuer + "/.well-known/oauth-authorization-server"
    static let resourceDocument = "https://rs.example/.well-known/oauth-protected-resource/mcp"
    static func resource(_ issuer: String = issuer, scopes: [String] = ["read"]) -> JSONValue {
        ["resource": .string(server), "authorization_servers": [.string(issuer)], "scopes_supported": .strings(scopes)]
    }

    init() {
        answer(Self.resourceDocument, Self.resource())
        answer(Self.well, Self.metadata())
        answer(Self.other + "/.well-known/oauth-authorization-server", Self.metadata(Self.other))
        for issuer in [Self.issuer, Self.other] {
            answer(issuer + "/register") { request in
                let metadata = (try? JSONValue(parsing: request.body))?.object ?? [:]
                var reply = metadata
                reply["client_id"] = .string("client-of-\(WebURL(issuer)?.host ?? "")")
                return .json(.object(reply), status: .created)
            }
            answer(issuer + "/authorize") { _ in HTTPReply(.ok) }
            answer(issuer + "/token") { [weak self] request in self?.issue(request) ?? HTTPReply(.internalServerError) }
            answer(issuer + "/revoke") { _ in HTTPReply(.ok) }
        }
    }

    /// Issues tokens, with strict rotation.
    func issue(_ request: OutboundRequest, scope: String? = nil, type: String = "Bearer") -> HTTPReply {
        let form = try? Form(parsing: request.body)
        return state.withLock { state in
            if let used = try? form?.single("refresh_token"), used != state.refresh { return .error(OAuthError(.invalidGrant, "used")) }
            state.number += 1
            state.refresh = "refresh-\(state.number)"
            let access = "access-\(state.number)"
            state.tokens.insert(access)
            var reply: JSONObject = [
                "access_token": .string(access), "token_type": .string(type), "expires_in": 600, "refresh_token": .string(state.refresh),
            ]
            reply["scope"] = scope.map { .string($0) }
            return .json(.object(reply))
        }
    }

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        let (answer, failure) = state.withLock { state in
            state.log.append(request)
            return (state.answers[String(request.url.text.prefix { $0 != "?" })], state.failure)
        }
        if let failure { throw failure }
        return answer?(request) ?? HTTPReply(.notFound)
    }

    func send(_ request: OutboundRequest) async throws(OAuthError) -> StreamedReply {
        let answer = state.withLock { state in
            state.log.append(request)
            return state.answers[request.url.text]
        }
        if let answer { return StreamedReply(answer(request)) }
        let token = request.fields[.authorization].map { String($0.split(separator: " ").last ?? "") } ?? ""
        let (isKnown, needed) = state.withLock { ($0.tokens.contains(token), $0.needed) }
        guard isKnown else {
            return StreamedReply(
                HTTPReply(.unauthorized, [.wwwAuthenticate: "Bearer resource_metadata=\"\(Self.resourceDocument)\", scope=\"read\""]))
        }
        guard needed.isEmpty else {
            return StreamedReply(
                HTTPReply(.forbidden, [.wwwAuthenticate: "Bearer error=\"insufficient_scope\", scope=\"\(needed.text)\""]))
        }
        return StreamedReply(HTTPReply(.ok, body: Array(token.utf8)))
    }

    // MARK: A client

    func session(
        _ agent: (any UserAgent)? = Agent(), store: any TokenStore = MemoryTokenStore(), url: String = World.server,
        _ change: (inout ClientConfiguration) -> Void = { _ in }
    ) throws -> AuthorizedSession {
        var configuration = ClientConfiguration(name: "Test", grant: .authorizationCode(agent))
        change(&configuration)
        return try AuthorizedSession(for: url, configuration: configuration, store: store, fetcher: self, exchange: self, clock: time.clock)
    }

    var request: OutboundRequest { OutboundRequest(.post, WebURL(Self.server)!, body: Array("{}".utf8)) }
}

extension AuthorizedSession {
    /// The token with which a request succeeded.
    func call(_ world: World) async throws -> String {
        let reply = try await send(world.request)
        #expect(reply.response.status == .ok)
        return String(decoding: try await reply.body.collect(upTo: 1000), as: UTF8.self)
    }
}

/// A user who allows everything, or whose answer a test writes.
struct Agent: UserAgent {
    static let redirectURI = "http://127.0.0.1:3999/callback"
    var uris = [Agent.redirectURI]
    /// The query of the answer, from the parameters of the request.
    var answer: @Sendable (Form, _ state: String) -> String = { form, state in
        "code=the-code&state=\(state)&iss=\(Form.encode(World.issuer))"
    }
    let visits = Visits()

    final class Visits: Sendable {
        private let all = Mutex<[WebURL]>([])
        func add(_ url: WebURL) { all.withLock { $0.append(url) } }
        var urls: [WebURL] { all.withLock { $0 } }
        var forms: [Form] { urls.compactMap { try? Form(parsing: ($0.query ?? "").utf8) } }
    }

    func begin(preferring preferred: RedirectURI?) async throws(OAuthError) -> any AuthorizationReceiver {
        var all: [RedirectURI] = []
        for uri in uris { all.append(try RedirectURI(uri)) }
        return Receiver(redirectURIs: all, agent: self)
    }

    private struct Receiver: AuthorizationReceiver {
        let redirectURIs: [RedirectURI]
        let agent: Agent

        func authorize(_ url: WebURL, state: String) async throws(OAuthError) -> String {
            agent.visits.add(url)
            return agent.answer(try Form(parsing: (url.query ?? "").utf8), state)
        }

        func close() async {}
    }
}

/// Expects an error with this code, and returns its message.
@discardableResult
func fails(_ code: OAuthError.Code, _ work: () async throws -> Void) async -> String {
    do {
        try await work()
        Issue.record("no error")
    } catch let error as OAuthError {
        #expect(error.code == code, "\(error)")
        return error.message
    } catch { Issue.record("\(error)") }
    return ""
}

/// Runs with the path of a new folder, which is removed afterwards.
func inTemporaryFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mcp-auth-client-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}

/// A user who allows the first request, and refuses a further one after a while.
struct SlowRefusal: UserAgent {
    actor Gate {
        private(set) var waiting = 0
        private var continuation: CheckedContinuation<Void, Never>?
        private var isOpen = false
        func pass() async {
            waiting += 1
            if !isOpen { await withCheckedContinuation { continuation = $0 } }
        }
        func open() {
            isOpen = true
            continuation?.resume()
        }
    }

    let gate = Gate()

    func begin(preferring preferred: RedirectURI?) async throws(OAuthError) -> any AuthorizationReceiver {
        Receiver(redirectURIs: [try RedirectURI(Agent.redirectURI)], gate: gate)
    }

    private struct Receiver: AuthorizationReceiver {
        let redirectURIs: [RedirectURI]
        let gate: Gate

        func authorize(_ url: WebURL, state: String) async throws(OAuthError) -> String {
            let issuer = Form.encode(World.issuer)
            guard try Form(parsing: (url.query ?? "").utf8).single("scope") != "read" else { return "code=c&state=\(state)&iss=\(issuer)" }
            await gate.pass()
            return "error=access_denied&state=\(state)&iss=\(issuer)"
        }

        func close() async {}
    }
}
