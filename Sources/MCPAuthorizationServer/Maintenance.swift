public import ServiceLifecycle
import JOSE
import Logging
import MCPAuth
import OAuth

/// Keeps a server in order while it runs: forgets what expired, learns what other instances revoked, turns the signing
/// keys, and writes down what grants were used for. Run it beside the HTTP server.
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
            var watch = ClockWatch(server.clock.now)
            while !Task.isCancelled {
                if let seconds = watch.jump(at: server.clock.now) { server.noteClockJump(seconds) }
                await server.maintain(sweeps: turn % 12 == 0, isClockDoubtful: watch.isDoubtful)
                turn += 1
                try? await Task.sleep(for: interval)
            }
        }
        await server.writeDownUses()
        // Everything is durable already; a store that cannot do this now does it when it is opened again.
        try? await server.store.settle()
    }
}

/// Compares the wall clock with one that only goes forward, and tells when the wall clock was set by more than ten
/// minutes (M-14).
///
/// For an hour afterwards nothing is swept: what a wrong clock calls expired is refused at once, but it is not deleted
/// before somebody could set the clock right.
struct ClockWatch {
    private var wall: NumericDate
    private var steady: ContinuousClock.Instant
    private var doubtfulUntil: ContinuousClock.Instant?

    init(_ now: NumericDate, steady: ContinuousClock.Instant = .now) {
        wall = now
        self.steady = steady
    }

    /// The seconds by which the wall clock was set since the last call, nil when it went as it should.
    mutating func jump(at now: NumericDate, steady instant: ContinuousClock.Instant = .now) -> Int64? {
        let expected = (instant - steady).components.seconds
        let difference = now.seconds(since: wall.advanced(by: expected))
        wall = now
        steady = instant
        if let doubtfulUntil, instant >= doubtfulUntil { self.doubtfulUntil = nil }
        guard abs(difference) > 600 else { return nil }
        doubtfulUntil = instant.advanced(by: .seconds(3600))
        return difference
    }

    var isDoubtful: Bool { doubtfulUntil != nil }
}

extension AuthorizationServer {
    func noteClockJump(_ seconds: Int64) {
        logger.warning("the clock of this machine was set", metadata: ["seconds": "\(seconds)"])
        record("clock.jumped", .failed, nil, detail: "\(seconds) seconds; nothing is swept for an hour")
    }

    /// One turn of maintenance. Each part is tried, whatever became of the others.
    package func maintain(sweeps: Bool, isClockDoubtful: Bool = false) async {
        func attempt(_ name: String, _ work: () async throws -> Void) async {
            do { try await work() } catch {
                logger.error("maintenance failed and will be tried again", metadata: ["part": "\(name)", "error": "\(error)"])
            }
        }
        await attempt("revocations") { try await refreshRevocations() }
        await attempt("keys") { try await keys.turn(at: clock.now, removesOld: !isClockDoubtful) }
        await writeDownUses()
        if sweeps, !isClockDoubtful { await attempt("sweep") { while try await store.sweep(at: clock.now, limit: 1000) >= 1000 {} } }
    }

    func writeDownUses() async {
        let uses = uses.take()
        guard !uses.isEmpty else { return }
        // What was seen in these seconds is lost if the store fails: it is for people to look at, and nothing hangs on
        // it.
        do throws(StoreError) { try await store.note(uses) } catch {
            logger.error("uses of grants were not written down", metadata: ["detail": "\(error.detail)"])
        }
    }
}
