// Write every decision to an audit log, and follow the events in the program.
import MCPAuth
import MCPAuthHTTPClient
import OAuth

let audit = AuditLog([try AuditFile(path: "audit.jsonl")])
let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer("https://login.example.com"), audit: audit)

for await event in audit.events where event.verdict == .denied {
    print(event.operation ?? event.action, event.subject ?? "nobody", event.reason ?? "")
}
