import ArgumentParser
import Foundation
import GRDB
import JOSE
import MCPAuth
import MCPAuthSQLite
import MCPAuthorizationServer
import OAuth

/// What every command that administers a server's data takes.
struct AdministrationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The data folder of the server. Also MCP_AUTH_DATA.", valueName: "folder"), completion: .directory)
    var data = DataOption.standard

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Accept a master.key that other users can read.")
    var insecureAllowReadableKey = false

    /// The server of the folder. A running server applies changes within five seconds.
    func server() async throws -> AuthorizationServer {
        guard let folder = try DataFolder(existing: data, insecureAllowReadableKey: insecureAllowReadableKey) else {
            throw DataOption.missing("auth.db", in: data)
        }
        return try await AuthorizationServer(administering: folder)
    }

    /// Does the work, and turns what it throws into a message and an exit code.
    func attempt(_ work: (AuthorizationServer) async throws -> Void) async throws {
        do { try await work(try await server()) } catch let error as ExitCode { throw error } catch { throw Console.failure(error) }
    }

    /// A table for people, or an array of objects for programs.
    func show(_ columns: [String], _ rows: [[JSONValue]], empty: String) {
        if json {
            return Console.output(JSONValue.array(rows.map { row in .object(JSONObject(zip(columns, row).map { ($0, $1) })) }).text)
        }
        guard !rows.isEmpty else { return Console.note(empty) }
        Table(columns, rows).print()
    }

    /// One thing with its properties: a line each for people, an object for programs.
    func show(_ properties: KeyValuePairs<String, JSONValue>) {
        if json { return Console.output(JSONValue.object(JSONObject(properties.map { ($0.key, $0.value) })).text) }
        let width = properties.map(\.key.count).max() ?? 0
        for (name, value) in properties {
            let title = Table.title(name).lowercased()
            let text =
                switch value {
                // Things that have spaces in them stand on lines of their own.
                case .array(let items) where items.count > 1 && items.contains(where: { Table.cell($0).contains(" ") }):
                    items.map(Table.cell).joined(separator: "\n" + String(repeating: " ", count: width + 2))
                default: Table.cell(value)
                }
            Console.output(title + String(repeating: " ", count: width - name.count + 2) + text)
        }
    }

    /// One result, as a sentence for people or an object for programs.
    func report(_ sentence: String, _ object: JSONObject) { Console.output(json ? JSONValue.object(object).text : sentence) }
}

/// The option --data, which every command has.
enum DataOption {
    static var standard: String { ProcessInfo.processInfo.environment["MCP_AUTH_DATA"].flatMap { $0.isEmpty ? nil : $0 } ?? "data/demo" }

    /// Says whether the folder or the file is missing.
    static func missing(_ file: String, in folder: String) -> OAuthError {
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder)
        if exists, !isFolder.boolValue {
            return OAuthError(
                .invalidConfiguration,
                "\(URL(fileURLWithPath: folder).path) is a file; name the data folder of your server with --data or MCP_AUTH_DATA")
        }
        let isHidden = access(folder, R_OK | X_OK) != 0 && errno == EACCES
        let folder = URL(fileURLWithPath: folder).path
        if isHidden {
            return OAuthError(.invalidConfiguration, "this user may not read the folder \(folder); run the command as the user who runs the server")
        }
        return OAuthError(
            .invalidConfiguration,
            (exists ? "there is no \(file) in the folder \(folder)" : "the folder \(folder) does not exist")
                + "; name the data folder of your server with --data or MCP_AUTH_DATA" + hint(folder))
    }

    /// The folder of a program of `mcp-auth init`, if this is where such a program runs.
    private static func hint(_ folder: String) -> String {
        let common = URL(fileURLWithPath: "data").path
        return folder != common && FileManager.default.fileExists(atPath: common + "/auth.db") ? ", such as --data data" : ""
    }
}

