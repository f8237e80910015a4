import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Read the audit log and check its integrity.",
        discussion: """
            EXAMPLES
              mcp-auth audit show --refused --since 1h
              mcp-auth audit show --user ada --follow
              mcp-auth audit verify
            """,
        subcommands: [Show.self, Verify.self])

    /// The files of a log, oldest first. Throws `invalid_configuration` where there is no log, or one without a line.
    static func files(_ data: String) throws(OAuthError) -> [(name: String, bytes: [UInt8])] {
        let base = path(data)
        let older = (1...100).reversed().map { "\(base).\($0)" }
        let files = (older + [base]).compactMap { path in FileManager.default.contents(atPath: path).map { (name: path, bytes: Array($0)) } }
        guard !files.isEmpty else { throw DataOption.missing("audit.jsonl", in: data) }
        guard files.contains(where: { !$0.bytes.isEmpty }) else {
            throw OAuthError(
                .invalidConfiguration,
                "there is no log: \(base) is empty. A server writes it unless it is given another audit log (audit: in code)")
        }
        return files
    }

    fileprivate static func path(_ data: String) -> String { URL(fileURLWithPath: data).appendingPathComponent("audit.jsonl").path }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the latest events.",
            discussion: """
                Times are in UTC: 2026-11-26, 2026-11-26T08:00:00Z, or how long ago:
                30s, 15m, 2h, 7d.

                EXAMPLES
                  mcp-auth audit show --action sign_in --refused
                  mcp-auth audit show --user ada --since 7d --until 1d
                  mcp-auth audit show --follow
                """)
        @Option(name: [.customShort("n"), .long], parsing: .unconditional, help: "How many events at most.")
        var count = 50
        @Option(help: ArgumentHelp("Only this action, such as sign_in.", valueName: "action"))
        var action: String?
        @Option(help: ArgumentHelp("Only this user.", valueName: "name"), completion: Completion.users)
        var user: String?
        @Option(help: ArgumentHelp("Only this subject (the sub of tokens).", valueName: "subject"))
        var subject: String?
        @Option(help: ArgumentHelp("Only events from this time on.", valueName: "time"))
        var since: String?
        @Option(help: ArgumentHelp("Only events before this time.", valueName: "time"))
        var until: String?
        @Flag(help: "Only what was denied or failed, without first requests that have no token yet.")
        var refused = false
        @Flag(name: .shortAndLong, help: "Go on with new events as they happen.")
        var follow = false
        @OptionGroup var options: AdministrationOptions

        func validate() throws {
            guard count >= 1 else { throw ValidationError("--count is 1 or more") }
            for (name, value) in [("--since", since), ("--until", until)] {
                if let value, EventTime.parse(value, now: Clock.system.now) == nil {
                    throw ValidationError("\(name) is a time such as 2026-11-26, 2026-11-26T08:00:00Z, 30s, 15m, 2h or 7d, not \(value)")
                }
            }
            guard user == nil || subject == nil else { throw ValidationError("give --user or --subject, not both") }
        }

        func run() async throws {
            do { try await show() } catch let error as ExitCode { throw error } catch { throw Console.failure(error) }
        }

        private func show() async throws {
            let files = try AuditCommand.files(options.data)
            let all = files.flatMap { Self.events($0.bytes) }
            if let action {
                let known = Set(all.compactMap { $0["action"]?.string })
                guard known.contains(action) else {
                    let list = known.sorted()
                    throw OAuthError(
                        .invalidRequest,
                        "no event has the action \(action)\(NearestName.hint(action, among: list)). The log has: \(list.joined(separator: ", "))")
                }
            }
            // The log is readable without a database; names are a help where there is one.
            let server = try? await options.server()
            var wanted = subject
            if let user {
                guard let server else { throw DataOption.missing("auth.db", in: options.data) }
                guard let found = try await server.user(named: user) else {
                    throw OAuthError(.invalidRequest, "there is no user \(user); see mcp-auth users list. For a deleted one use --subject")
                }
                wanted = found.id
            }
            let now = Clock.system.now
            let filter = Filter(
                action: action, subject: wanted, isRefused: refused, since: since.flatMap { EventTime.parse($0, now: now) },
                until: until.flatMap { EventTime.parse($0, now: now) })
            let names = server.map(Names.init)
            let rows = await Self.rows(Array(all.filter(filter.includes).suffix(count)), names)
            if follow {
                if options.json { rows.forEach(Self.line) } else { show(rows, empty: "Waiting for events.") }
                try await follow(from: files.last?.bytes.count ?? 0, filter, names)
            } else {
                show(rows, empty: "There are no such events.\(refused ? " First requests, which have no token yet, are left out." : "")")
            }
        }

        /// Every column for programs and files; for people what happened to whom, and below it why.
        private func show(_ rows: [[JSONValue]], empty: String) {
            guard !options.json, Console.width != nil, !rows.isEmpty else { return options.show(Self.columns, rows, empty: empty) }
            let events = rows.map(Event.init)
            Table(["time", "event", "verdict", "user", "client"], events.map(\.cells), notes: events.map(\.note)).print()
        }

        /// One event as people read it.
        private struct Event {
            let cells: [JSONValue]
            let note: String

            init(_ row: [JSONValue]) {
                let values = Dictionary(zip(columns, row).map { ($0, $1.isNull ? "" : Table.cell($1)) }, uniquingKeysWith: { first, _ in first })
                func value(_ column: String) -> String { values[column] ?? "" }
                // The operation "any" stands for a request whose token was not looked into any further.
                let operation = ["", "any"].contains(value("operation")) ? "" : " " + value("operation")
                let isRefusal = value("verdict") != "allowed"
                cells = [
                    .string(value("time")), .string(value("action") + operation), .string(value("verdict")), .string(value("user")),
                    .string(value("client")),
                ]
                var parts = [
                    value("reason"), value("missing_scope").isEmpty ? "" : "missing: " + value("missing_scope"),
                    value("detail") == value("user") ? "" : value("detail"),
                ]
                if isRefusal || value("action") == "sign_in" { parts.append(value("peer").isEmpty ? "" : "from " + value("peer")) }
                note = parts.filter { !$0.isEmpty }.joined(separator: "; ")
            }

            var line: String { cells.map(Table.cell).joined(separator: "  ") + (note.isEmpty ? "" : "  " + note) }
        }

        /// Prints what is appended, also when the log goes on in a new file.
        private func follow(from length: Int, _ filter: Filter, _ names: Names?) async throws {
            var offset = length
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(500))
                guard let data = FileManager.default.contents(atPath: AuditCommand.path(options.data)) else { continue }
                if data.count < offset { offset = 0 }
                guard data.count > offset, let end = data.lastIndex(of: 0x0A), end >= offset else { continue }
                let fresh = Self.events(Array(data[offset...end])).filter(filter.includes)
                offset = end + 1
                for row in await Self.rows(fresh, names) {
                    if options.json { Self.line(row) } else { Console.output(Event(row).line) }
                }
            }
        }

        private static let columns = [
            "time", "action", "verdict", "reason", "user", "client", "operation", "scope", "missing_scope", "detail", "peer", "subject", "client_id",
        ]

        private static func line(_ row: [JSONValue]) {
            Console.output(JSONValue.object(JSONObject(zip(columns, row).map { ($0, $1) })).text)
        }

        private static func rows(_ events: [JSONValue], _ names: Names?) async -> [[JSONValue]] {
            var rows: [[JSONValue]] = []
            for event in events {
                var row: [JSONValue] = []
                for column in columns {
                    switch column {
                    case "user": row.append(await names?.user(event["subject"]?.string) ?? .null)
                    case "client": row.append(await names?.client(event["client_id"]?.string) ?? .null)
                    default: row.append(event[column] ?? .null)
                    }
                }
                rows.append(row)
            }
            return rows
        }

        private static func events(_ bytes: [UInt8]) -> [JSONValue] {
            bytes.split(separator: 0x0A).compactMap { try? JSONValue(parsing: Array($0)) }
        }
    }

    /// Which events are shown.
    struct Filter {
        let action: String?
        let subject: String?
        let isRefused: Bool
        /// RFC 3339 in UTC, which sorts as text.
        let since: String?
        let until: String?

        func includes(_ event: JSONValue) -> Bool {
            let time = event["time"]?.string ?? ""
            return (action == nil || event["action"]?.string == action) && (subject == nil || event["subject"]?.string == subject)
                && (!isRefused || isRefusal(event)) && (since.map { time >= $0 } ?? true) && (until.map { time < $0 } ?? true)
        }

        /// Every client begins with a request without a token, so those say nothing, unless they are asked for.
        private func isRefusal(_ event: JSONValue) -> Bool {
            event["verdict"]?.string != "allowed" && (action != nil || event["reason"]?.string != "no_credentials")
        }
    }

    /// A point in time on the command line.
    enum EventTime {
        /// RFC 3339 in UTC. Nil for anything else than a date, a time in UTC, or a number with s, m, h or d.
        static func parse(_ text: String, now: NumericDate) -> String? {
            if let unit = text.last, let seconds = ["s": 1, "m": 60, "h": 3600, "d": 86400][unit] as Int64?,
                let count = Int64(text.dropLast()), (0...100_000_000).contains(count)
            {
                return now.advanced(by: -count * seconds).iso8601
            }
            let pattern = /[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z?)?/
            guard text.wholeMatch(of: pattern) != nil else { return nil }
            return text
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Detect changed, added and removed lines.",
            discussion: """
                Each line ends with a hash of itself and of the line before it. A
                program that can write the file can write a new chain, and removed
                lines at the end leave no gap. Keep the head that this prints in
                another place, and pass it to --head the next time.

                EXIT CODES
                  0 nothing found, 1 something found, 78 no log

                EXAMPLE
                  mcp-auth audit verify --json
                """)
        // A hash may begin with a dash.
        @Option(
            parsing: .unconditional, help: ArgumentHelp("The head of an earlier check, which the log has to contain.", valueName: "hash"))
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
            let files: [(name: String, bytes: [UInt8])]
            do throws(OAuthError) { files = try AuditCommand.files(options.data) } catch { throw Console.failure(error) }
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
                for finding in result.findings {
                    Console.output("\(finding.file):\(finding.line > 0 ? " line \(finding.line):" : "") \(finding.description)")
                }
                Console.output(
                    "\(result.lines) lines, \(result.findings.isEmpty ? "all in order" : "\(result.findings.count) not in order"). Head: \(result.head)"
                )
            }
            if !result.findings.isEmpty { throw ExitCode.failure }
        }
    }
}
