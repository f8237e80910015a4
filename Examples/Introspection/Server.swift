// A protected MCP server whose tokens are opaque: it asks a separate authorization server about each of them
// (RFC 7662), and keeps the answer for some seconds. With an authorization server of this package, create the client
// with: mcp-auth clients add reports --introspects URL
//
//   AUTH_ISSUER=https://login.example.com MCP_URL=https://mcp.example.com/mcp CLIENT_ID=reports CLIENT_SECRET=... swift
//   run example-introspection
import Foundation
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPServer
import OAuth

@main
struct Server {
    static func main() async {
        await ServerProgram.run {
            ServerProgram.takesNoArguments(variables: [
                "AUTH_ISSUER": "the issuer of the tokens",
                "CLIENT_ID": "the client that may introspect there",
                "CLIENT_SECRET": "its secret",
                "MCP_URL": "the public URL of this server",
                "PORT": "the port to listen on (8000)",
                "HOST": "the address to listen on (127.0.0.1)",
                "TRUSTED_PROXIES": "the number of reverse proxies in front (0)",
            ])
            let environment = ProcessInfo.processInfo.environment
            func value(_ name: String) throws -> String {
                guard let value = environment[name], !value.isEmpty else {
                    throw OAuthError(.invalidConfiguration, "set \(name); --help lists every variable")
                }
                return value
            }
            let issuer = try value("AUTH_ISSUER")
            // A revoked token is refused after ten seconds at the latest. 0 asks at every call.
            let trust = Trust.introspection(
                issuer: issuer, authentication: .basic(clientID: try value("CLIENT_ID"), secret: try value("CLIENT_SECRET")), cacheLifetime: 10)
            // An authorization server on this machine, for development. Elsewhere: GuardedHTTPClient.shared.
            let fetcher = WebURL(issuer)?.isLoopback == true ? GuardedHTTPClient(.development) : GuardedHTTPClient.shared
            let auth = try ResourceServer(try value("MCP_URL"), trusting: trust, fetcher: fetcher)
            let server = MCPServer("reports", version: "1.0") {
                Tool("whoami", "Who is calling", requires: .authenticated) { call in "\(call.principal.subject) at \(call.principal.issuer)" }
            }
            // Behind a reverse proxy that speaks https for MCP_URL: TRUSTED_PROXIES=1.
            try await server.run(
                ServerProgram.transport(port: 8000), protectedBy: auth, trustedProxies: ServerProgram.trustedProxies())
        }
    }
}
