public import JOSE
public import MCPAuthClient
import OAuth
import HTTPTypes
import Synchronization

/// Calls the tools of an MCP server, and reads its resources and prompts.
///
/// It speaks the stateless revision (2026-07-28) and the revisions with a handshake (2025-03-26 to 2025-11-25), and
/// finds out which one the server has.
///
/// ```swift
/// let client = MCPClient(session, name: "my-app", version: "1.0")
/// let result = try await client.callTool("search", ["query": "invoices"])
/// ```
public final class MCPClient: Sendable {
    /// What a client can do for a server during a call.
    public struct Handlers: Sendable {
        /// Called with each notification of the server, such as progress and log messages: its method and parameters.
        public var notification: (@Sendable (String, JSONValue) async -> Void)?
        /// Asks the user for something (`elicitation/create`), with the parameters of the request. Returns the result,
        /// such as `["action": "accept", "content": [...]]`. Nil: the client cannot ask, and says so to the server.
        ///
        /// A URL in the parameters is chosen by the server. Show it whole, and open it only after the user has agreed.
        public var elicitation: (@Sendable (JSONValue) async -> JSONValue)?

        /// Handlers for what is given.
        public init(
            notification: (@Sendable (String, JSONValue) async -> Void)? = nil, elicitation: (@Sendable (JSONValue) async -> JSONValue)? = nil
        ) {
            self.notification = notification
            self.elicitation = elicitation
        }
    }

    /// What a server says about itself.
    public struct ServerInformation: Sendable {
        /// The revision that is spoken.
        public let protocolVersion: String
        /// `serverInfo`. Null when the server gives none.
        public let implementation: JSONValue
        /// `capabilities`.
        public let capabilities: JSONValue
        /// `instructions`. Nil: none.
        public let instructions: String?
    }

    /// The stateless revision.
    public static let modernVersion = "2026-07-28"
    /// The revisions with a handshake, newest first.
    public static let handshakeVersions = ["2025-11-25", "2025-06-18", "2025-03-26"]
    /// The most times that one call is repeated because the server needs input.
    public static let maximumRounds = 8

    private let session: AuthorizedSession
    private let implementation: JSONValue
    private let handlers: Handlers
    private let fixedVersion: String?
    private let timeout: Duration
    private let state = Mutex(State())

    private struct State {
        var information: ServerInformation?
        var sessionID: String?
        var nextID: Int64 = 1
        var mirrored: [String: [RequestHeaders.Mirrored]] = [:]
    }

    /// A client. It connects with the first request.
    ///
    /// - Parameters:
    ///   - name: The name of the program, for the server.
    ///   - protocolVersion: The revision to speak. Nil: the newest that the server has.
    ///   - timeout: The longest time until the head of a response arrives.
    public init(
        _ session: AuthorizedSession, name: String, version: String, protocolVersion: String? = nil, timeout: Duration = .seconds(60),
        handlers: Handlers = Handlers()
    ) {
        self.session = session
        implementation = ["name": .string(name), "version": .string(version)]
        fixedVersion = protocolVersion
        self.timeout = timeout
        self.handlers = handlers
    }

    // MARK: Operations

    /// Connects, unless it has before. Throws `MCPError`, and `OAuthError` like every other method.
    @discardableResult
    public func connect() async throws -> ServerInformation {
        if let known = state.withLock({ $0.information }) { return known }
        let information: ServerInformation
        if fixedVersion ?? Self.modernVersion == Self.modernVersion, let modern = try await discover() {
            information = modern
        } else {
            information = try await initialize()
        }
        state.withLock { $0.information = information }
        return information
    }

    /// Every tool, of all pages. Tools whose `x-mcp-header` marks are invalid are left out, as the specification
    /// demands.
    public func tools() async throws -> [JSONValue] {
        try await list("tools/list", "tools").filter { tool in
            guard let name = tool["name"]?.string else { return false }
            guard let mirrored = try? RequestHeaders.mirrored(in: tool["inputSchema"] ?? .null) else { return false }
            state.withLock { $0.mirrored[name] = mirrored }
            return true
        }
    }

    /// Every resource, of all pages.
    public func resources() async throws -> [JSONValue] { try await list("resources/list", "resources") }

    /// Every resource template, of all pages.
    public func resourceTemplates() async throws -> [JSONValue] { try await list("resources/templates/list", "resourceTemplates") }

