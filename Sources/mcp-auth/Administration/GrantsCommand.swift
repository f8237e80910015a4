import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct GrantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grants", abstract: "Look after what people allowed applications.", subcommands: [List.self, Revoke.self, EndAll.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List those that are alive, newest first.")
        @Option(help: ArgumentHelp("Of one user only.", valueName: "name"))
        var user: String?
        @Option(help: "How many at most.")
        var limit = 1000
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                options.show(
                    ["grant", "type", "subject", "client_id", "scope", "resource", "created", "last_used", "last_operation", "ends"],
                    try await server.liveGrants(ofUser: user, limit: max(limit, 1)).map { grant in
                        [
                            grant.id, grant.type.rawValue, grant.subject, grant.clientID.text, grant.scopes.text, grant.resource,
                            grant.createdAt.iso8601, grant.lastUsedAt.iso8601, grant.lastOperation, grant.expiresAt.iso8601,
                        ]
                    }, empty: "Nobody has allowed anything.")
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End a grant, with every token of it.")
        @Argument(help: "The grant, as list shows it.")
        var id: String
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.revokeGrant(id)
                options.report("Ended. A running server refuses its tokens within five seconds.", ["grant": .string(id)])
            }
        }
    }

    struct EndAll: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "end-all", abstract: "After a backup was restored: end everything.",
            discussion: """
                What was used or revoked after the backup was made would be good again. This ends every session, code and grant and replaces the signing keys;
                everybody signs in again. Do it before the server is reached again.
                """)
        @Flag(help: "Yes, everybody has to sign in again.")
        var yes = false
        @OptionGroup var options: AdministrationOptions

        func validate() throws { guard yes else { throw ValidationError("this signs everybody out of everything; say --yes") } }

        func run() async throws {
            try await options.attempt { server in
                try await server.endEverything()
                options.report("Everything has ended, and tokens are signed with new keys.", ["ended": true])
            }
        }
    }
}
