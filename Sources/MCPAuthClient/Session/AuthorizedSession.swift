public import HTTPTypes
public import JOSE
public import Logging
public import OAuth
import Synchronization

/// Sends requests to one protected MCP server, with a valid access token.
///
/// It discovers the authorization server, becomes a client there, obtains tokens, renews them before they expire and
/// when the server rejects them, and asks for further scopes when the server demands them. However many callers,
/// sessions and processes share a store, one of them renews a token, and the others use the result.
///
/// ```swift
/// let session = try AuthorizedSession(
///     for: "https://mcp.example.com/mcp",
///     configuration: ClientConfiguration(name: "My app", grant: .authorizationCode(agent)),
///     store: FileTokenStore(folder: folder), fetcher: client, exchange: client)
/// let reply = try await session.send(OutboundRequest(.post, session.server.url, fields: fields, body: message))
/// ```
public final class AuthorizedSession: Sendable {
    /// The URL of the server.
    public let server: ResourceIdentifier
    private let configuration: ClientConfiguration
    private let store: any TokenStore
    private let exchange: any HTTPExchange
    private let clock: Clock
    private let logger: Logger
    let obtaining: TokenObtaining
    private let storeKey: String
    private let nonces = DPoPNonceMemory()
    private let state = Mutex(State())

    private typealias Outcome = Result<Credentials, OAuthError>

    private struct State {
        var credentials: Credentials?
        var flight: (task: Task<Outcome, Never>, renewal: Renewal)?
        /// Scopes that were asked for and not granted, and when.
        var refused: (scopes: ScopeSet, at: NumericDate)?
    }

    /// The most times that one request asks for further scopes (MCP authorization, "Step-Up Authorization Flow").
    public static let maximumStepUps = 3

    /// A session. Throws `invalid_identifier` for a URL that cannot be a resource, and `invalid_configuration` for
    /// fixed headers of another server.
    ///
    /// - Parameters:
    ///   - url: The URL of the server: https, or http on this machine.
    ///   - store: Keeps registrations and tokens.
    ///   - fetcher: Sends the requests to metadata and token endpoints. It decides which addresses may be reached.
    ///   - exchange: Sends the requests to the server.
    public init(
        for url: String, configuration: ClientConfiguration, store: any TokenStore, fetcher: any HTTPFetcher, exchange: any HTTPExchange,
        clock: Clock = .system, random: RandomSource = .system, logger: Logger = Logger(label: "mcp-auth.client")
    ) throws(OAuthError) {
        server = try ResourceIdentifier(url)
        self.configuration = configuration
        self.store = store
        self.exchange = exchange
        self.clock = clock
        self.logger = logger
        storeKey = Credentials.storeKey(server.text, as: configuration.identity)
        obtaining = TokenObtaining(
            server: server, configuration: configuration,
            registrar: Registrar(configuration: configuration, store: store, fetcher: fetcher, clock: clock, logger: logger), fetcher: fetcher,
            clock: clock,
            random: random, nonces: nonces)
    }

    // MARK: Requests

