import Crypto
import HTTPTypes
import JOSE
import Logging
import MCPAuth
import MCPAuthTesting
import MCPServer
import OAuth
import Synchronization
import Testing

struct Search: Decodable, Sendable {
    var text: String
    var limit: Int?
}

struct Found: Codable, Sendable, Equatable { var tasks: [String] }

struct Number: Decodable, Sendable { var value: Int64 }

/// A server with a tool of every kind, and clients for both wires.
struct Harness {
    static let resource = "https://rs.example/mcp"
    let time: TestClock
    let log = LogRecorder()
    let mint: TokenMint
    let audit = Recorder()
    let server: MCPServer
    let transport: StreamableHTTP
    let auth: ResourceServer

    /// - Parameters:
    ///   - other: another instance of the same server, with the same keys and the same clock.
    init(
        visibility: MCPServer.Visibility = .permitted, hasOpenTool: Bool = false, gate: Gate = Gate(), sessionKey: SymmetricKey? = nil,
        resource: String = Harness.resource, heartbeat: Duration = .seconds(15), besides other: Harness? = nil, trusting trust: Trust? = nil
    ) throws {
        time = other?.time ?? TestClock()
        mint = try other?.mint ?? TokenMint(clock: time.clock)
        let log = log
        var server = MCPServer("test", version: "1.0", instructions: "Be kind.", visibility: visibility, listLifetime: 60) {
            Tool("search", "Search", requires: "read") { (query: Search, call: ToolCall) in
                Found(tasks: ["\(call.principal.subject): \(query.text)"])
            }
            Tool("delete", "Delete", requires: "read delete", annotations: .init(title: "Delete it", isDestructive: true)) {
                (number: Number, _: ToolCall) in
                number.value
            }
            Tool("whoami", "Who") { (call: ToolCall) in call.principal.subject }
            Tool("fail", "Fails in words") { (_: ToolCall) -> String in throw ToolError("No such thing.") }
            Tool("say", "Says something and is done") { (call: ToolCall) -> String in
                call.log(.debug, "fine print")
                call.log(.error, "loud")
                return "said"
            }
            Tool(
                "embed", "Answers with resources",
                content: { (_: NoArguments, _: ToolCall) in
                    ToolResult([
                        .resource(uri: "note://a", mimeType: "text/plain", .text("a")), .resource(uri: "note://b", .blob(base64: "AA==")),
                        .link(uri: "note://c", name: "c"),
                    ])
                })
            Tool("deploy", "Deploys") { (input: Deployment, _: ToolCall) in input.region ?? "nowhere" }
            Tool("crash", "Fails otherwise") { (_: ToolCall) -> String in throw Secret(password: "hunter2") }
            Tool("work", "Takes a while") { (call: ToolCall) -> String in
                call.progress(1, total: 2, "half")
                call.log(.warning, "careful")
                await gate.pass()
                call.progress(2, total: 2)
                return Task.isCancelled ? "cancelled" : "done"
            }
            if hasOpenTool { Tool.open("ping", "Anybody") { (_: NoArguments, call: OpenCall) in call.principal?.subject ?? "nobody" } }
            Resource("note://all", name: "all", requires: "read") { call in .text("notes of \(call.principal.subject)") }
            Resource(template: "note://{name}/text", name: "one", requires: "read") { variables, _ in
                variables["name"] == "missing" ? nil : .text(variables["name"] ?? "")
            }
            Prompt("greet", "Greets", arguments: [.init("name")], requires: "read") { arguments, _ in [.user("Hello \(arguments["name"] ?? "")")] }
        }
        server.logger = Logger(label: "test") { _ in log }
        server.extensions["com.example/feature"] = ["level": 2]
        self.server = server
        var policy = ScopePolicy(implications: ["admin": ["read", "delete"]])
        policy.advertised = server.scopes
        auth = try ResourceServer(
            resource, trusting: trust ?? .keys([mint.key.verificationKey], issuer: mint.issuer), policy: policy, audit: AuditLog([audit]),
            clock: time.clock)
        transport = try StreamableHTTP(server, protectedBy: auth, sessionKey: sessionKey, heartbeat: heartbeat)
    }

    func token(_ scopes: ScopeSet = ["read", "delete"], subject: String = "ada", expiresIn: Int64 = 3600) throws -> String {
        try mint.token(subject: subject, audience: Self.resource, scopes: scopes, expiresIn: expiresIn)
    }

    func send(
        _ body: [UInt8], token: String?, _ fields: HTTPFields = [:], method: HTTPRequest.Method = .post, departure: ClientDeparture? = nil
    ) async -> Answer {
        var all: HTTPFields = [.contentType: "application/json", .accept: "application/json, text/event-stream"]
        if let token { all[.authorization] = "Bearer \(token)" }
        for field in fields {
            if field.name.canonicalName.hasPrefix("mcp-param-") {
                all.append(field)
            } else {
                all[field.name] = field.value.isEmpty ? nil : field.value
            }
        }
        let request = HTTPRequest(method: method, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: all)
        guard let departure else { return await Answer(transport.reply(to: HTTPCall(request, body: body))) }
        switch await transport.admit(request) {
        case .refused(let reply): return Answer(reply)
        case .admitted(let caller): return await Answer(transport.reply(to: HTTPCall(request, body: body), from: caller, departure: departure))
        }
    }