/// Columns of text, cut to the width of the terminal.
struct Table {
    private var columns: [String]
    private var cells: [[String]]
    private let notes: [String]
    /// Whether columns are left out that say something.
    private var isShortened = false

    /// Columns that are left out first on a narrow terminal, because others say the same in shorter words, or because
    /// the command that shows one thing says it. The first column is what other commands take, and always stays.
    private static let spare = [
        "resource", "created", "type", "authentication", "subject", "client_id", "peer", "origin", "last_operation", "redirect_uris",
        "grants", "ends", "issuer", "scope", "scopes",
    ]
    /// The width below which no column is cut.
    private static let minimum = 12

    /// - Parameter notes: For each row what stands below it. Empty: nothing below any row.
    init(_ columns: [String], _ rows: [[JSONValue]], notes: [String] = []) {
        self.columns = columns
        self.notes = notes
        cells = rows.map { $0.map(Self.cell) }
        guard let available = Console.width else { return }
        shortenTimes()
        // What no row has, and what is the same in every row, is left out before anything is cut.
        for name in columns.dropFirst() where widest > available {
            guard let index = self.columns.firstIndex(of: name), cells.allSatisfy({ $0[index] == "-" }) else { continue }
            remove(index)
        }
        for name in Self.spare where narrowest > available {
            guard let index = self.columns.firstIndex(of: name), index > 0, Set(cells.map { $0[index] }).count <= 1 else { continue }
            remove(index)
            isShortened = true
        }
        for name in Self.spare where narrowest > available {
            guard let index = self.columns.firstIndex(of: name), index > 0 else { continue }
            remove(index)
            isShortened = true
        }
    }

    private mutating func remove(_ index: Int) {
        columns.remove(at: index)
        for row in cells.indices { cells[row].remove(at: index) }
    }

    /// Times that are not copied into other commands are told from now.
    private mutating func shortenTimes() {
        let now = Clock.system.now
        let format = ISO8601DateFormatter()
        for row in cells.indices {
            for index in columns.indices where columns[index] != "time" {
                let text = cells[row][index]
                guard text.utf8.count == 20, text.hasSuffix("Z"), let date = format.date(from: text) else { continue }
                let seconds = NumericDate(seconds: Int64(date.timeIntervalSince1970)).seconds(since: now)
                let (count, unit) =
                    switch abs(seconds) {
                    case ..<60: (abs(seconds), "s")
                    case ..<7200: (abs(seconds) / 60, "min")
                    case ..<172_800: (abs(seconds) / 3600, "h")
                    default: (abs(seconds) / 86400, "days")
                    }
                cells[row][index] = seconds <= 0 ? "\(count) \(unit) ago" : "in \(count) \(unit)"
            }
        }
    }

    private var titles: [String] { columns.map { Self.title($0).uppercased() } }

    /// Times and identifiers are copied into other commands, so they are never cut.
    private func isWhole(_ column: String) -> Bool {
        column == columns.first || ["time", "event", "verdict", "subject"].contains(column) || column == "id" || column.hasSuffix("_id")
    }

    private var widths: [Int] { columns.indices.map { index in ([titles] + cells).map { $0[index].count }.max() ?? 0 } }

    /// The width of the table when no column is cut.
    private var widest: Int { widths.reduce(2 * (columns.count - 1), +) }

    /// The width of the table when every column that can be cut is.
    private var narrowest: Int {
        zip(columns, widths).reduce(2 * (columns.count - 1)) { $0 + (isWhole($1.0) ? $1.1 : min($1.1, Self.minimum)) }
    }

    static func title(_ column: String) -> String { column.replacing("_", with: " ") }

    /// A value as a person reads it. Made printable before it is measured: the two can differ in length.
    static func cell(_ value: JSONValue) -> String {
        switch value {
        case .null: "-"
        case .string(let text): text.isEmpty ? "-" : Console.printable(text)
        case .bool(let flag): flag ? "yes" : "no"
        case .array(let items): items.isEmpty ? "-" : items.map(cell).joined(separator: " ")
        default: Console.printable(value.text)
        }
    }

