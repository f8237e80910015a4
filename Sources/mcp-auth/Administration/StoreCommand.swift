import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthSQLite
import MCPAuthorizationServer
import OAuth

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Check and back up the data of a server.",
        discussion: """
            EXAMPLES
              mcp-auth store check
              mcp-auth store backup /var/backups/notes-2026-11-26
            """,
        subcommands: [Check.self, Backup.self])

    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy the data to a new folder, also while the server runs.",
            discussion: """
                Copies the database as it is at one moment, the master key, and the
                audit log. Copying auth.db by hand misses what is in auth.db-wal.
                Keep the copy as secret as the original: it holds the master key.

                To restore: stop the server, put the copy in the place of the data
                folder, run mcp-auth grants end-all --yes, start the server.

                EXAMPLE
                  mcp-auth store backup /var/backups/notes-2026-11-26
                """)
        @Argument(help: "A folder that does not exist yet.", completion: .directory)
        var folder: String
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            do {
                guard let data = try DataFolder(existing: options.data, insecureAllowReadableKey: options.insecureAllowReadableKey) else {
                    throw DataOption.missing("auth.db", in: options.data)
                }
                let names = try await data.backUp(to: folder)
                options.report(
                    "Copied \(names.joined(separator: ", ")) to \(folder). The copy holds the master key: keep it secret. It has no data of your tools.",
                    ["folder": .string(folder), "files": .strings(names)])
            } catch { throw Console.failure(error) }
        }
    }

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read the whole database and check that it is intact.",
            discussion: """
                Checks every page, and that master.key opens what is sealed in it. The
                server may be running. A server checks only a part when it starts.

                EXIT CODES
                  0 intact, 1 damaged, 78 no database, or one of another program

                EXAMPLE
                  mcp-auth store check --data /var/lib/notes
                """)
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let findings: [String]
            do {
                // Opening checks the file's identity and mode, and that the key is the one of this store.
                _ = try await options.server()
                guard let folder = try DataFolder(existing: options.data, insecureAllowReadableKey: options.insecureAllowReadableKey) else { return }
                findings = try await folder.store().check()
            } catch let error as OAuthError where error.message.contains(" is damaged") {
                _ = Console.failure(error)
                throw ExitCode.failure
            } catch let error as StoreError {
                throw Console.failure(OAuthError(.temporarilyUnavailable, "the database cannot be read: \(error.detail)"))
            } catch { throw Console.failure(error) }
            if options.json {
                Console.output(JSONValue.object(["intact": .bool(findings.isEmpty), "findings": .strings(findings)]).text)
            } else {
                for finding in findings { Console.output(Console.printable(finding)) }
                Console.output(findings.isEmpty ? "auth.db is intact." : "auth.db is damaged: restore it from a backup.")
            }
            if !findings.isEmpty { throw ExitCode.failure }
        }
    }
}
