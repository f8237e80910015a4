// A protected MCP server whose users sign in elsewhere: at Auth0, Entra, Keycloak, Okta, or any other issuer of JWT
// access tokens.
//
//   AUTH_ISSUER=https://acme.eu.auth0.com/ MCP_URL=https://mcp.example.com/mcp swift run example-auth0
//
// Register MCP_URL as an API (resource, audience) at the provider, so that it issues tokens for that audience. The
// server listens on 127.0.0.1:8000, or the port in PORT, behind a reverse proxy that speaks https.
import Foundation
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPServer
import OAuth

struct AddNote: Decodable { let text: String }
struct Note: Codable { let id: Int, text: String }

/// Notes, separate for each owner: the issuer and the subject of the token.
actor Notes {
    private var byOwner: [String: [Note]] = [:]

    func all(of owner: String) -> [Note] { byOwner[owner] ?? [] }

    func add(_ text: String, for owner: String) -> Note {
        let note = Note(id: all(of: owner).count + 1, text: text)
        byOwner[owner, default: []].append(note)
        return note
    }
}

@main
struct Server {
    static func main() async {
        await ServerProgram.run {
            ServerProgram.takesNoArguments(variables: [
                "AUTH_ISSUER": "the issuer, exactly as its tokens have it",
                "AUTH_AUDIENCE": "the aud of its tokens for this server (MCP_URL)",
                "MCP_URL": "the public URL of this server",
                "PORT": "the port to listen on (8000)",
                "HOST": "the address to listen on (127.0.0.1)",
                "TRUSTED_PROXIES": "the number of reverse proxies in front (0)",
            ])
            let environment = ProcessInfo.processInfo.environment
            guard let issuer = environment["AUTH_ISSUER"], let url = environment["MCP_URL"] else {
                throw OAuthError(
                    .invalidConfiguration,
                    "set AUTH_ISSUER to the issuer's URL, exactly as its tokens have it, and MCP_URL to the public URL of this server")
            }
            // The audience is what the provider writes into `aud` for this server: its API identifier, which is best
            // the URL itself. `tokens: .anyJWT` because Auth0 does not mark access tokens as RFC 9068 demands; leave it
            // out for issuers that do.
            let auth = try ResourceServer(
                url, trusting: .issuer(issuer, audience: environment["AUTH_AUDIENCE"].map { .exactly([$0]) } ?? .resource, tokens: .anyJWT))

            let notes = Notes()
            let server = MCPServer("notes", version: "1.0") {
                Tool("list-notes", "List my notes", requires: "read:notes") { call in await notes.all(of: call.principal.owner) }
                Tool("add-note", "Add a note", requires: "write:notes") { (input: AddNote, call) in
                    await notes.add(input.text, for: call.principal.owner)
                }
            }
            try await server.run(
                ServerProgram.transport(port: 8000), protectedBy: auth, trustedProxies: ServerProgram.trustedProxies())
        }
    }
}
