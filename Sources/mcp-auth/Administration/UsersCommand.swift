import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "Look after the people who can sign in.",
        discussion: """
            mcp-auth users add ada              asks for a password, or reads one from standard input
            mcp-auth users one-time-codes ada   asks ada for a code from an authenticator app from now on
            mcp-auth users sign-out ada         ends every session and connection of ada
            """,
        subcommands: [List.self, Add.self, Password.self, OneTimeCodes.self, Disable.self, Enable.self, SignOut.self])

    struct Named: ParsableArguments {
        @Argument(help: "The user's name.")
        var name: String
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List them.")
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                options.show(
                    ["name", "display_name", "email", "subject", "state", "one_time_codes", "identity", "created"],
                    try await server.allUsers().map { user in
                        [
                            user.name, user.displayName, user.email, user.id, user.isDisabled ? "disabled" : "active",
                            user.sealedOneTimeSecret == nil ? "no" : "yes",
                            user.identity.map { "\($0.issuer) \($0.subject)" }, user.createdAt.iso8601,
                        ]
                    }, empty: "There are no users. Add one: mcp-auth users add NAME")
            }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add somebody who signs in with a password.")
        @OptionGroup var named: Named
        @Option(
            name: [.customLong("name"), .customLong("display-name")],
            help: ArgumentHelp("What people call them; clients with the scope profile see it.", valueName: "text"))
        var displayName: String?
        @Option(help: ArgumentHelp("Their e-mail address; clients with the scope email see it.", valueName: "address"))
        var email: String?
        @Flag(help: "You vouch that the e-mail address is theirs.")
        var emailVerified = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let user = try await server.addUser(
                    named: named.name, password: try Console.secret("Password of \(named.name): "), displayName: displayName, email: email,
                    isEmailVerified: emailVerified)
                options.report("\(user.name) can sign in.", ["name": .string(user.name), "subject": .string(user.id)])
            }
        }
    }

    struct Password: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Set a new password, and end what was begun with the old one.")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.setPassword(try Console.secret("New password of \(named.name): "), ofUser: named.name)
                options.report("\(named.name) has a new password, and is signed out everywhere.", ["name": .string(named.name)])
            }
        }
    }

    struct OneTimeCodes: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask for codes of an authenticator app at sign-in.",
            discussion: "Prints, once, what the app reads: make a QR code of it (qrencode -t ansiutf8), or type in the part after secret=.")
        @OptionGroup var named: Named
        @Flag(help: "Let them in with their password alone again.")
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
                }
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Keep somebody out, and end everything of theirs.")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.disableUser(named: named.name)
                options.report("\(named.name) is kept out. Let them in again: mcp-auth users enable \(named.name)", ["name": .string(named.name)])
            }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let somebody in again.")
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
        static let configuration = CommandConfiguration(commandName: "sign-out", abstract: "End every session and connection of somebody.")
        @OptionGroup var named: Named
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                guard let user = try await server.user(named: named.name) else { throw OAuthError(.invalidRequest, "there is no user \(named.name)") }
                try await server.endSessions(ofUser: user.id)
                options.report("\(named.name) is signed out everywhere, and no application is connected.", ["name": .string(named.name)])
            }
        }
    }
}
