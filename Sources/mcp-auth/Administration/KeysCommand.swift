import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Manage the signing keys.",
        discussion: """
            The server replaces its keys every 30 days without help.

            EXAMPLES
              mcp-auth keys list
              mcp-auth keys rotate --emergency     a key may have leaked
            """,
        subcommands: [List.self, Rotate.self, Import.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the keys.", discussion: "EXAMPLE\n  mcp-auth keys list --json")
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let now = Clock.system.now
                options.show(
                    ["key", "algorithm", "state", "created", "signs_from"],
                    try await server.signingKeys().map { key in
                        [
                            .string(key.keyID), .string(key.algorithm),
                            .string(key.signs ? "signs" : key.activeFrom > now ? "published" : "verifies"), .string(key.createdAt.iso8601),
                            .string(key.activeFrom.iso8601),
                        ]
                    }, empty: "There are no keys yet; the server creates them when it starts.")
            }
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replace the signing keys now.",
            discussion: """
                New keys are published now and sign a day later, so that every party
                that caches the key set knows them. With --emergency they sign at
                once and the old ones are removed: every access token is rejected
                and clients refresh. Use it when a key may have leaked. On a terminal it
                asks first.

                EXAMPLE
                  mcp-auth keys rotate --emergency
                """)
        @Flag(help: "Stop trusting the old keys at once.")
        var emergency = false
        @Flag(help: "Do not ask.")
        var yes = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                guard !emergency || yes || Console.confirms("Reject every access token now?") else {
                    throw OAuthError(.invalidRequest, "nothing was changed")
                }
                try await server.replaceKeys(isEmergency: emergency)
                options.report(
                    emergency
                        ? "New keys sign. Tokens that the old keys signed are rejected."
                        : "New keys are published. They begin to sign after 24 hours.",
                    ["emergency": .bool(emergency)])
            }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Import a private key; it signs from now on.", discussion: "EXAMPLE\n  mcp-auth keys import signing.pem")
        @Argument(help: "A file with an unencrypted private key (PEM).")
        var file: String
        @Option(help: ArgumentHelp("The algorithm of an RSA key: RS256, PS256 ...", valueName: "alg"))
        var algorithm: String?
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                guard let data = FileManager.default.contents(atPath: file) else { throw FileProblem.error(file) }
                let key: SigningKey
                do {
                    key = try SigningKey(pem: String(decoding: data, as: UTF8.self), algorithm: algorithm.flatMap(SigningAlgorithm.init))
                } catch let error as JOSEError { throw OAuthError(.invalidRequest, "\(file): \(error.message)") }
                try await server.importKey(key)
                options.report("\(key.keyID ?? "") signs from now on.", ["key": .string(key.keyID ?? "")])
            }
        }
    }
}
