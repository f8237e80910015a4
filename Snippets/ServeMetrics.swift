// Serve metrics for Prometheus on a port of their own, which clients do not reach.
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPAuthMetrics
import MCPServer
import Metrics

await ServerProgram.run {
    let metrics = PrometheusMetrics()
    MetricsSystem.bootstrap(metrics)
    let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer("https://login.example.com"))
    let server = MCPServer("tasks", version: "1.0") {
        Tool("whoami", "Say who is calling", requires: .authenticated) { call in call.principal.subject }
    }
    try await server.run(.http(port: 8000), protectedBy: auth, trustedProxies: 1, services: [MetricsListener(metrics, port: 9464)])
}
