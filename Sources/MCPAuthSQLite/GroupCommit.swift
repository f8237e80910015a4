import Dispatch
import Foundation
import GRDB
import GRDBSQLite
import MCPAuthorizationServer
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// One SQLite connection on which many callers share the cost of durability.
///
/// Work that arrives during a commit runs in the next transaction. The work of each caller runs in its own savepoint,
/// so that a failure affects no other caller. No caller returns successfully before its transaction is on disk
/// (`synchronous=FULL`).
final class GroupCommit: Sendable {
    private struct Job: Sendable {
        let work: @Sendable (Database) throws -> Void
        /// Called with nil once the work is durable.
        let finish: @Sendable ((any Error)?) -> Void
    }

    private struct State {
        var jobs: [Job] = []
        var isDraining = false
        var lastBatch = 0
        /// The duration of recent commits, as a moving average.
        var commitTime: Duration
    }

    /// A lone caller commits on its own thread if the disk usually answers within this time, because two thread
    /// switches would cost as much as the commit. On a slower disk its thread is needed for other work.
    private let quick: Duration
    private static let canSpareThread = ProcessInfo.processInfo.activeProcessorCount > 1

    private let database: DatabaseQueue
    private let writeLock: WriteLock
    private let state: Mutex<State>

    /// A larger transaction would make its first caller wait too long.
    private static let maximumBatch = 256

    /// Opens or creates the file, with one connection.
    init(
        _ file: DatabaseFile, expectsData: Bool = false, quick: Duration = .milliseconds(1), migrate: (Database) throws -> Void
    ) throws(StoreError) {
        self.quick = quick
        // The disk counts as slow until a commit was measured.
        state = Mutex(State(commitTime: quick * 4))
        let lock = try WriteLock(file.path)
        writeLock = lock
        do {
            try lock.take()
            defer { lock.release() }
            var configuration = Configuration()
            configuration.journalMode = .wal
            configuration.busyMode = .timeout(5)
            configuration.foreignKeysEnabled = true
            configuration.label = "mcp-auth"
            database = try file.open(configuration, expectsData: expectsData)
            try database.inDatabase { db in
                // Set after opening and read back, since opening in WAL mode may set its own value.
                try db.execute(sql: "PRAGMA synchronous = FULL")
                // The space that a long reader or a large sweep needed in the log is released when the log restarts.
                try db.execute(sql: "PRAGMA journal_size_limit = \(8 << 20)")
                guard try Int.fetchOne(db, sql: "PRAGMA synchronous") == 2, try String.fetchOne(db, sql: "PRAGMA journal_mode") == "wal" else {
                    throw StoreError(.unavailable, "SQLite does not take synchronous=FULL with a write-ahead log here")
                }
            }
            try database.inTransaction(.immediate) { db in
                try migrate(db)
                try file.stamp(db)
                return .commit
            }
            try file.mark()
        } catch { throw Self.translate(error) }
    }

    deinit {
        // The last connection to close checkpoints the log. This runs on another queue, since the last reference may go
        // on the database's own queue, and closing may have to wait.
        DispatchQueue.global(qos: .utility).async { [database, writeLock] in
            let isMine = (try? writeLock.take()) != nil
            try? database.close()
            if isMine { writeLock.release() }
        }
    }

    /// Runs the work in a shared transaction, and returns its result once that is durable.
    func write<Result: Sendable>(_ work: @escaping @Sendable (Database) throws -> Result) async throws(StoreError) -> Result {
        do {
            if let result = try writeAlone(work) { return result }
            return try await withCheckedThrowingContinuation { continuation in
                let result = ResultBox<Result>()
                submit(
                    Job(
                        work: { db in result.value = try work(db) },
                        finish: { error in
                            if let error {
                                continuation.resume(throwing: error)
                            } else if let value = result.value {
                                continuation.resume(returning: value)
                            } else {
                                continuation.resume(throwing: StoreError(.unavailable, "the work gave no result"))
                            }
                        }))
            }
        } catch { throw Self.translate(error) }
    }

    /// Reads committed data, between two batches of writers. `work` must not write.
    func read<Result: Sendable>(_ work: @escaping @Sendable (Database) throws -> Result) async throws(StoreError) -> Result {
        do {
            return try await withCheckedThrowingContinuation { continuation in
                // GRDB's own `read` makes the connection read-only and writable again each time, which costs more than
                // most reads here.
                database.asyncWriteWithoutTransaction { db in continuation.resume(with: Swift.Result { try work(db) }) }
            }
        } catch { throw Self.translate(error) }
    }

