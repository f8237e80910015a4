import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthSQLite
import MCPAuthorizationServer
import OAuth

/// What every command that looks after a server's data takes.
struct AdministrationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The folder with the server's data.", valueName: "folder"))
    var data = "data/demo"

    @Flag(help: "Print JSON, for programs.")
    var json = false

    @Flag(help: "Accept a master.key that other users of this machine can read.")
    var insecureAllowReadableKey = false

    /// The server of the folder. What is changed here counts for a running server within five seconds.
    func server() async throws -> AuthorizationServer {
        do {
            guard let folder = try DataFolder(existing: data, insecureAllowReadableKey: insecureAllowReadableKey) else {
                throw OAuthError(.invalidConfiguration, "there is no auth.db in \(data); name the folder of your server with --data")
            }
            return try await AuthorizationServer(administering: folder, audit: AuditLog([try AuditFile(path: folder.path("audit.jsonl"))]))
        } catch let error as OAuthError { throw Console.failure(error) }
    }

    /// Does the work, and turns what it throws into a message and an exit code.
    func attempt(_ work: (AuthorizationServer) async throws -> Void) async throws {
        let server = try await server()
        do { try await work(server) } catch let error as OAuthError { throw Console.failure(error) }
    }

    /// A table for people, or an array of objects for programs.
    func show(_ columns: [String], _ rows: [[String?]], empty: String) {
        if json {
            let objects = rows.map { row in JSONValue.object(JSONObject(zip(columns, row).map { ($0, $1.map { .string($0) } ?? .null) })) }
            return Console.output(JSONValue.array(objects).text)
        }
        guard !rows.isEmpty else { return Console.note(empty) }
        let titles = columns.map { $0.uppercased().replacing("_", with: " ") }
        // Made printable before it is measured: the two can differ in length.
        let cells = rows.map { row in row.map { $0.map(Console.printable) ?? "-" } }
        let widths = columns.indices.map { index in ([titles] + cells).map { $0[index].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            zip(cells, widths).map { cell, width in cell + String(repeating: " ", count: width - cell.count) }.joined(separator: "  ").trimmed
        }
        Console.output(Console.bold(line(titles), on: .output))
        for row in cells { Console.output(line(row)) }
    }

    /// One result, as a sentence for people or an object for programs.
    func report(_ sentence: String, _ object: JSONObject) { Console.output(json ? JSONValue.object(object).text : sentence) }
}

extension String {
    /// Without spaces at its end.
    fileprivate var trimmed: String { String(decoding: Array(utf8.reversed().drop { $0 == 0x20 }.reversed()), as: UTF8.self) }
}
