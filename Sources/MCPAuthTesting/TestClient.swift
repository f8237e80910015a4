import HTTPTypes
public import JOSE
public import MCPAuth
public import MCPServer
public import OAuth

/// Calls the tools of a server in a test, without a network: with a token of any user and any scopes, or without one.
///
/// ```swift
/// let client = try TestClient(server)
/// let outcome = try await client.call("greet", ["name": "Grace"], as: "ada", scopes: "greet:people")
/// #expect(outcome.text == "Hello Grace, says ada")
/// ```
/// The requests are those of MCP 2026-07-28, and go through the same checks as those of a real client.
public struct TestClient: Sendable {
    private let mint: TokenMint
    private let transport: StreamableHTTP
    private let resource: ResourceIdentifier

    /// The outcome of a call.
    public struct Outcome: Sendable {
        /// The HTTP status: 200 when the tool ran, 401 without a good token, 403 when a scope is missing.
        public let status: Int
        /// The value of the header `WWW-Authenticate`. Nil unless the call was rejected with a challenge.
        public let challenge: String?
        /// The `result` of the JSON-RPC response, or its `error`. For a rejected call it is the OAuth error code as a
        /// string, or null when the request had no token.
        public let result: JSONValue
        /// Whether the tool ran and threw a `ToolError` or another error.
        public var isToolError: Bool { result["isError"]?.bool ?? false }
        /// The first text of the result. Nil when there is none.
        public var text: String? { result["content"]?.array?.lazy.compactMap { $0["text"]?.string }.first }
        /// The structured result. Nil for tools with text or content of their own.
        public var structuredContent: JSONValue? { result["structuredContent"] }
    }

    /// Throws `invalid_configuration` when the server has a mistake, and `JOSEError` when no key can be made.
    ///
    /// - Parameters:
    ///   - resource: the URL of the server.
    ///   - policy: the one that the server runs with, where it has one.
    public init(_ server: MCPServer, resource: String = "https://mcp.test/mcp", policy: ScopePolicy = ScopePolicy()) throws {
        mint = try TokenMint()
        self.resource = try ResourceIdentifier(resource)
        let auth = try ResourceServer(resource, trusting: .keys([mint.key.verificationKey], issuer: mint.issuer), policy: policy)
        transport = try StreamableHTTP(server, protectedBy: auth)
    }

    /// Calls a tool with a token.
    ///
    /// - Parameters:
    ///   - subject: the `sub` of the token.
    ///   - scopes: the scopes of the token.
    ///   - claims: further claims of the token, such as `name`.
    public func call(
        _ tool: String, _ arguments: JSONValue = [:], as subject: String = "test-user", scopes: ScopeSet = [], claims: JSONObject = [:]
    ) async throws -> Outcome {
        try await send(tool, arguments, token: try mint.token(subject: subject, audience: resource.text, scopes: scopes, claims: claims))
    }

    /// Calls a tool without a token.
    public func callWithoutToken(_ tool: String, _ arguments: JSONValue = [:]) async throws -> Outcome {
        try await send(tool, arguments, token: nil)
    }

    private func send(_ tool: String, _ arguments: JSONValue, token: String?) async throws -> Outcome {
        let version = "2026-07-28"
        let message: JSONValue = [
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": [
                "name": .string(tool), "arguments": arguments,
                "_meta": [
                    "io.modelcontextprotocol/protocolVersion": .string(version), "io.modelcontextprotocol/clientCapabilities": [:],
                ],
            ],
        ]
        var fields: HTTPFields = [.contentType: "application/json", .accept: "application/json, text/event-stream"]
        for (name, value) in [("MCP-Protocol-Version", version), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)] {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        if let token { fields[.authorization] = "Bearer \(token)" }
        let request = HTTPRequest(
            method: .post, scheme: resource.url.scheme, authority: String(resource.url.origin.dropFirst(resource.url.scheme.count + 3)),
            path: resource.url.path, headerFields: fields)
        let reply = await transport.reply(to: HTTPCall(request, body: message.serialized))
        var answer: JSONValue = .null
        switch reply.body {
        case .bytes(let bytes): if let json = try? JSONValue(parsing: bytes) { answer = json }
        case .events(let events): for await event in events { if let json = Self.message(of: event) { answer = json } }
        }
        return Outcome(
            status: reply.response.status.code, challenge: reply.response.headerFields[.wwwAuthenticate],
            result: answer["result"] ?? answer["error"] ?? .null)
    }

    /// The answer in a server-sent event. Nil for notifications, and for comments that keep the connection open.
    private static func message(of event: [UInt8]) -> JSONValue? {
        for line in event.split(separator: 0x0A) where line.starts(with: "data: ".utf8) {
            if let json = try? JSONValue(parsing: Array(line.dropFirst(6))), json["id"] != nil { return json }
        }
        return nil
    }
}
