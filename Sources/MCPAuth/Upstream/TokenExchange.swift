import Crypto
import HTTPTypes
public import JOSE
public import Logging
public import OAuth
import Synchronization

/// Exchanges the token of a caller for a token of an API behind this server, at the issuer of the caller's token. For
/// resource servers that trust an issuer of another party, or an authorization server in another process.
///
/// The new token is for the same user. It is cached until it expires, and requested once, however many calls need it.
/// The caller's token is never sent to the API (token passthrough).
public final class TokenExchange: Sendable {
    /// The request that the issuer understands.
    public enum Profile: Sendable {
        /// Token exchange (RFC 8693), for an audience or resource. Keycloak, Okta, Zitadel, and this package.
        case standard(audience: String?, resource: String?)
        /// The on-behalf-of flow of Microsoft Entra, whose scopes name the API:
        /// `https://graph.microsoft.com/User.Read`.
        case onBehalfOf
    }

    /// The name by which tools ask for its tokens (`call.upstreamToken(for:)`).
    public let id: String
    /// The issuer of the callers' tokens. Tokens of other issuers are not exchanged.
    public let issuer: String
    private let profile: Profile
    private let authentication: IntrospectionVerifier.ClientAuthentication
    private let endpoint: WebURL?
    private let metadata: RemoteMetadata
    private let fetcher: any HTTPFetcher
    private let clock: Clock
    private let logger: Logger
    private let state = Mutex(State())

    private typealias Outcome = Result<UpstreamToken, UpstreamTokenError>

    private struct Key: Hashable {
        let token: [UInt8]
        let scopes: [String]
    }

    private struct State {
        var tokens: [Key: UpstreamToken] = [:]
        var flights: [Key: Task<Outcome, Never>] = [:]
    }

    /// The number of seconds before its expiration at which a token is no longer used.
    private static let margin: Int64 = 60
    private static let capacity = 10_000

    /// An exchange. Throws `invalid_identifier` or `invalid_configuration`.
    ///
    /// - Parameters:
    ///   - id: The name for tools, such as `graph`.
    ///   - issuer: The issuer of the callers' tokens.
    ///   - profile: The request that the issuer understands.
    ///   - authentication: The authentication of this server at the issuer. It needs the right to exchange there.
    ///   - endpoint: The token endpoint. Nil: found in the metadata of the issuer.
    ///   - fetcher: Sends the requests.
    public init(
        _ id: String, issuer: String, profile: Profile, authentication: IntrospectionVerifier.ClientAuthentication, endpoint: String? = nil,
        fetcher: any HTTPFetcher, clock: Clock = .system, logger: Logger = Logger(label: "mcp-auth.token-exchange")
    ) throws(OAuthError) {
        self.id = id
        self.issuer = issuer
        self.profile = profile
        self.authentication = authentication
        if let endpoint {
            guard let url = WebURL(endpoint), url.isSecure || url.isLoopback else {
                throw OAuthError(.invalidConfiguration, "the token endpoint is not an https URL: \(endpoint.prefix(200))")
            }
            self.endpoint = url
        } else {
            self.endpoint = nil
        }
        metadata = RemoteMetadata(try Issuer(issuer), fetcher: fetcher)
        self.fetcher = fetcher
        self.clock = clock
        self.logger = logger
    }

    /// The on-behalf-of flow of one tenant of Microsoft Entra.
    public static func entra(
        _ id: String, tenant: String, clientID: String, clientSecret: String, fetcher: any HTTPFetcher
    ) throws(OAuthError) -> TokenExchange {
        try TokenExchange(
            id, issuer: "https://login.microsoftonline.com/\(tenant)/v2.0", profile: .onBehalfOf,
            authentication: .post(clientID: clientID, secret: clientSecret), fetcher: fetcher)
    }

    /// A token for the user of a caller's token, from the cache if one is valid.
    func token(for token: AccessToken, of principal: Principal, scopes: [String]) async throws(UpstreamTokenError) -> UpstreamToken {
        let key = Key(token: Array(SHA256.hash(data: token.bytes)), scopes: scopes.sorted())
        let now = clock.now
        enum Step { case known(UpstreamToken), wait(Task<Outcome, Never>) }
        let step: Step = state.withLock { state in
            if let known = state.tokens[key], known.expiresAt.map({ $0 > now.advanced(by: Self.margin) }) ?? false { return .known(known) }
            if let flight = state.flights[key] { return .wait(flight) }
            // Several calls wait for it, so it belongs to none of them. The fetcher's timeouts bound it.
            let flight = Task { await self.request(token, scopes, key, until: principal.expiration, at: now) }
            state.flights[key] = flight
            return .wait(flight)
        }
        switch step {
        case .known(let known): return known
        case .wait(let flight): return try await flight.value.get()
        }
    }

