import HTTPTypes
public import Hummingbird
import Logging
import OAuth
public import ServiceLifecycle

/// Serves metrics for Prometheus at `/metrics`, on its own port, which clients do not reach. Run it beside the server:
///
/// ```swift
/// let metrics = PrometheusMetrics()
/// MetricsSystem.bootstrap(metrics)
/// try await server.run(.http(port: 8000), protectedBy: auth, services: [MetricsListener(metrics, port: 9464)])
/// ```
///
/// The endpoint needs no token. It listens on loopback unless another host is named. Beyond loopback, restrict access
/// with a firewall.
public struct MetricsListener: Service {
    private let metrics: PrometheusMetrics
    private let host: String
    private let port: Int
    private let onRunning: @Sendable (Int) async -> Void

    /// A listener that begins to listen in `run()`.
    ///
    /// - Parameters:
    ///   - metrics: The metrics to serve, which must also be the bootstrapped factory.
    ///   - host: The address to listen on, loopback by default.
    ///   - port: 9464 is the usual port of OpenTelemetry's exporters. 0 lets the system choose.
    ///   - onRunning: Called with the port once the server listens.
    public init(
        _ metrics: PrometheusMetrics, host: String = "127.0.0.1", port: Int = 9464, onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.metrics = metrics
        self.host = host
        self.port = port
        self.onRunning = onRunning
    }

    /// Serves until the service group shuts down. Throws the error of the system when the port cannot be used.
    public func run() async throws {
        let router = Router()
        router.get("metrics") { [metrics, host] request, _ in
            // A web page could rebind its name to this address (DNS rebinding).
            guard Self.isLiteral(request.head.authority ?? "", host) else { return Response(status: .forbidden) }
            return metrics.response
        }
        let logger = Logger(label: "mcp-auth.metrics")
        let application = Application(
            router: router, configuration: .init(address: .hostname(host, port: port)),
            onServerRunning: { [onRunning, port] channel in await onRunning(channel.localAddress?.port ?? port) }, logger: logger)
        try await application.run()
    }

    /// Whether `Host` is an address, `localhost`, or the configured host. An attacker cannot choose such a name (DNS
    /// rebinding).
    private static func isLiteral(_ authority: String, _ host: String) -> Bool {
        guard let url = WebURL("http://" + authority) else { return false }
        return IPAddress(url.host) != nil || url.host == "localhost" || url.host == host
    }
}

extension PrometheusMetrics {
    /// The metrics as a response, for an application that serves them itself. It checks neither Host nor a token.
    public var response: Response {
        Response(status: .ok, headers: [.contentType: "text/plain; version=0.0.4"], body: .init(byteBuffer: .init(string: text)))
    }
}
