import Foundation
import GRDB
import MCPAuthSQLite

/// The demo's tasks: each row belongs to one owner, and every statement says whose rows it means.
struct TaskStore: Sendable {
    private let database: DatabaseQueue

    struct Item: Codable, Sendable {
        let id: Int64
        let text: String
    }

    init(path: String) throws {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(5)
        // "MCPT".
        let file = DatabaseFile(path, applicationID: 0x4D43_5054, tables: ["tasks"])
        database = try file.open(configuration)
        try database.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA synchronous = FULL") }
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, text TEXT NOT NULL) STRICT;
                    CREATE INDEX IF NOT EXISTS tasks_by_owner ON tasks (owner, id);
                    """)
            try file.stamp(db)
        }
        try file.mark()
    }

    func search(_ text: String, owner: String, limit: Int) async throws -> [Item] {
        try await database.read { db in
            // instr, not LIKE: what is searched for is text, never a pattern.
            try Row.fetchAll(
                db, sql: "SELECT id, text FROM tasks WHERE owner = ? AND (? = '' OR instr(lower(text), lower(?)) > 0) ORDER BY id LIMIT ?",
                arguments: [owner, text, text, limit]
            ).map { Item(id: $0["id"], text: $0["text"]) }
        }
    }

    /// Nil when the owner has as many tasks as one may have.
    func create(_ text: String, owner: String) async throws -> Item? {
        try await database.write { db in
            guard try Int.fetchOne(db, sql: "SELECT count(*) FROM tasks WHERE owner = ?", arguments: [owner]) ?? 0 < 10_000 else { return nil }
            try db.execute(sql: "INSERT INTO tasks (owner, text) VALUES (?, ?)", arguments: [owner, text])
            return Item(id: db.lastInsertedRowID, text: text)
        }
    }

    /// False when the owner has no such task, whoever else may have it.
    func delete(_ id: Int64, owner: String) async throws -> Bool {
        try await database.write { db in
            try db.execute(sql: "DELETE FROM tasks WHERE id = ? AND owner = ?", arguments: [id, owner])
            return db.changesCount == 1
        }
    }
}
