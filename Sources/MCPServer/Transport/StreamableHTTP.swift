public import Crypto
public import HTTPTypes
public import JOSE
public import MCPAuth
public import OAuth
import Synchronization

/// A response of an MCP endpoint: complete, or a stream of events.
public struct MCPReply: Sendable {
    /// The body of a response.
    public enum Body: Sendable {
        /// A complete body.
        case bytes([UInt8])
        /// Server-sent events. When the client disconnects, the adapter must stop reading them, which cancels the work.
        case events(ServerSentEvents)
    }

    /// The status and the header fields.
    public internal(set) var response: HTTPResponse
    /// The body, complete or as events.
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

/// The Streamable HTTP transport of MCP: the stateless revision (2026-07-28) and the revisions with a handshake
/// (2024-11-05 to 2025-11-25).
///
/// It depends on no HTTP framework. Checks happen in this order: transport security and token, then the message, then
/// the requirement of the message. Then the message runs.
public final class StreamableHTTP: Sendable {
    private let dispatcher: Dispatcher
    /// The resource server that protects the endpoint. It also advertises the scopes that the operations of the server
    /// need.
    public let resourceServer: ResourceServer
    private let seal: SessionSeal
    private let sessions = SessionTable()
    private let heartbeats: Heartbeats
    private let random: RandomSource
    private let requestIDs: RequestIDs

    /// The longest body of a request with a valid token: 4 MiB. Longer bodies are rejected with 413 before they are
    /// parsed.
    public static let maximumBodyBytes = 4 << 20
    /// The longest body of a request without a token: 64 KiB.
    public static let maximumAnonymousBodyBytes = 64 << 10

    /// Throws `invalid_configuration` when a definition of the server has a mistake.
    ///
    /// - Parameter sessionKey: Encrypts the session identifiers of the revisions with a handshake. Instances with the
    ///   same key accept each other's sessions, also after a restart. The default is a random key for this process.
    public convenience init(
        _ server: MCPServer, protectedBy resourceServer: ResourceServer, sessionKey: SymmetricKey? = nil, random: RandomSource = .system
    ) throws(OAuthError) {
        try self.init(server, protectedBy: resourceServer, sessionKey: sessionKey, heartbeat: .seconds(15), random: random)
    }

    /// `heartbeat` is shorter in tests, which do not wait for fifteen seconds.
    package init(
        _ server: MCPServer, protectedBy resourceServer: ResourceServer, sessionKey: SymmetricKey?, heartbeat: Duration,
        random: RandomSource = .system
    ) throws(OAuthError) {
        try server.check()
        try resourceServer.check(server.requirements)
        self.resourceServer = resourceServer.advertising(server.scopes)
        dispatcher = Dispatcher(server: server, resourceServer: self.resourceServer)
        self.random = random
        requestIDs = RequestIDs(random)
        seal = SessionSeal(sessionKey ?? SymmetricKey(size: .bits256), resource: resourceServer.resource)
        heartbeats = Heartbeats(every: heartbeat)
    }

    /// Whether a request target is this endpoint: the path of the resource, with or without a slash at its end, and any
    /// query.
    public func serves(_ target: String) -> Bool {
        resourceServer.resource.isSamePath(target.utf8[..<(target.utf8.firstIndex(of: UInt8(ascii: "?")) ?? target.utf8.endIndex)])
    }

    /// Answers one request to the MCP endpoint whose body was read. Use `admit` to reject requests before reading the
    /// body.
    public func reply(to call: HTTPCall) async -> MCPReply {
        switch await admit(call.request, peer: call.peer) {
        case .refused(let reply): return reply
        case .admitted(let caller): return await reply(to: call, from: caller)
        }
    }

    /// The decision that the head of a request allows.
    public enum Admission: Sendable {
        /// The request is rejected, or is a CORS preflight. Send this response and do not read the body.
        case refused(MCPReply)
        /// The body may be read, up to `bodyLimit(for:)`. The operation that it names is not authorized yet.
        case admitted(Caller)
    }

