public import JOSE
public import MCPAuth
import Metrics

/// An operation that a model can call.
public struct Tool: Sendable {
    /// The effects of a tool, for clients that ask their user first. They are hints, not guarantees.
    public struct Annotations: Sendable, Hashable {
        /// The name for people. Nil: the client shows `name`.
        public var title: String?
        /// Whether the tool changes nothing (`readOnlyHint`). Nil: not stated.
        public var isReadOnly: Bool?
        /// Whether the tool can delete or overwrite something (`destructiveHint`). Nil: not stated.
        public var isDestructive: Bool?
        /// Whether a second call with the same arguments has no further effect (`idempotentHint`). Nil: not stated.
        public var isIdempotent: Bool?
        /// Whether the tool interacts with systems beyond this server, such as the web (`openWorldHint`). Nil: not
        /// stated.
        public var isOpenWorld: Bool?

        /// Values that are nil are not sent to the client.
        public init(title: String? = nil, isReadOnly: Bool? = nil, isDestructive: Bool? = nil, isIdempotent: Bool? = nil, isOpenWorld: Bool? = nil) {
            self.title = title
            self.isReadOnly = isReadOnly
            self.isDestructive = isDestructive
            self.isIdempotent = isIdempotent
            self.isOpenWorld = isOpenWorld
        }

        var json: JSONValue {
            var json = JSONObject()
            json["title"] = title.map { .string($0) }
            json["readOnlyHint"] = isReadOnly.map { .bool($0) }
            json["destructiveHint"] = isDestructive.map { .bool($0) }
            json["idempotentHint"] = isIdempotent.map { .bool($0) }
            json["openWorldHint"] = isOpenWorld.map { .bool($0) }
            return .object(json)
        }
    }

    /// The name, which calls use. Compared as bytes.
    public let name: String
    /// The description for the model.
    public let description: String
    /// The requirement for callers. Nil: the policy's requirement for this tool.
    public let requirement: Requirement?
    /// The effects of the tool. Nil: not stated.
    public let annotations: Annotations?
    /// Whether the tool can run without a principal.
    let isOpen: Bool
    let timers: (ok: Metrics.Timer, error: Metrics.Timer)
    let inputSchema: Result<JSONValue, JOSEError>
    let outputSchema: Result<JSONValue?, JOSEError>
    /// The arguments that clients repeat in headers (`x-mcp-header`), or the mistake in how they are marked.
    let mirroredArguments: Result<[MirroredArgument], MirroredArgument.Mistake>
    let run: @Sendable (JSONValue, Principal?, CallServices) async throws -> ToolResult

    /// A tool with typed input and output. Their JSON Schemas are derived from the types. A `String` result is text.
    /// Other results are structured.
    ///
    /// - Parameters:
    ///   - name: The name, which calls use.
    ///   - description: The description for the model.
    ///   - requires: The scopes that a call needs, separated by spaces. A caller without them receives a 403 challenge
    ///     before the handler runs. Nil: the policy decides.
    ///   - annotations: The effects of the tool.
    ///   - body: The handler. A `ToolError` reaches the model in its own words. For any other error the model receives
    ///     a general text, and the log receives the error.
    public init<Input: Decodable & Sendable, Output: Codable & Sendable>(
        _ name: String, _ description: String, requires: Requirement? = nil, annotations: Annotations? = nil,
        _ body: @escaping @Sendable (Input, ToolCall) async throws -> Output
    ) {
        self.init(name, description, requires, annotations, JSONSchema.result(Input.self), OutputShape<Output>.schema) {
            arguments, principal, messages in
            guard let principal else { throw UnreachableWithoutPrincipal() }
            let input = try Self.decode(Input.self, arguments)
            return try OutputShape<Output>.result(try await body(input, ToolCall(principal: principal, messages: messages)))
        }
    }

    /// A tool without input.
    public init<Output: Codable & Sendable>(
        _ name: String, _ description: String, requires: Requirement? = nil, annotations: Annotations? = nil,
        _ body: @escaping @Sendable (ToolCall) async throws -> Output
    ) {
        self.init(name, description, requires, annotations, .success(Self.noInput), OutputShape<Output>.schema) { _, principal, messages in
            guard let principal else { throw UnreachableWithoutPrincipal() }
            return try OutputShape<Output>.result(try await body(ToolCall(principal: principal, messages: messages)))
        }
    }

    /// A tool that returns content of its own, such as images, instead of a typed output.
    public init<Input: Decodable & Sendable>(
        _ name: String, _ description: String, requires: Requirement? = nil, annotations: Annotations? = nil,
        content body: @escaping @Sendable (Input, ToolCall) async throws -> ToolResult
    ) {
        self.init(name, description, requires, annotations, JSONSchema.result(Input.self), .success(nil)) { arguments, principal, messages in
            guard let principal else { throw UnreachableWithoutPrincipal() }
            return try await body(try Self.decode(Input.self, arguments), ToolCall(principal: principal, messages: messages))
        }
    }

