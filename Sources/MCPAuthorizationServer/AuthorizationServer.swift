package import Crypto
import IdentityProviders
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
public final class AuthorizationServer: ServerComponent {
    /// The issuer identifier, which is the public URL of the server (RFC 8414 §2).
    public var issuer: Issuer { context.issuer }
    /// The configuration, which was checked when the server was created.
    public var configuration: AuthorizationServerConfiguration { context.configuration }
    let context: ServerContext
    let store: any AuthorizationServerStore
    let keys: KeyRing
    let tokens: AccessTokens
    let clients: ClientDirectory
    let revocation: GrantRevocation
    let users: UserDirectory
    let connections: Connections
    let uses = GrantUses()
    let hasher: PasswordHasher
    /// For the secrets of one-time codes.
    let oneTimeSecrets: Sealer
    /// For initial access tokens.
    let invitations: Sealer
    private let endpoints: Endpoints
    private let transport: TransportSecurity
    private let served = Atomic<Bool>(false)
    /// Seals the sessions of an MCP server in the same process, so that they survive a restart.
    package let sessionKey: SymmetricKey

    private static let earliestTime = NumericDate(seconds: 1_735_689_600)

    /// Opens the server: reads or creates its keys, and reads the revocations. Throws `invalid_configuration`,
    /// `invalid_identifier` or `temporarily_unavailable`.
    ///
    /// - Parameters:
    ///   - issuer: The public URL of the server, https except on a loopback host. It may have a path.
    ///   - configuration: Resources, clients, grants, lifetimes and pages.
    ///   - store: Stores everything. It belongs to one issuer and one master key.
    ///   - master: The key from which the keys for sealing are derived. Use the same on every start and every instance.
    ///   - signIn: The ways in which users sign in, in the order of the sign-in page.
    ///   - fetcher: Fetches the documents and keys of clients and identity providers. Without it, no client can be
    ///     identified by the URL of a document.
    ///   - hasher: Hashes passwords on its own threads.
    ///   - audit: The audit log. By default nothing is recorded.
    ///   - clock: The clock for expiry. A clock before 2025 is rejected.
    ///   - allowedHosts: Further values of `Host` under which a proxy may reach the server.
    ///   - logger: Logs failures of the store and of custom sign-in methods.
    public init(
        _ issuer: String, configuration: AuthorizationServerConfiguration, store: any AuthorizationServerStore, master: MasterKey,
        signIn: [SignInMethod] = [.password], fetcher: (any HTTPFetcher)? = nil, hasher: PasswordHasher = PasswordHasher(),
        audit: AuditLog = AuditLog(),
        clock: Clock = .system, random: RandomSource = .system, allowedHosts: Set<String> = [],
        logger: Logger = Logger(label: "mcp-auth.authorization-server")
    ) async throws(OAuthError) {
        try Self.check(issuer, configuration, signIn, hasFetcher: fetcher != nil)
        // With such a clock every token would appear to come from the future, and nothing would expire (M-14).
        guard clock.now > Self.earliestTime else {
            throw OAuthError(.invalidConfiguration, "the clock of this machine says \(clock.now.iso8601); set it, then start again")
        }
        let issuer = try Issuer(issuer)
        let context = ServerContext(
            issuer: issuer, configuration: configuration, signIn: SignInChoices(signIn), clock: clock, random: random, audit: audit, logger: logger)
        self.context = context
        self.store = store
        self.hasher = hasher
        transport = TransportSecurity(for: issuer.url, additionalHosts: allowedHosts)
        sessionKey = master.derivedKey(for: "mcp sessions")
        oneTimeSecrets = OneTimePasswords.sealer(master)
        invitations = Invitation.sealer(master)
        let documents =
            configuration.clientMetadataDocuments == .off
            ? nil : fetcher.map { ClientMetadataDocuments($0, configuration: configuration, issuer: issuer) }
        clients = ClientDirectory(context: context, store: store, documents: documents)
        revocation = GrantRevocation(context: context, store: store, list: RevocationList())
        users = UserDirectory(context: context, store: store)
        keys = try await KeyRing(
            store, master, issuer: issuer, algorithms: configuration.signingAlgorithms, rotation: configuration.keyRotation, at: clock.now)
        tokens = AccessTokens(
            issuer: issuer, keys: keys, lifetime: configuration.accessTokenLifetime, random: random,
            sharesIdentity: configuration.isOpenIDProvider, sealer: master.sealer(for: "access tokens"))
        var providers: [ProviderClient] = []
        for case .provider(let method) in signIn.map(\.kind) {
            if let fetcher { providers.append(try ProviderClient(method, fetcher: fetcher)) }
        }
        connections = Connections(
            context: context, store: store, providers: providers, sealer: master.sealer(for: "provider tokens"),
            requests: ConnectionRequestSealer(sealer: master.sealer(for: "connection requests")))
        endpoints = Endpoints(
            Endpoints.Parts(
                context: context, store: store, master: master, signIn: signIn, connections: connections, hasher: hasher, clients: clients,
                assertionKeys: AssertionKeySets(fetcher),
                issuance: TokenIssuance(
                    context: context, tokens: tokens, refreshTokens: RefreshTokens(master),
                    permissions: UserPermissions(context: context, store: store, connections: connections)),
                revocation: revocation, users: users, uses: uses))
        do throws(StoreError) {
            try await revocation.refresh()
        } catch { throw OAuthError(.temporarilyUnavailable, "the store cannot be read: \(error.detail)") }
    }