    /// Every prompt, of all pages.
    public func prompts() async throws -> [JSONValue] { try await list("prompts/list", "prompts") }

    /// Calls a tool and returns its `result`, whose `isError` says whether the tool failed. Requests for input go to
    /// the handler, and the call is repeated with the answers.
    public func callTool(_ name: String, _ arguments: JSONValue = [:]) async throws -> JSONValue {
        try await request("tools/call", ["name": .string(name), "arguments": arguments])
    }

    /// The contents of a resource: its `result`.
    public func readResource(_ uri: String) async throws -> JSONValue { try await request("resources/read", ["uri": .string(uri)]) }

    /// The messages of a prompt: its `result`.
    public func prompt(_ name: String, _ arguments: JSONValue = [:]) async throws -> JSONValue {
        try await request("prompts/get", ["name": .string(name), "arguments": arguments])
    }

    /// Ends the session of a revision with a handshake. The server may refuse.
    public func close() async {
        guard let id = state.withLock({ $0.sessionID }), let version = state.withLock({ $0.information?.protocolVersion }) else { return }
        var fields = HTTPFields()
        fields[.mcpSessionID] = id
        fields[.mcpProtocolVersion] = version
        let reply = try? await session.send(OutboundRequest(.delete, session.server.url, fields: fields, timeout: .seconds(5)))
        reply?.body.cancel()
    }

    /// Sends any request, and returns its `result`.
    public func request(_ method: String, _ params: JSONObject = [:]) async throws -> JSONValue {
        let information = try await connect()
        guard information.protocolVersion == Self.modernVersion else {
            do { return try await exchange(method, params, information.protocolVersion) } catch is SessionLost {
                // The server has forgotten the session, so a new one begins.
                state.withLock { state in
                    state.sessionID = nil
                    state.information = nil
                }
                let again = try await connect()
                return try await exchange(method, params, again.protocolVersion)
            }
        }
        if method == "tools/call", let name = params["name"]?.string, state.withLock({ $0.mirrored[name] }) == nil { _ = try await tools() }
        var params = params
        for _ in 0..<Self.maximumRounds {
            let result = try await exchange(method, params, Self.modernVersion)
            guard result["resultType"]?.string == "input_required" else { return result }
            params = try await answered(params, result)
        }
        throw MCPError(code: MCPError.tooManyRounds, message: "the server asks again and again for input")
    }

    // MARK: Connection

    private func discover() async throws -> ServerInformation? {
        let result: JSONValue
        do { result = try await exchange("server/discover", [:], Self.modernVersion) } catch let error as MCPError {
            if error.code == MCPError.unsupportedProtocolVersion, let supported = error.data?["supported"]?.strings,
                !supported.contains(where: Self.handshakeVersions.contains)
            {
                throw MCPError(
                    code: error.code,
                    message: "the server speaks \(supported.joined(separator: ", ")), and this client \(Self.modernVersion) and before")
            }
            guard fixedVersion == nil else { throw error }
            return nil
        } catch is SessionLost { return nil }
        guard result["supportedVersions"]?.strings?.contains(Self.modernVersion) == true else { return nil }
        return ServerInformation(
            protocolVersion: Self.modernVersion,
            implementation: result["serverInfo"] ?? result["_meta"]?["io.modelcontextprotocol/serverInfo"] ?? .null,
            capabilities: result["capabilities"] ?? [:], instructions: result["instructions"]?.string)
    }

    private func initialize() async throws -> ServerInformation {
        let requested = fixedVersion ?? Self.handshakeVersions[0]
        let result = try await exchange(
            "initialize",
            ["protocolVersion": .string(requested), "capabilities": capabilities, "clientInfo": implementation], nil)
        guard let version = result["protocolVersion"]?.string, Self.handshakeVersions.contains(version) || version == "2024-11-05" else {
            throw MCPError(
                code: MCPError.notMCP,
                message:
                    "the server answers with the revision \(DisplayText.clean(result["protocolVersion"]?.string ?? "none", limit: 40)); this client speaks "
                    + ([Self.modernVersion] + Self.handshakeVersions).joined(separator: ", "))
        }
        let reply = try await session.send(request(["jsonrpc": "2.0", "method": "notifications/initialized"], fields(version)))
        reply.body.cancel()
        return ServerInformation(
            protocolVersion: version, implementation: result["serverInfo"] ?? .null, capabilities: result["capabilities"] ?? [:],
            instructions: result["instructions"]?.string)
    }