    /// Checkpoints the log without waiting. While another process reads, the rest stays in the log.
    func emptyLog() async throws(StoreError) {
        do {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                database.asyncWriteWithoutTransaction { db in
                    continuation.resume(
                        with: Swift.Result {
                            try self.writeLock.take()
                            defer { self.writeLock.release() }
                            _ = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)")
                        })
                }
            }
        } catch { throw Self.translate(error) }
    }

    /// Runs the work at once if there is no other work, in this process or another, and the disk is quick. Otherwise
    /// returns nil and does nothing.
    private func writeAlone<Result>(_ work: (Database) throws -> Result) throws -> Result? {
        let isAlone = state.withLock { state in
            guard Self.canSpareThread, !state.isDraining, state.commitTime < quick else { return false }
            state.isDraining = true
            return true
        }
        guard isAlone else { return nil }
        defer {
            let isAwaited = state.withLock { state in
                state.lastBatch = 1
                state.isDraining = !state.jobs.isEmpty
                return state.isDraining
            }
            if isAwaited { scheduleBatch() }
        }
        // Takes the queue first and then the lock, as all other code does. Two holders of this lock in one process
        // would release it for each other.
        return try database.writeWithoutTransaction { db -> Result? in
            guard writeLock.takeAtOnce() else { return nil }
            defer { writeLock.release() }
            var result: Result?
            try commit(db) { result = try work(db) }
            return result
        }
    }

    /// Runs one transaction, and measures its time if it wrote something. A transaction without changes is quick on
    /// every disk.
    private func commit(_ db: Database, _ work: () throws -> Void) throws {
        let (start, changes) = (ContinuousClock.now, db.totalChangesCount)
        defer {
            if db.totalChangesCount != changes {
                let time = ContinuousClock.now - start
                state.withLock { $0.commitTime = ($0.commitTime * 3 + time) / 4 }
            }
        }
        try db.inTransaction(.immediate) {
            try work()
            return .commit
        }
    }

    private func submit(_ job: Job) {
        let mustStart = state.withLock { state in
            state.jobs.append(job)
            defer { state.isDraining = true }
            return !state.isDraining
        }
        if mustStart { scheduleBatch() }
    }

    /// Schedules one batch at a time, so that readers run in between.
    private func scheduleBatch() {
        database.asyncWriteWithoutTransaction { db in
            if self.commitBatch(db) { self.scheduleBatch() }
        }
    }

    /// Commits the waiting work. False when there was none; the next caller then schedules a batch.
    private func commitBatch(_ db: Database) -> Bool {
        gather()
        let batch = state.withLock { state -> [Job] in
            let batch = Array(state.jobs.prefix(Self.maximumBatch))
            state.jobs.removeFirst(batch.count)
            if batch.isEmpty { state.isDraining = false }
            state.lastBatch = batch.count
            return batch
        }
        guard !batch.isEmpty else { return false }
        var failures = [(any Error)?](repeating: nil, count: batch.count)
        do {
            try writeLock.take()
            defer { writeLock.release() }
            try commit(db) {
                for (index, job) in batch.enumerated() {
                    if batch.count == 1 {
                        try job.work(db)
                    } else {
                        do { try Self.apart(job.work, db) } catch { failures[index] = error }
                    }
                }
            }
        } catch {
            // The transaction was not committed, so none of the work happened.
            for index in batch.indices { failures[index] = error }
        }
        for (job, failure) in zip(batch, failures) { job.finish(failure) }
        return true
    }

    /// After a batch of at least four, waits a moment for its callers to come back: one commit for all costs less than
    /// two for halves. A lone caller never waits.
    private func gather() {
        for _ in 0..<Self.gatheringSteps {
            let (last, waiting) = state.withLock { ($0.lastBatch, $0.jobs.count) }
            guard last >= 4, waiting > 0, waiting < last * 3 / 4 else { return }
            usleep(50)
        }
    }

    private static let gatheringSteps = 6

    /// Runs the work in a savepoint, with statements that are prepared once.
    private static func apart(_ work: (Database) throws -> Void, _ db: Database) throws {
        try db.cachedStatement(sql: "SAVEPOINT job").execute()
        do { try work(db) } catch {
            // If the whole transaction is gone already (disk full, I/O error), this throws, as does every statement
            // after it.
            try db.cachedStatement(sql: "ROLLBACK TO job").execute()
            try db.cachedStatement(sql: "RELEASE job").execute()
            throw error
        }
        try db.cachedStatement(sql: "RELEASE job").execute()
    }

    static func translate(_ error: any Error) -> StoreError {
        if let error = error as? StoreError { return error }
        if let error = error as? DatabaseError {
            return StoreError(
                error.resultCode == .SQLITE_CONSTRAINT ? .conflict : .unavailable,
                "SQLite \(error.extendedResultCode.rawValue): \(error.message ?? "")")
        }
        return StoreError(.unavailable, "\(type(of: error))")
    }
}

/// Carries a result from the database's thread to the continuation. The two never run at the same time.
private final class ResultBox<Value: Sendable>: Sendable {
    private let storage = Mutex<Value?>(nil)

    var value: Value? {
        get { storage.withLock { $0 } }
        set { storage.withLock { $0 = newValue } }
    }
}

/// Lets one process at a time write to a database and its log, with a lock on a file beside it.
///
/// SQLite before 3.51.3 can corrupt a database when one connection resets the write-ahead log while another one
/// checkpoints or writes (sqlite.org/wal.html, "The WAL-Reset Bug"). Debian ships such a version. Under this lock these
/// never happen at the same time. The lock is taken with every version, since another process may have an older one.
final class WriteLock: Sendable {
    private let descriptor: Int32
    /// As long as SQLite itself waits for other processes.
    private static let patience = Duration.seconds(5)

    init(_ path: String) throws(StoreError) {
        descriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw StoreError(.unavailable, "\(path).lock: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Waits for the lock and blocks the thread. Throws `unavailable` when another process holds it for too long, for
    /// example because that process was stopped.
    func take() throws(StoreError) {
        if takeAtOnce() { return }
        let deadline = ContinuousClock.now + Self.patience
        while !takeAtOnce() {
            guard ContinuousClock.now < deadline else { throw StoreError(.unavailable, "another process has been writing for too long") }
            usleep(500)
        }
    }

    /// Takes the lock if it is free. Does not wait.
    func takeAtOnce() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func release() { flock(descriptor, LOCK_UN) }
}