    /// Decides by the head of a request, before its body is read. A request without a valid token is rejected here,
    /// unless the server has a tool that needs none. Also answers CORS preflights, which have no token.
    public func admit(_ request: HTTPRequest, peer: String? = nil) async -> Admission {
        if let reply = resourceServer.preflightReply(for: request) { return .refused(MCPReply(reply)) }
        let requestID = requestIDs.next()
        let identification =
            if let known = resourceServer.identifyAtOnce(request, peer: peer, requestID: requestID) { known } else {
                await resourceServer.identify(request, peer: peer, requestID: requestID)
            }
        switch identification {
        case .rejected(let reply): return .refused(MCPReply(reply))
        case .accepted(let caller):
            if caller.principal == nil, !dispatcher.server.hasOpenOperations {
                if let reply = resourceServer.misdirected(request) { return .refused(readable(MCPReply(reply), request)) }
                // The headers only make the challenge more precise. They decide nothing.
                let params: JSONValue = request.headerFields[.mcpName].map { ["name": .string($0), "uri": .string($0)] } ?? [:]
                if let reply = dispatcher.authorize(caller, request.headerFields[.mcpMethod] ?? "any", params) {
                    return .refused(readable(MCPReply(reply), request))
                }
            }
            return .admitted(caller)
        }
    }

    /// Answers a request whose head was admitted.
    ///
    /// - Parameter departure: Signals that the client closed the connection, which cancels a call of the stateless
    ///   revision.
    public func reply(to call: HTTPCall, from caller: Caller, departure: ClientDeparture? = nil) async -> MCPReply {
        guard call.body.count <= bodyLimit(for: caller) else { return readable(MCPReply(HTTPReply(.contentTooLarge)), call.request) }
        let versions = call.request.headerFields[values: .mcpProtocolVersion]
        let isHandshake = versions.isEmpty || (versions.count == 1 && ProtocolVersion.handshake.contains(versions[0]))
        return readable(isHandshake ? await handshake(call, caller) : await modern(call, caller, departure), call.request)
    }

    /// A response that the web page that sent the request may read.
    private func readable(_ reply: MCPReply, _ request: HTTPRequest) -> MCPReply {
        guard request.headerFields.contains(.origin) else { return reply }
        var reply = reply
        resourceServer.openToOrigin(of: request, &reply.response.headerFields)
        return reply
    }

    /// The longest body that may be read from this caller, in bytes. The limit is lower without a token.
    public func bodyLimit(for caller: Caller) -> Int { caller.principal == nil ? Self.maximumAnonymousBodyBytes : Self.maximumBodyBytes }

    // MARK: The stateless wire

    private func modern(_ call: HTTPCall, _ caller: Caller, _ departure: ClientDeparture?) async -> MCPReply {
        if let refusal = refuseHead(call) { return refusal }
        let message: RPCMessage
        do throws(RPCError) { message = try RPCMessage(parsing: call.body) } catch { return modernError(error) }
        switch message {
        case .response: return modernError(RPCError(.invalidRequest, "this server makes no requests"))
        case .notification(let method, let params):
            if let reply = dispatcher.authorize(caller, method, params) { return MCPReply(reply) }
            return MCPReply(HTTPReply(.accepted))
        case .request(let id, let method, let params):
            let level: LogLevel?
            do throws(RPCError) {
                try ModernEnvelope.check(call.request, method, params)
                try dispatcher.checkMirroredArguments(call.request, method, params)
                level = try ModernEnvelope.logLevel(params)
            } catch { return modernError(error, id: id) }
            if let reply = dispatcher.authorize(caller, method, params) { return MCPReply(reply) }
            return await execute(id, method, params, caller, .modern, level, call, departure, session: nil)
        }
    }