    /// Sends a request to the server with an access token, if the server needs one. A 401 is answered with a new token,
    /// and a 403 for missing scopes with a request for them. Any other response is returned as it is.
    ///
    /// A redirect within the origin is followed once, if it keeps the method (307, 308). A redirect to another origin
    /// is returned: no credential goes there.
    ///
    /// Throws `fetch_failed`, `login_required` when a user would have to sign in and cannot be asked, `invalid_token`
    /// when the server rejects a token that was just issued for it, `insufficient_scope` when it demands scopes that
    /// were not granted, and every error of a sign-in. Throws `invalid_request` for a URL of another origin than the
    /// server.
    ///
    /// - Parameter mayAskUser: Whether a user may be asked to sign in. False for requests that no user waits for, so
    ///   that no browser opens by itself.
    public func send(_ request: OutboundRequest, mayAskUser: Bool = true) async throws(OAuthError) -> StreamedReply {
        guard request.url.origin.utf8.elementsEqual(server.url.origin.utf8) else {
            throw OAuthError(.invalidRequest, "\(request.url.hostForURL) is not the server \(server); its token is not sent there")
        }
        var request = request
        var credentials = try await usable(mayAskUser: mayAskUser)
        var (renewals, stepUps, nonceRetries, redirects) = (0, 0, 0, 0)
        var asked = ScopeSet()
        while true {
            let reply = try await exchange.send(try authorized(request, credentials))
            nonces.remember(reply.response, from: request.url)
            switch reply.response.status.code {
            case 307, 308:
                guard redirects == 0, let target = Self.target(reply.response, of: request.url) else { return reply }
                redirects += 1
                reply.body.cancel()
                request.url = target
            case 401:
                let challenge = Self.challenge(reply.response)
                if challenge?["error"] == "use_dpop_nonce", credentials?.proofKey != nil, nonceRetries < 2 {
                    nonceRetries += 1
                    reply.body.cancel()
                    continue
                }
                guard challenge != nil || credentials != nil || request.fields[.authorization] == nil else { return reply }
                guard renewals < 3 else { throw rejected(credentials, challenge) }
                renewals += 1
                reply.body.cancel()
                let before = credentials
                credentials = try await renew(
                    Renewal(rejected: before?.accessToken, challenge: challenge, isUnauthorized: true, mayAskUser: mayAskUser))
                // A token that a sign-in has just brought is not replaced by another sign-in.
                if renewals > 1, before?.accessToken == credentials?.accessToken { throw rejected(credentials, challenge) }
            case 403:
                guard let challenge = Self.challenge(reply.response), challenge["error"] == "insufficient_scope",
                    let needed = challenge["scope"].map({ ScopeSet(lenient: $0) }), !needed.isEmpty, !needed.isSubset(of: asked),
                    stepUps < Self.maximumStepUps
                else { return reply }
                reply.body.cancel()
                guard !wasRefused(needed) else { throw notGranted(needed, "they were asked for a moment ago, and not granted") }
                stepUps += 1
                asked = asked.union(needed)
                let granted: Credentials
                do throws(OAuthError) {
                    granted = try await renew(
                        Renewal(rejected: credentials?.accessToken, challenge: challenge, additional: needed, mayAskUser: mayAskUser))
                } catch {
                    // The user said no to more; what was allowed before still is.
                    if error.code == .accessDenied || error.code == .invalidScope { refuse(needed) }
                    guard error.code == .accessDenied || error.code == .invalidScope || error.code == .loginRequired else { throw error }
                    throw notGranted(needed, error.code == .loginRequired ? "a user has to be asked" : error.message)
                }
                if !needed.isSubset(of: granted.scopes) { refuse(needed) }
                credentials = granted
            default: return reply
            }
        }
    }

    /// An access token that is valid for the renewal margin, for programs that send requests themselves. Signs in if
    /// that is needed and allowed.
    public func credentials() async throws(OAuthError) -> Credentials {
        if let credentials = try await usable() { return credentials }
        return try await signIn(scopes: [])
    }

    /// Signs in again with the scopes that were granted before and `scopes`, although a valid token may be there. The
    /// old tokens stay until the new ones are kept.
    @discardableResult
    public func signIn(scopes: ScopeSet = []) async throws(OAuthError) -> Credentials {
        let (challenge, status) = try await answerWithoutToken()
        if status != 401 { _ = try await discovered(challenge, status) }
        return try await renew(Renewal(rejected: nil, challenge: challenge, additional: scopes, mustSignIn: true))
    }

    /// The stored tokens. Nil when there are none. Nothing is sent.
    public func stored() async throws(OAuthError) -> Credentials? {
        guard let bytes = try await store.read(storeKey), let record = try? JSONValue(parsing: bytes) else { return nil }
        guard let credentials = Credentials(record: record), credentials.server.utf8.elementsEqual(server.text.utf8) else { return nil }
        return credentials
    }

    /// Revokes the tokens (RFC 7009) and removes them from the store. Returns whether the authorization server
    /// confirmed; if it cannot be reached, they are removed all the same, and expire there.
    @discardableResult
    public func signOut() async throws(OAuthError) -> Bool {
        let isRevoked = try await store.withLock(storeKey, timeout: .seconds(30)) { () throws(OAuthError) in
            guard let credentials = try await self.stored() else { return true }
            let isRevoked = await self.obtaining.revoke(credentials)
            try await self.store.remove(self.storeKey)
            return isRevoked
        }
        state.withLock { $0.credentials = nil }
        return isRevoked
    }

