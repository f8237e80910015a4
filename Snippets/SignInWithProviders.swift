// Users sign in through GitHub or Google, and a tool uses the GitHub token of its caller.

import Foundation
import IdentityProviders
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthSQLite
import MCPAuthorizationServer
import MCPServer

let environment = ProcessInfo.processInfo.environment
let resource = try ProtectedResource("https://mcp.example.com/mcp", scopes: [ScopeDescription("read", "See your repositories")])
let issuer = try await AuthorizationServer(
    "https://mcp.example.com", configuration: AuthorizationServerConfiguration(resources: [resource]), in: DataFolder("data"),
    signIn: [
        // Members of the organization only. The scope repo is for the tool.
        .github(
            clientID: environment["GITHUB_CLIENT_ID"] ?? "", clientSecret: ProviderSecret(environment["GITHUB_CLIENT_SECRET"] ?? ""),
            organizations: ["acme"], scopes: ["repo"]),
        .google(
            clientID: environment["GOOGLE_CLIENT_ID"] ?? "", clientSecret: ProviderSecret(environment["GOOGLE_CLIENT_SECRET"] ?? ""),
            hostedDomain: "acme.com"),
    ],
    fetcher: GuardedHTTPClient.shared)

let server = MCPServer("repositories", version: "1.0") {
    Tool("repositories", "The user's repositories.", requires: ["read"]) { (call: ToolCall) async throws -> String in
        // If the user has not connected GitHub, the call ends here with a message that names the account page.
        let token = try await call.upstreamToken(for: "github", scopes: ["repo"])
        return "A request to https://api.github.com/user/repos can be sent with \(token.scopes)"
    }
}
print("\(server.name) signs users in at \(issuer.issuer)/account")