    /// A tool whose input schema is written by hand, for arguments that no Swift type describes. The handler receives
    /// the arguments as the client sent them. They are not checked against the schema.
    public init(
        _ name: String, _ description: String, requires: Requirement? = nil, annotations: Annotations? = nil, inputSchema: JSONValue,
        _ body: @escaping @Sendable (JSONValue, ToolCall) async throws -> ToolResult
    ) {
        self.init(name, description, requires, annotations, .success(inputSchema), .success(nil)) { arguments, principal, messages in
            guard let principal else { throw UnreachableWithoutPrincipal() }
            return try await body(arguments, ToolCall(principal: principal, messages: messages))
        }
    }

    /// A tool that every caller may use, with a token or without. Its handler receives an `OpenCall`, whose principal
    /// can be nil.
    public static func open<Input: Decodable & Sendable, Output: Codable & Sendable>(
        _ name: String, _ description: String, annotations: Annotations? = nil, _ body: @escaping @Sendable (Input, OpenCall) async throws -> Output
    ) -> Tool {
        Tool(name, description, .anonymous, annotations, JSONSchema.result(Input.self), OutputShape<Output>.schema, isOpen: true) {
            arguments, principal, messages in
            let input = try decode(Input.self, arguments)
            return try OutputShape<Output>.result(try await body(input, OpenCall(principal: principal, messages: messages)))
        }
    }

    private init(
        _ name: String, _ description: String, _ requirement: Requirement?, _ annotations: Annotations?, _ inputSchema: Result<JSONValue, JOSEError>,
        _ outputSchema: Result<JSONValue?, JOSEError>, isOpen: Bool = false,
        _ run: @escaping @Sendable (JSONValue, Principal?, CallServices) async throws -> ToolResult
    ) {
        self.isOpen = isOpen
        func timer(_ outcome: String) -> Metrics.Timer {
            Metrics.Timer(label: "mcp_tool_call_seconds", dimensions: [("tool", name), ("outcome", outcome)])
        }
        timers = (timer("ok"), timer("error"))
        self.name = name
        self.description = description
        self.requirement = requirement
        self.annotations = annotations
        self.inputSchema = inputSchema
        self.outputSchema = outputSchema
        mirroredArguments = MirroredArgument.all(in: (try? inputSchema.get()) ?? [:])
        self.run = run
    }

    private static let noInput: JSONValue = ["type": "object", "properties": [:]]

    private static func decode<Input: Decodable>(_ type: Input.Type, _ arguments: JSONValue) throws -> Input {
        do { return try JSONValueDecoder.decode(type, from: arguments) } catch let error as DecodingError {
            throw ToolError("Invalid arguments: \(error.advice)")
        }
    }

    var json: JSONValue {
        var json: JSONObject = [
            "name": .string(name), "description": .string(description), "inputSchema": (try? inputSchema.get()) ?? ["type": "object"],
        ]
        if let output = try? outputSchema.get() { json["outputSchema"] = output }
        if let annotations { json["annotations"] = annotations.json }
        if let title = annotations?.title { json["title"] = .string(title) }
        return .object(json)
    }
}

/// Cannot happen, because the dispatcher authorizes before a tool runs. If it did, the call would fail and nothing
/// would run.
private struct UnreachableWithoutPrincipal: Error {}

extension JSONSchema {
    fileprivate static func result<Value: Decodable>(_ type: Value.Type) -> Result<JSONValue, JOSEError> {
        Result { () throws(JOSEError) in try derive(type) }
    }
}

/// The form of a result: text stays text, objects are structured, and every other value becomes an object with the
/// member `result`.
private enum OutputShape<Output: Codable & Sendable> {
    static var schema: Result<JSONValue?, JOSEError> {
        if Output.self == String.self { return .success(nil) }
        return JSONSchema.result(Output.self).map { schema in
            schema["type"]?.string == "object" ? schema : ["type": "object", "properties": ["result": schema], "required": ["result"]]
        }
    }

    static func result(_ output: Output) throws -> ToolResult {
        if let text = output as? String { return ToolResult([.text(text)]) }
        let value = try JSONValueEncoder.encode(output)
        let object = value.object ?? ["result": value]
        return ToolResult([.text(value.text)], structured: object)
    }
}

extension DecodingError {
    /// The mistake and the argument, in words.
    var advice: String {
        func path(_ context: Context, _ last: (any CodingKey)? = nil) -> String {
            let keys = context.codingPath + (last.map { [$0] } ?? [])
            return keys.isEmpty ? "the arguments" : keys.map(\.stringValue).joined(separator: ".")
        }
        switch self {
        case .keyNotFound(let key, let context): return "\(path(context, key)) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context): return "\(path(context)): \(context.debugDescription)"
        case .dataCorrupted(let context): return "\(path(context)) has a value that is not allowed"
        @unknown default: return "they do not fit the schema"
        }
    }
}