    private func modernError(_ error: RPCError, id: JSONValue? = nil) -> MCPReply {
        MCPReply(.json(error.json(id: id), status: .init(code: error.code.status)))
    }

    // MARK: The wire with a handshake

    private func handshake(_ call: HTTPCall, _ caller: Caller) async -> MCPReply {
        if call.request.method == .delete {
            guard let session = session(of: call.request, caller) else { return Self.noSession }
            sessions.end(session, at: resourceServer.clock.now)
            return MCPReply(HTTPReply(.noContent))
        }
        if call.request.method == .get || call.request.method == .head {
            // Nothing is ever sent outside a response, so there is no stream to offer.
            return MCPReply(HTTPReply(.methodNotAllowed, [.allow: "POST, DELETE"]))
        }
        if let refusal = refuseHead(call) { return refusal }
        if RPCMessage.isBatch(call.body) { return await batch(call, caller) }
        let message: RPCMessage
        do throws(RPCError) { message = try RPCMessage(parsing: call.body) } catch {
            return MCPReply(.json(error.json(), status: .badRequest))
        }
        if case .request(let id, "initialize", let params) = message {
            if let reply = dispatcher.authorize(caller, "initialize", params) { return MCPReply(reply) }
            return open(id, params, caller)
        }
        guard call.request.headerFields.contains(.mcpSessionID) else { return Self.sessionNeeded }
        guard let session = session(of: call.request, caller) else { return Self.noSession }
        switch message {
        case .response: return MCPReply(HTTPReply(.accepted))
        case .notification(let method, let params):
            note(method, params, session)
            return MCPReply(HTTPReply(.accepted))
        case .request(let id, let method, let params):
            if let reply = dispatcher.authorize(caller, method, params) { return MCPReply(reply) }
            let level = sessions.level(of: session) ?? .info
            // In these revisions a closed connection does not cancel a call. They have a message for that.
            return await execute(id, method, params, caller, .handshake, level, call, nil, session: session)
        }
    }

    /// The session of a request, if it is alive and belongs to the caller. The caller must be the one who opened the
    /// session, on every method. The session itself proves nothing.
    private func session(of request: HTTPRequest, _ caller: Caller) -> SessionContents? {
        guard let text = request.headerFields[.mcpSessionID], let session = seal.open(text, at: resourceServer.clock.now),
            session.owner == (caller.principal?.owner).map(SessionContents.hash), !sessions.isEnded(session)
        else { return nil }
        return session
    }

    private func note(_ method: String, _ params: JSONValue, _ session: SessionContents) {
        if method == "notifications/cancelled", let id = params["requestId"] { sessions.cancel(id.text, in: session) }
    }

    private func open(_ id: JSONValue, _ params: JSONValue, _ caller: Caller) -> MCPReply {
        do throws(RPCError) {
            let (version, result) = try dispatcher.initialize(params)
            var capabilities = Set(SessionContents.capabilities.filter { params["capabilities"]?[$0]?.object != nil })
            if version == ProtocolVersion.handshake[0], opensURLs(params["capabilities"], params["clientInfo"], caller) {
                capabilities.insert(SessionContents.urlElicitation)
            }
            // The identifier is never taken from the client. It contains 128 random bits.
            let session = SessionContents(
                id: random.bytes(16), owner: (caller.principal?.owner).map(SessionContents.hash), version: version, capabilities: capabilities,
                expiresAt: resourceServer.clock.now.advanced(by: SessionContents.lifetime))
            guard let sessionID = seal.seal(session) else { throw RPCError(.internal, "the session could not be opened") }
            return MCPReply(HTTPReply.json(["jsonrpc": "2.0", "id": id, "result": .object(result)]).with(.mcpSessionID, sessionID))
        } catch { return MCPReply(.json(error.json(id: id))) }
    }

