import Logging
import MCPAuth
import MCPAuthorizationServer
import ServiceLifecycle

/// Fetches the metadata of the trusted issuers, and of the identity providers of the authorization server, once the
/// server starts, and logs problems that would make every token fail. The server runs in any case, because an
/// unreachable issuer may return in a minute.
struct TrustCheck: Service {
    let resourceServer: ResourceServer
    let authorizationServer: AuthorizationServer?
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for finding in await resourceServer.findingsOfIssuers() where !Task.isCancelled { logger.warning("\(finding)") }
            for finding in await authorizationServer?.findingsOfProviders() ?? [] where !Task.isCancelled { logger.warning("\(finding)") }
        }
        try? await gracefulShutdown()
    }
}