    /// What is known of the server and its authorization server, from their metadata now. Throws like `send`, and
    /// `invalid_response` for a server that neither asks for a token nor has metadata.
    public func discover() async throws(OAuthError) -> DiscoveredServer {
        let (challenge, status) = try await answerWithoutToken()
        return try await discovered(challenge, status)
    }

    /// - Parameter status: The answer to a request without a token. Unless it is 401, only metadata can say that there
    ///   is something to sign in to.
    private func discovered(_ challenge: AuthenticationChallenge?, _ status: Int) async throws(OAuthError) -> DiscoveredServer {
        let found = try await obtaining.discover(challenge: challenge)
        guard found.revision == .defaultEndpoints, status != 401 else { return found }
        let common = server.url.origin + "/mcp"
        let example = server.text == common ? "" : ", such as \(common)"
        throw OAuthError(
            .invalidResponse,
            (200..<300).contains(status)
                ? "\(server) answers without a token (\(status)) and has no metadata, so there is nothing to sign in to. If it should be protected, "
                    + "put the token check in front of it; otherwise call it without signing in"
                : "\(server) does not look like a protected MCP server: it answers \(status) to a request without a token, and has no metadata. "
                    + "Is it the URL of an MCP endpoint\(example)?")
    }

    // MARK: For other HTTP clients

    /// The header fields that authorize one request: `Authorization`, and `DPoP` for tokens that are bound to a key.
    /// Empty when the server has not asked for a token yet. Renews a token that is about to expire, and asks no user.
    public func headers(_ method: HTTPRequest.Method = .post) async throws(OAuthError) -> HTTPFields {
        try authorized(OutboundRequest(method, server.url), try await usable()).fields
    }

    /// Answers a rejected response: true when there is a new token, and the request can be sent again with `headers`.
    /// Call it for 401 and 403. It signs in if that is needed and allowed.
    ///
    /// - Parameter token: The access token of the request. Nil: it had none.
    public func answer(_ response: HTTPResponse, token: String?) async throws(OAuthError) -> Bool {
        let challenge = Self.challenge(response)
        nonces.remember(response, from: server.url)
        switch response.status.code {
        case 401:
            if challenge?["error"] == "use_dpop_nonce" { return true }
            return try await renew(Renewal(rejected: token, challenge: challenge, isUnauthorized: true)).accessToken != token
        case 403:
            guard let challenge, challenge["error"] == "insufficient_scope", let needed = challenge["scope"].map({ ScopeSet(lenient: $0) }),
                !needed.isEmpty, !wasRefused(needed)
            else { return false }
            let credentials = try await renew(Renewal(rejected: token, challenge: challenge, additional: needed))
            if !needed.isSubset(of: credentials.scopes) { refuse(needed) }
            return needed.isSubset(of: credentials.scopes)
        default: return false
        }
    }

    // MARK: Tokens

    /// Why new tokens are needed.
    struct Renewal: Sendable {
        /// The access token that was rejected. Nil: it is about to expire, or there is none.
        var rejected: String?
        var challenge: AuthenticationChallenge?
        /// Scopes that are needed beyond those that were granted.
        var additional = ScopeSet()
        var mustSignIn = false
        /// Whether the server rejected the request. It may have moved to another authorization server then.
        var isUnauthorized = false
        var mayAskUser = true

        /// Whether a failure of this renewal is also one of `other`: it demanded no more, and tried as much.
        func failsFor(_ other: Renewal) -> Bool { additional.isEmpty && !mustSignIn && (mayAskUser || !other.mayAskUser) }

        func isMet(by credentials: Credentials, at now: NumericDate) -> Bool {
            !mustSignIn && credentials.accessToken != rejected && credentials.isFresh(at: now, margin: 0)
                && additional.isSubset(of: credentials.scopes)
        }
    }

