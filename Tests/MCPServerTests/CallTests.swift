import HTTPTypes
import JOSE
import Logging
import MCPAuth
import MCPAuthTesting
import MCPServer
import OAuth
import Testing

@Suite("Calls: cancelled, quiet, and with company")
struct CallTests {
    @Test("every call of a session can be cancelled, without a progress token too; it answers nothing, and is no error in the log")
    func cancelled() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let session = try await server.open(token: token)
        _ = await server.handshake("logging/setLevel", ["level": "emergency"], token: token, session: session)
        async let answer = server.handshake("tools/call", ["name": "work"], token: token, session: session, id: "job")
        try await gate.reached()
        _ = await server.handshake("notifications/cancelled", ["requestId": "job"], token: token, session: session, id: nil)
        let result = await answer
        #expect(result.status == 202 && result.body.isEmpty && result.stream == nil)
        #expect(await Gate.eventually { gate.wasCancelled })
        #expect(server.log.errors.isEmpty)
    }

    @Test("the same for an answer that has begun: its stream ends without a result")
    func cancelledStream() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let session = try await server.open(token: token)
        let answer = await server.handshake("tools/call", ["name": "work"], token: token, session: session, id: 1)
        let stream = try #require(answer.stream)
        _ = await server.handshake("notifications/cancelled", ["requestId": 1], token: token, session: session, id: nil)
        var messages: [JSONValue] = []
        for await event in stream { messages.append(try Answer.message(event)) }
        #expect(messages.allSatisfy { $0["result"] == nil && $0["error"] == nil } && server.log.errors.isEmpty)
        #expect(await Gate.eventually { gate.wasCancelled })
    }

    @Test("a client that closes the connection ends its call, before the answer has begun")
    func departed() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let departure = ClientDeparture()
        async let answer = server.call("work", token: token, departure: departure)
        try await gate.reached()
        departure.leave()
        #expect(await answer.status == 202)
        #expect(await Gate.eventually { gate.wasCancelled })
        #expect(server.log.errors.isEmpty)
        let late = await server.call("whoami", token: token, departure: departure)
        #expect(late.result == .null, "one that had gone before its request was read gets nothing done for it")
    }

    @Test("on the 2025 wires a closed connection is no cancellation: what was begun is done")
    func departedWithHandshake() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let departure = ClientDeparture()
        let session = try await server.open(token: token)
        _ = await server.handshake("logging/setLevel", ["level": "emergency"], token: token, session: session)
        let body: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["name": "work"]]
        async let answer = server.send(body.serialized, token: token, [.mcpSessionID: session], departure: departure)
        try await gate.reached()
        departure.leave()
        try await Task.sleep(for: .milliseconds(50))
        #expect(!gate.wasCancelled)
        gate.open()
        #expect(await answer.status == 200)
    }

    @Test("a quiet call is kept alive on both wires, where the client takes event streams", arguments: [true, false])
    func heartbeat(_ isModern: Bool) async throws {
        let gate = Gate()
        let server = try Harness(gate: gate, heartbeat: .milliseconds(80))
        let token = try server.token()
        let session = try await server.open(token: token)
        _ = await server.handshake("logging/setLevel", ["level": "emergency"], token: token, session: session)
        let answer =
            isModern
            ? await server.call("work", token: token) : await server.handshake("tools/call", ["name": "work"], token: token, session: session)
        #expect(answer.status == 200 && answer.fields[.contentType] == "text/event-stream")
        var comments = 0
        var results = 0
        for await event in try #require(answer.stream) {
            if event.first == UInt8(ascii: ":") {
                comments += 1
                if comments == 2 { gate.open() }
            } else if try Answer.message(event)["result"] != nil {
                results += 1
            }
        }
        #expect(comments >= 2 && results == 1)
    }

    @Test("a client that takes no event streams waits for the whole answer")
    func whole() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate, heartbeat: .milliseconds(40))
        let token = try server.token()
        async let answer = server.call("work", token: token, meta: ["progressToken": 1], [.accept: "application/json"])
        try await Task.sleep(for: .milliseconds(200))
        gate.open()
        #expect(await answer.result["content"]?.array?.first?["text"]?.string == "done")
    }

    @Test("R-12: a call whose token ends meanwhile ends at the next heartbeat")
    func expired() async throws {
        let gate = Gate()
        let verifier = RevocableVerifier()
        let server = try Harness(gate: gate, heartbeat: .milliseconds(80), trusting: .verifier(verifier))
        async let answer = server.call("work", token: "any")
        try await gate.reached()
        verifier.revoke()
        #expect(await answer.result == .null)
        #expect(await Gate.eventually { gate.wasCancelled })
    }

    @Test("2026-07-28: log messages come for the level that a request names; what is no level is an error")
    func logLevels() async throws {
        let server = try Harness()
        let token = try server.token()
        #expect(await server.call("say", token: token).stream == nil, "none was asked for")
        let answer = await server.call("say", token: token, meta: ["io.modelcontextprotocol/logLevel": "debug"])
        var levels: [String] = []
        for await event in try #require(answer.stream) {
            if let level = try Answer.message(event)["params"]?["level"]?.string { levels.append(level) }
        }
        #expect(levels == ["debug", "error"])
        let wrong = await server.call("say", token: token, meta: ["io.modelcontextprotocol/logLevel": "loud"])
        #expect(wrong.status == 400 && wrong.errorCode == -32602)
    }

    @Test("results hold embedded resources, text and bytes")
    func embedded() async throws {
        let server = try Harness()
        let content = try #require(await server.call("embed", token: try server.token()).result["content"]?.array)
        #expect(content[0] == ["type": "resource", "resource": ["uri": "note://a", "mimeType": "text/plain", "text": "a"]])
        #expect(content[1] == ["type": "resource", "resource": ["uri": "note://b", "blob": "AA=="]])
    }
}