    private var capabilities: JSONValue {
        handlers.elicitation == nil ? [:] : ["elicitation": ["form": [:], "url": [:]]]
    }

    private func list(_ method: String, _ member: String) async throws -> [JSONValue] {
        var items: [JSONValue] = []
        var cursor: String?
        for _ in 0..<1000 {
            let result = try await request(method, cursor.map { ["cursor": .string($0)] } ?? [:])
            items += result[member]?.array ?? []
            guard let next = result["nextCursor"]?.string, next != cursor else { return items }
            cursor = next
        }
        return items
    }

    /// The parameters of the repeated call: the answers by key, and the state of the server byte for byte (R78).
    private func answered(_ params: JSONObject, _ result: JSONValue) async throws -> JSONObject {
        var params = params
        var responses = JSONObject()
        for request in result["inputRequests"]?.object?.members ?? [] {
            responses[request.name] = await answer(request.value["method"]?.string ?? "", request.value["params"] ?? [:]) ?? ["action": "decline"]
        }
        params["inputResponses"] = responses.isEmpty ? nil : .object(responses)
        params["requestState"] = result["requestState"]
        return params
    }

    private func answer(_ method: String, _ params: JSONValue) async -> JSONValue? {
        guard method == "elicitation/create", let elicitation = handlers.elicitation else { return nil }
        return await elicitation(params)
    }

    // MARK: Messages

    struct SessionLost: Error {}

    private func fields(_ version: String?) -> HTTPFields {
        var fields = HTTPFields()
        fields[.mcpSessionID] = state.withLock { $0.sessionID }
        if let version { fields[.mcpProtocolVersion] = version }
        return fields
    }

    private func request(_ message: JSONValue, _ fields: HTTPFields) -> OutboundRequest {
        var fields = fields
        fields[.contentType] = "application/json"
        fields[.accept] = "application/json, text/event-stream"
        return OutboundRequest(
            .post, session.server.url, fields: fields, body: message.serialized, maximumBytes: EventParser.maximumBytes, timeout: timeout)
    }

    /// One request, and its result. `version` is nil for the handshake itself.
    private func exchange(_ method: String, _ params: JSONObject, _ version: String?) async throws -> JSONValue {
        let id = state.withLock { state in
            defer { state.nextID += 1 }
            return state.nextID
        }
        var params = params
        var fields = fields(version)
        if version == Self.modernVersion {
            var meta = params["_meta"]?.object ?? [:]
            meta["io.modelcontextprotocol/protocolVersion"] = .string(Self.modernVersion)
            meta["io.modelcontextprotocol/clientInfo"] = implementation
            meta["io.modelcontextprotocol/clientCapabilities"] = capabilities
            if handlers.notification != nil { meta["progressToken"] = .int(id) }
            params["_meta"] = .object(meta)
            for field in RequestHeaders.fields(version: Self.modernVersion, method: method, params: .object(params)) {
                fields[field.name] = field.value
            }
            if method == "tools/call", let name = params["name"]?.string, let mirrored = state.withLock({ $0.mirrored[name] }) {
                for field in RequestHeaders.fields(mirrored, arguments: params["arguments"] ?? [:]) { fields[field.name] = field.value }
            }
        } else if handlers.notification != nil, method == "tools/call" {
            var meta = params["_meta"]?.object ?? [:]
            meta["progressToken"] = .int(id)
            params["_meta"] = .object(meta)
        }
        let message: JSONValue = ["jsonrpc": "2.0", "id": .int(id), "method": .string(method), "params": .object(params)]
        let reply = try await session.send(request(message, fields))
        if method == "initialize", let assigned = reply.response.headerFields[.mcpSessionID] { try keep(sessionID: assigned) }
        return try await result(of: reply, id: id, version: version)
    }

