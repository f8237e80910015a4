import Crypto
import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPServer
import OAuth
import Testing

@Suite("The wire with a handshake")
struct HandshakeWireTests {
    let server: Harness
    init() throws { server = try Harness() }

    @Test(
        "positive control: initialize, then calls in the session",
        arguments: [
            ("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-03-26"), ("1999-01-01", "2025-11-25"),
        ])
    func control(_ requested: String, _ negotiated: String) async throws {
        let token = try server.token()
        let opened = await server.handshake("initialize", ["protocolVersion": .string(requested), "capabilities": [:]], token: token, session: nil)
        #expect(opened.result["protocolVersion"]?.string == negotiated && opened.result["serverInfo"]?["name"]?.string == "test")
        let session = try #require(opened.fields[.mcpSessionID])
        #expect(await server.handshake("notifications/initialized", token: token, session: session, id: nil).status == 202)
        let answer = await server.handshake("tools/call", ["name": "whoami"], token: token, session: session)
        #expect(answer.result["content"]?.array?.first?["text"]?.string == "ada" && answer.result["resultType"] == nil)
        #expect(await server.handshake("ping", token: token, session: session).result == [:])
    }

    @Test("R-10: a session is nobody's credential, and works for nobody but who opened it")
    func ownership() async throws {
        let ada = try server.token()
        let session = try await server.open(token: ada)
        let grace = try server.token(subject: "grace")
        #expect(await server.handshake("tools/list", token: nil, session: session).status == 401)
        #expect(await server.handshake("tools/list", token: grace, session: session).status == 404)
        for (token, status) in [(nil, 401), (grace, 404)] as [(String?, Int)] {
            let fields: HTTPFields = [.mcpSessionID: session, .mcpProtocolVersion: "2025-11-25"]
            #expect(await server.send([], token: token, fields, method: .delete).status == status)
        }
        #expect(await server.handshake("tools/list", token: ada, session: session).status == 200, "it survived the attempts")
        #expect(await server.handshake("tools/list", token: try server.token(), session: session).status == 200, "another token of the same user")
    }

    @Test("R-11: a session id from outside is never adopted", arguments: ["guess", "", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
    func fixation(_ id: String) async throws {
        let token = try server.token()
        let answer = await server.handshake("tools/list", token: token, session: id)
        #expect(answer.status == (id.isEmpty ? 400 : 404))
        let opened = await server.handshake("initialize", ["protocolVersion": "2025-11-25"], token: token, session: id)
        #expect(opened.fields[.mcpSessionID] != id)
    }

    @Test("a session ends by DELETE, and after seven days, however much it is used")
    func ends() async throws {
        let token = try server.token(expiresIn: 100_000)
        let session = try await server.open(token: token)
        let fields: HTTPFields = [.mcpSessionID: session, .mcpProtocolVersion: "2025-11-25"]
        #expect(await server.send([], token: token, fields, method: .delete).status == 204)
        #expect(await server.handshake("ping", token: token, session: session).status == 404)
        #expect(await server.send([], token: token, fields, method: .delete).status == 404)
        let long = try await server.open(token: token)
        for _ in 0..<7 {
            server.time.advance(by: 86399)
            #expect(await server.handshake("ping", token: try server.token(), session: long).status == 200)
        }
        server.time.advance(by: 7)
        #expect(await server.handshake("ping", token: try server.token(), session: long).status == 404)
    }

    @Test(
        "R-10, R-11: another instance with the same key takes a session, also after a restart; one with another key, or of another resource, does not"
    )
    func instances() async throws {
        let key = SymmetricKey(size: .bits256)
        let one = try Harness(sessionKey: key)
        let token = try one.token()
        let session = try await one.open(token: token)
        let restarted = try Harness(sessionKey: key, besides: one)
        #expect(await restarted.handshake("tools/call", ["name": "whoami"], token: token, session: session).status == 200)
        #expect(await restarted.handshake("ping", token: try one.token(subject: "grace"), session: session).status == 404, "it stays ada's")
        #expect(await restarted.handshake("ping", token: nil, session: session).status == 401, "and is no credential")
        #expect(await (try Harness(besides: one)).handshake("ping", token: token, session: session).status == 404, "another key")
        let other = try Harness(sessionKey: key, resource: "https://rs.example/mcp/", besides: one)
        let there = try one.mint.token(subject: "ada", audience: "https://rs.example/mcp/", scopes: ["read"])
        #expect(await other.handshake("ping", token: there, session: session).status == 404, "another resource")
    }

    @Test("R-11: a session id that was changed by a bit is none")
    func tampered() async throws {
        let token = try server.token()
        let bytes = try Base64URL.decode(try await server.open(token: token))
        #expect(bytes.count == 87)
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 1
            #expect(await server.handshake("ping", token: token, session: Base64URL.encode(changed)).status == 404)
        }
    }

    @Test("sessions cost no memory; what a client says about one does, within bounds of its user's own")
    func limit() async throws {
        let ada = try server.token()
        let grace = try await server.open(token: try server.token(subject: "grace"))
        #expect(
            await server.handshake("logging/setLevel", ["level": "error"], token: try server.token(subject: "grace"), session: grace).status == 200)
        for _ in 0..<120 {
            let session = try await server.open(token: ada)
            #expect(await server.handshake("logging/setLevel", ["level": "error"], token: ada, session: session).status == 200)
            server.time.advance(by: 1)
        }
        // Grace's choice is still known: a quiet level, so the answer is whole.
        let token = try server.token(subject: "grace")
        _ = await server.handshake("logging/setLevel", ["level": "emergency"], token: token, session: grace)
        let answer = await server.handshake("tools/call", ["name": "say"], token: token, session: grace)
        #expect(answer.status == 200 && answer.stream == nil)
    }

