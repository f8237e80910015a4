// A protected MCP server that is configured by environment variables alone, by the names that small MCP servers share.
//
//   AUTH0_DOMAIN=acme.eu.auth0.com AUTH0_AUDIENCE=https://api.acme.com swift run example-environment
//   AUTH_ISSUER=https://login.example.com AUTH_AUDIENCE=api://notes swift run example-environment
//   JWT_PUBLIC_KEY="$(cat key.pem)" AUTH_ISSUER=https://login.example.com swift run example-environment
//
// MCP_URL is the public URL (default http://127.0.0.1:PORT/mcp), PORT the port (default 8000). See `Trust.environment`
// for every variable.
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
            ServerProgram.takesNoArguments(variables: ["PORT": "the port to listen on; the first lines of the source have the others"])
            let environment = ProcessInfo.processInfo.environment
            guard let trust = try Trust.environment(environment) else {
                throw OAuthError(
                    .invalidConfiguration, "set AUTH0_DOMAIN and AUTH0_AUDIENCE, or AUTH_ISSUER, so that it is known whose tokens are accepted")
            }
            let port = try ServerProgram.port(8000)
            let url = environment["MCP_URL"] ?? "http://127.0.0.1:\(port)/mcp"
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
            try await server.run(
                .http(port: port), protectedBy: auth, trustedProxies: environment["TRUSTED_PROXIES"].flatMap(Int.init) ?? 0)
        }
    }
}
