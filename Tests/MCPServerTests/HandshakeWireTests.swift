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

    @Test("a session ends by DELETE, and by an hour of silence")
    func ends() async throws {
        let token = try server.token(expiresIn: 100_000)
        let session = try await server.open(token: token)
        let fields: HTTPFields = [.mcpSessionID: session, .mcpProtocolVersion: "2025-11-25"]
        #expect(await server.send([], token: token, fields, method: .delete).status == 204)
        #expect(await server.handshake("ping", token: token, session: session).status == 404)
        let idle = try await server.open(token: token)
        server.time.advance(by: 3599)
        #expect(await server.handshake("ping", token: try server.token(), session: idle).status == 200)
        server.time.advance(by: 3600)
        #expect(await server.handshake("ping", token: try server.token(), session: idle).status == 404)
    }

    @Test("one user's sessions push out their own oldest, never another's")
    func limit() async throws {
        let ada = try server.token()
        let grace = try await server.open(token: try server.token(subject: "grace"))
        let first = try await server.open(token: ada)
        server.time.advance(by: 1)
        for _ in 0..<100 { _ = try await server.open(token: ada) }
        #expect(await server.handshake("ping", token: ada, session: first).status == 404)
        #expect(await server.handshake("ping", token: try server.token(subject: "grace"), session: grace).status == 200)
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

    @Test("two requests of one id do not run in one session at once")
    func sameID() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let token = try server.token()
        let session = try await server.open(token: token)
        let params: JSONValue = ["name": "work", "_meta": ["progressToken": 1]]
        let first = await server.handshake("tools/call", params, token: token, session: session, id: 7)
        #expect(first.stream != nil)
        #expect(await server.handshake("tools/call", params, token: token, session: session, id: 7).errorCode == -32600)
        gate.open()
        for await _ in try #require(first.stream) {}
        #expect(
            await Gate.eventually { await server.handshake("tools/call", params, token: token, session: session, id: 7).errorCode == nil },
            "free again afterwards")
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
