public import ServiceLifecycle
import JOSE
import Logging
import MCPAuth
import OAuth

/// Maintains a server while it runs: deletes expired records, reads revocations of other instances, rotates the signing
/// keys, and stores the last use of grants. Run it beside the HTTP server.
public struct Maintenance: Service {
    private let server: AuthorizationServer
    private let interval: Duration

    /// Maintenance of one server.
    ///
    /// - Parameter interval: The time between two runs. Each run reads revocations and checks the keys. Every twelfth
    ///   run deletes expired records.
    public init(_ server: AuthorizationServer, every interval: Duration = .seconds(5)) {
        self.server = server
        self.interval = interval
    }

    /// Returns when the service group shuts down gracefully. If the store fails, the next run tries again.
    public func run() async throws {
        // A provider that does not answer must not delay the next run, which reads the revocations.
        let (unused, queue) = AsyncStream.makeStream(of: Connection.self)
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { for await connection in unused { await server.revokeAtProvider(connection) } }
                var turn = 0
                var watch = ClockWatch(server.clock.now)
                while !Task.isCancelled {
                    if let seconds = watch.jump(at: server.clock.now) { server.noteClockJump(seconds) }
                    for connection in await server.maintain(sweeps: turn % 12 == 0, isClockDoubtful: watch.isDoubtful) { queue.yield(connection) }
                    turn += 1
                    try? await Task.sleep(for: interval)
                }
                queue.finish()
            }
        }
        await server.writeDownUses()
        // Everything is durable already. A store that cannot do this now does it when it is opened again.
        try? await server.store.settle()
    }
}

/// Compares the wall clock with a clock that only moves forward, and detects that the wall clock was set by more than
/// ten minutes (M-14).
///
/// For an hour afterwards nothing is swept. Records that a wrong clock calls expired are rejected at once, but they are
/// not deleted before the clock can be corrected.
struct ClockWatch {
    private var wall: NumericDate
    private var steady: ContinuousClock.Instant
    private var doubtfulUntil: ContinuousClock.Instant?

    init(_ now: NumericDate, steady: ContinuousClock.Instant = .now) {
        wall = now
        self.steady = steady
    }

    /// The seconds by which the wall clock was set since the last call. Nil when it was not set.
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

    /// One run of maintenance. A failure of one part does not stop the others. Returns the connections whose tokens are
    /// to be revoked at their providers.
    @discardableResult
    package func maintain(sweeps: Bool, isClockDoubtful: Bool = false) async -> [Connection] {
        var unused: [Connection] = []
        func attempt(_ name: String, _ work: () async throws -> Void) async {
            do { try await work() } catch {
                logger.error("maintenance failed and will be tried again", metadata: ["part": "\(name)", "error": "\(error)"])
            }
        }
        await attempt("revocations") { try await revocation.refresh() }
        await attempt("keys") { try await keys.turn(at: clock.now, removesOld: !isClockDoubtful) }
        await writeDownUses()
        // Before the sweep, which deletes grants that have expired.
        if sweeps, !isClockDoubtful { await attempt("connections") { unused = try await connections.takeUnused() } }
        if sweeps, !isClockDoubtful { await attempt("sweep") { while try await store.sweep(at: clock.now, limit: 1000) >= 1000 {} } }
        return unused
    }

    /// Revokes the tokens of a connection at its provider. A failure is logged, and they expire there.
    package func revokeAtProvider(_ connection: Connection) async { await connections.revokeAtProvider(connection) }

    func writeDownUses() async {
        let uses = uses.take()
        guard !uses.isEmpty else { return }
        // If the store fails, the uses of these seconds are lost. They are for display, and nothing depends on them.
        do throws(StoreError) { try await store.note(uses) } catch {
            logger.error("uses of grants were not written down", metadata: ["detail": "\(error.detail)"])
        }
    }
}
