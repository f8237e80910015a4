// Call the tools of a server in a test, as any user with any scopes.
import MCPAuth
import MCPAuthTesting
import MCPServer

struct Greeting: Decodable { let name: String }

let server = MCPServer("greeter", version: "1.0") {
    Tool("greet", "Greet a person", requires: "greet:people") { (input: Greeting, call) in
        "Hello \(input.name), says \(call.principal.subject)"
    }
}
let client = try TestClient(server)
let outcome = try await client.call("greet", ["name": "Grace"], as: "ada", scopes: "greet:people")
print(outcome.text ?? "")  // Hello Grace, says ada
print(try await client.call("greet", ["name": "Grace"], scopes: "other").status)  // 403
