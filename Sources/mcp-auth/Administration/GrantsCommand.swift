import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct GrantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grants", abstract: "Manage what users allowed applications.",
        discussion: """
            EXAMPLES
              mcp-auth grants list --user ada
              mcp-auth grants revoke grant-3q2
            """,
        subcommands: [List.self, Revoke.self, EndAll.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List live grants of users, newest first.",
            discussion: """
                EXAMPLES
                  mcp-auth grants list --user ada
                  mcp-auth grants list --all
                """)
        @Option(help: ArgumentHelp("Of one user only.", valueName: "name"), completion: Completion.users)
        var user: String?
        @Flag(help: "Also grants of machines, which have no user.")
        var all = false
        @Option(parsing: .unconditional, help: "How many at most.")
        var limit = 1000
        @OptionGroup var options: AdministrationOptions

        func validate() throws { guard limit >= 1 else { throw ValidationError("--limit is 1 or more") } }

        func run() async throws {
            try await options.attempt { server in
                let names = Names(server)
                var rows: [[JSONValue]] = []
                // Each token of a machine is a grant of its own, so that a few machines would hide the users.
                let live = try await server.liveGrants(ofUser: user, limit: all ? limit : 100_000)
                let shown = all ? live : live.filter { $0.userID != nil }
                for grant in shown.prefix(limit) {
                    rows.append([
                        .string(grant.id), await names.user(grant.userID), await names.client(grant.clientID.text),
                        .strings(grant.scopes.map(\.text)), .string(grant.lastUsedAt.iso8601), JSONValue(grant.lastOperation),
                        .string(grant.expiresAt.iso8601), .string(grant.type.rawValue), .string(grant.subject), .string(grant.clientID.text),
                        .string(grant.resource), .string(grant.createdAt.iso8601),
                    ])
                }
                options.show(
                    [
                        "grant", "user", "client", "scope", "last_used", "last_operation", "ends", "type", "subject", "client_id", "resource",
                        "created",
                    ], rows, empty: user.map { "\($0) has no grants." } ?? "There are no grants\(all ? "" : " of users").")
                if live.count > shown.count {
                    let count = live.count - shown.count
                    Console.note("\(count) \(count == 1 ? "grant of a machine is" : "grants of machines are") not shown; --all shows them")
                }
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Revoke a grant with all its tokens.", discussion: "EXAMPLE\n  mcp-auth grants revoke grant-3q2")
        @Argument(help: "The grant, as mcp-auth grants list shows it, or its beginning.")
        var id: String
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let id = try await Self.whole(id, server)
                try await server.revokeGrant(id)
                options.report("Revoked. A running server rejects its tokens within five seconds.", ["grant": .string(id)])
            }
        }

        /// The live grant with this beginning, else the text itself: a grant that has ended can be revoked again.
        /// Throws `invalid_request` when there are several.
        private static func whole(_ text: String, _ server: AuthorizationServer) async throws -> String {
            let beginning = text.hasSuffix("…") ? String(text.dropLast()) : text
            // Shorter beginnings say too little of what is revoked.
            guard beginning.count >= 9 else { return text }
            let matches = try await server.liveGrants(ofUser: nil, limit: 100_000).map(\.id).filter { $0.hasPrefix(beginning) }
            if matches.contains(text) { return text }
            guard matches.count < 2 else {
                throw OAuthError(.invalidRequest, "\(matches.count) grants begin with \(beginning); nothing was revoked. Give more of the identifier")
            }
            return matches.first ?? text
        }
    }

    struct EndAll: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "end-all", abstract: "End everything after a backup was restored.",
            discussion: """
                What was used or revoked after the backup was made would be valid
                again. This ends every session, code and grant and replaces the
                signing keys: every user has to sign in again. Run it before clients
                can reach the restored server.

                EXAMPLE
                  mcp-auth grants end-all --yes
                """)
        @Flag(help: "Confirm that every user has to sign in again.")
        var yes = false
        @OptionGroup var options: AdministrationOptions

        func validate() throws { guard yes else { throw ValidationError("this signs every user out and ends every grant; confirm with --yes") } }

        func run() async throws {
            try await options.attempt { server in
                try await server.endEverything()
                options.report("Every session and grant has ended, and the signing keys are new.", ["ended": true])
            }
        }
    }
}