@Suite("Arguments that clients repeat in headers (2026-07-28)")
struct MirroredArgumentTests {
    let server: Harness
    init() throws { server = try Harness() }

    func call(_ arguments: JSONValue, _ headers: [(String, String)]) async throws -> Answer {
        var fields = HTTPFields()
        for (name, value) in headers { fields.append(HTTPField(name: HTTPField.Name("Mcp-Param-" + name)!, value: value)) }
        return await server.call("deploy", arguments, token: try server.token(), fields)
    }

    @Test("the schema says which")
    func schema() async throws {
        let tools = await server.modern("tools/list", token: try server.token()).result["tools"]?.array ?? []
        let properties = tools.first { $0["name"] == "deploy" }?["inputSchema"]?["properties"]
        #expect(properties?["region"]?["x-mcp-header"] == "Region")
        #expect(properties?["target"]?["properties"]?["limit"]?["x-mcp-header"] == "Limit")
    }

    static let good: [(JSONValue, [(String, String)])] = [
        (["region": "eu"], [("Region", "eu")]), (["region": "eu"], [("Region", "=?base64?ZXU=?=")]), ([:], []), (["region": nil], []),
        (["region": "ü"], [("Region", "=?base64?w7w=?=")]), (["confirm": true], [("Confirm", "true")]), (["confirm": false], [("Confirm", "false")]),
        (["target": ["limit": 42]], [("Limit", "42")]), (["target": ["limit": 42]], [("Limit", "42.0")]),
        (["region": "eu", "confirm": true], [("region", "eu"), ("CONFIRM", "true")]),
    ]

    @Test("positive control: headers that say what the body says", arguments: 0..<good.count)
    func agree(_ index: Int) async throws {
        let answer = try await call(Self.good[index].0, Self.good[index].1)
        #expect(answer.status == 200 && answer.result["isError"] == false)
    }

