import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "Look after the signing keys. They turn by themselves; this is for when they should not wait.",
        subcommands: [List.self, Rotate.self, Import.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List them.")
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let now = Clock.system.now
                options.show(
                    ["key", "algorithm", "state", "created", "signs_from"],
                    try await server.signingKeys().map { key in
                        [
                            key.keyID, key.algorithm, key.signs ? "signs" : key.activeFrom > now ? "published" : "verifies", key.createdAt.iso8601,
                            key.activeFrom.iso8601,
                        ]
                    }, empty: "There are no keys yet; the server makes them when it starts.")
            }
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin to replace the signing keys.",
            discussion: """
                The new keys are published now and sign a day later, when everybody who keeps the key set has seen them. With --emergency they sign at once and
                the old ones are gone: every access token is refused from then on, and clients refresh. For when a key may have been seen by others.
                """)
        @Flag(help: "The old keys are not to be trusted any more.")
        var emergency = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.replaceKeys(isEmergency: emergency)
                options.report(
                    emergency ? "New keys sign. Whatever was signed before is refused." : "New keys are published, and sign in a day.",
                    ["emergency": .bool(emergency)])
            }
        }
    }

    struct Import: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Add a private key that was made elsewhere; it signs from now on.")
        @Argument(help: "A file with an unencrypted private key in PEM.")
        var file: String
        @Option(help: ArgumentHelp("The algorithm, for an RSA key.", valueName: "alg"))
        var algorithm: String?
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                guard let data = FileManager.default.contents(atPath: file) else { throw OAuthError(.invalidRequest, "\(file) cannot be read") }
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