    /// Answers a batch of MCP 2025-03-26. Every message is authorized before any of them runs: if one needs more
    /// scopes, the response is its challenge, and none has run.
    ///
    /// The messages run one after the other. Their notifications are dropped. Once the token or the session has ended,
    /// no further message runs and no response is delivered.
    private func batch(_ call: HTTPCall, _ caller: Caller) async -> MCPReply {
        guard call.request.headerFields.contains(.mcpSessionID) else { return Self.sessionNeeded }
        guard let session = session(of: call.request, caller) else { return Self.noSession }
        let messages: [Result<RPCMessage, RPCError>]
        do throws(RPCError) {
            guard session.version == ProtocolVersion.withBatches else {
                throw RPCError(.invalidRequest, "MCP \(session.version) has no batches: send one message")
            }
            messages = try RPCMessage.batch(parsing: call.body)
        } catch { return MCPReply(.json(error.json(), status: .badRequest)) }
        for case .success(.request(_, let method, let params)) in messages {
            if let reply = dispatcher.authorize(caller, method, params) { return MCPReply(reply) }
        }
        let isAlive = { [resourceServer, sessions] in (caller.principal.map(resourceServer.stillAccepts) ?? true) && !sessions.isEnded(session) }
        var answers: [JSONValue] = []
        for message in messages {
            guard isAlive() else { break }
            switch message {
            case .failure(let error): answers.append(error.json())
            case .success(.response): break
            case .success(.notification(let method, let params)): note(method, params, session)
            case .success(.request(let id, let method, let params)):
                let outcome = await run(method, params, caller, .handshake, .nowhere, session: session)
                if let body = body(id, outcome, .handshake) { answers.append(body) }
            }
        }
        guard !answers.isEmpty, isAlive() else { return MCPReply(HTTPReply(.accepted)) }
        return MCPReply(.json(.array(answers)))
    }

    private static var noSession: MCPReply {
        MCPReply(.json(RPCError(.invalidRequest, "Session not found").json(), status: .notFound))
    }

    private static var sessionNeeded: MCPReply {
        MCPReply(.json(RPCError(.invalidRequest, "send initialize first, then its Mcp-Session-Id with every request").json(), status: .badRequest))
    }

    // MARK: Both

    /// Checks method, content type and `Accept`.
    private func refuseHead(_ call: HTTPCall) -> MCPReply? {
        guard call.request.method == .post else { return MCPReply(HTTPReply(.methodNotAllowed, [.allow: "POST"])) }
        guard MediaType.isJSON(call.request.headerFields[.contentType]) else {
            return MCPReply(.error(OAuthError(.invalidRequest, "send Content-Type: application/json"), status: .badRequest))
        }
        guard MediaType.accepts(call.request.headerFields[values: .accept], "application/json") else { return MCPReply(HTTPReply(.notAcceptable)) }
        return nil
    }

    /// The methods that run code of the application: they can take time, send notifications, and be cancelled.
    private static let calls: Set<String> = ["tools/call", "resources/read", "prompts/get"]