    @Test("logging/setLevel counts for the session, from its next call on; what is no level is an error")
    func logLevel() async throws {
        let token = try server.token()
        let session = try await server.open(token: token)
        let opened = await server.handshake("initialize", ["protocolVersion": "2025-11-25"], token: token, session: nil)
        #expect(opened.result["capabilities"]?["logging"]?.object != nil, "the capability is declared")
        func levels() async throws -> [String] {
            let answer = await server.handshake("tools/call", ["name": "say"], token: token, session: session)
            var levels: [String] = []
            for await event in try #require(answer.stream) {
                if let level = try Answer.message(event)["params"]?["level"]?.string { levels.append(level) }
            }
            return levels
        }
        #expect(try await levels() == ["error"], "info unless the client says otherwise, without a progress token too")
        #expect(await server.handshake("logging/setLevel", ["level": "debug"], token: token, session: session).result == [:])
        #expect(try await levels() == ["debug", "error"])
        for level in ["loud", "", "Debug"] as [JSONValue] + [1, nil] {
            #expect(await server.handshake("logging/setLevel", ["level": level], token: token, session: session).errorCode == -32602)
        }
        #expect(await server.handshake("logging/setLevel", ["level": "emergency"], token: token, session: session).result == [:])
        let quiet = await server.handshake("tools/call", ["name": "say"], token: token, session: session)
        #expect(quiet.stream == nil && quiet.result["content"]?.array?.first?["text"]?.string == "said")
    }

    @Test("params that are null are absent, and the error of a request keeps its id")
    func readable() async throws {
        let token = try server.token()
        let session = try await server.open(token: token)
        let fields: HTTPFields = [.mcpSessionID: session, .mcpProtocolVersion: "2025-11-25"]
        let ping = await server.send(Array(#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#.utf8), token: token, fields)
        #expect(ping.status == 200 && ping.json["id"] == 7)
        for body in [#"{"jsonrpc":"2.0","id":"x","method":"ping","params":[]}"#, #"{"jsonrpc":"2.0","id":"x","method":7}"#] {
            let error = await server.send(Array(body.utf8), token: token, fields)
            #expect(error.status == 400 && error.json["id"] == "x")
        }
    }

    @Test("2025-03-26 has batches: each message is authorized by itself, before any runs")
    func batches() async throws {
        let token = try server.token(["read"])
        let session = try await server.open(token: token, version: "2025-03-26")
        func send(_ body: String, session: String, token: String) async -> Answer {
            await server.send(Array(body.utf8), token: token, [.mcpSessionID: session])
        }
        let whoami = #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}"#
        let note = #"{"jsonrpc":"2.0","method":"notifications/initialized"}"#
        let good = await send(" [\(whoami),\(note),{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"none\"},{\"id\":3},7]", session: session, token: token)
        let answers = try #require(good.json.array)
        #expect(good.status == 200 && answers.count == 4)
        #expect(answers[0]["id"] == 1 && answers[0]["result"] != nil && answers[1]["error"]?["code"] == -32601)
        #expect(await send("[\(note)]", session: session, token: token).status == 202)
        let delete = #"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"delete","arguments":{"value":1}}}"#
        let refused = await send("[\(whoami),\(delete)]", session: session, token: token)
        #expect(refused.status == 403 && refused.challenge.contains("insufficient_scope"))
        #expect(!server.audit.events.contains { $0.operation == "tool delete" && $0.verdict == .allowed })
        let many = (0...50).map { _ in whoami }.joined(separator: ",")
        for body in ["[]", "[\(many)]"] { #expect(await send(body, session: session, token: token).status == 400) }
        let later = try await server.open(token: token)
        #expect(await send("[\(whoami)]", session: later, token: token).status == 400, "later revisions have none")
        #expect(await send("[\(whoami)]", session: session, token: try server.token(subject: "grace")).status == 404)
    }

    @Test("R-12: nothing more of a batch runs, and nothing is delivered, once its session or its token has ended", arguments: [true, false])
    func endedBatch(_ isSession: Bool) async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let session = try await server.open(token: token, version: "2025-03-26")
        let calls = ["work", "whoami"].map { #"{"jsonrpc":"2.0","id":"\#($0)","method":"tools/call","params":{"name":"\#($0)"}}"# }
        async let answer = server.send(Array("[\(calls.joined(separator: ","))]".utf8), token: token, [.mcpSessionID: session])
        try await gate.reached()
        if isSession {
            #expect(await server.send([], token: token, [.mcpSessionID: session], method: .delete).status < 300)
        } else {
            server.time.advance(by: 100_000)
        }
        gate.open()
        let end = await answer
        #expect(end.status == 202 && end.body.isEmpty)
    }

    @Test("9: a missing scope is a real 403 here too, and errors of the protocol are 200 for clients that take all else for the end")
    func statuses() async throws {
        let token = try server.token([])
        let session = try await server.open(token: token)
        #expect(await server.handshake("tools/call", ["name": "search"], token: token, session: session).status == 403)
        let unknown = await server.handshake("nothing", token: token, session: session)
        #expect(unknown.status == 200 && unknown.errorCode == -32601)
    }

    @Test("there is no stream to GET, and no session without initialize")
    func others() async throws {
        let token = try server.token()
        let session = try await server.open(token: token)
        #expect(await server.send([], token: token, [.mcpSessionID: session, .mcpProtocolVersion: "2025-11-25"], method: .get).status == 405)
        #expect(await server.handshake("tools/list", token: token, session: nil).status == 400)
    }

    @Test("two requests of one id run at once, each with its own answer, and cancelling that id cancels both")
    func sameID() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let session = try await server.open(token: token)
        let params: JSONValue = ["name": "work", "_meta": ["progressToken": 1]]
        let first = await server.handshake("tools/call", params, token: token, session: session, id: 7)
        let second = await server.handshake("tools/call", params, token: token, session: session, id: 7)
        #expect(first.stream != nil && second.stream != nil)
        #expect(await server.handshake("tools/call", ["name": "whoami"], token: token, session: session, id: 7).errorCode == nil)
        _ = await server.handshake("notifications/cancelled", ["requestId": 7], token: token, session: session, id: nil)
        for answer in [first, second] {
            var bytes: [UInt8] = []
            for await part in try #require(answer.stream) { bytes += part }
            #expect(!String(decoding: bytes, as: UTF8.self).contains("result"), "a cancelled call answers nothing")
        }
    }

    @Test("notifications/cancelled cancels what runs in that session, and nothing of another's")
    func cancellation() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let session = try await server.open(token: token)
        let other = try await server.open(token: try server.token(subject: "grace"))
        let params: JSONValue = ["name": "work", "_meta": ["progressToken": 1]]
        let answer = await server.handshake("tools/call", params, token: token, session: session, id: "job")
        #expect(answer.fields[.contentType] == "text/event-stream")
        _ = await server.handshake(
            "notifications/cancelled", ["requestId": "job"], token: try server.token(subject: "grace"), session: other, id: nil)
        try await Task.sleep(for: .milliseconds(50))
        #expect(!gate.wasCancelled)
        _ = await server.handshake("notifications/cancelled", ["requestId": "job"], token: token, session: session, id: nil)
        #expect(await Gate.eventually { gate.wasCancelled })
    }
}
