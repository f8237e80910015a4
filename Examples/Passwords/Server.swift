// A protected MCP server with a sign-in of its own: no identity provider needed. Everything is kept in data/notes.
//
//   swift run example-passwords
//
// The first start makes the user ada and prints her password. Then add http://127.0.0.1:8000/mcp to an MCP client.
import JOSE
import MCPAuth
import MCPAuthHummingbird
import MCPAuthSQLite
import MCPAuthorizationServer
import MCPServer
import OAuth

struct AddNote: Decodable { let text: String }
struct Note: Codable { let id: Int, text: String }

/// Notes, apart by owner: issuer and subject of whoever calls.
actor Notes {
    private var byOwner: [String: [Note]] = [:]

    func all(of owner: String) -> [Note] { byOwner[owner] ?? [] }

    func add(_ text: String, for owner: String) -> Note {
        let note = Note(id: all(of: owner).count + 1, text: text)
        byOwner[owner, default: []].append(note)
        return note
    }
}

@main
struct Server {
    static func main() async throws {
        // The public addresses. On the internet: https://mcp.example.com, and a proxy in front that speaks https.
        let origin = "http://127.0.0.1:8000"
        let resource = try ProtectedResource(
            origin + "/mcp", scopes: [.init("read:notes", "See your notes"), .init("write:notes", "Write notes")])
        let issuer = try await AuthorizationServer(
            origin, configuration: AuthorizationServerConfiguration(resources: [resource]), in: DataFolder("data/notes"))
        if try await issuer.user(named: "ada") == nil {
            let password = RandomSource.system.token(bytes: 9)
            try await issuer.addUser(named: "ada", password: password)
            print("ada can sign in with the password \(password)")
        }

        let auth = try ResourceServer(origin + "/mcp", trusting: .local(issuer))
        let notes = Notes()
        let server = MCPServer("notes", version: "1.0") {
            Tool("list-notes", "List my notes", requires: "read:notes") { call in await notes.all(of: call.principal.owner) }
            Tool("add-note", "Add a note", requires: "write:notes") { (input: AddNote, call) in
                await notes.add(input.text, for: call.principal.owner)
            }
        }
        print("Listening on \(origin)/mcp")
        try await server.run(.http(port: 8000), protectedBy: auth, authorizationServer: issuer)
    }
}
