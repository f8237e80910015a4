// A protected MCP server that is configured by environment variables alone, by the names that small MCP servers share.
//
//   AUTH0_DOMAIN=acme.eu.auth0.com AUTH0_AUDIENCE=https://api.acme.com swift run example-environment
//   AUTH_ISSUER=https://login.example.com AUTH_AUDIENCE=api://notes swift run example-environment
//   JWT_PUBLIC_KEY="$(cat key.pem)" AUTH_ISSUER=https://login.example.com swift run example-environment
//
// --help lists every variable.
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
                "AUTH_ISSUER": "the issuer, exactly as its tokens have it",
                "AUTH_AUDIENCE": "the aud of its tokens for this server (MCP_URL)",
                "AUTH_CLIENT_ID": "with a secret: also opaque tokens, by introspection",
                "AUTH_CLIENT_SECRET": "the secret for introspection",
                "AUTH0_DOMAIN": "instead of AUTH_ISSUER: a tenant of Auth0",
                "AUTH0_AUDIENCE": "the identifier of the API at Auth0",
                "JWT_PUBLIC_KEY": "with AUTH_ISSUER: its key (PEM), instead of the published ones",
                "MCP_URL": "the public URL of this server (http://127.0.0.1:PORT/mcp)",
                "PORT": "the port to listen on (8000)",
                "HOST": "the address to listen on (127.0.0.1)",
                "TRUSTED_PROXIES": "the number of reverse proxies in front (0)",
            ])
            let environment = ProcessInfo.processInfo.environment
            guard let trust = try Trust.environment(environment) else {
                throw OAuthError(
                    .invalidConfiguration, "set AUTH0_DOMAIN and AUTH0_AUDIENCE, or AUTH_ISSUER, so that it is known whose tokens are accepted")
            }
            let transport = try ServerProgram.transport(port: 8000)
            let url = try environment["MCP_URL"] ?? "http://127.0.0.1:\(ServerProgram.port(8000))/mcp"
            // An issuer on this machine, for development. Elsewhere the guard refuses such addresses.
            let isLocal = environment["AUTH_ISSUER"].flatMap(WebURL.init)?.isLoopback == true
            let auth = try ResourceServer(
                url, trusting: trust, fetcher: isLocal ? GuardedHTTPClient(.development) : GuardedHTTPClient.shared)
            if environment["AUTH0_AUDIENCE"] == nil, environment["AUTH_AUDIENCE"] == nil {
                print("Accepts tokens whose audience (aud) is \(url). For another one, set AUTH0_AUDIENCE or AUTH_AUDIENCE.")
            }
            let server = MCPServer("whoami", version: "1.0") {
                Tool("whoami", "Say who is calling", requires: .authenticated) { call in
                    "\(call.principal.name ?? call.principal.subject), by \(call.principal.issuer)"
                }
            }
            try await server.run(transport, protectedBy: auth, trustedProxies: ServerProgram.trustedProxies())
        }
    }
}
