import ArgumentParser
import JOSE
import MCPAuthClient
import OAuth

struct DiscoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover", abstract: "Show what a server says about how to sign in.",
        discussion: """
            Reads the challenge, the metadata of the server, and that of its authorization
            server. It registers nothing and signs no user in.

            EXAMPLES
              mcp-auth discover https://mcp.example.com/mcp
              mcp-auth discover http://127.0.0.1:8000/mcp --json

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String
    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await ClientContext.run(url, options, asksUser: false) { context in
            let found = try await context.session.discover()
            let document = found.authorizationServer.document.root.value
            let revision =
                switch found.revision {
                case .resourceMetadata: "2025-06-18 or later (resource metadata)"
                case .sameOrigin: "2025-03-26 (the server is its own authorization server)"
                case .defaultEndpoints: "2025-03-26 without metadata (default endpoints)"
                }
            if options.json {
                var object: JSONObject = [
                    "server": .string(found.server.text), "resource": .string(found.resource), "issuer": .string(found.issuer.text),
                    "revision": .string(revision), "authorization_server": document,
                ]
                object["protected_resource"] = found.resourceMetadata?.json
                return Console.output(JSONValue.object(object).text)
            }
            func line(_ name: String, _ value: String?) {
                if let value, !value.isEmpty {
                    Console.output(Console.item(name + String(repeating: " ", count: 16 - name.count), Console.printable(value)))
                }
            }
            line("server", found.server.text)
            line("name", found.resourceMetadata?.resourceName)
            line("resource", found.resource)
            line("scopes", found.resourceMetadata?.scopesSupported?.text)
            line("issuer", found.issuer.text)
            line("revision", revision)
            line("grants", document["grant_types_supported"]?.strings?.joined(separator: ", "))
            line("clients", Self.registration(document))
            line("PKCE", document["code_challenge_methods_supported"]?.strings?.joined(separator: ", ") ?? "not promised: clients refuse to sign in")
            line("DPoP", document["dpop_signing_alg_values_supported"]?.strings?.joined(separator: ", "))
            line("iss", document["authorization_response_iss_parameter_supported"]?.bool == true ? "in every answer" : "not in answers")
            for name in ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint", "jwks_uri"] {
                line(String(name.prefix { $0 != "_" }), document[name]?.string)
            }
            if found.revision == .defaultEndpoints {
                Console.note("The server has no metadata: the endpoints are those that servers of 2025-03-26 have by convention, and were not tried.")
            }
        }
    }

    private static func registration(_ document: JSONValue) -> String {
        var ways: [String] = []
        if document["client_id_metadata_document_supported"]?.bool == true { ways.append("metadata document") }
        if document["registration_endpoint"]?.string != nil { ways.append("register themselves") }
        return ways.isEmpty ? "registered by the operator only" : ways.joined(separator: ", ")
    }
}
