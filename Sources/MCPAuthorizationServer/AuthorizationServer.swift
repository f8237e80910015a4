package import Crypto
import HTTPTypes
public import JOSE
public import Logging
public import MCPAuth
public import OAuth
import Synchronization

/// An OAuth 2.1 authorization server for MCP (RFC 6749, 7009, 7523, 7591, 7592, 7636, 7662, 8414, 8628, 8693, 8707,
/// 9068, 9126, 9207, 9449), with sign-in and consent pages.
///
/// It depends on no framework: `reply(to:)` takes a request and returns a complete response, or nil for paths that it
/// does not serve.
public final class AuthorizationServer: Sendable {
    /// The issuer identifier, which is the public URL of the server (RFC 8414 §2).
    public let issuer: Issuer
    /// The configuration, which was checked when the server was created.
    public let configuration: AuthorizationServerConfiguration
    let store: any AuthorizationServerStore
    let keys: KeyRing
    let refreshTokens: RefreshTokens
    let tokens: AccessTokens
    let revocations = RevocationList()
    let uses = GrantUses()
    let hasher: PasswordHasher
    let signInMethod: SignInMethod
    let transactions: TransactionSealer
    let secrets: Secrets
    let nonces: DPoPNonces
    let documents: ClientMetadataDocuments?
    let assertionKeys: AssertionKeySets
    let audit: AuditLog
    let clock: Clock
    let random: RandomSource
    let logger: Logger
    let transport: TransportSecurity
    let limits: Limits
    let routes: Routes
    private let served = Atomic<Bool>(false)
    /// Seals the sessions of an MCP server in the same process, so that they survive a restart.
    package let sessionKey: SymmetricKey

    private static let earliestTime = NumericDate(seconds: 1_735_689_600)

    struct Limits: Sendable {
        let signInByAddress, signInByAccount, signInByBrowser, userCode, registration, clientSecret, authorize, begin, device, token,
            client, refresh: RateLimiter

        init(_ limits: RateLimits) {
            signInByAddress = RateLimiter(limits.signInByAddress)
            signInByAccount = RateLimiter(limits.signInByAccount)
            signInByBrowser = RateLimiter(limits.signInByAccount)
            userCode = RateLimiter(limits.userCode)
            registration = RateLimiter(limits.registration)
            clientSecret = RateLimiter(limits.clientSecret)
            authorize = RateLimiter(limits.authorize)
            begin = RateLimiter(limits.begin)
            device = RateLimiter(limits.device)
            token = RateLimiter(limits.token)
            client = RateLimiter(limits.client)
            refresh = RateLimiter(limits.refresh)
        }
    }

    /// Encrypts values that must be read again. One key per purpose.
    struct Secrets: Sendable {
        let pushedRequests, invitations, oneTimeSecrets: Sealer
        private let userCodes, knownBrowsers: String

        init(_ master: MasterKey) {
            pushedRequests = master.sealer(for: "pushed requests")
            invitations = master.sealer(for: "invitations")
            oneTimeSecrets = master.sealer(for: "one-time secrets")
            userCodes = master.derivedText(for: "user codes")
            knownBrowsers = master.derivedText(for: "known browsers")
        }

        /// The stored hash of a user code. It is keyed, because a user code is so short that a plain hash would reveal
        /// it.
        func hash(ofUserCode code: String) -> SecretHash { SecretHash(of: userCodes + code) }

        /// The value that proves that a user of this name signed in with this browser.
        func mark(of name: String, in browser: String) -> String { Base64URL.encode(SecretHash(of: "\(knownBrowsers) \(browser) \(name)").bytes) }
    }

