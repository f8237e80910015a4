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
    /// The way in which clients reach a server.
    public enum Transport: Sendable {
        /// Plain HTTP, on loopback unless another host is named.
        case http(host: String = "127.0.0.1", port: Int)
        /// With TLS, for servers without a proxy that terminates it.
        case https(host: String = "127.0.0.1", port: Int, certificate: ServerCertificate)
    }

    /// Serves until the process receives SIGINT or SIGTERM, then finishes running requests.
    ///
    /// Once it listens, it prints the URL, the account page and the data folder. It answers `/health` and `/ready`, and
    /// shows a front page to browsers (`FrontPage`).
    ///
    /// Throws `invalid_configuration` for a configuration that cannot work, and `temporarily_unavailable` when the port
    /// is in use; see `MCPApplication.make` for the checks. `ServerProgram.run` turns both into a line on standard
    /// error and an exit code.
    ///
    /// - Parameters:
    ///   - transport: The port to listen on, with TLS or without.
    ///   - resourceServer: Validates the tokens. Its resource is the URL of the MCP endpoint.
    ///   - authorizationServer: Served on the same origin. Its maintenance (expiry, key rotation) runs meanwhile.
    ///   - trustedProxies: The number of reverse proxies in front of the server; see `TrustProxies`.
    ///   - legacy: Serves clients of MCP 2025-03-26 if the authorization server is on another origin.
    ///   - sessionKey: For several instances of one server without `authorizationServer`; see `StreamableHTTP`.
    ///   - frontPage: The page for browsers. Nil: browsers receive what programs receive.
    ///   - services: Further services that run as long as the server, such as `MetricsListener` of `MCPAuthMetrics`.
    ///   - isForwarded: Whether a port mapping or a tunnel forwards the port of the resource to this server, so that
    ///     the two may differ. Behind a reverse proxy, use `trustedProxies` instead.
    ///   - announces: Whether the lines are printed once the server listens.
    ///   - routes: Adds routes beside the MCP endpoint. They are public unless they are behind `RequireToken`.
    public func run(
        _ transport: Transport, protectedBy resourceServer: ResourceServer, authorizationServer: AuthorizationServer? = nil, trustedProxies: Int = 0,
        legacy: LegacyEndpoints? = nil, sessionKey: SymmetricKey? = nil, frontPage: FrontPage? = .standard, services: [any Service] = [],
        isForwarded: Bool = false, announces: Bool = true, routes: (Router<MCPRequestContext>) -> Void = { _ in }
    ) async throws {
        try transport.check()
        let application = try MCPApplication.make(
            self, transport, protectedBy: resourceServer, authorizationServer: authorizationServer, trustedProxies: trustedProxies, legacy: legacy,
            sessionKey: sessionKey, frontPage: frontPage, services: services, isForwarded: isForwarded, routes: routes,
            onRunning: { [self] port in
                guard announces else { return }
                let scheme = if case .https = transport { "https" } else { "http" }
                Welcome.show(
                    self, resourceServer, authorizationServer, listening: "\(scheme)://\(transport.address.host):\(port)")
            })
        try await MCPApplication.run(application)
    }
}

/// Combines a server, its protection and its authorization server into one Hummingbird application.
public enum MCPApplication {
    /// The number of seconds after which an idle connection is closed.
    public static let idleTimeout: Int64 = 60
    /// The number of open connections. Further ones wait to be accepted.
    public static let maximumConnections = 8192
    /// The time for running requests to finish after the process is told to stop.
    public static let shutdownPeriod = Duration.seconds(8)

    /// Serves until the process receives SIGINT or SIGTERM, and then finishes running requests. Requests that take
    /// longer than `shutdownPeriod` are ended.
    public static func run(_ application: some ApplicationProtocol) async throws {
        var configuration = ServiceGroupConfiguration(
            services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: application.logger)
        configuration.maximumGracefulShutdownDuration = shutdownPeriod
        do { try await ServiceGroup(configuration: configuration).run() } catch let error as IOError {
            throw ListenFailure.error(error.errnoCode) ?? error
        }
    }

    /// Creates the application without running it. Checks before the server listens, and throws `invalid_configuration`
    /// with the change to make, if:
    ///
    /// - the certificate cannot be used, or is not for the host of the resource;
    /// - the resource is on this machine, but has another port or scheme than the transport (unless `trustedProxies` or
    ///   `isForwarded` is set);
    /// - the authorization server of this process is trusted (`Trust.local`), but no application serves it;
    /// - a tool requires a scope that the authorization server of this process does not have, or two tools have the
    ///   same name;
    /// - a server without protection (`Trust.insecureOpen`) is to listen beyond loopback.
    ///
    /// Throws `temporarily_unavailable` if the certificate has expired. The metadata of other issuers is fetched once
    /// the server runs. Problems with it are warnings in the log.
    ///
    /// Sessions of clients of the 2025 revisions are sealed with `sessionKey`, otherwise with a key of the
    /// authorization server's master key, so that a restart ends none.
    ///
    /// - Parameters:
    ///   - frontPage: The page for browsers. Nil: browsers receive what programs receive.
    ///   - services: Further services that run as long as the server.
    ///   - onRunning: Called with the port once the server listens. Useful with port 0.
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
        // That the server listens is said by those who start it, in words of their own.
        var listening = logger
        if listening.logLevel == .info { listening.logLevel = .notice }
        var application = Application(
            responder: router.buildResponder(), server: listener,
            configuration: .init(
                address: .hostname(host, port: port), availableConnectionsDelegate: MaximumAvailableConnections(maximumConnections)),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? port) }, logger: listening)
        application.addServices(BodyDeadlines.shared)
        application.addServices(TrustCheck(resourceServer: resourceServer, authorizationServer: authorizationServer, logger: logger))
        for service in services { application.addServices(service) }
        if let renewal { application.addServices(renewal) }
        if let authorizationServer { application.addServices(Maintenance(authorizationServer)) }
        return application
    }
}