    private func request(_ token: AccessToken, _ scopes: [String], _ key: Key, until limit: NumericDate, at now: NumericDate) async -> Outcome {
        let outcome: Outcome
        do throws(UpstreamTokenError) { outcome = .success(try await exchange(token, scopes, until: limit, at: now)) } catch {
            outcome = .failure(error)
        }
        state.withLock { state in
            state.flights[key] = nil
            guard case .success(let token) = outcome else { return }
            if state.tokens.count >= Self.capacity {
                state.tokens = state.tokens.filter { $0.value.expiresAt.map { $0 > now } ?? false }
                if state.tokens.count >= Self.capacity { state.tokens.removeAll(keepingCapacity: true) }
            }
            state.tokens[key] = token
        }
        return outcome
    }

    private func exchange(
        _ token: AccessToken, _ scopes: [String], until limit: NumericDate, at now: NumericDate
    ) async throws(UpstreamTokenError) -> UpstreamToken {
        let reply: HTTPReply
        do throws(OAuthError) {
            var url = endpoint
            if url == nil { url = try await metadata.current(at: now).tokenEndpoint }
            guard let url else { throw OAuthError(.invalidMetadata, "the metadata of \(issuer) has no token_endpoint") }
            var form = form(token, scopes)
            var fields: HTTPFields = [.accept: "application/json", .contentType: "application/x-www-form-urlencoded"]
            try authentication.add(to: &form, &fields, at: now)
            reply = try await fetcher.fetch(
                OutboundRequest(.post, url, fields: fields, body: Array(form.encoded.utf8), maximumBytes: 64 * 1024, timeout: .seconds(10)))
        } catch {
            log("no answer", error.message)
            throw .unavailable(provider: id)
        }
        let json = try? JSONValue(parsing: reply.body)
        guard reply.response.status == .ok, json?["error"] == nil else { throw refusal(json, reply.response.status.code) }
        guard let text = json?["access_token"]?.string, (1...16_384).contains(text.utf8.count),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), json?["token_type"]?.string?.lowercased() == "bearer"
        else {
            log("an answer that cannot be used", "access_token is missing or malformed, or token_type is not Bearer")
            throw .unavailable(provider: id)
        }
        let lifetime = json?["expires_in"]?.int.flatMap { (1...86_400).contains($0) ? Int64($0) : nil }
        // Never longer than the token of the caller, so that a revocation is not outlived by much.
        let expiresAt = lifetime.map { min(now.advanced(by: $0), limit) } ?? min(now.advanced(by: 60), limit)
        let granted = json?["scope"]?.string.map { $0.split(separator: " ").map(String.init) } ?? scopes
        return UpstreamToken(text: text, expiresAt: expiresAt, scopes: granted)
    }

    private func form(_ token: AccessToken, _ scopes: [String]) -> Form {
        let accessToken = "urn:ietf:params:oauth:token-type:access_token"
        var form: Form
        switch profile {
        case .standard(let audience, let resource):
            form = Form([
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", token.text),
                ("subject_token_type", accessToken), ("requested_token_type", accessToken),
            ])
            if let audience { form.append("audience", audience) }
            if let resource { form.append("resource", resource) }
        case .onBehalfOf:
            form = Form([
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", token.text), ("requested_token_use", "on_behalf_of"),
            ])
        }
        if !scopes.isEmpty { form.append("scope", scopes.joined(separator: " ")) }
        return form
    }

    private func refusal(_ json: JSONValue?, _ status: Int) -> UpstreamTokenError {
        let code = json?["error"]?.string.map { HTTPReply.printable(String($0.prefix(80))) } ?? "status \(status)"
        log(code, json?["error_description"]?.string.map { HTTPReply.printable(String($0.prefix(300))) } ?? "")
        switch code {
        case "invalid_grant", "interaction_required", "login_required", "consent_required", "access_denied":
            return .unsupported(
                "\(id) gives no token for this user (\(code)). Sign in again; if that does not help, an administrator has to allow this at \(issuer)."
            )
        case "invalid_scope", "invalid_target", "unauthorized_client":
            return .unsupported("\(id) does not allow this request (\(code)). Tell the operator of this server; the log says more.")
        default: return .unavailable(provider: id)
        }
    }

    private func log(_ reason: String, _ detail: String) {
        logger.warning("a token could not be exchanged", metadata: ["exchange": "\(id)", "reason": "\(reason)", "detail": "\(detail)"])
    }
}

/// The tokens for the tools of one call: of the authorization server in this process, and by exchange of the caller's
/// token.
struct CallerTokens: UpstreamTokens {
    let local: (any UpstreamTokens)?
    let exchanges: [TokenExchange]
    let token: AccessToken

    func token(of principal: Principal, from provider: String, scopes: [String]) async throws(UpstreamTokenError) -> UpstreamToken {
        guard let exchange = exchanges.first(where: { $0.id.utf8.elementsEqual(provider.utf8) }) else {
            guard let local else { throw .unsupported("this server has no tokens of \(provider)") }
            return try await local.token(of: principal, from: provider, scopes: scopes)
        }
        guard exchange.issuer.utf8.elementsEqual(principal.issuer.utf8) else {
            throw .unsupported("only tokens of \(exchange.issuer) can be exchanged for one of \(provider)")
        }
        return try await exchange.token(for: token, of: principal, scopes: scopes)
    }
}