    /// Opens the server: reads or creates its keys, and reads the revocations. Throws `invalid_configuration`,
    /// `invalid_identifier` or `temporarily_unavailable`.
    ///
    /// - Parameters:
    ///   - issuer: The public URL of the server, https except on a loopback host. It may have a path.
    ///   - configuration: Resources, clients, grants, lifetimes and pages.
    ///   - store: Stores everything. It belongs to one issuer and one master key.
    ///   - master: The key from which the keys for sealing are derived. Use the same on every start and every instance.
    ///   - signIn: The way in which users sign in.
    ///   - fetcher: Fetches the documents and keys of clients and identity providers. Without it, no client can be
    ///     identified by the URL of a document.
    ///   - hasher: Hashes passwords on its own threads.
    ///   - audit: The audit log. By default nothing is recorded.
    ///   - clock: The clock for expiry. A clock before 2025 is rejected.
    ///   - allowedHosts: Further values of `Host` under which a proxy may reach the server.
    ///   - logger: Logs failures of the store and of custom sign-in methods.
    public init(
        _ issuer: String, configuration: AuthorizationServerConfiguration, store: any AuthorizationServerStore, master: MasterKey,
        signIn: SignInMethod = .password, fetcher: (any HTTPFetcher)? = nil, hasher: PasswordHasher = PasswordHasher(), audit: AuditLog = AuditLog(),
        clock: Clock = .system, random: RandomSource = .system, allowedHosts: Set<String> = [],
        logger: Logger = Logger(label: "mcp-auth.authorization-server")
    ) async throws(OAuthError) {
        try Self.check(issuer, configuration)
        // With such a clock every token would appear to come from the future, and nothing would expire (M-14).
        guard clock.now > Self.earliestTime else {
            throw OAuthError(.invalidConfiguration, "the clock of this machine says \(clock.now.iso8601); set it, then start again")
        }
        let issuer = try Issuer(issuer)
        self.issuer = issuer
        self.configuration = configuration
        self.store = store
        self.hasher = hasher
        self.audit = audit
        self.clock = clock
        self.random = random
        self.logger = logger
        signInMethod = signIn
        limits = Limits(configuration.rateLimits)
        routes = Routes(issuer, configuration)
        transport = TransportSecurity(for: issuer.url, additionalHosts: allowedHosts)
        transactions = TransactionSealer(sealer: master.sealer(for: "transactions"))
        secrets = Secrets(master)
        nonces = DPoPNonces(key: master.derivedKey(for: "dpop nonces"))
        sessionKey = master.derivedKey(for: "mcp sessions")
        assertionKeys = AssertionKeySets(fetcher)
        documents =
            configuration.clientMetadataDocuments == .off
            ? nil
            : fetcher.map { fetcher in
                ClientMetadataDocuments(fetcher, configuration: configuration, issuer: issuer)
            }
        keys = try await KeyRing(
            store, master, issuer: issuer, algorithms: configuration.signingAlgorithms, rotation: configuration.keyRotation, at: clock.now)
        refreshTokens = RefreshTokens(master)
        tokens = AccessTokens(
            issuer: issuer, keys: keys, lifetime: configuration.accessTokenLifetime, random: random,
            sharesIdentity: configuration.isOpenIDProvider, sealer: master.sealer(for: "access tokens"))
        do throws(StoreError) {
            try await refreshRevocations()
        } catch { throw OAuthError(.temporarilyUnavailable, "the store cannot be read: \(error.detail)") }
    }

    /// Checks issuer and configuration, before any file is opened. Throws `invalid_configuration` or
    /// `invalid_identifier`.
    package static func check(_ issuer: String, _ configuration: AuthorizationServerConfiguration) throws(OAuthError) {
        try configuration.check()
        // Pages and endpoints would be at //authorize, and clients compare the issuer byte for byte.
        guard WebURL(issuer)?.path != "/" || issuer.utf8.last != UInt8(ascii: "/") else {
            throw OAuthError(.invalidConfiguration, "the issuer \(issuer.prefix(200)) ends with a slash; write \(issuer.dropLast().prefix(200))")
        }
        _ = try Issuer(issuer)
    }