    /// A token to send, renewed if it is about to expire. Nil when there is none.
    private func usable(mayAskUser: Bool = true) async throws(OAuthError) -> Credentials? {
        if case .headers = configuration.grant { return nil }
        var credentials = state.withLock { $0.credentials }
        if credentials == nil {
            credentials = try await stored()
            state.withLock { $0.credentials = $0.credentials ?? credentials }
        }
        guard let credentials else { return nil }
        guard !credentials.isFresh(at: clock.now, margin: configuration.renewalMargin) else { return credentials }
        guard credentials.refreshToken != nil || !configuration.grant.isInteractive else {
            // Without a refresh token, the server decides; its challenge says what a sign-in needs.
            return credentials
        }
        do throws(OAuthError) { return try await renew(Renewal(mayAskUser: mayAskUser)) } catch {
            // A failed renewal costs nothing while the token is good.
            if credentials.isFresh(at: clock.now, margin: 0) { return credentials }
            throw error
        }
    }

    /// One renewal at a time in this session. Callers with the same need wait for it.
    private func renew(_ renewal: Renewal) async throws(OAuthError) -> Credentials {
        for _ in 0..<8 {
            let now = clock.now
            enum Step { case done(Credentials), wait(Task<Outcome, Never>, Renewal), mine(Task<Outcome, Never>) }
            let step: Step = state.withLock { state in
                if let flight = state.flight { return .wait(flight.task, flight.renewal) }
                if renewal.rejected != nil, let known = state.credentials, renewal.isMet(by: known, at: now) { return .done(known) }
                let flight = Task { await self.perform(renewal) }
                state.flight = (flight, renewal)
                return .mine(flight)
            }
            switch step {
            case .done(let credentials): return credentials
            case .mine(let flight): return try await flight.value.get()
            case .wait(let flight, let other):
                let outcome = await flight.value
                switch outcome {
                case .success(let credentials):
                    if renewal.isMet(by: credentials, at: clock.now) || (renewal.rejected == nil && renewal.additional.isEmpty && !renewal.mustSignIn)
                    {
                        return credentials
                    }
                case .failure(let error):
                    // What failed a moment ago fails again. A refusal of something else says nothing of this.
                    if other.failsFor(renewal) { throw error }
                }
            }
        }
        throw OAuthError(.temporarilyUnavailable, "other requests are renewing the token again and again; try again")
    }

    private func perform(_ renewal: Renewal) async -> Outcome {
        let key = storeKey
        let outcome: Outcome
        do throws(OAuthError) {
            // Several processes may wait here for one sign-in of a user.
            let timeout: Duration = configuration.grant.canAskUser ? .seconds(600) : .seconds(60)
            outcome = .success(
                try await store.withLock(key, timeout: timeout) { () throws(OAuthError) in try await self.renewInside(renewal, key) })
        } catch { outcome = .failure(error) }
        state.withLock { state in
            state.flight = nil
            if case .success(let credentials) = outcome { state.credentials = credentials }
        }
        return outcome
    }

    /// With the lock held: reads again, because another process may have renewed already; then refreshes; then signs
    /// in.
    private func renewInside(_ renewal: Renewal, _ key: String) async throws(OAuthError) -> Credentials {
        let stored = try await stored()
        let now = clock.now
        if let stored, renewal.isMet(by: stored, at: now),
            renewal.rejected != nil || !renewal.additional.isEmpty || stored.isFresh(at: now, margin: configuration.renewalMargin)
        {
            return stored
        }
        var discovered: DiscoveredServer?
        if renewal.isUnauthorized { discovered = try await obtaining.discover(challenge: renewal.challenge) }
        if let stored, stored.refreshToken != nil, !renewal.mustSignIn, renewal.additional.isSubset(of: stored.scopes),
            discovered.map({ $0.issuer == stored.issuer }) ?? true
        {
            do throws(OAuthError) {
                if let renewed = try await obtaining.refresh(stored, discovered) {
                    try await save(renewed, key)
                    logger.debug("renewed an access token", metadata: ["server": "\(server)", "issuer": "\(stored.issuer)"])
                    return renewed
                }
            } catch {
                guard [.invalidGrant, .invalidClient, .unauthorizedClient].contains(error.code) else { throw error }
                logger.info(
                    "the grant has ended", metadata: ["server": "\(server)", "issuer": "\(stored.issuer)", "reason": "\(error.code.rawValue)"])
            }
        }
        guard renewal.mayAskUser || !configuration.grant.isInteractive else {
            throw OAuthError(.loginRequired, "a user has to sign in to \(server)")
        }
        let target: DiscoveredServer
        if let discovered { target = discovered } else { target = try await obtaining.discover(challenge: renewal.challenge) }
        // Tokens of one authorization server are never used with another (R21, R22).
        let previous = stored.flatMap { $0.issuer == target.issuer ? $0 : nil }
        let scopes = obtaining.scopes(target, challenge: renewal.challenge, additional: renewal.additional, granted: previous?.scopes)
        var credentials = try await obtaining.obtain(target, scopes: scopes)
        if let previous { credentials.supersede(previous) }
        try await save(credentials, key)
        return credentials
    }

