import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthorizationServer
import OAuth

struct ClientsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clients", abstract: "Manage the applications that may request tokens.",
        discussion: """
            EXAMPLES
              mcp-auth clients add backend --redirect-uri https://app.example.com/cb
              mcp-auth clients add robot --grant client_credentials --scope read:tasks
              mcp-auth clients rotate-secret backend  the old secret works one more day
              mcp-auth clients invite                 a token for one registration
            """,
        subcommands: [
            List.self, Show.self, Add.self, Edit.self, RotateSecret.self, Disable.self, Enable.self, Remove.self, Invite.self,
        ])

    struct Identified: ParsableArguments {
        @Argument(help: "The client_id.", completion: Completion.clients)
        var id: String

        var clientID: ClientID {
            get throws {
                guard let clientID = ClientID(id) else { throw OAuthError(.invalidRequest, "a client_id is 1 to 512 printable ASCII characters") }
                return clientID
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the clients of the store.",
            discussion: """
                Clients of the server's configuration are code and are not listed.

                EXAMPLE
                  mcp-auth clients list
                """)
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                options.show(
                    ["client_id", "name", "origin", "scope", "active", "grants", "authentication", "redirect_uris", "created"],
                    try await server.allClients().map { client in
                        [
                            .string(client.id.text), JSONValue(client.name), .string(client.origin.rawValue),
                            client.scopes.map { .strings($0.map(\.text)) } ?? .null, .bool(!client.isDisabled),
                            .strings(client.grantTypes.map(\.rawValue)), .string(client.authenticationMethod.rawValue),
                            .strings(client.redirectURIs.map(\.text)), .string(client.createdAt.iso8601),
                        ]
                    }, empty: "There are no clients. Most register themselves; to add one: mcp-auth clients add ID")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a client.", discussion: "EXAMPLE\n  mcp-auth clients show robot")
        @OptionGroup var identified: Identified
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let id = try identified.clientID
                guard let client = try await server.client(id) else {
                    throw OAuthError(.invalidRequest, "there is no client \(id); see mcp-auth clients list")
                }
                let now = Clock.system.now
                options.show([
                    "client_id": .string(client.id.text), "name": JSONValue(client.name), "origin": .string(client.origin.rawValue),
                    "active": .bool(!client.isDisabled), "authentication": .string(client.authenticationMethod.rawValue),
                    "valid_secrets": .int(Int64(client.secrets.count { $0.isGood(at: now) })),
                    "grants": .strings(client.grantTypes.map(\.rawValue)), "scope": client.scopes.map { .strings($0.map(\.text)) } ?? .null,
                    "redirect_uris": .strings(client.redirectURIs.map(\.text)), "web_page": JSONValue(client.webPage?.text),
                    "introspects": JSONValue(client.introspects), "requires_dpop": .bool(client.requiresDPoP),
                    "requires_pushed_requests": .bool(client.requiresPushedRequests), "created": .string(client.createdAt.iso8601),
                ])
            }
        }
    }

    /// The properties of a client that both add and edit set.
    struct Properties: ParsableArguments {
        @Option(help: ArgumentHelp("The name that users see.", valueName: "text"))
        var name: String?
        @Option(help: ArgumentHelp("Redirect URI. Repeatable.", valueName: "uri"))
        var redirectURI: [String] = []
        @Option(help: ArgumentHelp("Grant type. Repeatable. Default: authorization_code and refresh_token.", valueName: "type"))
        var grant: [String] = []
        @Option(
            help: ArgumentHelp(
                "The scopes that it may request at most. Default: those that users allow; none for client_credentials.", valueName: "scopes"))
        var scope: String?

        var scopes: ScopeSet? {
            get throws {
                guard let scope else { return nil }
                guard let parsed = ScopeSet(scope) else { throw OAuthError(.invalidRequest, "--scope is a list of scopes separated by spaces") }
                return parsed
            }
        }

        var grants: [GrantType] {
            get throws {
                let known: [GrantType] = [.authorizationCode, .refreshToken, .clientCredentials, .deviceCode, .tokenExchange, .jwtBearer]
                let names = known.map(\.rawValue).sorted()
                // The last part of the URN is enough.
                let spelled = grant.map { name in
                    names.first { $0.hasSuffix(":" + name.replacing("_", with: "-")) || $0.hasSuffix(":" + name) } ?? name
                }
                for name in spelled where !names.contains(name) {
                    throw OAuthError(
                        .invalidRequest,
                        "there is no grant type \(name)\(NearestName.hint(name, among: names)). The grant types are: \(names.joined(separator: ", "))"
                    )
                }
                return spelled.map { GrantType(rawValue: $0) }
            }
        }

        var redirectURIs: [RedirectURI] { get throws { try redirectURI.map { try RedirectURI($0) } } }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a client.",
            discussion: """
                Only what is given is changed; repeatable options replace the whole
                list. Tokens that the client holds stay valid until they expire.

                EXAMPLE
                  mcp-auth clients edit robot --scope "read:tasks write:tasks"
                """)
        @OptionGroup var identified: Identified
        @OptionGroup var properties: Properties
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let (scopes, grants, uris) = (try properties.scopes, try properties.grants, try properties.redirectURIs)
                guard properties.name != nil || scopes != nil || !grants.isEmpty || !uris.isEmpty else {
                    throw OAuthError(.invalidRequest, "say what to change: --name, --redirect-uri, --grant or --scope")
                }
                try await server.editClient(try identified.clientID) { client in
                    if let name = properties.name { client.name = name }
                    if let scopes { client.scopes = scopes }
                    if !grants.isEmpty { client.grantTypes = grants }
                    if !uris.isEmpty { client.redirectURIs = uris }
                }
                options.report("\(identified.id) is changed.", ["client_id": .string(identified.id)])
            }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register a client and print its secret, once.",
            discussion: """
                A client that cannot keep a secret, such as an app on a user's device,
                gets --public.

                EXAMPLES
                  mcp-auth clients add backend --redirect-uri https://app.example.com/cb
                  mcp-auth clients add robot --grant client_credentials --scope read:tasks
                """)
        @Argument(help: "The client_id.")
        var id: String
        @OptionGroup var properties: Properties
        @Option(help: ArgumentHelp("A file with a JWK set: the client authenticates with private_key_jwt.", valueName: "file"), completion: .file())
        var keys: String?
        @Option(help: ArgumentHelp("It is the resource server of this resource and may introspect its tokens.", valueName: "resource"))
        var introspects: String?
        @Option(help: ArgumentHelp("client_secret_basic or client_secret_post. Default: either.", valueName: "method"))
        var authentication: String?
        @Flag(help: "A public client, without a secret.")
        var `public` = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let client = try makeClient()
                let secret = try await server.addClient(client)
                if client.grantTypes.contains(.clientCredentials), client.scopes == nil {
                    Console.note(
                        "\(client.id) has no scopes, so it can call only tools that need none. To change that: mcp-auth clients edit \(client.id) --scope ..."
                    )
                }
                var object: JSONObject = ["client_id": .string(client.id.text)]
                object["client_secret"] = secret.map { .string($0) }
                options.report(
                    secret.map { "client_id      \(client.id)\nclient_secret  \($0)\n\nThe secret is shown this once." }
                        ?? "\(client.id) is registered.", object)
            }
        }

        private func makeClient() throws -> Client {
            guard let clientID = ClientID(id) else { throw OAuthError(.invalidRequest, "a client_id is 1 to 512 printable ASCII characters") }
            var jwks: Client.Keys?
            if let keys {
                guard let data = FileManager.default.contents(atPath: keys) else { throw FileProblem.error(keys) }
                guard let set = try? JWKSet(parsing: Array(data)), !set.keys.isEmpty else {
                    throw OAuthError(.invalidRequest, "\(keys) is not a JWK set with a usable public key")
                }
                jwks = .inline(String(decoding: data, as: UTF8.self))
            }
            let (uris, chosen) = (try properties.redirectURIs, try properties.grants)
            // A resource server only introspects tokens, unless it is said to request some.
            let usual: [GrantType] = introspects != nil && uris.isEmpty ? [] : [.authorizationCode, .refreshToken]
            let grants = chosen.isEmpty ? usual : chosen
            guard !grants.contains(.authorizationCode) || !uris.isEmpty else {
                throw OAuthError(.invalidRequest, "a redirect URI is missing: --redirect-uri https://app.example.com/cb")
            }
            guard let method = Client.AuthenticationMethod(rawValue: authentication ?? "client_secret_basic"), method == .basic || method == .post
            else {
                throw OAuthError(.invalidRequest, "--authentication is client_secret_basic or client_secret_post; see also --keys and --public")
            }
            var client = Client(
                id: clientID, name: properties.name ?? id, redirectURIs: uris,
                authenticationMethod: jwks != nil ? .privateKeyJWT : self.public ? .none : method, keys: jwks, grantTypes: grants,
                scopes: try properties.scopes, origin: .configured, createdAt: Clock.system.now, introspects: introspects)
            client.acceptsEitherSecretMethod = authentication == nil && (method == client.authenticationMethod)
            return client
        }
    }

    struct RotateSecret: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate-secret", abstract: "Create a new secret and print it, once.",
            discussion: "EXAMPLE\n  mcp-auth clients rotate-secret backend --overlap 3600")
        @OptionGroup var identified: Identified
        @Option(parsing: .unconditional, help: ArgumentHelp("Seconds for which the old secret stays valid.", valueName: "seconds"))
        var overlap: Int64 = 86400
        @OptionGroup var options: AdministrationOptions

        func validate() throws { guard overlap >= 0 else { throw ValidationError("--overlap is 0 or more") } }

        func run() async throws {
            try await options.attempt { server in
                let secret = try await server.rotateSecret(ofClient: try identified.clientID, overlap: overlap)
                let old = overlap == 0 ? "The old secret is no longer valid" : "The old secret stays valid for \(Console.duration(overlap))"
                if !options.json { Console.note("The new secret of \(identified.id) is shown this once. \(old).") }
                options.report(secret, ["client_id": .string(identified.id), "client_secret": .string(secret)])
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Block a client, and end its grants.", discussion: "EXAMPLE\n  mcp-auth clients disable robot")
        @OptionGroup var identified: Identified
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.setDisabled(true, client: try identified.clientID)
                options.report(
                    "\(identified.id) is blocked. To undo: mcp-auth clients enable \(identified.id)", ["client_id": .string(identified.id)])
            }
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Unblock a client.", discussion: "EXAMPLE\n  mcp-auth clients enable robot")
        @OptionGroup var identified: Identified
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                try await server.setDisabled(false, client: try identified.clientID)
                options.report("\(identified.id) may request tokens again.", ["client_id": .string(identified.id)])
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a client, and end its grants.",
            discussion: "On a terminal it asks before it deletes.\n\nEXAMPLE\n  mcp-auth clients remove robot")
        @OptionGroup var identified: Identified
        @Flag(help: "Do not ask.")
        var yes = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.attempt { server in
                let id = try identified.clientID
                guard yes || Console.confirms("Delete \(id) with every grant?") else { throw OAuthError(.invalidRequest, "nothing was deleted") }
                try await server.removeClient(id)
                options.report("\(identified.id) is deleted.", ["client_id": .string(identified.id)])
            }
        }
    }

    struct Invite: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Create an initial access token for one registration.",
            discussion:
                "RFC 7591 calls it so. For servers with dynamicRegistration .initialAccessToken.\n\nEXAMPLE\n  mcp-auth clients invite --lifetime 3600"
        )
        @Option(parsing: .unconditional, help: ArgumentHelp("Its lifetime in seconds.", valueName: "seconds"))
        var lifetime: Int64 = 86400
        @OptionGroup var options: AdministrationOptions

        func validate() throws { guard (1...31_536_000).contains(lifetime) else { throw ValidationError("--lifetime is 1 to 31536000 seconds") } }

        func run() async throws {
            try await options.attempt { server in
                let token = try server.inviteClient(lifetime: lifetime)
                if !options.json { Console.note("an initial access token, shown only now, valid for \(lifetime) seconds") }
                options.report(token, ["initial_access_token": .string(token)])
            }
        }
    }
}