    private func execute(
        _ id: JSONValue, _ method: String, _ params: JSONValue, _ caller: Caller, _ wire: Dispatcher.Wire, _ level: LogLevel?, _ call: HTTPCall,
        _ departure: ClientDeparture?, session: SessionContents?
    ) async -> MCPReply {
        guard Self.calls.contains(method) else { return answer(id, await run(method, params, caller, wire, .nowhere, session: session), wire) }
        let elicitation: ClientElicitation
        do throws(RPCError) { elicitation = try self.elicitation(params, caller, session) } catch { return answer(id, .error(error), wire) }
        let running = RunningCall(canStream: MediaType.accepts(call.request.headerFields[values: .accept], "text/event-stream"))
        let key = id.text
        if let session { sessions.register(running, key, in: session, at: resourceServer.clock.now) }
        let isAlive: @Sendable () -> Bool = { [resourceServer] in caller.principal.map(resourceServer.stillAccepts) ?? true }
        let beat = heartbeats.add(running, isAlive: isAlive)
        let messages = CallServices(
            progressToken: params["_meta"]?["progressToken"], minimumLevel: level, send: running.say, elicitation: elicitation, canStepUp: true)
        departure?.whenGone { running.cancel() }
        running.begin { [self] in
            let outcome = await run(method, params, caller, wire, messages, session: session)
            // No response is delivered for a token that ended during the call.
            return isAlive() ? outcome : .cancelled
        } finished: { [heartbeats, sessions] in
            heartbeats.remove(beat)
            departure?.whenGone(nil)
            if let session { sessions.unregister(running, key, in: session) }
        }
        switch await running.opening() {
        case .whole(.stepUp(let scope, let result)):
            let text = result["content"]?.array?.first?["text"]?.string ?? ""
            return dispatcher.challenge(caller, method, params, for: scope, because: text).map(MCPReply.init) ?? answer(id, .result(result), wire)
        case .whole(let outcome): return answer(id, outcome, wire)
        case .events(let events):
            return MCPReply(events: ServerSentEvents(events: events) { [self] outcome in body(id, outcome, wire) ?? .null })
        }
    }

    /// What the client of a call can show, and what its user answered.
    private func elicitation(_ params: JSONValue, _ caller: Caller, _ session: SessionContents?) throws(RPCError) -> ClientElicitation {
        if let session { return ClientElicitation(opensURLs: session.capabilities.contains(SessionContents.urlElicitation)) }
        let meta = params["_meta"]
        return ClientElicitation(
            opensURLs: opensURLs(meta?["io.modelcontextprotocol/clientCapabilities"], meta?["io.modelcontextprotocol/clientInfo"], caller),
            answers: try ClientElicitation.answers(params))
    }

    /// Whether a client opens URLs: it says so, and the operator has not excepted it.
    private func opensURLs(_ capabilities: JSONValue?, _ information: JSONValue?, _ caller: Caller) -> Bool {
        guard ClientElicitation.namesURLs(capabilities) else { return false }
        return [information?["name"]?.string, caller.principal?.clientID].allSatisfy { name in
            name.map { !dispatcher.server.clientsWithoutURLElicitation.contains($0) } ?? true
        }
    }

    private func run(
        _ method: String, _ params: JSONValue, _ caller: Caller, _ wire: Dispatcher.Wire, _ messages: CallServices, session: SessionContents?
    ) async -> Dispatcher.Outcome {
        if let session, method == "logging/setLevel" {
            do throws(RPCError) {
                sessions.setLevel(try LogLevel(params["level"]), of: session, at: resourceServer.clock.now)
                return .result([:])
            } catch { return .error(error) }
        }
        let outcome = await dispatcher.run(method, params, caller: caller, wire: wire, messages: messages)
        guard let session, case .result(let result) = outcome else { return outcome }
        return .result(EarlierRevisions.translate(result, for: session.version))
    }

    private func answer(_ id: JSONValue, _ outcome: Dispatcher.Outcome, _ wire: Dispatcher.Wire) -> MCPReply {
        // A call that the client cancelled has no response. Its request gets an empty one.
        guard let body = body(id, outcome, wire) else { return MCPReply(HTTPReply(.accepted)) }
        var status = HTTPResponse.Status.ok
        // With a handshake, errors are 200: clients treat every other status as the end of the transport.
        if case .error(let error) = outcome, wire == .modern { status = .init(code: error.code.status) }
        return MCPReply(.json(body, status: status))
    }

    private func body(_ id: JSONValue, _ outcome: Dispatcher.Outcome, _ wire: Dispatcher.Wire) -> JSONValue? {
        switch outcome {
        case .result(let result), .stepUp(_, let result):
            ["jsonrpc": "2.0", "id": id, "result": .object(wire == .modern ? dispatcher.complete(result) : result)]
        case .error(let error): error.json(id: id)
        case .cancelled: nil
        }
    }
}

/// Identifiers of requests for the audit log. They are unique and not secret.
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
