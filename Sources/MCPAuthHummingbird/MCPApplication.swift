public import Crypto
public import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import JOSE
public import Logging
public import MCPAuth
public import MCPAuthorizationServer
public import MCPServer
import OAuth
import NIOCore
public import ServiceLifecycle
import UnixSignals

extension MCPServer {
    /// How a server is reached.
    public enum Transport: Sendable {
        /// Loopback unless another host is named: what listens beyond this machine should do so because somebody wrote
        /// it down.
        case http(host: String = "127.0.0.1", port: Int)
        /// With TLS of its own, where no proxy in front speaks it.
        case https(host: String = "127.0.0.1", port: Int, certificate: ServerCertificate)
    }

    /// Serves until the process is told to stop (SIGINT, SIGTERM), then finishes the requests that are under way.
    ///
    /// Once it listens, it prints the URL, the account page and the data folder. It answers `/health` and `/ready`, and
    /// shows people who open its address in a browser how to connect a client (`FrontPage`).
    ///
    /// Throws `invalid_configuration` for a configuration that cannot work, and `temporarily_unavailable` when the port
    /// is in use; see `MCPApplication.make` for what is checked. `ServerProgram.run` turns both into a line on standard
    /// error and an exit code.
    ///
    /// - Parameters:
    ///   - authorizationServer: is served on the same origin; its maintenance (expiry, key rotation) runs meanwhile.
    ///   - trustedProxies: how many reverse proxies are in front of the server; see `TrustProxies`.
    ///   - legacy: serves clients of MCP 2025-03-26 when the authorization server is elsewhere.
    ///   - sessionKey: for several instances of one server without `authorizationServer`; see `StreamableHTTP`.
    ///   - frontPage: nil shows no pages to people: a browser gets what programs get.
    ///   - services: further services that run as long as the server, such as `MetricsListener` of `MCPAuthMetrics`.
    ///   - isForwarded: whether a port mapping or a tunnel forwards the port of the resource to this server, so that
    ///     the two need not be the same. Behind a reverse proxy, say `trustedProxies` instead.
    ///   - announces: whether the lines are printed once the server listens.
    ///   - routes: further routes beside the MCP endpoint. They are public unless they stand behind `RequireToken`.
    public func run(
        _ transport: Transport, protectedBy resourceServer: ResourceServer, authorizationServer: AuthorizationServer? = nil, trustedProxies: Int = 0,
        legacy: LegacyEndpoints? = nil, sessionKey: SymmetricKey? = nil, frontPage: FrontPage? = .standard, services: [any Service] = [],
        isForwarded: Bool = false, announces: Bool = true, routes: (Router<MCPRequestContext>) -> Void = { _ in }
    ) async throws {
        try transport.check()
        let welcome = announces ? Welcome.text(self, resourceServer, authorizationServer) : nil
        let application = try MCPApplication.make(
            self, transport, protectedBy: resourceServer, authorizationServer: authorizationServer, trustedProxies: trustedProxies, legacy: legacy,
            sessionKey: sessionKey, frontPage: frontPage, services: services, isForwarded: isForwarded, routes: routes,
            onRunning: { _ in if let welcome { Welcome.print(welcome) } })
        try await MCPApplication.run(application)
    }
}

/// Puts a server, its protection and perhaps its authorization server into one Hummingbird application.
public enum MCPApplication {
    /// Seconds after which a connection that says nothing is closed.
    public static let idleTimeout: Int64 = 60
    /// More connections than this wait to be accepted.
    public static let maximumConnections = 8192
    /// How long requests that are under way may take to finish once the process is told to stop.
    public static let shutdownPeriod = Duration.seconds(8)

    /// Serves until the process is told to stop (SIGINT, SIGTERM), then finishes what is under way, and what takes
    /// longer than `shutdownPeriod` is ended.
    public static func run(_ application: some ApplicationProtocol) async throws {
        var configuration = ServiceGroupConfiguration(
            services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: application.logger)
        configuration.maximumGracefulShutdownDuration = shutdownPeriod
        do { try await ServiceGroup(configuration: configuration).run() } catch let error as IOError {
            throw ListenFailure.error(error.errnoCode) ?? error
        }
    }

