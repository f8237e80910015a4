import Foundation
package import GRDB
import GRDBSQLite
package import MCPAuthorizationServer

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A SQLite file of this program. It is opened only if it belongs to this program, passes a short check of its content,
/// and is readable by its owner alone.
///
/// Nothing is written to a file before it is recognized. A mark beside the file says that there was data, so that a
/// missing or empty file is not taken for a first start.
package struct DatabaseFile: Sendable {
    /// The path of the file. The mark is at `PATH.mark`.
    package let path: String
    /// `PRAGMA application_id` of these files (sqlite.org/fileformat2.html, "Application ID").
    private let applicationID: Int32
    /// The tables that identify a file from a version without an application ID.
    private let tables: Set<String>

    package init(_ path: String, applicationID: Int32, tables: Set<String>) {
        self.path = path
        self.applicationID = applicationID
        self.tables = tables
    }

    private var name: String { URL(fileURLWithPath: path).lastPathComponent }
    private var markPath: String { Self.markPath(path) }

    package static func markPath(_ path: String) -> String { path + ".mark" }

    /// The time for the check of a file before it is used. It covers a part of a large file. `check` reads all of it.
    private static let patience = Duration.milliseconds(200)

    /// Opens the file, or creates it on a first start. `expectsData` says that there was data, even without a mark.
    ///
    /// Throws `unusable`, whose detail says what is wrong and what to do, and every error of SQLite.
    package func open(_ configuration: Configuration, expectsData: Bool = false) throws -> DatabaseQueue {
        let expectsData = expectsData || access(markPath, F_OK) == 0
        try checkMode()
        try makeOrIdentify(expectsData: expectsData)
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Call this once the tables exist. From then on a missing file means lost data.
    package func mark() throws(StoreError) {
        guard access(markPath, F_OK) != 0 else { return }
        let descriptor = Glibc_open(markPath, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw StoreError(.unavailable, "\(markPath): \(String(cString: strerror(errno)))") }
        let text = Array("\(name) was begun here. While this file is there, a missing or empty \(name) is an error and not a first start.\n".utf8)
        _ = text.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    /// Call this inside the transaction that creates the tables.
    package func stamp(_ db: Database) throws {
        guard try Int32.fetchOne(db, sql: "PRAGMA application_id") != applicationID else { return }
        try db.execute(sql: "PRAGMA application_id = \(applicationID)")
    }

    /// Reads the whole file. Returns one line for each problem. Empty when the file is intact.
    package static func check(_ db: Database) throws -> [String] {
        try String.fetchAll(db, sql: "PRAGMA integrity_check(20)").filter { $0 != "ok" }.map {
            // SQLite begins with the name of the database inside it, which says nothing to an operator.
            "SQLite reports: " + $0.replacing("*** in database main ***\n", with: "").replacing("\n", with: "; ")
        }
    }

    private func unusable(_ problem: String) -> StoreError { StoreError(.unusable, "\(path) \(problem)") }

    private func checkMode() throws(StoreError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFREG else { throw unusable("is not a file; move it away") }
        let mode = UInt32(status.st_mode) & 0o777
        guard mode & 0o077 == 0 else {
            throw unusable(
                "can be read by other users of this machine (its mode is 0\(String(mode, radix: 8))), and may have been. Make it private: chmod 600 \(path)"
            )
        }
    }

    /// Throws when the file belongs to another application, is damaged, or is empty although it should contain data.
    private func makeOrIdentify(expectsData: Bool) throws {
        let descriptor = Glibc_open(path, expectsData ? O_RDWR | O_CLOEXEC | O_NOFOLLOW : O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw unusable("is missing, though there was one here. \(Self.waysOut)") }
            throw StoreError(.unavailable, "\(path): \(String(cString: strerror(errno)))")
        }
        var header = [UInt8](repeating: 0, count: 100)
        let count = pread(descriptor, &header, header.count, 0)
        close(descriptor)
        var isLogged = stat()
        let hasLog = stat(path + "-wal", &isLogged) == 0 && isLogged.st_size > 0
        if count == 0 {
            // SQLite would delete that log, which may contain all data, as soon as it reads the file.
            guard !hasLog else {
                throw unusable("is empty, and \(name)-wal beside it is not: its beginning was lost. Keep both. \(Self.waysOut)")
            }
            guard !expectsData else { throw unusable("is empty, though there was data in it. \(Self.waysOut)") }
            return
        }
        guard count == header.count, header.starts(with: Array("SQLite format 3".utf8) + [0]) else {
            throw unusable("is not a SQLite database, or its beginning was overwritten. \(Self.waysOut)")
        }
        let found = Int32(bitPattern: header[68..<72].reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
        guard found == 0 || found == applicationID else { throw foreign }
        try Onlooker(self, isLogged: hasLog).identify(expectsData: expectsData)
    }

    /// Reads a file without writing, not even a file beside it, since it may belong to another application. Without a
    /// log, SQLite opens it as immutable.
    private final class Onlooker {
        private let file: DatabaseFile
        private var connection: OpaquePointer?
        private let start = ContinuousClock.now

        init(_ file: DatabaseFile, isLogged: Bool) throws {
            self.file = file
            let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/".utf8)
            let encoded = file.path.utf8.map { byte in
                plain.contains(byte) ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }.joined()
            let uri = "file:\(encoded)" + (isLogged ? "?mode=ro" : "?mode=ro&immutable=1")
            guard sqlite3_open_v2(uri, &connection, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nil) == SQLITE_OK else {
                sqlite3_close(connection)
                throw StoreError(.unavailable, "\(file.path) cannot be read")
            }
            sqlite3_busy_timeout(connection, 5000)
        }

        deinit { sqlite3_close(connection) }

        func identify(expectsData: Bool) throws {
            let id = try rows("PRAGMA application_id").first.flatMap { Int32($0) } ?? 0
            let names = Set(try rows("SELECT name FROM sqlite_master WHERE type = 'table'"))
            if id == 0, names.isEmpty {
                guard !expectsData else { throw file.unusable("holds no tables, though there was data in it. \(DatabaseFile.waysOut)") }
                return
            }
            guard id == file.applicationID || (id == 0 && file.tables.isSubset(of: names)) else { throw file.foreign }
            sqlite3_progress_handler(
                connection, 10_000, { Unmanaged<Onlooker>.fromOpaque($0!).takeUnretainedValue().isOver ? 1 : 0 },
                Unmanaged.passUnretained(self).toOpaque())
            let findings = try rows("PRAGMA quick_check(3)")
            if findings != ["ok"], !findings.isEmpty { throw file.damaged(findings[0]) }
        }

        private var isOver: Bool { ContinuousClock.now - start > DatabaseFile.patience }

        /// The first column of each row. Empty when the query takes too long: the part that was read is intact.
        private func rows(_ sql: String) throws -> [String] {
            var statement: OpaquePointer?
            defer { sqlite3_finalize(statement) }
            var code = sqlite3_prepare_v2(connection, sql, -1, &statement, nil)
            var rows: [String] = []
            while code == SQLITE_OK || code == SQLITE_ROW {
                code = sqlite3_step(statement)
                if code == SQLITE_ROW, let text = sqlite3_column_text(statement, 0) { rows.append(String(cString: text)) }
            }
            switch code {
            case SQLITE_DONE: return rows
            case SQLITE_INTERRUPT: return []
            case SQLITE_CORRUPT, SQLITE_NOTADB: throw file.damaged(String(cString: sqlite3_errmsg(connection)))
            default: throw StoreError(.unavailable, "\(file.path): \(String(cString: sqlite3_errmsg(connection)))")
            }
        }
    }

    private var foreign: StoreError {
        unusable("belongs to another application; nothing in it was changed. Move it away, or choose another folder for the data.")
    }

    private static let waysOut =
        "Restore it from a backup. To begin with an empty store on purpose, which loses all accounts and grants, start the demo with --new-store, "
        + "or call DataFolder.setAside in your program."

    private func damaged(_ finding: String) -> StoreError {
        unusable("is damaged (\(finding.prefix(200).replacing("\n", with: " "))). \(Self.waysOut)")
    }
}

/// `open` with the mode of a private file. Swift's own overloads differ by platform.
private func Glibc_open(_ path: String, _ flags: Int32) -> Int32 { open(path, flags, 0o600) }
