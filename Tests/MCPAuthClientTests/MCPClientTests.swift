import HTTPTypes
import JOSE
import MCPAuthClient
import MCPClient
import OAuth
import Synchronization
import Testing

/// An MCP server whose answers a test writes.
final class ScriptedServer: HTTPExchange, HTTPFetcher {
    typealias Answer = @Sendable (_ method: String, _ params: JSONValue, OutboundRequest) -> HTTPReply
    private let answer: Answer
    private let log = Mutex<[OutboundRequest]>([])
    var requests: [OutboundRequest] { log.withLock { $0 } }

    init(_ answer: @escaping Answer) { self.answer = answer }

    func send(_ request: OutboundRequest) async throws(OAuthError) -> StreamedReply { StreamedReply(try await fetch(request)) }

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        log.withLock { $0.append(request) }
        let message = (try? JSONValue(parsing: request.body)) ?? [:]
        return answer(message["method"]?.string ?? "", message["params"] ?? [:], request)
    }

    static func result(_ request: OutboundRequest, _ result: JSONValue) -> HTTPReply {
        let id = (try? JSONValue(parsing: request.body))?["id"] ?? .null
        return .json(["jsonrpc": "2.0", "id": id, "result": result])
    }

    static func error(_ request: OutboundRequest, _ code: Int, _ message: String) -> HTTPReply {
        let id = (try? JSONValue(parsing: request.body))?["id"] ?? .null
        return .json(["jsonrpc": "2.0", "id": id, "error": ["code": .int(code), "message": .string(message)]])
    }

    static func events(_ messages: [JSONValue]) -> HTTPReply {
        let text = messages.map { "event: message\ndata: \($0.text)\n\n" }.joined()
        return HTTPReply(.ok, [.contentType: "text/event-stream"], body: Array(text.utf8))
    }

    func client(_ handlers: MCPClient.Handlers = .init(), version: String? = nil) throws -> MCPClient {
        let session = try AuthorizedSession(
            for: "https://rs.example/mcp", configuration: ClientConfiguration(name: "Test", grant: .authorizationCode(nil)),
            store: MemoryTokenStore(),
            fetcher: self, exchange: self)
        return MCPClient(session, name: "test", version: "1", protocolVersion: version, handlers: handlers)
    }
}

@Suite("MCP client")
struct MCPClientTests {
    private static let modern: JSONValue = ["supportedVersions": ["2026-07-28"], "capabilities": [:]]

    @Test("R78: a call is repeated with the answers by key and the state byte for byte, and every request repeats itself in headers")
    func inputRequired() async throws {
        let state = "opaque \u{E9}\u{0}=="
        let schema: JSONValue = ["type": "object", "properties": ["region": ["type": "string", "x-mcp-header": "Region"]]]
        let server = ScriptedServer { method, params, request in
            switch method {
            case "server/discover": return ScriptedServer.result(request, Self.modern)
            case "tools/list":
                return ScriptedServer.result(
                    request,
                    [
                        "tools": [
                            ["name": "gr\u{FC}n", "inputSchema": schema],
                            ["name": "bad", "inputSchema": ["properties": ["a": ["type": "number", "x-mcp-header": "X"]]]],
                        ]
                    ])
            default:
                guard params["inputResponses"] != nil else {
                    return ScriptedServer.result(
                        request,
                        [
                            "resultType": "input_required", "requestState": .string(state),
                            "inputRequests": [
                                "who": ["method": "elicitation/create", "params": ["message": "Who?"]], "what": ["method": "sampling/createMessage"],
                            ],
                        ])
                }
                return ScriptedServer.result(request, ["content": [], "seen": params])
            }
        }
        let client = try server.client(.init(elicitation: { _ in ["action": "accept", "content": ["name": "Ada"]] }))
        #expect(try await client.tools().count == 1)
        let result = try await client.callTool("gr\u{FC}n", ["region": "\u{E9}u\r\nX: y"])
        #expect(result["seen"]?["requestState"]?.string == state)
        #expect(result["seen"]?["inputResponses"]?["who"]?["content"]?["name"]?.string == "Ada")
        #expect(result["seen"]?["inputResponses"]?["what"]?["action"]?.string == "decline")
        let fields = try #require(server.requests.last?.fields)
        #expect(fields[HTTPField.Name("MCP-Protocol-Version")!] == "2026-07-28" && fields[HTTPField.Name("Mcp-Method")!] == "tools/call")
        #expect(fields[HTTPField.Name("Mcp-Name")!] == "=?base64?Z3LDvG4=?=")
        #expect(fields[HTTPField.Name("Mcp-Param-Region")!]?.hasPrefix("=?base64?") == true)
    }