    /// Checks what can be known before the server listens, and throws `invalid_configuration` saying what to change:
    ///
    /// - the certificate cannot be used, has expired, or is not for the host of the resource;
    /// - the resource is on this machine, but has another port or scheme than the transport (unless `trustedProxies`
    ///   says that a proxy is in between);
    /// - the authorization server of this process is trusted (`Trust.local`), but no application serves it;
    /// - a tool requires a scope that the authorization server of this process does not have, or two tools have one
    ///   name;
    /// - a server without protection (`Trust.insecureOpen`) is to listen beyond loopback.
    ///
    /// Issuers elsewhere are asked for their metadata once the server runs; what is wrong with them is a warning in the
    /// log.
    ///
    /// Sessions of clients of the 2025 revisions are sealed with `sessionKey`, else with a key of the authorization
    /// server's master key, so that a restart ends none.
    ///
    /// - Parameters:
    ///   - frontPage: nil shows no pages to people: a browser gets what programs get.
    ///   - services: further services that run as long as the server.
    ///   - onRunning: called with the port once the server listens; useful with port 0.
    public static func make(
        _ server: MCPServer, _ transport: MCPServer.Transport, protectedBy resourceServer: ResourceServer,
        authorizationServer: AuthorizationServer? = nil, trustedProxies: Int = 0,
        legacy: LegacyEndpoints? = nil, sessionKey: SymmetricKey? = nil, frontPage: FrontPage? = .standard, services: [any Service] = [],
        isForwarded: Bool = false, logger: Logger = Logger(label: "mcp-auth.http"), routes: (Router<MCPRequestContext>) -> Void = { _ in },
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) throws -> Application<RouterResponder<MCPRequestContext>> {
        var server = server
        for identifier in authorizationServer?.protocolExtensions ?? [] { server.extensions[identifier] = server.extensions[identifier] ?? [:] }
        let plain = HTTPServerBuilder.http1(
            configuration: .init(additionalChannelHandlers: [Departures.Handler()], idleTimeout: .seconds(idleTimeout)))
        let router = Router(context: MCPRequestContext.self)
        let (host, port, listener): (String, Int, HTTPServerBuilder)
        var renewal: (any Service)?
        switch transport {
        case .http(let address, let number): (host, port, listener) = (address, number, plain)
        case .https(let address, let number, let certificate):
            let (configuration, service) = try certificate.configuration(logger)
            (host, port, listener) = (address, number, try .tls(plain, tlsConfiguration: configuration))
            renewal = service
            router.add(middleware: StrictTransportSecurity())
        }
        if !isForwarded { try OriginCheck.check(resourceServer, transport, trustedProxies: trustedProxies) }
        if resourceServer.isInsecureOpen, !["localhost", "::1"].contains(host), IPAddress(host)?.isLoopback != true {
            throw OAuthError(.invalidConfiguration, "a server that asks for no tokens listens on loopback only, not on \(host)")
        }
        if Spans.areOn { router.add(middleware: TraceRequests()) }
        router.add(middleware: AnswerOnce())
        if trustedProxies > 0 { router.add(middleware: TrustProxies(trustedProxies)) }
        let ownServer = authorizationServer.flatMap { $0.issuer.url.origin == resourceServer.resource.url.origin ? $0 : nil }
        router.add(
            middleware: Doorstep(
                resourceServer: resourceServer, authorizationServer: authorizationServer,
                pages: try frontPage.map {
                    try ServerPages($0, serverName: server.name, resource: resourceServer.resource, authorizationServer: ownServer)
                }))
        router.add(
            middleware: try MCPEndpoint(
                server, protectedBy: resourceServer, legacy: legacy, sessionKey: sessionKey ?? authorizationServer?.sessionKey))
        if let authorizationServer { router.add(middleware: AuthorizationServerEndpoints(authorizationServer)) }
        routes(router)
        try resourceServer.checkLocalIssuersAreServed()
        var application = Application(
            responder: router.buildResponder(), server: listener,
            configuration: .init(
                address: .hostname(host, port: port), availableConnectionsDelegate: MaximumAvailableConnections(maximumConnections)),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? port) }, logger: logger)
        application.addServices(BodyDeadlines.shared)
        application.addServices(TrustCheck(resourceServer: resourceServer, logger: logger))
        for service in services { application.addServices(service) }
        if let renewal { application.addServices(renewal) }
        if let authorizationServer { application.addServices(Maintenance(authorizationServer)) }
        return application
    }
}
