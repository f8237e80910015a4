import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthSQLite
import MCPAuthorizationServer
import OAuth

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Check the database of a server.", discussion: "EXAMPLE\n  mcp-auth store check",
        subcommands: [Check.self])

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
