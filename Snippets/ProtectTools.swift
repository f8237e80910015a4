// Protect the tools of an MCP server with an identity provider.
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPServer

struct DeleteTask: Decodable { let id: Int }

await ServerProgram.run {
    let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer("https://login.example.com"))
    let server = MCPServer("tasks", version: "1.0") {
        Tool("whoami", "Say who is calling", requires: .authenticated) { call in call.principal.subject }
        Tool("delete-task", "Delete one task", requires: "delete:tasks") { (input: DeleteTask, call) in
            "deleted task \(input.id) of \(call.principal.owner)"
        }
    }
    try await server.run(.http(port: 8000), protectedBy: auth, trustedProxies: 1)
}
