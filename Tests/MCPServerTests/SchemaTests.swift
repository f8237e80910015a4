import JOSE
import MCPAuth
import MCPServer
import OAuth
import Testing

private enum Colour: String, Codable, CaseIterable, Sendable { case red, green }
private enum Level: Int, Codable, CaseIterable, Sendable { case low = 1, high = 2 }
private struct Inner: Codable, Sendable { var flag: Bool }
private struct Everything: Codable, Sendable, DescribedProperties {
    var text: String
    var number: Int
    var ratio: Double?
    var colour: Colour
    var level: Level?
    var inner: Inner
    var list: [Inner]
    var names: [String]?
    var free: JSONValue?
    static let descriptions = ["text": "What to say"]
}
private final class Recursive: Codable, Sendable { let next: Recursive; init(next: Recursive) { self.next = next } }
private enum Strange: Codable, Sendable { case one(Int), two }

@Suite("JSON Schema from Swift types, and values both ways")
struct SchemaTests {
    @Test("the shape, what is required, enums and words")
    func derivation() throws {
        let schema = try JSONSchema.derive(Everything.self)
        #expect(schema["type"]?.string == "object")
        #expect(schema["required"]?.strings == ["text", "number", "colour", "inner", "list"])
        #expect(schema["properties"]?["text"] == ["type": "string", "description": "What to say"])
        #expect(schema["properties"]?["number"] == ["type": "integer"] && schema["properties"]?["ratio"] == ["type": "number"])
        #expect(schema["properties"]?["colour"] == ["type": "string", "enum": ["red", "green"]])
        #expect(schema["properties"]?["level"] == ["type": "integer", "enum": [1, 2]])
        #expect(schema["properties"]?["list"]?["items"]?["properties"]?["flag"] == ["type": "boolean"])
        #expect(schema["properties"]?["names"] == ["type": "array", "items": ["type": "string"]] && schema["properties"]?["free"] == [:])
    }

    @Test("a type that has no schema is refused when the server starts, with advice")
    func refusals() throws {
        #expect(throws: JOSEError.self) { try JSONSchema.derive(Recursive.self) }
        let server = MCPServer("x", version: "1") { Tool("odd", "Odd") { (_: Recursive, _: ToolCall) in "x" } }
        let error = #expect(throws: OAuthError.self) { try server.check() }
        #expect(error?.message.contains("odd") == true)
        let number = MCPServer("x", version: "1") { Tool("number", "Takes a number") { (_: Int, _: ToolCall) in "x" } }
        #expect(throws: OAuthError.self) { try number.check() }
        let twice = MCPServer("x", version: "1") {
            Tool("a", "1") { (_: ToolCall) in "x" }; Tool("a", "2") { (_: ToolCall) in "x" }
        }
        #expect(throws: OAuthError.self) { try twice.check() }
    }
}

@Suite("stdio")
struct StdioTests {
    /// Sends lines, returns what comes back by id.
    func run(_ lines: [String]) async throws -> [JSONValue] {
        let harness = try Harness()
        let transport = try StdioTransport(harness.server, subject: "local-ada")
        let output = Collected()
        await transport.run(
            input: AsyncStream {
                for line in lines { $0.yield(Array(line.utf8)) }; $0.finish()
            }
        ) { output.add($0) }
        return try output.lines.map { try JSONValue(parsing: $0) }
    }

    @Test("R61: over stdio no authorization is asked for: the handshake, a call, and the user that the environment named in it")
    func handshake() async throws {
        let answers = try await run([
            #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#,
            #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "", "garbage",
            #"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search","arguments":{"text":"x"}}}"#,
        ])
        #expect(answers.first { $0["id"] == 1 }?["result"]?["protocolVersion"]?.string == "2025-11-25")
        #expect(answers.first { $0["id"] == 2 }?["result"]?["structuredContent"]?["tasks"]?.strings == ["local-ada: x"])
        #expect(answers.contains { $0["error"]?["code"]?.number?.int64 == -32700 } && answers.count == 3)
    }

    @Test("the stateless wire")
    func modern() async throws {
        let meta = #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
        let answers = try await run([
            #"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"# + meta + "}}",
            #"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami","# + meta + "}}",
            #"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#,
        ])
        #expect(answers.first { $0["id"] == 2 }?["result"]?["resultType"]?.string == "complete")
        #expect(answers.first { $0["id"] == 3 }?["error"]?["code"]?.number?.int64 == -32602)
    }
}