    /// Checks issuer, configuration and sign-in methods, before any file is opened. Throws `invalid_configuration` or
    /// `invalid_identifier`.
    package static func check(
        _ issuer: String, _ configuration: AuthorizationServerConfiguration, _ signIn: [SignInMethod], hasFetcher: Bool
    ) throws(OAuthError) {
        try configuration.check()
        // Pages and endpoints would be at //authorize, and clients compare the issuer byte for byte.
        guard WebURL(issuer)?.path != "/" || issuer.utf8.last != UInt8(ascii: "/") else {
            throw OAuthError(.invalidConfiguration, "the issuer \(issuer.prefix(200)) ends with a slash; write \(issuer.dropLast().prefix(200))")
        }
        _ = try Issuer(issuer)
        try SignInChoices.check(signIn, hasFetcher: hasFetcher)
    }

    /// Fetches the metadata of every identity provider through which users sign in. Returns one sentence for each
    /// problem.
    package func findingsOfProviders() async -> [String] {
        var findings: [String] = []
        for client in connections.providers {
            if case .tenantTemplate = client.signIn.issuers, client.method.admission.admitsEveryone, client.method.permissions == nil {
                findings.append(
                    "every account of every tenant of \(client.provider.name) may enter. Name the ID of your tenant, or pass an admission:, such as "
                        + "Admission(tenants: [...])")
            }
            guard let problem = await client.problem(at: clock.now) else { continue }
            findings.append(
                "users cannot sign in with \(client.provider.name): \(problem). Check its issuer, and that this machine can reach it")
        }
        return findings
    }

    /// The response to a request. Nil when the path is not served by this server.
    public func reply(to call: HTTPCall) async -> HTTPReply? {
        guard let route = routes.route(for: call.path) else { return nil }
        if let violation = transport.violation(call.request), !route.isPublicDocument,
            !((route.allowsAnyOrigin || route.acceptsForeignForms) && isOnlyForeignOrigin(call.request))
        {
            return HTTPReply.error(OAuthError("forbidden", violation), status: .forbidden)
        }
        if call.request.method == .options, route.allowsAnyOrigin {
            return CrossOrigin.preflight(call.request, allowing: "*", methods: "GET, POST, PUT, DELETE, OPTIONS")
        }
        var reply = call.request.method == .head && route.answersGet ? await headReply(to: call, route) : await endpoints.reply(to: call, route)
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
        var reply = await endpoints.reply(to: call, route)
        reply.response.headerFields[.setCookie] = nil
        if reply.response.headerFields[.contentLength] == nil { reply.response.headerFields[.contentLength] = "\(reply.body.count)" }
        reply.body = []
        return reply
    }

    /// Whether only the Origin is not allowed. Pages of other origins may use the endpoints that take no cookie, if the
    /// Host is right.
    private func isOnlyForeignOrigin(_ request: HTTPRequest) -> Bool {
        var hostOnly = transport
        hostOnly.allowedOrigins = nil
        return hostOnly.violation(request) == nil
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
}

extension AuthorizationServer {
    /// The metadata document (RFC 8414 §2 and its extensions). It lists exactly the features that are on (R129).
    public var metadata: JSONValue { endpoints.metadata.metadata }

    /// The name of the service on the pages.
    package var siteName: String { configuration.siteName(issuer) }

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

    /// How users sign in, and who may, for people: a line for each way.
    package var signInSummary: [String] {
        (context.signIn.hasPasswords ? ["passwords"] : [])
            + connections.providers.map { "\($0.provider.name), \($0.method.admission.summary)" }
    }

    /// The location of the data, for people: a folder, for example.
    package var location: String? { store.location }

    /// Whether the store can be read now.
    package func isReady() async -> Bool { (try? await store.issuer()) != nil }

    /// Whether an application routes requests to this server (`paths`, `AuthorizationServerEndpoints`).
    package var isServed: Bool { served.load(ordering: .acquiring) }

    package func markServed() { served.store(true, ordering: .releasing) }
}
