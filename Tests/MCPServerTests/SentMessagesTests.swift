import Foundation
import HTTPTypes
import JOSE
import MCPAuthTesting
import MCPServer
import Testing

/// Everything that a server of every kind of definition sends, on every revision, for whoever can judge it:
/// `Tests/Interop/test_schemas.py` holds it against the types of the official SDK.
@Suite("What is sent")
struct SentMessagesTests {
    static let file = ProcessInfo.processInfo.environment["MCP_AUTH_SENT"]

    /// What is asked on every wire: method, parameters.
    static let requests: [(String, JSONObject)] = {
        let calls: [(String, JSONObject)] = [
            ("search", ["text": "x"]), ("search", ["text": 1]), ("delete", ["value": 1]), ("whoami", [:]), ("fail", [:]), ("crash", [:]),
            ("say", [:]),
            ("embed", [:]), ("deploy", [:]), ("work", [:]),
        ]
        var all: [(String, JSONObject)] = [
            ("tools/list", [:]), ("resources/list", [:]), ("resources/templates/list", [:]), ("prompts/list", [:]),
            ("resources/read", ["uri": "note://all"]), ("resources/read", ["uri": "note://a/text"]),
            ("resources/read", ["uri": "note://missing/text"]), ("prompts/get", ["name": "greet", "arguments": ["name": "Ada"]]),
            ("prompts/get", ["name": "none"]), ("tools/call", ["name": "none"]), ("none", [:]),
        ]
        for (name, arguments) in calls { all.append(("tools/call", ["name": .string(name), "arguments": .object(arguments)])) }
        return all
    }()

    @Test("every answer and every notification has the members that its revision asks for")
    func everything() async throws {
        var lines: [JSONValue] = []
        func note(_ version: String, _ method: String, _ answer: Answer) async throws {
            var messages: [JSONValue] = answer.stream == nil ? [answer.json] : []
            if let stream = answer.stream { for await event in stream { messages.append(try Answer.message(event)) } }
            for message in messages where message != .null {
                #expect(message["jsonrpc"] == "2.0")
                #expect((message["result"] != nil) != (message["error"] != nil) || message["method"] != nil)
                if version == "2026-07-28", let result = message["result"] { #expect(result["resultType"] == "complete", "\(method)") }
                lines.append(["version": .string(version), "method": .string(method), "message": message])
            }
        }
        let gate = Gate()
        gate.open()
        let server = try Harness(gate: gate)
        let token = try server.token()
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            func ask(_ method: String, _ params: JSONObject, _ session: String?) async -> Answer {
                let message: JSONValue = ["jsonrpc": "2.0", "id": "a", "method": .string(method), "params": .object(params)]
                return await server.send(message.serialized, token: token, session.map { [.mcpSessionID: $0] } ?? [:])
            }
            let hello = await ask("initialize", ["protocolVersion": .string(version), "capabilities": [:], "clientInfo": ["name": "x"]], nil)
            let session = try #require(hello.fields[.mcpSessionID])
            try await note(version, "initialize", hello)
            let first: [(String, JSONObject)] = [("ping", [:]), ("logging/setLevel", ["level": "debug"])]
            for (method, params) in first + Self.requests {
                var params = params
                if method == "tools/call" { params["_meta"] = ["progressToken": "p"] }
                try await note(version, method, await ask(method, params, session))
            }
        }
        try await note("2026-07-28", "server/discover", await server.modern("server/discover", token: token))
        for (method, params) in Self.requests {
            let meta: JSONObject = method == "tools/call" ? ["progressToken": "p", "io.modelcontextprotocol/logLevel": "debug"] : [:]
            try await note("2026-07-28", method, await server.modern(method, params, token: token, meta: meta))
        }
        let links = lines.filter { $0["message"]?["result"]?["content"]?.array?.contains { $0["type"] == "resource_link" } ?? false }
        #expect(Set(links.compactMap { $0["version"]?.string }) == ["2025-06-18", "2025-11-25", "2026-07-28"], "earlier revisions have no links")
        #expect(lines.count > 100)
        if let file = Self.file {
            try Data(lines.map { String(decoding: $0.serialized, as: UTF8.self) + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: file))
        }
    }
}
