// Users sign in with GitHub. Tools know the user's login, and list the user's own repositories with the user's own
// token.
//
//   GITHUB_CLIENT_ID=... GITHUB_CLIENT_SECRET=... swift run example-github
//
// Create an OAuth app in the settings of GitHub (Developer settings, OAuth Apps) with the callback URL
// http://127.0.0.1:8000/sign-in/callback/github, and copy the client ID and a new client secret.
import Foundation
import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPAuthSQLite
import MCPAuthorizationServer
import MCPServer
import OAuth

struct Me: Codable { let login: String?, subject: String, scopes: [String] }
struct Repository: Codable { let name: String, isPrivate: Bool }

@main
struct Server {
    static func main() async {
        await ServerProgram.run {
            ServerProgram.takesNoArguments(variables: [
                "GITHUB_CLIENT_ID": "the client ID of your OAuth app at GitHub",
                "GITHUB_CLIENT_SECRET": "its client secret",
                "PORT": "the port to listen on (8000)",
                "HOST": "the address to listen on (127.0.0.1)",
                "ORIGIN": "the public address, such as https://mcp.example.com",
            ])
            let environment = ProcessInfo.processInfo.environment
            guard let id = environment["GITHUB_CLIENT_ID"], let secret = environment["GITHUB_CLIENT_SECRET"] else {
                throw OAuthError(.invalidConfiguration, "set GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET to those of your OAuth app at GitHub")
            }
            let transport = try ServerProgram.transport(port: 8000)
            try transport.check()

            let origin = try ServerProgram.origin(of: transport)
            let resource = try ProtectedResource(origin + "/mcp", scopes: [.init("read:repositories", "See your repositories")])
            let issuer = try await AuthorizationServer(
                origin, configuration: .init(resources: [resource]), in: DataFolder("data/github"),
                // The scope repo is for the tool. organizations: ["acme"] would admit the members of one organization
                // only.
                signIn: [.github(clientID: id, clientSecret: ProviderSecret(secret), scopes: ["repo"])],
                fetcher: GuardedHTTPClient.shared)
            let auth = try ResourceServer(origin + "/mcp", trusting: .local(issuer))

            let server = MCPServer("github", version: "1.0") {
                Tool("me", "Who is calling", requires: .authenticated) { call in
                    Me(login: call.principal.preferredUsername, subject: call.principal.subject, scopes: call.principal.scopes.map(\.text))
                }
                Tool("repositories", "My repositories at GitHub", requires: "read:repositories") { (call: ToolCall) async throws -> [Repository] in
                    // Refreshed if necessary. A user who has to connect GitHub again is sent to the right page from
                    // here.
                    let token = try await call.upstreamToken(for: "github", scopes: ["repo"])
                    return try await repositories(token)
                }
            }
            try await server.run(
                transport, protectedBy: auth, authorizationServer: issuer, trustedProxies: origin.hasPrefix("https:") ? 1 : 0)
        }
    }

    static func repositories(_ token: UpstreamToken) async throws -> [Repository] {
        let url = WebURL("https://api.github.com/user/repos?per_page=100&sort=updated")!
        let fields: HTTPFields = [.authorization: "Bearer \(token.text)", .accept: "application/vnd.github+json", .userAgent: "mcp-auth-example"]
        let reply = try await GuardedHTTPClient.shared.fetch(OutboundRequest(.get, url, fields: fields, maximumBytes: 4 << 20))
        guard reply.response.status == .ok, let list = try JSONValue(parsing: reply.body).array else {
            throw ToolError("GitHub answers \(reply.response.status.code).")
        }
        return list.compactMap { item in
            item["full_name"]?.string.map { Repository(name: $0, isPrivate: item["private"]?.bool ?? false) }
        }
    }
}
