import Logging
import MCPAuth
import ServiceLifecycle

/// Asks the trusted issuers for their metadata once the server starts, and warns about what would make every token
/// fail. The server starts all the same: an issuer that is away now may be back in a minute.
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
