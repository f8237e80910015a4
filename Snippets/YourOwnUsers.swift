// Authenticate users against your own table of users.

import MCPAuth
import MCPAuthorizationServer
import OAuth

/// Your own table.
struct Accounts: Sendable {
    struct Account { let id: String, name: String }
    func check(_ name: String, _ password: String) async throws -> Account? { nil }
}

let accounts = Accounts()
let resource = try ProtectedResource("https://mcp.example.com/mcp", scopes: [ScopeDescription("read:notes", "Read your notes")])
let issuer = try await AuthorizationServer(
    "https://mcp.example.com", configuration: AuthorizationServerConfiguration(resources: [resource]), store: MemoryStore(), master: .random(),
    signIn: [
        .custom { name, password in
            // Nil means a wrong name or password. An error means that the table cannot be read now.
            guard let account = try await accounts.check(name, password) else { return nil }
            // The same issuer and subject are always the same user, also after a change of name.
            return SignedInPerson(issuer: "https://accounts.example.com", subject: account.id, displayName: account.name)
        }
    ])
print("users sign in at \(issuer.issuer)/account")
