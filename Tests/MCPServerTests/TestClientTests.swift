import JOSE
import MCPAuth
import MCPAuthTesting
import MCPServer
import OAuth
import Testing

@Suite("Calling tools in tests")
struct TestClientTests {
    struct Greeting: Decodable { let name: String }
    struct Answer: Codable { let text: String }

    let client: TestClient
    init() throws {
        client = try TestClient(
            MCPServer("test", version: "1") {
                Tool("greet", "Greets", requires: "greet:people") { (input: Greeting, call) in
                    Answer(text: "Hello \(input.name), says \(call.principal.subject)")
                }
                Tool("talk", "Logs, so it answers with events") { call in
                    call.progress(1, total: 2)
                    return "done"
                }
                Tool("fail", "Fails") { _ -> String in throw ToolError("No.") }
            })
    }

    @Test("the user and the scopes of the call are those of the test")
    func call() async throws {
        let outcome = try await client.call("greet", ["name": "Grace"], as: "ada", scopes: "greet:people")
        #expect(outcome.status == 200 && outcome.structuredContent?["text"]?.string == "Hello Grace, says ada")
        #expect(try await client.call("talk").text == "done")
        #expect(try await client.call("fail").isToolError)
    }

    @Test("refusals are those of the server")
    func refused() async throws {
        #expect(try await client.callWithoutToken("greet").status == 401)
        let outcome = try await client.call("greet", ["name": "x"], scopes: "other")
        #expect(outcome.status == 403 && outcome.challenge?.contains("greet:people") == true)
    }
}
