public import HTTPTypes
public import JOSE
public import MCPAuth
public import OAuth
import Synchronization

/// An answer of an MCP endpoint: whole, or events as they come.
public struct MCPReply: Sendable {
    public enum Body: Sendable {
        case bytes([UInt8])
        /// Server-sent events. Whoever sends them owes: when the client goes away, stop reading, which cancels the work.
        case events(ServerSentEvents)
    }

    public let response: HTTPResponse
    public let body: Body

    init(_ reply: HTTPReply) {
        response = reply.response
        body = .bytes(reply.body)
    }

    init(events: ServerSentEvents) {
        response = HTTPResponse(
            status: .ok,
            headerFields: [.contentType: "text/event-stream", .cacheControl: "no-store, no-transform", .init("X-Accel-Buffering")!: "no"])
        body = .events(events)
    }
}

/// The Streamable HTTP transport, both wires of it: stateless (2026-07-28) and with a handshake (2025-03-26 to 2025-11-25).
///
/// It knows no framework. The order is always: transport security and token, then the message, then what the message needs, then the message runs.
public final class StreamableHTTP: Sendable {
    private let dispatcher: Dispatcher
    /// What protects it, with the scopes that the server's own operations need.
    public let resourceServer: ResourceServer
    private let sessions: SessionTable
    private let random: RandomSource
    private let requestIDs: RequestIDs

    /// Longer bodies are refused with 413 before they are looked at.
    public static let maximumBodyBytes = 4 << 20
    /// The same where anybody may call something without a token.
    public static let maximumAnonymousBodyBytes = 64 << 10

    /// Throws `invalid_configuration` when a definition of the server has a mistake.
    public init(_ server: MCPServer, protectedBy resourceServer: ResourceServer, random: RandomSource = .system) throws(OAuthError) {
        try server.check()
        self.resourceServer = resourceServer.advertising(server.scopes)
        dispatcher = Dispatcher(server: server, resourceServer: self.resourceServer)
        self.random = random
        requestIDs = RequestIDs(random)
        sessions = SessionTable()
    }

    /// Answers one request to the MCP endpoint.
    public func reply(to call: HTTPCall) async -> MCPReply {
        switch await admit(call.request, peer: call.peer) {
        case .refused(let reply): return reply
        case .admitted(let caller): return await reply(to: call, from: caller)
        }
    }

    /// What the head of a request is enough to decide.
    public enum Admission: Sendable {
        case refused(MCPReply)
        case admitted(Caller)
    }

    /// Decides by the head alone, before a byte of the body is read: whoever has no good token is refused here, unless something is open to anybody.
    public func admit(_ request: HTTPRequest, peer: String? = nil) async -> Admission {
        let requestID = requestIDs.next()
        let identification =
            if let known = resourceServer.identifyAtOnce(request, peer: peer, requestID: requestID) { known } else {
                await resourceServer.identify(request, peer: peer, requestID: requestID)
            }
        switch identification {
        case .rejected(let reply): return .refused(MCPReply(reply))
        case .accepted(let caller):
            if caller.principal == nil, !dispatcher.server.hasOpenOperations {
                // The headers only make the challenge more exact; they decide nothing.
                let params: JSONValue = request.headerFields[.mcpName].map { ["name": .string($0), "uri": .string($0)] } ?? [:]
                if let reply = dispatcher.authorize(caller, request.headerFields[.mcpMethod] ?? "any", params) { return .refused(MCPReply(reply)) }
            }
            return .admitted(caller)
        }
    }

    /// Answers a request whose head was admitted.
    public func reply(to call: HTTPCall, from caller: Caller) async -> MCPReply {
        guard call.body.count <= bodyLimit(for: caller) else { return MCPReply(HTTPReply(.contentTooLarge)) }
        let versions = call.request.headerFields[values: .mcpProtocolVersion]
        let isHandshake = versions.isEmpty || (versions.count == 1 && ProtocolVersion.handshake.contains(versions[0]))
        return isHandshake ? await handshake(call, caller) : await modern(call, caller)
    }

    /// The longest body that is read of this caller: strangers do not get to send much.
    public func bodyLimit(for caller: Caller) -> Int { caller.principal == nil ? Self.maximumAnonymousBodyBytes : Self.maximumBodyBytes }

    // MARK: The stateless wire