    static let bad: [(JSONValue, [(String, String)])] = [
        (["region": "eu"], []), (["region": "eu"], [("Region", "us")]), (["region": "eu"], [("Region", "EU")]), (["region": "eu"], [("Region", "")]),
        (["region": "eu"], [("Region", "=?base64?ZXU?=")]), (["region": "eu"], [("Region", "=?base64?ZX-=?=")]),
        (["region": "eu"], [("Region", "=?base64?ZXU==?=")]), (["region": "eu"], [("Region", "eu"), ("Region", "eu")]),
        ([:], [("Region", "eu")]), (["region": nil], [("Region", "eu")]), (["region": nil], [("Region", "null")]),
        (["confirm": true], [("Confirm", "True")]),
        (["confirm": true], [("Confirm", "1")]), (["target": ["limit": 42]], [("Limit", "43")]), (["target": ["limit": 42]], []),
        (["target": ["limit": 42]], [("Limit", "042")]), (["region": ["eu"]], [("Region", "eu")]),
    ]

    @Test("R-13: headers that say anything else are 400 and -32020 before the tool is even authorized", arguments: 0..<bad.count)
    func differ(_ index: Int) async throws {
        let answer = try await call(Self.bad[index].0, Self.bad[index].1)
        #expect(answer.status == 400 && answer.errorCode == -32020)
        #expect(!server.audit.events.contains { $0.operation == "tool deploy" && $0.verdict == .allowed })
    }

    @Test("headers of nobody's argument, and the 2025 wires, are left alone")
    func others() async throws {
        #expect(try await call([:], [("Unknown", "x")]).status == 200)
        let token = try server.token()
        let session = try await server.open(token: token)
        let answer = await server.handshake("tools/call", ["name": "deploy", "arguments": ["region": "eu"]], token: token, session: session)
        #expect(answer.result["content"]?.array?.first?["text"]?.string == "eu")
    }

    @Test(
        "a tool whose schema marks its arguments wrongly is found at start",
        arguments: [
            #"{"type":"object","properties":{"a":{"type":"string","x-mcp-header":""}}}"#,
            #"{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"a b"}}}"#,
            #"{"type":"object","properties":{"a":{"type":"string","x-mcp-header":7}}}"#,
            #"{"type":"object","properties":{"a":{"type":"array","x-mcp-header":"A"}}}"#,
            #"{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}"#,
        ])
    func mistakes(_ schema: String) throws {
        let schema = try JSONValue(parsing: schema)
        let server = MCPServer("s", version: "1") { Tool("t", "T", inputSchema: schema) { _, _ in ToolResult([]) } }
        #expect(throws: OAuthError.self) { try server.check() }
    }
}

@Suite("What a list shows")
struct VisibilityTests {
    func names(_ server: Harness, _ token: String?) async -> Set<String> {
        Set((await server.modern("tools/list", token: token).result["tools"]?.array ?? []).compactMap { $0["name"]?.string })
    }

    @Test("by default what could be granted is shown, so that a model can call it and get the challenge; what nobody grants is not")
    func grantable() async throws {
        let server = try Harness(visibility: .grantable)
        let token = try server.token(["read"])
        #expect(await names(server, token).isSuperset(of: ["search", "delete", "whoami"]))
        #expect(await server.call("delete", ["value": 1], token: token).status == 403)
        let permitted = try Harness(visibility: .permitted, besides: server)
        let shown = await names(permitted, token)
        #expect(!shown.contains("delete") && shown.contains("search"))
    }

    @Test("a client is not shown what its own registration keeps from it")
    func registered() async throws {
        struct Limited: TokenVerifier {
            func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
                guard let claims = try? JSONDocument(parsing: "{}") else { return .unavailable("") }
                return .accepted(Principal(issuer: "i", subject: "ada", expiration: now.advanced(by: 100), claims: claims))
            }
            func grantableScopes(to principal: Principal) async -> ScopeSet? { ["read"] }
        }
        let server = try Harness(visibility: .grantable, trusting: .anyOf(.verifier(Limited())))
        let shown = await names(server, "any")
        #expect(shown.contains("search") && !shown.contains("delete"))
    }

    @Test("somebody without a token is shown what is open to everybody, and nothing else")
    func strangers() async throws {
        for visibility in [MCPServer.Visibility.grantable, .permitted] {
            #expect(await names(try Harness(visibility: visibility, hasOpenTool: true), nil) == ["ping"])
        }
    }
}
