// Signs people in by a table of users that is somewhere else.

import MCPAuth
import MCPAuthorizationServer
import OAuth

/// Stands for your own table.
struct Accounts: Sendable {
    struct Account { let id: String, name: String }
    func check(_ name: String, _ password: String) async throws -> Account? { nil }
}

let accounts = Accounts()
let resource = try ProtectedResource("https://mcp.example.com/mcp", scopes: [ScopeDescription("read:notes", "Read your notes")])
let issuer = try await AuthorizationServer(
    "https://mcp.example.com", configuration: AuthorizationServerConfiguration(resources: [resource]), store: MemoryStore(), master: .random(),
    signIn: .custom { name, password in
        // Nil is a wrong name or password; an error means that nobody can say now.
        guard let account = try await accounts.check(name, password) else { return nil }
        // The same issuer and subject are the same user for ever, whatever they are called today.
        return SignedInPerson(issuer: "https://accounts.example.com", subject: account.id, displayName: account.name)
    })
print("people sign in at \(issuer.issuer)/account")
