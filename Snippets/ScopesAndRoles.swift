// Decide by scopes in one place: broader scopes imply narrower ones, and some operations are open to anybody.
import MCPAuth
import MCPAuthHTTPClient
import OAuth

let policy = ScopePolicy(
    default: "read",
    operations: [
        .tool("delete-task"): "write",
        .tool("purge"): "write admin",
        .tool("status"): .anonymous,
    ],
    implications: ["admin": ["write"], "write": ["read"]])

let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer("https://login.example.com"), policy: policy)
print(auth.policy.missing(["admin"], for: policy.requirement(for: .tool("purge"))).isEmpty)  // true