    private func keep(sessionID: String) throws {
        guard (1...1024).contains(sessionID.utf8.count), sessionID.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw MCPError(code: MCPError.notMCP, message: "the server assigned a session ID that no header can carry")
        }
        state.withLock { $0.sessionID = sessionID }
    }

    private func result(of reply: StreamedReply, id: Int64, version: String?) async throws -> JSONValue {
        let status = reply.response.status.code
        let type = reply.response.headerFields[.contentType]?.lowercased() ?? ""
        if (200..<300).contains(status), type.hasPrefix("text/event-stream") { return try await streamed(reply, id: id, version: version) }
        let bytes = try await reply.body.collect(upTo: EventParser.maximumBytes)
        let json = try? RPCMessage.parse(bytes)
        if let json, json["error"]?["code"]?.int != nil || (json["result"] != nil && json["id"]?.int == Int(id)) { return try Self.outcome(json) }
        if status == 404, version != nil, version != Self.modernVersion, state.withLock({ $0.sessionID }) != nil { throw SessionLost() }
        guard (200..<300).contains(status) else {
            let words = (json?["error_description"]?.string ?? json?["error"]?.string).map { ": " + DisplayText.clean($0, limit: 300) } ?? ""
            // Other answers are those of an endpoint that is there.
            let question =
                status == 404 || status == 405 ? ". Is \(session.server) the URL of its MCP endpoint?\(Self.usualEndpoint(session.server))" : ""
            throw MCPError(
                code: MCPError.httpStatus, message: "the server answers \(status)\(words)\(question)",
                data: ["status": .int(status)])
        }
        throw MCPError(code: MCPError.notMCP, message: "the response is not one of MCP. Is \(session.server) the URL of an MCP endpoint?")
    }

    /// Where most servers have their endpoint, if a URL without a path was given.
    private static func usualEndpoint(_ server: ResourceIdentifier) -> String {
        server.url.path.utf8.count <= 1 ? " Most servers have it at \(server.url.origin)/mcp" : ""
    }

    private static func outcome(_ json: JSONValue) throws -> JSONValue {
        if let error = json["error"], let code = error["code"]?.int {
            throw MCPError(code: code, message: DisplayText.clean(error["message"]?.string ?? "error", limit: 500), data: error["data"])
        }
        return json["result"] ?? .null
    }

    /// Reads events until the response of this request. A stream that breaks is resumed after its last event, in the
    /// revisions that have it.
    private func streamed(_ first: StreamedReply, id: Int64, version: String?) async throws -> JSONValue {
        var reply = first
        var last: String?
        for attempt in 0..<4 {
            var parser = EventParser()
            do {
                while let bytes = try await reply.body.next() {
                    for event in try parser.events(in: bytes) {
                        last = event.identifier ?? last
                        guard !event.data.isEmpty, let json = try? RPCMessage.parse(event.data) else { continue }
                        if let result = try await handle(json, id: id, version: version) {
                            reply.body.cancel()
                            return result
                        }
                    }
                }
            } catch let error as OAuthError where error.code == .fetchFailed && last != nil && version != Self.modernVersion && attempt < 3 {
                // Lost; resumed below.
            }
            guard let last, version != Self.modernVersion, attempt < 3 else { break }
            try await Task.sleep(for: .milliseconds(200 * (attempt + 1)))
            var fields = fields(version)
            fields[.accept] = "text/event-stream"
            fields[.lastEventID] = last
            reply = try await session.send(
                OutboundRequest(.get, session.server.url, fields: fields, maximumBytes: EventParser.maximumBytes, timeout: timeout))
            guard reply.response.status == .ok else { break }
        }
        throw OAuthError(.fetchFailed, "the connection to \(session.server.url.hostForURL) ended before the response")
    }

    /// Handles one message of a stream. Returns the result if it is the response of the request.
    private func handle(_ json: JSONValue, id: Int64, version: String?) async throws -> JSONValue? {
        if let method = json["method"]?.string {
            if let requestID = json["id"], !requestID.isNull {
                var response: JSONObject = ["jsonrpc": "2.0", "id": requestID]
                if method == "ping" {
                    response["result"] = [:]
                } else if let value = await answer(method, json["params"] ?? [:]) {
                    response["result"] = value
                } else {
                    response["error"] = ["code": .int(MCPError.methodNotFound), "message": "this client cannot do that"]
                }
                let reply = try await session.send(request(.object(response), fields(version)))
                reply.body.cancel()
            } else {
                await handlers.notification?(method, json["params"] ?? [:])
            }
            return nil
        }
        guard json["id"]?.int == Int(id) || (json["id"]?.isNull == true && json["error"] != nil) else { return nil }
        return try Self.outcome(json)
    }
}
