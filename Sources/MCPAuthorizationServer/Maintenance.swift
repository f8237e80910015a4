public import ServiceLifecycle
import JOSE
import Logging
import OAuth

/// Keeps a server in order while it runs: forgets what expired, learns what other instances revoked, turns the signing keys, and writes down what grants were
/// used for. Run it beside the HTTP server.
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
                await server.maintain(sweeps: turn % 12 == 0)
                turn += 1
                try? await Task.sleep(for: interval)
            }
        }
        await server.writeDownUses()
    }
}

extension AuthorizationServer {
    /// One turn of maintenance. Each part is tried, whatever became of the others.
    package func maintain(sweeps: Bool) async {
        func attempt(_ name: String, _ work: () async throws -> Void) async {
            do { try await work() } catch {
                logger.error("maintenance failed and will be tried again", metadata: ["part": "\(name)", "error": "\(error)"])
            }
        }
        await attempt("revocations") { try await refreshRevocations() }
        await attempt("keys") { try await keys.turn(at: clock.now) }
        await writeDownUses()
        if sweeps { await attempt("sweep") { while try await store.sweep(at: clock.now, limit: 1000) >= 1000 {} } }
    }

    func writeDownUses() async {
        let uses = uses.take()
        guard !uses.isEmpty else { return }
        // What was seen in these seconds is lost if the store fails: it is for people to look at, and nothing hangs on it.
        do throws(StoreError) { try await store.note(uses) } catch {
            logger.error("uses of grants were not written down", metadata: ["detail": "\(error.detail)"])
        }
    }
}
