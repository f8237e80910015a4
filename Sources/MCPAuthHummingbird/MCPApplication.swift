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
import ServiceLifecycle
import UnixSignals

extension MCPServer {
    /// How a server is reached.
    public enum Transport: Sendable {
        /// Loopback unless another host is named: what listens beyond this machine should do so because somebody wrote it down.
        case http(host: String = "127.0.0.1", port: Int)
        /// With TLS of its own, where no proxy in front speaks it.
        case https(host: String = "127.0.0.1", port: Int, certificate: ServerCertificate)
    }

    /// Serves until the process is told to stop (SIGINT, SIGTERM), then finishes what is under way.
    ///
    /// - Parameters:
    ///   - authorizationServer: answers on the same origin, and is kept in order meanwhile.
    ///   - trustedProxies: how many proxies stand in front; see `TrustProxies`.
    ///   - legacy: answers clients of MCP 2025-03-26 where the authorization server is elsewhere.
    ///   - sessionKey: for several instances of one server without `authorizationServer`; see `StreamableHTTP`.
    ///   - routes: further routes beside the MCP endpoint. They are public unless they stand behind `RequireToken`.
    public func run(
        _ transport: Transport, protectedBy resourceServer: ResourceServer, authorizationServer: AuthorizationServer? = nil, trustedProxies: Int = 0,
        legacy: LegacyEndpoints? = nil, sessionKey: SymmetricKey? = nil, routes: (Router<MCPRequestContext>) -> Void = { _ in }
    ) async throws {
        let application = try MCPApplication.make(
            self, transport, protectedBy: resourceServer, authorizationServer: authorizationServer, trustedProxies: trustedProxies, legacy: legacy,
            sessionKey: sessionKey, routes: routes)
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

    /// Serves until the process is told to stop (SIGINT, SIGTERM), then finishes what is under way, and what takes longer than `shutdownPeriod` is
    /// ended.
    public static func run(_ application: some ApplicationProtocol) async throws {
        var configuration = ServiceGroupConfiguration(
            services: [application], gracefulShutdownSignals: [.sigterm, .sigint], logger: application.logger)
        configuration.maximumGracefulShutdownDuration = shutdownPeriod
        try await ServiceGroup(configuration: configuration).run()
    }

    /// Throws `invalid_configuration` when the certificate of the transport cannot be used, or a server without protection (`Trust.insecureOpen`)
    /// is to listen beyond loopback.
    ///
    /// Sessions of clients of the 2025 revisions are sealed with `sessionKey`, else with a key of the authorization server's master key, so that a
    /// restart ends none.
    ///
    /// - Parameter onRunning: called with the port once the server listens; useful with port 0.
    public static func make(
        _ server: MCPServer, _ transport: MCPServer.Transport, protectedBy resourceServer: ResourceServer,
        authorizationServer: AuthorizationServer? = nil, trustedProxies: Int = 0,
        legacy: LegacyEndpoints? = nil, sessionKey: SymmetricKey? = nil, logger: Logger = Logger(label: "mcp-auth.http"),
        routes: (Router<MCPRequestContext>) -> Void = { _ in },
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
        if resourceServer.isInsecureOpen, !["localhost", "::1"].contains(host), IPAddress(host)?.isLoopback != true {
            throw OAuthError(.invalidConfiguration, "a server that asks for no tokens listens on loopback only, not on \(host)")
        }
        if Spans.areOn { router.add(middleware: TraceRequests()) }
        router.add(middleware: AnswerOnce())
        if trustedProxies > 0 { router.add(middleware: TrustProxies(trustedProxies)) }
        router.add(
            middleware: try MCPEndpoint(
                server, protectedBy: resourceServer, legacy: legacy, sessionKey: sessionKey ?? authorizationServer?.sessionKey))
        if let authorizationServer { router.add(middleware: AuthorizationServerEndpoints(authorizationServer)) }
        routes(router)
        var application = Application(
            responder: router.buildResponder(), server: listener,
            configuration: .init(
                address: .hostname(host, port: port), availableConnectionsDelegate: MaximumAvailableConnections(maximumConnections)),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? port) }, logger: logger)
        application.addServices(BodyDeadlines.shared)
        if let renewal { application.addServices(renewal) }
        if let authorizationServer { application.addServices(Maintenance(authorizationServer)) }
        return application
    }
}
