import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import OAuth

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Read the audit log, and check that nobody changed it.", subcommands: [Show.self, Verify.self])

    /// The files of a log, oldest first.
    static func files(_ data: String) throws -> [(name: String, bytes: [UInt8])] {
        let base = URL(fileURLWithPath: data).appendingPathComponent("audit.jsonl").path
        let older = (1...100).reversed().map { "\(base).\($0)" }
        let files = (older + [base]).compactMap { path in FileManager.default.contents(atPath: path).map { (name: path, bytes: Array($0)) } }
        guard !files.isEmpty else {
            throw Console.failure(OAuthError(.invalidConfiguration, "there is no audit.jsonl in \(data); name the folder of your server with --data"))
        }
        return files
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the latest events.")
        @Option(help: "How many.")
        var count = 50
        @Option(help: ArgumentHelp("Only this action, such as sign_in or token.issued.", valueName: "action"))
        var action: String?
        @Option(help: ArgumentHelp("Only this subject.", valueName: "subject"))
        var subject: String?
        @Flag(help: "Only what was denied or failed.")
        var refused = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let events = try AuditCommand.files(options.data).flatMap { file in
                file.bytes.split(separator: 0x0A).compactMap { try? JSONValue(parsing: Array($0)) }
            }.filter { event in
                (action == nil || event["action"]?.string == action) && (subject == nil || event["subject"]?.string == subject)
                    && (!refused || event["verdict"]?.string != "allowed")
            }.suffix(max(count, 1))
            let columns = ["time", "action", "verdict", "reason", "subject", "client_id", "operation", "scope", "peer", "detail"]
            options.show(columns, events.map { event in columns.map { event[$0]?.string } }, empty: "No such events.")
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Find lines that were changed, added or taken away.",
            discussion: """
                Each line ends with a hash of itself and of the line before it. Whoever can write the file can write a whole new chain, and lines cut off at the end
                leave no gap: keep the head that this prints somewhere else, and give it back with --head.

                Exit codes: 0 nothing found, 1 something found, 78 no log.
                """)
        // A hash may begin with a dash.
        @Option(
            parsing: .unconditional, help: ArgumentHelp("The head of an earlier check: it must be in the log still.", valueName: "hash"))
        var head: String?
        @OptionGroup var options: AdministrationOptions

        func validate() throws {
            // An unset variable of a script must not pass for a head that was found.
            guard let head else { return }
            guard (try? Base64URL.decode(head))?.count == 32 else {
                throw ValidationError("--head is the 43 characters that an earlier check printed")
            }
        }

        func run() async throws {
            let files = try AuditCommand.files(options.data)
            let result = AuditChain.verify(files, earlier: head)
            if options.json {
                Console.output(
                    JSONValue.object([
                        "lines": .int(result.lines), "head": .string(result.head), "begins_later": .bool(result.beginsLater),
                        "findings": .array(
                            result.findings.map { ["file": .string($0.file), "line": .int($0.line), "finding": .string($0.description)] }),
                    ]).text)
            } else {
                if result.beginsLater { Console.note("Older files are gone: the check begins with \(files[0].name).") }
                for finding in result.findings { Console.output("\(finding.file):\(finding.line): \(finding.description)") }
                Console.output(
                    "\(result.lines) lines, \(result.findings.isEmpty ? "all in order" : "\(result.findings.count) not in order"). Head: \(result.head)"
                )
            }
            if !result.findings.isEmpty { throw ExitCode.failure }
        }
    }
}