    private func modern(_ call: HTTPCall, _ caller: Caller) async -> MCPReply {
        if let refusal = refuseHead(call) { return refusal }
        let message: RPCMessage
        do throws(RPCError) { message = try RPCMessage(parsing: call.body) } catch { return modernError(error) }
        switch message {
        case .response: return modernError(RPCError(.invalidRequest, "this server makes no requests"))
        case .notification(let method, let params):
            if let reply = dispatcher.authorize(caller, method, params) { return MCPReply(reply) }
            return MCPReply(HTTPReply(.accepted))
        case .request(let id, let method, let params):
            do throws(RPCError) { try ModernEnvelope.check(call.request, method, params) } catch { return modernError(error, id: id) }
            if let reply = dispatcher.authorize(caller, method, params) { return MCPReply(reply) }
            let level = params["_meta"]?["io.modelcontextprotocol/logLevel"]?.string.flatMap(LogLevel.init)
            return await execute(id, method, params, caller, .modern, level, call, key: nil)
        }
    }

    private func modernError(_ error: RPCError, id: JSONValue = nil) -> MCPReply {
        MCPReply(.json(error.json(id: id), status: .init(code: error.code.status)))
    }

    // MARK: The wire with a handshake

    private func handshake(_ call: HTTPCall, _ caller: Caller) async -> MCPReply {
        // Whoever holds a session must be who opened it, on every method; the session itself proves nothing.
        let sessionID = call.request.headerFields[.mcpSessionID]
        if call.request.method == .delete {
            guard let sessionID, sessions.remove(sessionID, owner: caller.principal?.owner, at: resourceServer.clock.now) else {
                return Self.noSession
            }
            return MCPReply(HTTPReply(.noContent))
        }
        if call.request.method == .get {
            // Nothing is ever sent outside an answer, so there is no stream to offer.
            return MCPReply(HTTPReply(.methodNotAllowed, [.allow: "POST, DELETE"]))
        }
        if let refusal = refuseHead(call) { return refusal }
        let message: RPCMessage
        do throws(RPCError) { message = try RPCMessage(parsing: call.body) } catch {
            return MCPReply(.json(error.json(), status: .badRequest))
        }
        if case .request(let id, "initialize", let params) = message {
            if let reply = dispatcher.authorize(caller, "initialize", params) { return MCPReply(reply) }
            return open(id, params, caller)
        }
        guard let sessionID else {
            return MCPReply(
                .json(RPCError(.invalidRequest, "send initialize first, then its Mcp-Session-Id with every request").json(), status: .badRequest))
        }
        guard sessions.touch(sessionID, owner: caller.principal?.owner, at: resourceServer.clock.now) else { return Self.noSession }
        switch message {
        case .response: return MCPReply(HTTPReply(.accepted))
        case .notification(let method, let params):
            if method == "notifications/cancelled", let id = params["requestId"] { sessions.cancel(sessionID, id.text) }
            return MCPReply(HTTPReply(.accepted))
        case .request(let id, let method, let params):
            if let reply = dispatcher.authorize(caller, method, params) { return MCPReply(reply) }
            return await execute(id, method, params, caller, .handshake, .info, call, key: sessionID)
        }
    }

    private func open(_ id: JSONValue, _ params: JSONValue, _ caller: Caller) -> MCPReply {
        switch dispatcher.initialize(params) {
        case .error(let error): return MCPReply(.json(error.json(id: id)))
        case .result(let result):
            // Never adopted from the client; 256 random bits.
            let sessionID = random.token()
            guard sessions.add(sessionID, owner: caller.principal?.owner, at: resourceServer.clock.now) else {
                return MCPReply(HTTPReply.error(OAuthError(.temporarilyUnavailable, "too many sessions are open"), status: .serviceUnavailable))
            }
            return MCPReply(HTTPReply.json(["jsonrpc": "2.0", "id": id, "result": .object(result)]).with(.mcpSessionID, sessionID))
        }
    }

    private static var noSession: MCPReply {
        MCPReply(.json(RPCError(.invalidRequest, "Session not found").json(), status: .notFound))
    }

    // MARK: Both

    /// Method, content type and what the client accepts.
    private func refuseHead(_ call: HTTPCall) -> MCPReply? {
        guard call.request.method == .post else { return MCPReply(HTTPReply(.methodNotAllowed, [.allow: "POST"])) }
        guard MediaType.isJSON(call.request.headerFields[.contentType]) else {
            return MCPReply(.error(OAuthError(.invalidRequest, "send Content-Type: application/json"), status: .badRequest))
        }
        guard MediaType.accepts(call.request.headerFields[values: .accept], "application/json") else { return MCPReply(HTTPReply(.notAcceptable)) }
        return nil
    }

