// Mint tokens for tests, without a network.
import HTTPTypes
import MCPAuth
import MCPAuthTesting
import OAuth

let mint = try TokenMint()
let token = try mint.token(subject: "ada", audience: "https://mcp.example.com/mcp", scopes: "read:tasks")

let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer(mint.issuer), fetcher: mint)
let request = HTTPRequest(
    method: .get, scheme: "https", authority: "mcp.example.com", path: "/mcp", headerFields: [.authorization: "Bearer \(token)"])
if case .accepted(let principal) = await auth.authenticate(request) { print(principal.subject) }  // ada