    @Test("a server that asks for input again and again is an error")
    func endlessInput() async throws {
        let server = ScriptedServer { method, _, request in
            method == "server/discover"
                ? ScriptedServer.result(request, Self.modern) : ScriptedServer.result(request, ["resultType": "input_required", "tools": []])
        }
        await #expect(throws: MCPError.self) { _ = try await server.client().callTool("a") }
        #expect(server.requests.count < 20)
    }

    @Test("a server with a handshake: the session goes with every request, and a lost one is begun again")
    func handshake() async throws {
        let sessions = Mutex(0)
        let server = ScriptedServer { method, _, request in
            switch method {
            case "server/discover": return ScriptedServer.error(request, -32601, "Method not found")
            case "initialize":
                let number = sessions.withLock { state in
                    state += 1
                    return state
                }
                return ScriptedServer.result(request, ["protocolVersion": "2025-06-18", "capabilities": [:], "serverInfo": ["name": "s"]])
                    .with(HTTPField.Name("Mcp-Session-Id")!, "session-\(number)")
            case "notifications/initialized": return HTTPReply(.accepted)
            default:
                guard request.fields[HTTPField.Name("Mcp-Session-Id")!] == "session-\(sessions.withLock { $0 })", sessions.withLock({ $0 }) == 2
                else {
                    return HTTPReply(.notFound)
                }
                return ScriptedServer.events([
                    ["jsonrpc": "2.0", "method": "notifications/progress", "params": ["progress": 1]],
                    ["jsonrpc": "2.0", "id": (try? JSONValue(parsing: request.body))?["id"] ?? .null, "result": ["tools": []]],
                ])
            }
        }
        let seen = Mutex<[String]>([])
        let client = try server.client(.init(notification: { method, _ in seen.withLock { $0.append(method) } }))
        #expect(try await client.tools().isEmpty)
        #expect(sessions.withLock { $0 } == 2 && seen.withLock { $0 } == ["notifications/progress"])
        #expect(server.requests.last?.fields[HTTPField.Name("MCP-Protocol-Version")!] == "2025-06-18")
    }

    @Test("every page of a list is read, and a cursor that does not move ends it")
    func pages() async throws {
        let server = ScriptedServer { method, params, request in
            guard method == "prompts/list" else { return ScriptedServer.result(request, Self.modern) }
            let cursor = params["cursor"]?.string
            return ScriptedServer.result(
                request, ["prompts": [["name": .string(cursor ?? "first")]], "nextCursor": .string(cursor == nil ? "a" : "b")])
        }
        #expect(try await server.client().prompts().compactMap { $0["name"]?.string } == ["first", "a", "b"])
    }

    @Test("what is not MCP is an error that says so", arguments: ["<html>", "", "{}", "[1]"])
    func notMCP(_ body: String) async throws {
        let server = ScriptedServer { _, _, _ in HTTPReply(.ok, [.contentType: "text/html"], body: Array(body.utf8)) }
        await #expect(throws: MCPError.self) { _ = try await server.client().tools() }
    }

    @Test("events are read whatever their line ends and however they are cut")
    func eventParser() throws {
        let text = "\u{FEFF}: comment\ndata: one\r\ndata:two\r\n\r\nid: 7\rdata: {\"a\":1}\r\rretry: 5\n\ndata: lost"
        for size in [1, 2, 3, 7, 100] {
            var parser = EventParser()
            var events: [EventParser.Event] = []
            let bytes = Array(text.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                events += try parser.events(in: Array(bytes[start..<min(start + size, bytes.count)]))
            }
            #expect(events.map { String(decoding: $0.data, as: UTF8.self) } == ["one\ntwo", "{\"a\":1}", ""], "\(size)")
            #expect(events[1].identifier == "7" && events[2].retry == 5)
        }
    }
}