    private func execute(
        _ id: JSONValue, _ method: String, _ params: JSONValue, _ caller: Caller, _ wire: Dispatcher.Wire, _ level: LogLevel?, _ call: HTTPCall,
        key: String?
    ) async -> MCPReply {
        let progressToken = params["_meta"]?["progressToken"]
        let canStream = MediaType.accepts(call.request.headerFields[values: .accept], "text/event-stream")
        guard canStream, method == "tools/call", progressToken != nil else {
            return answer(id, await dispatcher.run(method, params, caller: caller, wire: wire, messages: .nowhere), wire)
        }
        let running = EventStream.Running()
        if let key, !sessions.register(key, id.text, running.cancel) {
            return answer(id, .error(RPCError(.invalidRequest, "a request of this id is still running")), wire)
        }
        return await EventStream.run(
            running, minimumLevel: level, progressToken: progressToken,
            isAlive: { [resourceServer] in caller.principal.map(resourceServer.stillAccepts) ?? true },
            finished: { [sessions] in if let key { sessions.unregister(key, id.text) } },
            work: { [self] messages in await dispatcher.run(method, params, caller: caller, wire: wire, messages: messages) },
            whole: { [self] outcome in answer(id, outcome, wire) }, last: { [self] outcome in body(id, outcome, wire) })
    }

    private func answer(_ id: JSONValue, _ outcome: Dispatcher.Outcome, _ wire: Dispatcher.Wire) -> MCPReply {
        var status = HTTPResponse.Status.ok
        // With a handshake, errors are 200: its clients take every other status for the end of the transport.
        if case .error(let error) = outcome, wire == .modern { status = .init(code: error.code.status) }
        return MCPReply(.json(body(id, outcome, wire), status: status))
    }

    private func body(_ id: JSONValue, _ outcome: Dispatcher.Outcome, _ wire: Dispatcher.Wire) -> JSONValue {
        switch outcome {
        case .result(let result): ["jsonrpc": "2.0", "id": id, "result": .object(wire == .modern ? dispatcher.complete(result) : result)]
        case .error(let error): error.json(id: id)
        }
    }
}

/// Identifiers of requests, for the audit trail: different, but no secret.
private final class RequestIDs: Sendable {
    private let prefix: String
    private let count = Atomic<UInt64>(0)

    init(_ random: RandomSource) { prefix = random.token(bytes: 6) }

    func next() -> String { prefix + "-" + String(count.add(1, ordering: .relaxed).newValue, radix: 36) }
}

extension HTTPField.Name {
    static let mcpProtocolVersion = HTTPField.Name("MCP-Protocol-Version")!
    static let mcpMethod = HTTPField.Name("Mcp-Method")!
    static let mcpName = HTTPField.Name("Mcp-Name")!
    static let mcpSessionID = HTTPField.Name("Mcp-Session-Id")!
}

/// Just enough of media types for two headers.
enum MediaType {
    static func isJSON(_ value: String?) -> Bool { value.map { essence(of: $0.utf8[...], is: "application/json") } ?? false }

    /// Whether `Accept` names this type, or a range that holds it. No header accepts everything (RFC 9110 §12.5.1).
    static func accepts(_ values: [String], _ type: StaticString) -> Bool {
        guard !values.isEmpty else { return true }
        return values.contains { value in
            var rest = value.utf8[...]
            while true {
                let part = rest.prefix { $0 != UInt8(ascii: ",") }
                if essence(of: part, is: type) || isRange(part, of: type) { return true }
                guard part.endIndex < rest.endIndex else { return false }
                rest = rest[rest.index(after: part.endIndex)...]
            }
        }
    }

    /// Whether type and subtype, without parameters, spaces and case, are these.
    private static func essence(of text: Substring.UTF8View, is type: StaticString) -> Bool {
        var position = 0
        for byte in text {
            if byte == UInt8(ascii: ";") { break }
            if byte == 0x20 || byte == 0x09 { continue }
            guard position < type.utf8CodeUnitCount, URLBytes.lowercased(byte) == type.utf8Start[position] else { return false }
            position += 1
        }
        return position == type.utf8CodeUnitCount
    }

    private static func isRange(_ text: Substring.UTF8View, of type: StaticString) -> Bool {
        if essence(of: text, is: "*/*") { return true }
        let bytes = UnsafeBufferPointer(start: type.utf8Start, count: type.utf8CodeUnitCount)
        let major = bytes.prefix { $0 != UInt8(ascii: "/") }
        return text.lazy.filter { $0 != 0x20 && $0 != 0x09 }.prefix { $0 != UInt8(ascii: ";") }.map(URLBytes.lowercased)
            .elementsEqual(Array(major) + Array("/*".utf8))
    }
}
