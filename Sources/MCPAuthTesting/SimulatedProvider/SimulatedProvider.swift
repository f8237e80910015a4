public import HTTPTypes
public import JOSE
import MCPAuth
public import OAuth
import Synchronization

/// An identity provider in this process, for tests of sign-in through providers. It answers the requests of an
/// authorization server (as its `HTTPFetcher`), and of a browser (`authorize`).
public final class SimulatedProvider: HTTPFetcher {
    /// The answer of the authorization endpoint.
    public enum Answer: Sendable, Hashable {
        /// The browser is redirected to this URL.
        case redirect(String)
        /// The browser posts this form to this URL, from the provider's site.
        case post(String, body: String)
    }

    /// What goes wrong.
    public struct Faults: Sendable {
        /// The response of the token endpoint, instead of its own. Nil: its own.
        public var tokenReply: HTTPReply?
        /// The response of userinfo and API, instead of their own.
        public var profileReply: HTTPReply?
        /// Whether nothing can be reached.
        public var isUnreachable = false
        /// Changes the claims of ID tokens.
        public var claims: (@Sendable (inout JSONObject) -> Void)?
        /// Changes the answer of the token endpoint.
        public var answer: (@Sendable (inout JSONObject) -> Void)?
        /// Accounts whose tokens are no longer accepted.
        public var closedAccounts: Set<String> = []
        /// The time that the token and revocation endpoints take.
        public var delay: Duration?

        /// Nothing.
        public init() {}
    }

    private struct Code {
        let account: SimulatedAccount
        let nonce: String?
        let challenge: String?
        let redirectURI: String
        let scopes: [String]
        let givesRefreshToken: Bool
    }

    private struct Session {
        let account: SimulatedAccount
        let scopes: [String]
    }

    private struct State {
        /// By the bytes of the subject.
        var accounts: [[UInt8]: SimulatedAccount]
        var faults = Faults()
        var codes: [String: Code] = [:]
        var accessTokens: [String: Session] = [:]
        var refreshTokens: [String: Session] = [:]
        var requests: [OutboundRequest] = []
        var counter = 0
        var revoked: [String] = []
    }

    /// The behaviour.
    public let behaviour: ProviderBehaviour
    /// The client identifier of the authorization server.
    public let clientID: String
    /// Its secret.
    public let clientSecret: String
    private let key: SigningKey
    /// One for all, because making an RSA key takes long.
    private static let sharedKey = Result { () throws(JOSEError) in try SigningKey.generate(.rs256, keyID: "simulated") }
    private let clock: Clock
    private let state: Mutex<State>

    /// A provider with accounts. Throws `JOSEError` when no key can be made.
    public init(
        _ behaviour: ProviderBehaviour, clientID: String = "client-at-provider", clientSecret: String = "provider-secret-canary",
        accounts: [SimulatedAccount], clock: Clock = .system
    ) throws(JOSEError) {
        self.behaviour = behaviour
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.clock = clock
        key = try Self.sharedKey.get()
        state = Mutex(State(accounts: Dictionary(accounts.map { (Array($0.subject.utf8), $0) }, uniquingKeysWith: { first, _ in first })))
    }

    private static let rememberedRequests = 10_000

    /// The latest requests of the authorization server, in order: all, up to 5,000.
    public var requests: [OutboundRequest] { state.withLock { $0.requests } }
    /// The accounts, ordered by name.
    public var accounts: [SimulatedAccount] { state.withLock { Array($0.accounts.values) }.sorted { $0.name < $1.name } }
    /// The tokens that were revoked.
    public var revokedTokens: [String] { state.withLock { $0.revoked } }
    /// The number of requests to the token endpoint with a grant type.
    public func tokenRequests(_ grantType: String) -> Int {
        requests.count { $0.url.text == behaviour.token && String(decoding: $0.body, as: UTF8.self).contains("grant_type=\(grantType)") }
    }

