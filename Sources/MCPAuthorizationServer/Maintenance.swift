public import ServiceLifecycle
import JOSE
import Logging
import OAuth

/// Keeps a server in order while it runs: forgets what expired, and learns what other instances revoked. Run it beside the HTTP server.
public struct Maintenance: Service {
    private let server: AuthorizationServer
    private let interval: Duration

    /// `interval`: how often revocations of other instances are read; what expired is swept at every twelfth turn.
    public init(_ server: AuthorizationServer, every interval: Duration = .seconds(5)) {
        self.server = server
        self.interval = interval
    }

    /// Returns when the service group shuts down gracefully. A store that fails is tried again at the next turn.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var turn = 0
            while !Task.isCancelled {
                do throws(StoreError) {
                    try await server.refreshRevocations()
                    if turn % 12 == 0 { while try await server.store.sweep(at: server.clock.now, limit: 1000) >= 1000 {} }
                } catch { server.logger.error("maintenance failed and will be tried again", metadata: ["detail": "\(error.detail)"]) }
                turn += 1
                try? await Task.sleep(for: interval)
            }
        }
    }
}