    /// The response to a request. Nil when the path is not served by this server.
    public func reply(to call: HTTPCall) async -> HTTPReply? {
        guard let route = routes.route(for: call.path) else { return nil }
        if let violation = transport.violation(call.request), !route.isPublicDocument, !(route.allowsAnyOrigin && isOnlyForeignOrigin(call.request)) {
            return HTTPReply.error(OAuthError("forbidden", violation), status: .forbidden)
        }
        if call.request.method == .options, route.allowsAnyOrigin {
            return CrossOrigin.preflight(call.request, allowing: "*", methods: "GET, POST, PUT, DELETE, OPTIONS")
        }
        var reply = call.request.method == .head && route.answersGet ? await headReply(to: call, route) : await self.reply(to: call, route)
        // Also for proxies that do not add it (RFC 6797).
        if issuer.url.isSecure { reply = reply.with(.strictTransportSecurity, "max-age=31536000") }
        if route.allowsAnyOrigin { CrossOrigin.open(&reply.response.headerFields, to: "*") }
        return reply
    }

    /// The response to GET without its body, for a browser in which no user is signed in: a HEAD request must not use
    /// anything up.
    private func headReply(to call: HTTPCall, _ route: Routes.Route) async -> HTTPReply {
        var call = call
        call.request.method = .get
        call.request.headerFields[.cookie] = nil
        var reply = await self.reply(to: call, route)
        reply.response.headerFields[.setCookie] = nil
        if reply.response.headerFields[.contentLength] == nil { reply.response.headerFields[.contentLength] = "\(reply.body.count)" }
        reply.body = []
        return reply
    }

    private func reply(to call: HTTPCall, _ route: Routes.Route) async -> HTTPReply {
        switch route {
        case .metadata: metadataReply(call)
        case .keys: keysReply(call)
        case .authorize: await authorize(call)
        case .push: await push(call)
        case .signIn: await signIn(call)
        case .consent: await consent(call)
        case .signOut: await signOut(call)
        case .account: await account(call)
        case .disconnect: await disconnect(call)
        case .endSession: await endSession(call)
        case .endSessions: await endSessions(call)
        case .password: await changePassword(call)
        case .oneTimeCodes: await oneTimeCodes(call)
        case .changeCodes: await changeCodes(call)
        case .device: await device(call)
        case .deviceDecision: await decideDevice(call)
        case .style: styleReply(call)
        case .logo: logoReply(call)
        case .icon: iconReply(call)
        case .token: await token(call)
        case .deviceAuthorization: await authorizeDevice(call)
        case .revoke: await revoke(call)
        case .introspect: await introspect(call)
        case .userInfo: await userInfo(call)
        case .register: await register(call)
        case .registeredClient: await manageRegistration(call)
        }
    }

    /// Whether only the Origin is not allowed. Pages of other origins may use the endpoints that take no cookie, if the
    /// Host is right.
    private func isOnlyForeignOrigin(_ request: HTTPRequest) -> Bool {
        var hostOnly = transport
        hostOnly.allowedOrigins = nil
        return hostOnly.violation(request) == nil
    }

    // MARK: Shared by the endpoints

    /// The key of an address for rate limits: the address, or the /64 of an IPv6 address, because one host has many of
    /// those.
    func limitKey(_ call: HTTPCall) -> String {
        guard let peer = call.peer, let address = IPAddress(peer) else { return call.peer ?? "" }
        return address.networkKey
    }

    func record(
        _ action: String, _ verdict: AuditEvent.Verdict, _ call: HTTPCall?, reason: String? = nil, detail: String? = nil, subject: String? = nil,
        client: ClientID? = nil, scopes: ScopeSet? = nil
    ) {
        audit.record(
            AuditEvent(
                action, verdict, at: clock.now, reason: reason, detail: detail, issuer: issuer.text, subject: subject, clientID: client?.text,
                scopes: scopes,
                peer: call?.peer))
    }

    /// Calls the store. Throws `temporarily_unavailable` when it fails.
    func stored<Result>(_ body: () async throws -> Result, function: String = #function) async throws(OAuthError) -> Result {
        do { return try await Spans.around("store \(function)", body) } catch {
            throw unavailable(error as? StoreError ?? StoreError(.unavailable, "\(error)"))
        }
    }