    /// Changes what goes wrong.
    public func setFaults(_ change: (inout Faults) -> Void) { state.withLock { change(&$0.faults) } }
    /// Changes an account.
    public func setAccount(_ account: SimulatedAccount) { state.withLock { $0.accounts[Array(account.subject.utf8)] = account } }

    // MARK: The browser

    /// The authorization endpoint, for a user who signs in with an account at once, or says no. Throws
    /// `invalid_request` with the mistake of a request that the provider would reject.
    public func authorize(_ url: String, as subject: String, denies: Bool = false) throws(OAuthError) -> Answer {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidRequest, "\(message) in \(url)") }
        guard let parsed = WebURL(url), url.utf8.starts(with: behaviour.authorization.utf8) else { throw fail("another endpoint") }
        let form = try Form(queryOf: "/?" + (parsed.query ?? ""))
        guard try form.single("client_id") == clientID, try form.single("response_type") == "code" else { throw fail("no such client") }
        guard let redirectURI = try form.single("redirect_uri"), let state = try form.single("state") else { throw fail("redirect_uri or state") }
        guard try form.single("response_mode") ?? "query" == (behaviour.postsAnswers ? "form_post" : "query") else { throw fail("response_mode") }
        guard url.utf8.contains(UInt8(ascii: "+")) == false else { throw fail("a space as +") }
        if behaviour.rejectsResource { guard try form.single("resource") == nil else { throw fail("AADSTS9010010: resource") } }
        guard let account = self.state.withLock({ $0.accounts[Array(subject.utf8)] }) else { throw fail("no account \(subject)") }
        var answer = Form()
        if denies {
            answer.append("error", "access_denied")
        } else {
            let scopes = (try form.single("scope") ?? "").split { $0 == " " || $0 == "," }.map(String.init)
            let gives: Bool
            switch behaviour.refresh {
            case .always: gives = true
            case .never: gives = false
            case .withScope(let scope): gives = scopes.contains(scope)
            case .withParameter(let name, let value): gives = try form.single(name)?.split(separator: " ").contains(Substring(value)) == true
            }
            let code = Code(
                account: account, nonce: try form.single("nonce"), challenge: try form.single("code_challenge"), redirectURI: redirectURI,
                scopes: scopes, givesRefreshToken: gives)
            let text = self.state.withLock { state in
                state.counter += 1
                state.codes["code-\(state.counter)"] = code
                return "code-\(state.counter)"
            }
            answer.append("code", text)
        }
        answer.append("state", state)
        return behaviour.postsAnswers
            ? .post(redirectURI, body: answer.encoded) : .redirect(redirectURI + (redirectURI.contains("?") ? "&" : "?") + answer.encoded)
    }

    // MARK: The authorization server

    /// Answers a request of the authorization server. Throws `fetch_failed` for URLs that the provider does not have.
    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        let faults = state.withLock { state in
            if state.requests.count >= Self.rememberedRequests { state.requests.removeFirst(Self.rememberedRequests / 2) }
            state.requests.append(request)
            return state.faults
        }
        if faults.isUnreachable { throw OAuthError(.fetchFailed, "the host cannot be reached") }
        let url = request.url.text
        if url == behaviour.token {
            try await Self.wait(faults)
            if let reply = faults.tokenReply { return reply }
            return token(request, faults)
        }
        if url == behaviour.keys { return keysReply() }
        if url == behaviour.metadata { return metadataReply() }
        if let revocation = behaviour.revocation?.replacing("{client_id}", with: clientID), url == revocation {
            try await Self.wait(faults)
            return revoke(request)
        }
        if url == behaviour.userInfo || behaviour.api[url] != nil {
            if let reply = faults.profileReply { return reply }
            return profile(request, faults)
        }
        throw OAuthError(.fetchFailed, "the simulated provider has no \(url)")
    }

    private static func wait(_ faults: Faults) async throws(OAuthError) {
        guard let delay = faults.delay else { return }
        do { try await Task.sleep(for: delay) } catch { throw OAuthError(.fetchFailed, "cancelled") }
    }

    private func metadataReply() -> HTTPReply {
        var json = behaviour.metadataMembers
        json["issuer"] = json["issuer"] ?? .string(behaviour.issuer)
        json["authorization_endpoint"] = .string(behaviour.authorization)
        json["token_endpoint"] = .string(behaviour.token)
        json["userinfo_endpoint"] = behaviour.userInfo.map { .string($0) }
        json["jwks_uri"] = behaviour.keys.map { .string($0) }
        json["revocation_endpoint"] = behaviour.revokesByDelete ? nil : behaviour.revocation.map { .string($0) }
        return .json(.object(json))
    }

    private func keysReply() -> HTTPReply {

        .json(JWKSet([key.verificationKey]).publicDocument)
    }

    private func token(_ request: OutboundRequest, _ faults: Faults) -> HTTPReply {
        func fail(_ error: String, _ status: HTTPResponse.Status = .badRequest) -> HTTPReply {
            .json(["error": .string(error), "error_description": "as simulated"], status: behaviour.errorsComeAs200 ? .ok : status)
        }
        guard request.method == .post, let form = try? Form(parsing: request.body) else { return fail("invalid_request") }
        func field(_ name: String) -> String? { (try? form.single(name)) ?? nil }
        let method: String
        if let header = request.fields[.authorization] {
            guard header == "Basic " + Base64.encode(Array("\(Form.encode(clientID)):\(Form.encode(clientSecret))".utf8)) else {
                return fail("invalid_client", .unauthorized)
            }
            method = "client_secret_basic"
        } else {
            guard field("client_id") == clientID, field("client_secret") == clientSecret else {
                return fail(behaviour.errorsComeAs200 ? "incorrect_client_credentials" : "invalid_client", .unauthorized)
            }
            method = "client_secret_post"
        }
        guard behaviour.authentication.contains(method) else { return fail("invalid_client", .unauthorized) }
        var json = JSONObject()
        let session: Session
        switch field("grant_type") {
        case "authorization_code":
            guard let text = field("code"), let code = state.withLock({ $0.codes.removeValue(forKey: text) }),
                field("redirect_uri") == code.redirectURI
            else { return fail(behaviour.errorsComeAs200 ? "bad_verification_code" : "invalid_grant") }
            if behaviour.supportsPKCE, let challenge = code.challenge {
                guard let verifier = field("code_verifier").flatMap(CodeVerifier.init), CodeChallenge(of: verifier).text == challenge else {
                    return fail("invalid_grant")
                }
            }
            session = Session(account: code.account, scopes: code.scopes)
            if code.givesRefreshToken { json["refresh_token"] = .string(refreshToken(session)) }
            if let claims = behaviour.idToken?(code.account) { json["id_token"] = .string(idToken(claims, code, faults)) }
        case "refresh_token":
            guard let text = field("refresh_token"), let found = state.withLock({ $0.refreshTokens[text] }),
                !faults.closedAccounts.contains(found.account.subject)
            else { return fail(behaviour.errorsComeAs200 ? "bad_refresh_token" : "invalid_grant") }
            session = found
            if behaviour.rotates {
                state.withLock { $0.refreshTokens[text] = nil }
                json["refresh_token"] = .string(refreshToken(session))
            }
        default: return fail("unsupported_grant_type")
        }
        json["access_token"] = .string(accessToken(session))
        json["token_type"] = "bearer"
        if let lifetime = behaviour.lifetime { json["expires_in"] = .int(lifetime) }
        if let separator = behaviour.scopeSeparator { json["scope"] = .string(session.scopes.joined(separator: separator)) }
        faults.answer?(&json)
        if behaviour.answersFormsByDefault, request.fields[.accept]?.contains("application/json") != true {
            let form = Form(json.members.map { ($0.name, $0.value.string ?? $0.value.text) })
            return HTTPReply(.ok, [.contentType: "application/x-www-form-urlencoded"], body: Array(form.encoded.utf8))
        }
        return .json(.object(json))
    }

    private func refreshToken(_ session: Session) -> String {
        state.withLock { state in
            state.counter += 1
            state.refreshTokens["upstream-refresh-canary-\(state.counter)"] = session
            return "upstream-refresh-canary-\(state.counter)"
        }
    }

    private func accessToken(_ session: Session) -> String {
        state.withLock { state in
            state.counter += 1
            state.accessTokens["upstream-access-canary-\(state.counter)"] = session
            return "upstream-access-canary-\(state.counter)"
        }
    }

    private func idToken(_ own: JSONObject, _ code: Code, _ faults: Faults) -> String {
        let now = clock.now
        var claims = own
        claims["iss"] = .string(behaviour.idTokenIssuer?(code.account) ?? behaviour.issuer)
        claims["aud"] = .string(clientID)
        claims["iat"] = .int(now.seconds)
        claims["exp"] = .int(now.advanced(by: 3600).seconds)
        claims["nonce"] = code.nonce.map { .string($0) }
        faults.claims?(&claims)
        return (try? CompactJWS.sign(JSONValue.object(claims).serialized, type: "JWT", with: key)) ?? "unsigned"
    }

    /// A logout token that the provider sends when the user signs out there (OpenID Connect Back-Channel Logout §2.4).
    ///
    /// - Parameter change: Changes its claims, for tests of refusals.
    public func logoutToken(for subject: String, type: String = "logout+jwt", _ change: (inout JSONObject) -> Void = { _ in }) throws -> String {
        let now = clock.now
        var claims: JSONObject = [
            "iss": .string(behaviour.issuer), "aud": .string(clientID), "sub": .string(subject), "iat": .int(now.seconds),
            "exp": .int(now.advanced(by: 120).seconds), "jti": "logout-1", "events": ["http://schemas.openid.net/event/backchannel-logout": [:]],
        ]
        change(&claims)
        return try CompactJWS.sign(JSONValue.object(claims).serialized, type: type, with: key)
    }

    private func profile(_ request: OutboundRequest, _ faults: Faults) -> HTTPReply {
        let header = request.fields[.authorization] ?? ""
        let (session, account) = state.withLock { state -> (Session?, SimulatedAccount?) in
            let session = header.hasPrefix("Bearer ") ? state.accessTokens[String(header.dropFirst(7))] : nil
            return (session, session.flatMap { state.accounts[Array($0.account.subject.utf8)] })
        }
        guard session != nil, let account, !faults.closedAccounts.contains(account.subject) else {
            return .json(["message": "Bad credentials"], status: .unauthorized)
        }
        if let document = behaviour.api[request.url.text] {
            let reply = HTTPReply.json(document(account))
            return behaviour.nextPages[request.url.text].map { reply.with(HTTPField.Name("Link")!, "<\($0)>; rel=\"next\", <x>; rel=\"last\"") }
                ?? reply
        }
        return .json(.object(behaviour.userInfoClaims(account)))
    }

    private func revoke(_ request: OutboundRequest) -> HTTPReply {
        let token: String?
        if behaviour.revokesByDelete {
            guard request.method == .delete, request.fields[.authorization]?.hasPrefix("Basic ") == true else { return HTTPReply(.notFound) }
            token = (try? JSONValue(parsing: request.body))?["access_token"]?.string
        } else {
            token = (try? Form(parsing: request.body)).flatMap { (try? $0.single("token")) ?? nil }
        }
        guard let token else { return HTTPReply(.badRequest) }
        state.withLock { state in
            state.revoked.append(token)
            state.accessTokens[token] = nil
            state.refreshTokens[token] = nil
        }
        return HTTPReply(behaviour.revokesByDelete ? .noContent : .ok)
    }
}