    /// One request on the stateless wire.
    func modern(
        _ method: String, _ params: JSONObject = [:], token: String?, id: JSONValue = 1, meta: JSONObject = [:], _ fields: HTTPFields = [:],
        departure: ClientDeparture? = nil
    ) async -> Answer {
        var params = params
        var all: JSONObject = ["io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:]]
        for member in meta { all[member.name] = member.value }
        params["_meta"] = .object(all)
        var head: HTTPFields = [.mcpProtocolVersion: "2026-07-28", .mcpMethod: method]
        if let name = (params["name"] ?? params["uri"])?.string { head[.mcpName] = name }
        for field in fields {
            if field.name.canonicalName.hasPrefix("mcp-param-") { head.append(field) } else { head[field.name] = field.value }
        }
        let message: JSONValue = ["jsonrpc": "2.0", "id": id, "method": .string(method), "params": .object(params)]
        return await send(message.serialized, token: token, head, departure: departure)
    }

    func call(
        _ tool: String, _ arguments: JSONValue = [:], token: String?, meta: JSONObject = [:], _ fields: HTTPFields = [:],
        departure: ClientDeparture? = nil
    ) async -> Answer {
        await modern("tools/call", ["name": .string(tool), "arguments": arguments], token: token, meta: meta, fields, departure: departure)
    }

    /// One message on the wire with a handshake.
    func handshake(_ method: String, _ params: JSONValue = [:], token: String?, session: String?, id: JSONValue? = 1) async -> Answer {
        var message: JSONObject = ["jsonrpc": "2.0", "method": .string(method), "params": params]
        message["id"] = id
        var head: HTTPFields = [.mcpProtocolVersion: "2025-11-25"]
        if let session { head[.mcpSessionID] = session }
        return await send(JSONValue.object(message).serialized, token: token, head)
    }

    /// Opens a session and returns its id.
    func open(token: String?, version: String = "2025-11-25") async throws -> String {
        let answer = await handshake("initialize", ["protocolVersion": .string(version), "capabilities": [:]], token: token, session: nil)
        return try #require(answer.fields[.mcpSessionID])
    }
}

struct NoArguments: Decodable, Sendable {}

struct Deployment: Decodable, Sendable, MirroredProperties {
    struct Target: Decodable, Sendable, MirroredProperties {
        var limit: Int?
        static let mirroredHeaders = ["limit": "Limit"]
    }
    var region: String?
    var confirm: Bool?
    var target: Target?
    static let mirroredHeaders = ["region": "Region", "confirm": "Confirm"]
}

/// Remembers what was logged.
final class LogRecorder: LogHandler {
    private let entries = Mutex<[(level: Logger.Level, text: String)]>([])
    var errors: [String] { entries.withLock { $0.filter { $0.level >= .error }.map(\.text) } }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    func log(event: LogEvent) { entries.withLock { $0.append((event.level, "\(event.message)")) } }
}

struct Secret: Error { var password: String }

/// An answer, with its events as they came.
struct Answer {
    let status: Int
    let fields: HTTPFields
    let body: [UInt8]
    let stream: ServerSentEvents?

    init(_ reply: MCPReply) {
        status = reply.response.status.code
        fields = reply.response.headerFields
        switch reply.body {
        case .bytes(let bytes): (body, stream) = (bytes, nil)
        case .events(let events): (body, stream) = ([], events)
        }
    }

    var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
    var result: JSONValue { json["result"] ?? .null }
    var errorCode: Int64? { json["error"]?["code"]?.number?.int64 }
    var text: String { String(decoding: body, as: UTF8.self) }
    var challenge: String { fields[.wwwAuthenticate] ?? "" }

    static func message(_ event: [UInt8]) throws -> JSONValue {
        let prefix = Array("event: message\ndata: ".utf8)
        guard event.starts(with: prefix) else { return .null }
        return try JSONValue(parsing: Array(event.dropFirst(prefix.count).dropLast(2)))
    }
}

/// Holds work until a test lets it go on; cancellation lets it go too.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var wasReached = false
        var wasCancelled = false
    }
    private let state = Mutex(State())

    func open() { state.withLock { $0.isOpen = true } }
    func close() { state.withLock { $0.isOpen = false } }
    var wasCancelled: Bool { state.withLock { $0.wasCancelled } }

    /// Returns once work has reached the gate: what a test does next happens while the work runs.
    func reached() async throws {
        try #require(await Gate.eventually { state.withLock { $0.wasReached } })
    }

    func pass() async {
        state.withLock { $0.wasReached = true }
        while !state.withLock({ $0.isOpen }) {
            guard (try? await Task.sleep(for: .milliseconds(2))) != nil else { return state.withLock { $0.wasCancelled = true } }
        }
    }

    /// True once `condition` holds; false when it does not within a generous time.
    static func eventually(_ condition: () async -> Bool) async -> Bool {
        for _ in 0..<2000 {
            if await condition() { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }
}

/// Takes every token as ada's, until it is told not to.
final class RevocableVerifier: TokenVerifier {
    private let isRevoked = Mutex(false)

    func revoke() { isRevoked.withLock { $0 = true } }

    func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        guard let claims = try? JSONDocument(parsing: "{}") else { return .unavailable("no claims") }
        return stillAccepts
            ? .accepted(Principal(issuer: "test", subject: "ada", expiration: now.advanced(by: 1000), claims: claims))
            : .rejected(RejectionReason("revoked"))
    }

    func stillAccepts(_ principal: Principal) -> Bool { stillAccepts }

    private var stillAccepts: Bool { isRevoked.withLock { !$0 } }
}

final class Recorder: AuditSink {
    private let log = Mutex<[AuditEvent]>([])
    var events: [AuditEvent] { log.withLock { $0 } }
    func record(_ event: AuditEvent) { log.withLock { $0.append(event) } }
}

extension HTTPField.Name {
    static let mcpProtocolVersion = HTTPField.Name("MCP-Protocol-Version")!
    static let mcpMethod = HTTPField.Name("Mcp-Method")!
    static let mcpName = HTTPField.Name("Mcp-Name")!
    static let mcpSessionID = HTTPField.Name("Mcp-Session-Id")!
}
