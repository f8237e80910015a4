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
/// Whatever arrives while a transaction is being committed runs in the next one, each caller's work in a savepoint of its own, so that one that
/// fails takes nobody along. No caller hears of success before the transaction that holds its work is on disk (`synchronous=FULL`).
final class GroupCommit: Sendable {
    private struct Job: Sendable {
        let work: @Sendable (Database) throws -> Void
        /// Told nil once the work is durable.
        let finish: @Sendable ((any Error)?) -> Void
    }

    private struct State {
        var jobs: [Job] = []
        var isDraining = false
        var lastBatch = 0
        /// How long a commit took lately: a moving average.
        var commitTime: Duration
    }

    /// A lone caller commits on its own thread where the disk answers within this time: two changes of thread would cost as much as the commit.
    /// Elsewhere its thread is needed for others meanwhile.
    private let quick: Duration
    private static let canSpareThread = ProcessInfo.processInfo.activeProcessorCount > 1

    private let database: DatabaseQueue
    private let writeLock: WriteLock
    private let state: Mutex<State>

    /// More work than this in one transaction makes the first caller wait too long.
    private static let maximumBatch = 256

    /// Opens or creates the file. One connection, always.
    init(
        _ file: DatabaseFile, expectsData: Bool = false, quick: Duration = .milliseconds(1), migrate: (Database) throws -> Void
    ) throws(StoreError) {
        self.quick = quick
        // It counts as slow until something was measured.
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
                // Issued after opening and read back, since opening in WAL mode may set its own value.
                try db.execute(sql: "PRAGMA synchronous = FULL")
                // What a long reader or a great sweep made of the log is given back when it begins anew.
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
        // The last connection to close checkpoints the log. Elsewhere, since the last reference may go on the database's own queue, and it may have
        // to wait.
        DispatchQueue.global(qos: .utility).async { [database, writeLock] in
            let isMine = (try? writeLock.take()) != nil
            try? database.close()
            if isMine { writeLock.release() }
        }
    }

    /// Runs the work in a shared transaction and returns its result once that is durable.
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

    /// Reads what is committed, between two batches of writers. `work` must not write.
    func read<Result: Sendable>(_ work: @escaping @Sendable (Database) throws -> Result) async throws(StoreError) -> Result {
        do {
            return try await withCheckedThrowingContinuation { continuation in
                // GRDB's own `read` makes the connection read-only and writable again each time, which costs more than most of what is read here.
                database.asyncWriteWithoutTransaction { db in continuation.resume(with: Swift.Result { try work(db) }) }
            }
        } catch { throw Self.translate(error) }
    }

    /// Waits for nobody: while another process reads, what is left stays in the log.
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

    /// Nil, and nothing done, unless nobody else is at work, here or in another process, and the disk is quick.
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
        // The queue first and then the lock, as everybody does: two who hold this lock in one process would release it for each other.
        return try database.writeWithoutTransaction { db -> Result? in
            guard writeLock.takeAtOnce() else { return nil }
            defer { writeLock.release() }
            var result: Result?
            try commit(db) { result = try work(db) }
            return result
        }
    }

    /// One transaction, whose time is noted if it wrote anything: one that did not is quick on every disk.
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

    /// One batch each time, so that readers have their turn in between.
    private func scheduleBatch() {
        database.asyncWriteWithoutTransaction { db in
            if self.commitBatch(db) { self.scheduleBatch() }
        }
    }

    /// Commits what waits. False when nothing did: then whoever comes next starts anew.
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
            // Not committed: nobody's work happened.
            for index in batch.indices { failures[index] = error }
        }
        for (job, failure) in zip(batch, failures) { job.finish(failure) }
        return true
    }

    /// Where many commit at the same time, waits a moment for those who were in the last batch and are coming back: one commit for all costs less
    /// than one for each half. A lone caller never waits.
    private func gather() {
        for _ in 0..<Self.gatheringSteps {
            let (last, waiting) = state.withLock { ($0.lastBatch, $0.jobs.count) }
            guard last >= 4, waiting > 0, waiting < last * 3 / 4 else { return }
            usleep(50)
        }
    }

    private static let gatheringSteps = 6

    /// In a savepoint, by statements that are prepared once.
    private static func apart(_ work: (Database) throws -> Void, _ db: Database) throws {
        try db.cachedStatement(sql: "SAVEPOINT job").execute()
        do { try work(db) } catch {
            // If the whole transaction is gone already (disk full, I/O error), this throws, as does every statement after it.
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

/// Carries a result from the database's thread to the continuation; the two never run at the same time.
private final class ResultBox<Value: Sendable>: Sendable {
    private let storage = Mutex<Value?>(nil)

    var value: Value? {
        get { storage.withLock { $0 } }
        set { storage.withLock { $0 = newValue } }
    }
}

/// Lets one process at a time write to a database and its log, by a lock on a file beside it.
///
/// SQLite before 3.51.3 can corrupt a database when one connection resets the write-ahead log while another one checkpoints or writes
/// (sqlite.org/wal.html, "The WAL-Reset Bug"), and Debian ships such a version. Under this lock that never happens at the same time. It is taken with
/// every version, since the process beside this one may have another.
final class WriteLock: Sendable {
    private let descriptor: Int32
    /// As long as SQLite itself waits for others.
    private static let patience = Duration.seconds(5)

    init(_ path: String) throws(StoreError) {
        descriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw StoreError(.unavailable, "\(path).lock: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Blocks. Throws `unavailable` when another process holds it for too long, for example because it was stopped.
    func take() throws(StoreError) {
        if takeAtOnce() { return }
        let deadline = ContinuousClock.now + Self.patience
        while !takeAtOnce() {
            guard ContinuousClock.now < deadline else { throw StoreError(.unavailable, "another process has been writing for too long") }
            usleep(500)
        }
    }

    /// Waits for nobody.
    func takeAtOnce() -> Bool { flock(descriptor, LOCK_EX | LOCK_NB) == 0 }

    func release() { flock(descriptor, LOCK_UN) }
}