    private func save(_ credentials: Credentials, _ key: String) async throws(OAuthError) {
        try await store.write(JSONValue.object(credentials.record).serialized, for: key)
    }

    // MARK: Parts of requests

    private func authorized(_ request: OutboundRequest, _ credentials: Credentials?) throws(OAuthError) -> OutboundRequest {
        var request = request
        if case .headers(let fixed) = configuration.grant {
            guard fixed.server == server else {
                throw OAuthError(.invalidConfiguration, "the configured headers are for \(fixed.server), not for \(server); nothing was sent")
            }
            for field in fixed.fields { request.fields[field.name] = field.value }
            return request
        }
        guard let credentials else { return request }
        request.fields[.authorization] = "\(credentials.tokenType.rawValue) \(credentials.accessToken)"
        if credentials.tokenType == .dpop, let key = credentials.proofKey {
            request.fields[.dpop] = try key.proof(
                request.method.rawValue, request.url, accessToken: credentials.accessToken, nonce: nonces[request.url.origin], at: clock.now)
        }
        return request
    }

    /// The challenge that a token can answer. Schemes such as Basic are never answered with OAuth credentials (C-13).
    private static func challenge(_ response: HTTPResponse) -> AuthenticationChallenge? {
        let all = response.headerFields[values: .wwwAuthenticate].prefix(8).flatMap(AuthenticationChallenge.parse)
        let usable = all.filter { URLBytes.equalIgnoringCase($0.scheme, "Bearer") || URLBytes.equalIgnoringCase($0.scheme, "DPoP") }
        return usable.first { $0["resource_metadata"] != nil } ?? usable.first
    }

    /// The challenge and the status of a request without a token. Nil when the server has no challenge.
    private func answerWithoutToken() async throws(OAuthError) -> (challenge: AuthenticationChallenge?, status: Int) {
        let reply = try await exchange.send(
            OutboundRequest(
                .post, server.url, fields: [.contentType: "application/json", .accept: "application/json, text/event-stream"],
                body: Array(#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#.utf8)))
        reply.body.cancel()
        return (reply.response.status == .unauthorized ? Self.challenge(reply.response) : nil, reply.response.status.code)
    }

    private static func target(_ response: HTTPResponse, of url: WebURL) -> WebURL? {
        guard let location = response.headerFields[.location] else { return nil }
        let target = WebURL(location.utf8.first == UInt8(ascii: "/") && !location.utf8.starts(with: "//".utf8) ? url.origin + location : location)
        guard let target, target.origin.utf8.elementsEqual(url.origin.utf8) else { return nil }
        return target
    }

    private func rejected(_ credentials: Credentials?, _ challenge: AuthenticationChallenge?) -> OAuthError {
        let reason = challenge?["error_description"].map { " (\(DisplayText.clean($0, limit: 200)))" } ?? ""
        return OAuthError(
            .invalidToken,
            "\(server) rejects a token that \(credentials.map { $0.issuer.text } ?? "its authorization server") has just issued for it\(reason). "
                + "The operator of the server has to look: its log says why")
    }

    private func notGranted(_ scopes: ScopeSet, _ reason: String) -> OAuthError {
        OAuthError(.insufficientScope, "\(server) demands the scopes \(scopes), which this sign-in does not have: \(reason)")
    }

    private func wasRefused(_ scopes: ScopeSet) -> Bool {
        let now = clock.now
        return state.withLock { state in
            state.refused.map { !scopes.intersection($0.scopes).isEmpty && now.seconds(since: $0.at) < 60 } ?? false
        }
    }

    private func refuse(_ scopes: ScopeSet) {
        let now = clock.now
        state.withLock { $0.refused = (scopes, now) }
    }
}
