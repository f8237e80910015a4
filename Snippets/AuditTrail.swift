// Follow every decision as it is made, and keep it as JSON lines.
import MCPAuth
import MCPAuthHTTPClient
import OAuth

let audit = AuditLog([try AuditFile(path: "audit.jsonl")])
let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer("https://login.example.com"), audit: audit)

for await event in audit.events where event.verdict == .denied {
    print(event.operation ?? event.action, event.subject ?? "nobody", event.reason ?? "")
}
