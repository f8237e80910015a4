import HTTPTypes
public import JOSE
public import Logging
public import MCPAuth
public import OAuth

/// An OAuth 2.1 authorization server for MCP (RFC 6749, 7009, 7591, 7636, 7662, 8414, 8707, 9068, 9207), with sign-in and consent pages.
///
/// It knows no framework: `reply(to:)` takes a request and gives a whole answer, or nil for paths that are not its own.
public final class AuthorizationServer: Sendable {
    public let issuer: Issuer
    public let configuration: AuthorizationServerConfiguration
    let store: any AuthorizationServerStore
    let keys: KeyRing
    let tokens: AccessTokenIssuer
    let revocations = RevocationList()
    let hasher: PasswordHasher
    let transactions: TransactionSealer
    let audit: AuditLog
    let clock: Clock
    let random: RandomSource
    let logger: Logger
    let transport: TransportSecurity
    let limits = Limits()
    let routes: Routes

    struct Limits: Sendable {
        /// By address: twenty wrong passwords at once, then one every ten seconds.
        let signInByAddress = RateLimiter(burst: 20, every: 10)
        /// By account, whatever the address: ten at once, then one every thirty seconds.
        let signInByAccount = RateLimiter(burst: 10, every: 30)
        let registration = RateLimiter(burst: 60, every: 20)
        let clientSecret = RateLimiter(burst: 30, every: 5)
    }

    /// Opens the server: reads or makes its keys, and what was revoked. Throws `invalid_configuration`, `invalid_identifier` or `temporarily_unavailable`.
    ///
    /// - Parameters:
    ///   - issuer: its public URL, https except on a loopback host. May have a path.
    ///   - master: what secrets are sealed with; the same on every start and every instance.
    ///   - allowedHosts: further values of `Host` under which a proxy may reach it.
    public init(
        _ issuer: String, configuration: AuthorizationServerConfiguration, store: any AuthorizationServerStore, master: MasterKey,
        hasher: PasswordHasher = PasswordHasher(), audit: AuditLog = AuditLog(), clock: Clock = .system, random: RandomSource = .system,
        allowedHosts: Set<String> = [], logger: Logger = Logger(label: "mcp-auth.authorization-server")
    ) async throws(OAuthError) {
        try configuration.check()
        let issuer = try Issuer(issuer)
        self.issuer = issuer
        self.configuration = configuration
        self.store = store
        self.hasher = hasher
        self.audit = audit
        self.clock = clock
        self.random = random
        self.logger = logger
        routes = Routes(issuer)
        transport = TransportSecurity(for: issuer.url, additionalHosts: allowedHosts)
        transactions = TransactionSealer(sealer: master.sealer(for: "transactions"))
        keys = try await KeyRing.open(store, master, issuer: issuer, algorithms: configuration.signingAlgorithms, clock: clock)
        tokens = AccessTokenIssuer(issuer: issuer, key: keys.current, lifetime: configuration.accessTokenLifetime, random: random)
        do throws(StoreError) {
            try await refreshRevocations()
        } catch { throw OAuthError(.temporarilyUnavailable, "the store cannot be read: \(error.detail)") }
    }

    /// Answers a request, or returns nil when its path is not one of this server's.
    public func reply(to call: HTTPCall) async -> HTTPReply? {
        guard let route = routes.route(for: call.path) else { return nil }
        if let violation = transport.violation(call.request), !route.isPublicDocument, !(route.allowsAnyOrigin && isOnlyForeignOrigin(call.request)) {
            return HTTPReply.error(OAuthError("forbidden", violation), status: .forbidden)
        }
        if call.request.method == .options, route.allowsAnyOrigin { return CrossOrigin.preflight() }
        let reply = await self.reply(to: call, route)
        return route.allowsAnyOrigin ? CrossOrigin.open(reply) : reply
    }

    private func reply(to call: HTTPCall, _ route: Routes.Route) async -> HTTPReply {
        switch route {
        case .metadata: return metadataReply(call)
        case .keys: return keysReply(call)
        case .authorize: return await authorize(call)
        case .signIn: return await signIn(call)
        case .consent: return await consent(call)
        case .signOut: return await signOut(call)
        case .account: return await account(call)
        case .disconnect: return await disconnect(call)
        case .style: return StyleSheet.reply(to: call.request.method)
        case .token: return await token(call)
        case .revoke: return await revoke(call)
        case .introspect: return await introspect(call)
        case .register: return await register(call)
        }
    }

    /// A page elsewhere may use the endpoints that take no cookie; its Host must be right all the same.
    private func isOnlyForeignOrigin(_ request: HTTPRequest) -> Bool {
        var hostOnly = transport
        hostOnly.allowedOrigins = nil
        return hostOnly.violation(request) == nil
    }

    // MARK: Shared by the endpoints

    /// What an address counts as for rate limits: itself, or the network of an IPv6 address, since one host has as many of those as it likes.
    func limitKey(_ call: HTTPCall) -> String {
        guard let peer = call.peer, let address = IPAddress(peer) else { return call.peer ?? "" }
        return address.networkKey
    }

    func record(
        _ action: String, _ verdict: AuditEvent.Verdict, _ call: HTTPCall, reason: String? = nil, detail: String? = nil, subject: String? = nil,
        client: ClientID? = nil, scopes: ScopeSet? = nil
    ) {
        audit.record(
            AuditEvent(
                action, verdict, at: clock.now, reason: reason, detail: detail, issuer: issuer.text, subject: subject, clientID: client?.text,
                scopes: scopes,
                peer: call.peer))
    }

    /// Asks the store. Throws `temporarily_unavailable` when it fails.
    func stored<Result>(_ body: () async throws -> Result) async throws(OAuthError) -> Result {
        do { return try await body() } catch { throw unavailable(error as? StoreError ?? StoreError(.unavailable, "\(error)")) }
    }

    /// A store that fails is a 503 that says nothing of why; the log knows.
    func unavailable(_ error: StoreError) -> OAuthError {
        logger.error("the store failed", metadata: ["kind": "\(error.kind.rawValue)", "detail": "\(error.detail)"])
        return OAuthError(.temporarilyUnavailable, "the server cannot do this at the moment; try again")
    }

    /// Ends a grant here and in the store. Throws `temporarily_unavailable` when it could not be stored: then nothing is revoked.
    func end(grant id: String) async throws(OAuthError) {
        try await stored { try await store.revokeGrant(id, at: clock.now) }
        revocations.insert(.grant(id), at: clock.now)
    }

    /// A client of the configuration, or of the store. The former are never stored, so that one that is taken out of the configuration is gone.
    func client(_ id: ClientID) async throws(OAuthError) -> Client? {
        if let client = configuration.clients.first(where: { $0.id == id }) { return client }
        return try await stored { try await store.client(id) }
    }

    /// Reads what other instances revoked. The window is as long as any access token can live, so that a shorter lifetime after a restart forgets nothing.
    func refreshRevocations() async throws(StoreError) {
        let now = clock.now
        let window = now.advanced(by: -AuthorizationServerConfiguration.maximumAccessTokenLifetime - 120)
        for revocation in try await store.revocations(since: window) { revocations.insert(revocation, at: now) }
        revocations.forget(before: window)
    }
}

extension AuthorizationServer {
    /// Whether `reply(to:)` answers for this exact path.
    public func serves(_ path: String) -> Bool { routes.route(for: path) != nil }
}