    /// The error for a failure of the store: a 503 without the reason, which goes to the log.
    func unavailable(_ error: StoreError) -> OAuthError {
        logger.error("the store failed", metadata: ["kind": "\(error.kind.rawValue)", "detail": "\(error.detail)"])
        return OAuthError(.temporarilyUnavailable, "the server cannot do this at the moment; try again")
    }

    /// Revokes a grant here and in the store. Throws `temporarily_unavailable` when it could not be stored; then
    /// nothing is revoked.
    func end(grant id: String) async throws(OAuthError) {
        try await stored { try await store.revokeGrant(id, at: clock.now) }
        revocations.insert(.grant(id), at: clock.now)
    }

    /// A client of the configuration, of the store, or of a metadata document. Clients of the configuration are never
    /// stored, so that a client that is removed from it is unknown. `call` is the request for which a document may be
    /// fetched. Nil fetches none.
    ///
    /// Throws `temporarily_unavailable`, and for documents `invalid_client` and `too_many_requests`.
    func client(_ id: ClientID, _ call: HTTPCall?) async throws(OAuthError) -> Client? {
        if let client = configuration.clients.first(where: { $0.id == id }) { return client }
        if ClientMetadataDocuments.isDocument(id) {
            guard let documents, let call else { return nil }
            return try await documents.client(id, for: limitKey(call), at: clock.now)
        }
        return try await stored { try await store.client(id) }
    }

    /// The extensions of MCP that this server makes possible, by identifier. An MCP server that it protects lists them
    /// in `server/discover`.
    public var protocolExtensions: [String] {
        var identifiers: [String] = []
        if configuration.grantTypes.contains(.clientCredentials) { identifiers.append("io.modelcontextprotocol/oauth-client-credentials") }
        if configuration.grantTypes.contains(.jwtBearer), configuration.identityProviders.contains(where: \.isEnabled) {
            identifiers.append("io.modelcontextprotocol/enterprise-managed-authorization")
        }
        return identifiers
    }

    /// The place where the store checks, when a grant of this client is created, that the client still exists and is
    /// not disabled.
    func registry(of client: Client) -> ClientRegistry {
        client.origin == .document || configuration.clients.contains { $0.id == client.id } ? .elsewhere : .store
    }

    /// Reads the revocations of other instances. The window is as long as any access token can live, so that a shorter
    /// lifetime after a restart loses none.
    func refreshRevocations() async throws(StoreError) {
        let now = clock.now
        let window = now.advanced(by: -AuthorizationServerConfiguration.maximumAccessTokenLifetime - 120)
        for revocation in try await store.revocations(since: window) { revocations.insert(revocation, at: now) }
        revocations.forget(before: window, at: now)
    }
}

extension AuthorizationServer {
    /// Whether `reply(to:)` answers this exact path.
    public func serves(_ path: String) -> Bool { routes.route(for: path) != nil }

    /// Every path that `reply(to:)` answers, for the routes of your own application. Reading it marks the server as
    /// served, which the checks at start look for.
    public var paths: [String] {
        markServed()
        return routes.paths
    }

    /// The URL of the account page. Nil if no user signs in here.
    package var accountURL: String? { serves(routes.path("/account")) ? routes.url("/account") : nil }
    package var accountPath: String? { serves(routes.path("/account")) ? routes.path("/account") : nil }

    /// The path below which the assets of the pages are served. Nil if there are no pages.
    package var assetsPath: String? { serves(routes.path("/assets/style.css")) ? routes.path("/assets") : nil }

    /// The location of the data, for people: a folder, for example.
    package var location: String? { store.location }

    /// Whether the store can be read now.
    package func isReady() async -> Bool { (try? await store.issuer()) != nil }

    /// Whether an application routes requests to this server (`paths`, `AuthorizationServerEndpoints`).
    package var isServed: Bool { served.load(ordering: .acquiring) }

    package func markServed() { served.store(true, ordering: .releasing) }
}
