// A protected MCP server that signs users in itself: no identity provider is needed. Everything is stored in
// data/notes.
//
//   swift run example-passwords
//
// It serves old clients too: those of MCP 2025-03-26 look for /authorize, /token and /register on this origin, and find
// them. The first start creates the user ada and prints her password. Then open http://127.0.0.1:8000 in a browser: the
// page says how to connect a client.
import JOSE
import MCPAuth
import MCPAuthHummingbird
import MCPAuthSQLite
import MCPAuthorizationServer
import MCPServer
import OAuth

struct AddNote: Decodable { let text: String }
struct Note: Codable { let id: Int, text: String }

struct Caller: Codable { let name: String?, subject: String, issuer: String, client: String?, scopes: [String], roles: [String] }

/// Notes, separate for each owner: the issuer and the subject of the token.
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
    static func main() async {
        await ServerProgram.run {
            ServerProgram.takesNoArguments(variables: [
                "PORT": "the port to listen on (8000)",
                "HOST": "the address to listen on (127.0.0.1)",
                "ORIGIN": "the public address, such as https://mcp.example.com",
            ])
            let transport = try ServerProgram.transport(port: 8000)
            try transport.check()  // before any file is created

            // The public address. On the internet ORIGIN=https://mcp.example.com, with a reverse proxy in front that
            // speaks https.
            let origin = try ServerProgram.origin(of: transport)
            let resource = try ProtectedResource(
                origin + "/mcp", scopes: [.init("read:notes", "See your notes"), .init("write:notes", "Write notes")])
            let issuer = try await AuthorizationServer(origin, configuration: .init(resources: [resource]), in: DataFolder("data/notes"))
            if try await issuer.user(named: "ada") == nil {
                let password = RandomSource.system.token(bytes: 9)
                try await issuer.addUser(named: "ada", password: password)
                print("Created the user ada with the password \(password)")
            }

            let auth = try ResourceServer(origin + "/mcp", trusting: .local(issuer))
            let notes = Notes()
            let server = MCPServer("notes", version: "1.0") {
                Tool("list-notes", "List my notes", requires: "read:notes") { call in await notes.all(of: call.principal.owner) }
                Tool("add-note", "Add a note", requires: "write:notes") { (input: AddNote, call) in
                    await notes.add(input.text, for: call.principal.owner)
                }
                Tool("whoami", "Who is calling", requires: .authenticated) { (call: ToolCall) -> Caller in
                    let caller = call.principal  // every other claim of the token: call.principal.claims
                    return Caller(
                        name: caller.preferredUsername, subject: caller.subject, issuer: caller.issuer, client: caller.clientID,
                        scopes: caller.scopes.map(\.text), roles: caller.roles)
                }
            }
            try await server.run(
                transport, protectedBy: auth, authorizationServer: issuer, trustedProxies: origin.hasPrefix("https:") ? 1 : 0)
        }
    }
}