    func print() {
        let widths = fitted(self.widths)
        Console.output(Console.bold(line(titles, widths), on: .output))
        for (index, row) in cells.enumerated() {
            Console.output(line(row, widths))
            guard notes.indices.contains(index), !notes[index].isEmpty else { continue }
            Console.output(Console.wrapped(notes[index], width: Console.width ?? 80, indent: 4))
        }
        let isCut = zip(widths, self.widths).contains { $0.0 < $0.1 }
        if isShortened || isCut {
            let what = isShortened && isCut ? "columns and values" : isShortened ? "columns" : "values"
            Console.note("Some \(what) are \(isShortened ? "left out" : "shortened"). A wider terminal or --json shows all.")
        }
    }

    /// The widest columns that may be cut give way until the line fits.
    private func fitted(_ widths: [Int]) -> [Int] {
        guard let available = Console.width else { return widths }
        var widths = widths
        let candidates = columns.indices.filter { !isWhole(columns[$0]) }
        while widths.reduce(0, +) + 2 * (widths.count - 1) > available, let widest = candidates.max(by: { widths[$0] < widths[$1] }),
            widths[widest] > Self.minimum
        {
            widths[widest] -= 1
        }
        return widths
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        let padded = zip(cells, widths).map { cell, width in
            let cut = cell.count > width ? cell.prefix(max(width - 1, 0)) + "…" : Substring(cell)
            return cut + String(repeating: " ", count: max(width - cut.count, 0))
        }.joined(separator: "  ")
        return String(decoding: Array(padded.utf8.reversed().drop { $0 == 0x20 }.reversed()), as: UTF8.self)
    }
}

extension JSONValue {
    init(_ text: String?) { self = text.map { .string($0) } ?? .null }
}

/// The names behind the identifiers of one listing, each looked up once.
final class Names {
    private let server: AuthorizationServer
    private var users: [String: String?] = [:]
    private var clients: [String: String?] = [:]

    init(_ server: AuthorizationServer) { self.server = server }

    func user(_ id: String?) async -> JSONValue {
        guard let id else { return .null }
        if users[id] == nil { users[id] = .some((try? await server.user(id: id))?.name) }
        return JSONValue(users[id] ?? nil)
    }

    func client(_ id: String?) async -> JSONValue {
        guard let id else { return .null }
        if clients[id] == nil {
            let client: Client? = if let clientID = ClientID(id) { try? await server.client(clientID) } else { nil }
            clients[id] = .some(client?.name)
        }
        return JSONValue(clients[id] ?? nil)
    }
}

/// Names for the completion scripts, of the folder that the command line names. The database is only read: no schema is
/// migrated while somebody presses the Tab key.
enum Completion {
    static let users = CompletionKind.custom { words, _, _ in names(words, "SELECT name FROM users ORDER BY name LIMIT 1000") }
    static let clients = CompletionKind.custom { words, _, _ in names(words, "SELECT id FROM clients ORDER BY id LIMIT 1000") }

    private static func names(_ words: [String], _ sql: String) -> [String] {
        let data = words.firstIndex(of: "--data").flatMap { words.indices.contains($0 + 1) ? words[$0 + 1] : nil } ?? DataOption.standard
        let path = URL(fileURLWithPath: data).appendingPathComponent("auth.db").path
        var configuration = Configuration()
        configuration.readonly = true
        guard FileManager.default.fileExists(atPath: path), let database = try? DatabaseQueue(path: path, configuration: configuration),
            let names = try? database.read({ try String.fetchAll($0, sql: sql) })
        else { return [] }
        // Shells expand what a completion script prints, so a name must not hold anything that they obey.
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@:/+-".utf8)
        return names.filter { !$0.isEmpty && $0.utf8.allSatisfy(plain.contains) && $0.utf8.first != UInt8(ascii: "-") }
    }
}
