import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthSQLite
import MCPAuthorizationServer
import OAuth

struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "Check the files that hold a server's data.", subcommands: [Check.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read the whole database and check that it is intact.",
            discussion: """
                At its start a server looks through its database for a fifth of a second. \
                This reads all of it, and checks that master.key opens what is sealed in it. \
                A server may be running meanwhile.

                Exit codes: 0 intact, 1 damaged, 78 no store, or not this program's.
                """)
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            // Opening checks the file's identity and mode, and that the key is the one of this store.
            _ = try await options.server()
            let findings: [String]
            do {
                guard let folder = try DataFolder(existing: options.data, insecureAllowReadableKey: options.insecureAllowReadableKey) else { return }
                findings = try await folder.store().check()
            } catch let error as OAuthError { throw Console.failure(error) } catch let error as StoreError {
                throw Console.failure(OAuthError(.temporarilyUnavailable, "the database cannot be read: \(error.detail)"))
            }
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
