import HTTPTypes
public import JOSE
public import Logging
public import MCPAuthClient
import OAuth
import Synchronization

/// Connects a client that speaks MCP over stdio to a protected server over HTTP.
///
/// Messages pass as they are, in both directions. The bridge adds what HTTP needs: the access token, the session, the
/// revision, and the header fields of MCP 2026-07-28. It opens the stream for messages that the server begins, and
/// resumes streams that break.
public final class StdioBridge: Sendable {
    private let session: AuthorizedSession
    private let output: @Sendable ([UInt8]) async -> Void
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var sessionID: String?
        var version: String?
        /// The first request of the client, to repeat it when the server has forgotten the session.
        var initialize: JSONValue?
        var mirrored: [String: [RequestHeaders.Mirrored]] = [:]
        var running: [String: Task<Void, Never>] = [:]
        var listener: Task<Void, Never>?
        var flight: Task<Bool, Never>?
    }

    /// The longest message of the client, in bytes.
    public static let maximumLineBytes = 16 << 20
    private static let timeout: Duration = .seconds(600)

    /// A bridge that writes each message of the server, without a line break, to `output`.
    public init(_ session: AuthorizedSession, logger: Logger, output: @escaping @Sendable ([UInt8]) async -> Void) {
        self.session = session
        self.logger = logger
        self.output = output
    }

    /// Passes messages until the input ends and every request is answered, then ends the session.
    public func run(_ lines: AsyncStream<[UInt8]>) async {
        await withTaskGroup(of: Void.self) { group in
            for await line in lines where !line.allSatisfy({ $0 == 0x20 || $0 == 0x0D || $0 == 0x09 }) {
                guard let message = try? RPCMessage.parse(line), message.object != nil else {
                    await write(["jsonrpc": "2.0", "id": nil, "error": ["code": -32700, "message": "this line is not a JSON-RPC message"]])
                    continue
                }
                // The handshake is answered before anything else goes out, and messages without an answer keep their
                // order.
                if message["method"]?.string == "initialize" || message["id"] == nil || message["method"] == nil {
                    await pass(message, line)
                } else {
                    let task = Task { await self.pass(message, line) }
                    let key = message["id"]?.text ?? ""
                    state.withLock { $0.running[key] = task }
                    group.addTask {
                        await task.value
                        self.state.withLock { $0.running[key] = nil }
                    }
                }
            }
            await group.waitForAll()
        }
        state.withLock { $0.listener }?.cancel()
        await end()
    }

    // MARK: From the client to the server

    private func pass(_ message: JSONValue, _ line: [UInt8]) async {
        let method = message["method"]?.string
        if method == "initialize" { state.withLock { $0.initialize = message } }
        do {
            try await send(message, line, mayRestart: true)
            if method == "notifications/initialized" { listen() }
            if method == "notifications/cancelled", let id = message["params"]?["requestId"] {
                state.withLock { $0.running[id.text] }?.cancel()
            }
        } catch {
            let text = (error as? OAuthError)?.message ?? (error as? MCPError)?.message ?? "the server cannot be reached"
            logger.warning("a message could not be passed on", metadata: ["method": "\(method ?? "response")", "reason": "\(text)"])
            guard let id = message["id"], method != nil, !Task.isCancelled else { return }
            await write(["jsonrpc": "2.0", "id": id, "error": ["code": -32000, "message": .string(text)]])
        }
    }

    private func send(_ message: JSONValue, _ line: [UInt8], mayRestart: Bool) async throws {
        let method = message["method"]?.string
        let request = makeRequest(message, line)
        let usedSession = request.fields[.mcpSessionID]
        let reply = try await session.send(request)
        let status = reply.response.status.code
        if method == "initialize", let id = reply.response.headerFields[.mcpSessionID], id.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
            state.withLock { $0.sessionID = id }
        }
        if status == 404, let usedSession, mayRestart, method != "initialize" {
            reply.body.cancel()
            guard await restart(insteadOf: usedSession) else {
                throw MCPError(code: MCPError.httpStatus, message: "the server has ended the session, and a new one could not be begun")
            }
            return try await send(message, line, mayRestart: false)
        }
        let type = reply.response.headerFields[.contentType]?.lowercased() ?? ""
        if (200..<300).contains(status), type.hasPrefix("text/event-stream") {
            return try await stream(reply, until: method == nil ? nil : message["id"], isHandshake: method == "initialize", mayResume: true)
        }
        let bytes = try await reply.body.collect(upTo: Self.maximumLineBytes)
        guard let json = try? RPCMessage.parse(bytes), json.object != nil, json["jsonrpc"] != nil else {
            guard (200..<300).contains(status) else {
                let words = (try? RPCMessage.parse(bytes))?["error_description"]?.string.map { ": " + DisplayText.clean($0, limit: 300) } ?? ""
                throw MCPError(code: MCPError.httpStatus, message: "the server answers \(status)\(words)")
            }
            guard message["id"] == nil || method == nil else {
                throw MCPError(code: MCPError.notMCP, message: "the response is not one of MCP. Is \(session.server) the URL of an MCP endpoint?")
            }
            return
        }
        await deliver(json, isHandshake: method == "initialize")
    }

    private func makeRequest(_ message: JSONValue, _ line: [UInt8]) -> OutboundRequest {
        var fields: HTTPFields = [.contentType: "application/json", .accept: "application/json, text/event-stream"]
        let (sessionID, negotiated) = state.withLock { ($0.sessionID, $0.version) }
        let params = message["params"]
        if let version = params?["_meta"]?["io.modelcontextprotocol/protocolVersion"]?.string, let method = message["method"]?.string {
            for field in RequestHeaders.fields(version: version, method: method, params: params) { fields[field.name] = field.value }
            if method == "tools/call", let name = params?["name"]?.string, let mirrored = state.withLock({ $0.mirrored[name] }) {
                for field in RequestHeaders.fields(mirrored, arguments: params?["arguments"] ?? [:]) { fields[field.name] = field.value }
            }
        } else if message["method"]?.string != "initialize" {
            fields[.mcpSessionID] = sessionID
            if let negotiated { fields[.mcpProtocolVersion] = negotiated }
        }
        return OutboundRequest(
            .post, session.server.url, fields: fields, body: line, maximumBytes: EventParser.maximumBytes, timeout: Self.timeout)
    }

    // MARK: From the server to the client

    /// Writes the messages of a stream. With `id`, until the response to it; a broken stream is resumed after its last
    /// event.
    private func stream(_ first: StreamedReply, until id: JSONValue?, isHandshake: Bool, mayResume: Bool) async throws {
        var reply = first
        var last: String?
        for attempt in 0..<5 {
            var parser = EventParser()
            do {
                while let bytes = try await reply.body.next() {
                    for event in try parser.events(in: bytes) {
                        last = event.identifier ?? last
                        guard !event.data.isEmpty, let json = try? RPCMessage.parse(event.data) else { continue }
                        await deliver(json, isHandshake: isHandshake)
                        if let id, json["method"] == nil, json["id"] == id {
                            reply.body.cancel()
                            return
                        }
                    }
                }
            } catch let error as OAuthError where error.code == .fetchFailed && last != nil && attempt < 4 {
                logger.info("the stream broke, and is resumed", metadata: ["reason": "\(error.message)"])
            }
            guard mayResume, id != nil, let last, attempt < 4 else { break }
            try await Task.sleep(for: .milliseconds(250 << attempt))
            reply = try await openStream(after: last, mayAskUser: true)
            guard reply.response.status == .ok else { break }
        }
        if id != nil { throw OAuthError(.fetchFailed, "the connection ended before the response") }
    }

    private func openStream(after last: String?, mayAskUser: Bool) async throws -> StreamedReply {
        var fields: HTTPFields = [.accept: "text/event-stream"]
        let (sessionID, version) = state.withLock { ($0.sessionID, $0.version) }
        fields[.mcpSessionID] = sessionID
        if let version { fields[.mcpProtocolVersion] = version }
        fields[.lastEventID] = last
        return try await session.send(
            OutboundRequest(.get, session.server.url, fields: fields, maximumBytes: EventParser.maximumBytes, timeout: .seconds(30)),
            mayAskUser: mayAskUser)
    }

    /// The stream for messages that the server begins. A server that has none answers 405, once.
    private func listen() {
        let task = Task {
            var pause = 1
            while !Task.isCancelled {
                do {
                    let reply = try await self.openStream(after: nil, mayAskUser: false)
                    guard reply.response.status == .ok else {
                        reply.body.cancel()
                        // Only a lost session can come back.
                        guard reply.response.status.code >= 500 || reply.response.status.code == 404 else { return }
                        throw OAuthError(.fetchFailed, "the server answers \(reply.response.status.code)")
                    }
                    pause = 1
                    try await self.stream(reply, until: nil, isHandshake: false, mayResume: false)
                } catch { self.logger.debug("the stream of the server is closed", metadata: ["reason": "\(error)"]) }
                try? await Task.sleep(for: .seconds(pause))
                pause = min(pause * 2, 60)
            }
        }
        state.withLock { state in
            state.listener?.cancel()
            state.listener = task
        }
    }

    private func deliver(_ json: JSONValue, isHandshake: Bool) async {
        if isHandshake, let version = json["result"]?["protocolVersion"]?.string { state.withLock { $0.version = version } }
        for tool in json["result"]?["tools"]?.array ?? [] {
            if let name = tool["name"]?.string, let mirrored = try? RequestHeaders.mirrored(in: tool["inputSchema"] ?? .null) {
                state.withLock { $0.mirrored[name] = mirrored }
            }
        }
        await write(json)
    }

    /// One message a line, and nothing else, ever.
    private func write(_ json: JSONValue) async { await output(json.serialized) }

    // MARK: Sessions

    /// Repeats the handshake after the server has forgotten the session. The client does not notice.
    private func restart(insteadOf old: String) async -> Bool {
        let task: Task<Bool, Never>? = state.withLock { state in
            guard state.sessionID == old else { return nil }
            if let flight = state.flight { return flight }
            let flight = Task { await self.handshakeAgain() }
            state.flight = flight
            return flight
        }
        guard let task else { return true }
        let isDone = await task.value
        state.withLock { $0.flight = nil }
        return isDone
    }

    private func handshakeAgain() async -> Bool {
        guard var message = state.withLock({ $0.initialize })?.object else { return false }
        message["id"] = "bridge-handshake"
        let body = JSONValue.object(message).serialized
        let fields: HTTPFields = [.contentType: "application/json", .accept: "application/json, text/event-stream"]
        guard
            let reply = try? await session.send(OutboundRequest(.post, session.server.url, fields: fields, body: body, timeout: .seconds(60))),
            reply.response.status == .ok
        else { return false }
        state.withLock { $0.sessionID = reply.response.headerFields[.mcpSessionID] }
        // The answer is the one that the client has got before.
        _ = try? await reply.body.next()
        reply.body.cancel()
        let initialized: JSONValue = ["jsonrpc": "2.0", "method": "notifications/initialized"]
        let sent = try? await session.send(makeRequest(initialized, initialized.serialized))
        sent?.body.cancel()
        listen()
        logger.info("began a new session")
        return true
    }

    private func end() async {
        guard let id = state.withLock({ $0.sessionID }) else { return }
        var fields: HTTPFields = [:]
        fields[.mcpSessionID] = id
        if let version = state.withLock({ $0.version }) { fields[.mcpProtocolVersion] = version }
        let reply = try? await session.send(OutboundRequest(.delete, session.server.url, fields: fields, timeout: .seconds(3)))
        reply?.body.cancel()
    }
}
