import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "Manage the users who can sign in.",
        discussion: """
            EXAMPLES
              mcp-auth users add ada             asks for a password, twice; or reads it
                                                 from standard input
              mcp-auth users one-time-codes ada  require codes of an authenticator app
              mcp-auth users sign-out ada        end every session and grant of ada
            """,
        subcommands: [
            List.self, Show.self, Add.self, Edit.self, Password.self, OneTimeCodes.self, Disable.self, Enable.self, SignOut.self, Remove.self,
        ])

    struct Named: ParsableArguments {
        @Argument(help: "The user name.", completion: Completion.users)
        var name: String
    }

    /// What clients learn about a user.
    struct Profile: ParsableArguments {
        @Option(
            name: [.customLong("name"), .customLong("display-name")],
            help: ArgumentHelp("The name that people use. Clients with the scope profile see it.", valueName: "text"))
        var displayName: String?
        @Option(help: ArgumentHelp("E-mail address. Clients with the scope email see it.", valueName: "address"))
        var email: String?
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the users.", discussion: "EXAMPLE\n  mcp-auth users list --json")
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                options.show(
                    ["name", "display_name", "email", "active", "one_time_codes", "subject", "identity", "created"],
                    try await server.allUsers().map { user in
                        [
                            .string(user.name), JSONValue(user.displayName), JSONValue(user.email), .bool(!user.isDisabled),
                            .bool(user.sealedOneTimeSecret != nil), .string(user.id),
                            JSONValue(user.identity.map { "\($0.issuer) \($0.subject)" }), .string(user.createdAt.iso8601),
                        ]
                    },
                    empty:
                        "There are no users yet. Users of an identity provider appear after their first sign-in. One with a password: mcp-auth users add NAME"
                )
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a user with sessions and grants.", discussion: "EXAMPLE\n  mcp-auth users show ada")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let user = try await server.existingUser(named.name)
                let sessions = try await server.sessions(ofUser: user.id)
                let grants = try await server.liveGrants(ofUser: user.name)
                let connections = try await server.connections(ofUser: user.id)
                let names = Names(server)
                var applications: [JSONValue] = []
                for grant in grants {
                    let name = await names.client(grant.clientID.text)
                    applications.append(.string(name.string ?? grant.clientID.text))
                }
                options.show([
                    "name": .string(user.name), "display_name": JSONValue(user.displayName), "email": JSONValue(user.email),
                    "email_verified": .bool(user.isEmailVerified), "subject": .string(user.id),
                    "identity": JSONValue(user.identity.map { "\($0.issuer) \($0.subject)" }), "active": .bool(!user.isDisabled),
                    "providers": .strings(
                        connections.map {
                            "\($0.provider) \($0.accountName ?? $0.identity.subject), checked \($0.checkedAt.iso8601)"
                                + ($0.sealedTokens == nil ? ", has to be connected again" : "")
                        }), "password": .bool(user.passwordHash != nil), "one_time_codes": .bool(user.sealedOneTimeSecret != nil),
                    "recovery_codes": .int(Int64(user.recoveryCodes.count)), "created": .string(user.createdAt.iso8601),
                    "sessions": .strings(sessions.map { "\($0.browser ?? "unknown browser") since \($0.authenticatedAt.iso8601)" }),
                    "applications": .array(applications),
                ])
            }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a user who signs in with a password.",
            discussion: """
                EXAMPLES
                  mcp-auth users add alan --name "Alan Turing"
                  mcp-auth users add robin < password.txt
                """)
        @Argument(help: "The user name: letters a-z, digits and . _ - @ +")
        var name: String
        @OptionGroup var profile: Profile
        @Flag(help: "The e-mail address has been verified.")
        var emailVerified = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                if try await server.user(named: name) != nil {
                    throw OAuthError(.invalidRequest, "there is a user \(name) already; to set another password: mcp-auth users password \(name)")
                }
                let user = try await server.addUser(
                    named: name, password: try Console.newSecret("Password of \(name): "), displayName: profile.displayName, email: profile.email,
                    isEmailVerified: emailVerified)
                options.report("\(user.name) can sign in.", ["name": .string(user.name), "subject": .string(user.id)])
            }
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change the name or the e-mail address of a user.",
            discussion: """
                Only what is given is changed; an empty text removes it. A new address
                counts as verified only with --email-verified. The user name is the
                key of the user and does not change.

                EXAMPLES
                  mcp-auth users edit ada --name "Ada King"
                  mcp-auth users edit ada --email ada@example.com --email-verified
                """)
        @OptionGroup var named: Named
        @OptionGroup var profile: Profile
        @Flag(inversion: .prefixedNo, help: "The e-mail address has been verified.")
        var emailVerified: Bool?
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                guard profile.displayName != nil || profile.email != nil || emailVerified != nil else {
                    throw OAuthError(.invalidRequest, "say what to change: --name, --email or --email-verified")
                }
                let user = try await server.existingUser(named.name)
                try await server.editUser(named: user.name) { edited in
                    if let name = profile.displayName { edited.displayName = name.isEmpty ? nil : name }
                    if let email = profile.email {
                        edited.email = email.isEmpty ? nil : email
                        edited.isEmailVerified = false
                    }
                    if let emailVerified { edited.isEmailVerified = emailVerified }
                }
                options.report("\(user.name) is changed.", ["name": .string(user.name)])
            }
        }
    }

    struct Password: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a new password and sign the user out everywhere.",
            discussion: "EXAMPLE\n  mcp-auth users password ada")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let user = try await server.existingUser(named.name)
                try await server.setPassword(try Console.newSecret("New password of \(user.name): "), ofUser: user.name)
                options.report("\(user.name) has a new password and is signed out everywhere.", ["name": .string(user.name)])
            }
        }
    }

    struct OneTimeCodes: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Require a code of an authenticator app at sign-in.",
            discussion: """
                Prints the otpauth URI for the app, once. Show it as a QR code with
                qrencode -t ansiutf8, or type the part after secret= into the app.
                Users can also do this themselves on their account page.

                EXAMPLES
                  mcp-auth users one-time-codes ada | qrencode -t ansiutf8
                  mcp-auth users one-time-codes ada --off
                """)
        @OptionGroup var named: Named
        @Flag(help: "Require the password only.")
        var off = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                if off {
                    try await server.dropOneTimePasswords(ofUser: named.name)
                    options.report("\(named.name) signs in with the password alone.", ["name": .string(named.name)])
                } else {
                    let uri = try await server.requireOneTimePasswords(ofUser: named.name)
                    options.report(uri, ["name": .string(named.name), "uri": .string(uri)])
                    Console.note(
                        "\(named.name) needs a code at each sign-in from now on. Show the URI as a QR code: | qrencode -t ansiutf8. To undo: --off")
                }
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Block a user, and end every session and grant.", discussion: "EXAMPLE\n  mcp-auth users disable ada")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.disableUser(named: named.name)
                options.report("\(named.name) is blocked. To undo: mcp-auth users enable \(named.name)", ["name": .string(named.name)])
            }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Unblock a user.", discussion: "EXAMPLE\n  mcp-auth users enable ada")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.enableUser(named: named.name)
                options.report("\(named.name) can sign in again.", ["name": .string(named.name)])
            }
        }
    }

    struct SignOut: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "sign-out", abstract: "End every session and grant of a user.", discussion: "EXAMPLE\n  mcp-auth users sign-out ada")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.signOutUser(named: named.name)
                options.report("\(named.name) is signed out everywhere, and no application is connected.", ["name": .string(named.name)])
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a user, with every session and grant.",
            discussion: """
                Data that your tools keep for the user is not deleted. The subject of
                the user is never used again, also when the name is.

                On a terminal it asks before it deletes.

                EXAMPLE
                  mcp-auth users remove ada
                """)
        @OptionGroup var named: Named
        @Flag(help: "Do not ask.")
        var yes = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let user = try await server.existingUser(named.name)
                guard yes || Console.confirms("Delete \(user.name) with every session and grant?") else {
                    throw OAuthError(.invalidRequest, "nothing was deleted")
                }
                let providers = try await server.connections(ofUser: user.id).filter { $0.sealedTokens != nil }.map(\.provider)
                try await server.removeUser(named: user.name)
                if !providers.isEmpty {
                    Console.note(
                        "A running server revokes its tokens at \(providers.joined(separator: ", ")) within two minutes. If none runs, they are valid "
                            + "there until they expire, or until the user ends the connection there")
                }
                options.report("\(named.name) is deleted.", ["name": .string(named.name)])
            }
        }
    }
}

extension AuthorizationServer {
    /// The user of a name. Throws `invalid_request` when there is none.
    fileprivate func existingUser(_ name: String) async throws(OAuthError) -> User {
        if let user = try await user(named: name) { return user }
        let hint = NearestName.hint(name, among: try await allUsers().map(\.name))
        throw OAuthError(.invalidRequest, "there is no user \(name)\(hint); see mcp-auth users list")
    }
}
