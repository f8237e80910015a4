import Logging
import MCPAuth
import ServiceLifecycle

/// Fetches the metadata of the trusted issuers once the server starts, and logs problems that would make every token
/// fail. The server runs in any case, because an unreachable issuer may return in a minute.
struct TrustCheck: Service {
    let resourceServer: ResourceServer
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for finding in await resourceServer.findingsOfIssuers() where !Task.isCancelled { logger.warning("\(finding)") }
        }
        try? await gracefulShutdown()
    }
}
