import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct ClientsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clients", abstract: "Look after the applications that may ask for tokens.",
        discussion: """
            mcp-auth clients add backend --redirect-uri https://app.example.com/callback
            mcp-auth clients add robot --grant client_credentials --scope read:tasks
            mcp-auth clients rotate-secret backend     the old secret works for another day
            mcp-auth clients invite                    a token with which one client can register itself
            """,
        subcommands: [List.self, Add.self, RotateSecret.self, Disable.self, Enable.self, Remove.self, Invite.self])

    struct Identified: ParsableArguments {
        @Argument(help: "The client_id.")
        var id: String

        var clientID: ClientID {
            get throws {
                guard let clientID = ClientID(id) else { throw OAuthError(.invalidRequest, "a client_id is 1 to 512 printable ASCII characters") }
                return clientID
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List those that are stored; those of a configuration are in the configuration.")
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                options.show(
                    ["client_id", "name", "origin", "authentication", "grants", "redirect_uris", "state", "created"],
                    try await server.allClients().map { client in
                        [
                            client.id.text, client.name, client.origin.rawValue, client.authenticationMethod.rawValue,
                            client.grantTypes.map(\.rawValue).joined(separator: " "), client.redirectURIs.map(\.text).joined(separator: " "),
                            client.isDisabled ? "disabled" : "active", client.createdAt.iso8601,
                        ]
                    }, empty: "There are no clients yet.")
            }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register an application; prints its secret, once.",
            discussion: "An application that cannot keep a secret, such as one on people's own machines, gets --public.")
        @OptionGroup var identified: Identified
        @Option(help: ArgumentHelp("What people see.", valueName: "text"))
        var name: String?
        @Option(help: ArgumentHelp("Where answers go; may be given several times.", valueName: "uri"))
        var redirectURI: [String] = []
        @Option(help: ArgumentHelp("A grant type; may be given several times. Codes and refresh tokens unless given.", valueName: "type"))
        var grant: [String] = []
        @Option(help: ArgumentHelp("What it may ask for at most.", valueName: "scopes"))
        var scope: String?
        @Option(help: ArgumentHelp("A file with a JWK set: it authenticates with its keys (private_key_jwt).", valueName: "file"))
        var keys: String?
        @Option(help: ArgumentHelp("It is the resource server of this resource, and may introspect its tokens.", valueName: "resource"))
        var introspects: String?
        @Option(help: ArgumentHelp("How it sends its secret: client_secret_basic or client_secret_post; either unless given.", valueName: "method"))
        var authentication: String?
        @Flag(help: "It keeps no secret.")
        var `public` = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let client = try makeClient()
                let secret = try await server.addClient(client)
                var object: JSONObject = ["client_id": .string(client.id.text)]
                object["client_secret"] = secret.map { .string($0) }
                options.report(
                    secret.map { "client_id      \(client.id)\nclient_secret  \($0)\n\nThe secret is shown this once." }
                        ?? "\(client.id) is registered.", object)
            }
        }

        private func makeClient() throws -> Client {
            var scopes: ScopeSet?
            if let scope {
                guard let parsed = ScopeSet(scope) else { throw OAuthError(.invalidRequest, "--scope is a list of scopes separated by spaces") }
                scopes = parsed
            }
            var jwks: Client.Keys?
            if let keys {
                guard let data = FileManager.default.contents(atPath: keys), let set = try? JWKSet(parsing: Array(data)), !set.keys.isEmpty else {
                    throw OAuthError(.invalidRequest, "\(keys) is not a JWK set with a usable public key")
                }
                jwks = .inline(String(decoding: data, as: UTF8.self))
            }
            // A resource server only asks about tokens, unless it is said to get some.
            let usual: [GrantType] = introspects != nil && redirectURI.isEmpty ? [] : [.authorizationCode, .refreshToken]
            let grants = grant.isEmpty ? usual : grant.map { GrantType(rawValue: $0) }
            let known: Set<GrantType> = [.authorizationCode, .refreshToken, .clientCredentials, .deviceCode, .tokenExchange, .jwtBearer]
            guard Set(grants).isSubset(of: known) else {
                throw OAuthError(.invalidRequest, "--grant is one of \(known.map(\.rawValue).sorted().joined(separator: ", "))")
            }
            guard !grants.contains(.authorizationCode) || !redirectURI.isEmpty else {
                throw OAuthError(.invalidRequest, "say where answers go: --redirect-uri https://app.example.com/callback")
            }
            guard let method = Client.AuthenticationMethod(rawValue: authentication ?? "client_secret_basic"), method == .basic || method == .post
            else {
                throw OAuthError(.invalidRequest, "--authentication is client_secret_basic or client_secret_post; see also --keys and --public")
            }
            var client = Client(
                id: try identified.clientID, name: name ?? identified.id, redirectURIs: try redirectURI.map { try RedirectURI($0) },
                authenticationMethod: jwks != nil ? .privateKeyJWT : self.public ? .none : method, keys: jwks, grantTypes: grants, scopes: scopes,
                origin: .configured, createdAt: Clock.system.now, introspects: introspects)
            client.acceptsEitherSecretMethod = authentication == nil && (method == client.authenticationMethod)
            return client
        }
    }

    struct RotateSecret: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "rotate-secret", abstract: "Make a new secret; prints it, once.")
        @OptionGroup var identified: Identified
        @Option(help: ArgumentHelp("Seconds for which the old one works too.", valueName: "seconds"))
        var overlap: Int64 = 86400
        @OptionGroup var options: AdministrationOptions

        func validate() throws { guard overlap >= 0 else { throw ValidationError("--overlap is 0 or more") } }

        func run() async throws {
            try await options.attempt { server in
                let secret = try await server.rotateSecret(ofClient: try identified.clientID, overlap: overlap)
                options.report(secret, ["client_id": .string(identified.id), "client_secret": .string(secret)])
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Keep a client out, and end what it holds.")
        @OptionGroup var identified: Identified
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.setDisabled(true, client: try identified.clientID)
                options.report("\(identified.id) is kept out.", ["client_id": .string(identified.id)])
            }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Let a client in again.")
        @OptionGroup var identified: Identified
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.setDisabled(false, client: try identified.clientID)
                options.report("\(identified.id) may ask for tokens again.", ["client_id": .string(identified.id)])
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete a client with everything that it holds.")
        @OptionGroup var identified: Identified
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.removeClient(try identified.clientID)
                options.report("\(identified.id) is deleted.", ["client_id": .string(identified.id)])
            }
        }
    }

    struct Invite: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make an initial access token (RFC 7591), good for one registration.")
        @Option(help: ArgumentHelp("For how long it is good.", valueName: "seconds"))
        var lifetime: Int64 = 86400
        @OptionGroup var options: AdministrationOptions

        func validate() throws { guard (1...31_536_000).contains(lifetime) else { throw ValidationError("--lifetime is 1 to 31536000") } }

        func run() async throws {
            try await options.attempt { server in
                let token = try server.inviteClient(lifetime: lifetime)
                options.report(token, ["initial_access_token": .string(token)])
            }
        }
    }
}
