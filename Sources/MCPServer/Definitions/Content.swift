public import JOSE
import MCPAuth

/// A piece of what a tool, resource or prompt gives.
public enum Content: Sendable, Hashable {
    case text(String)
    /// Bytes in base64, as MCP sends them.
    case image(base64: String, mimeType: String)
    case audio(base64: String, mimeType: String)
    /// The address of something that the client can read, with `resources/read` or by itself.
    case link(uri: String, name: String)
    /// Something that could be read, put into the answer itself.
    case resource(uri: String, mimeType: String? = nil, Resource.Body)

    var json: JSONValue {
        switch self {
        case .text(let text): ["type": "text", "text": .string(text)]
        case .image(let data, let mimeType): ["type": "image", "data": .string(data), "mimeType": .string(mimeType)]
        case .audio(let data, let mimeType): ["type": "audio", "data": .string(data), "mimeType": .string(mimeType)]
        case .link(let uri, let name): ["type": "resource_link", "uri": .string(uri), "name": .string(name)]
        case .resource(let uri, let mimeType, let body): ["type": "resource", "resource": .object(body.json(uri: uri, mimeType: mimeType))]
        }
    }
}

/// What a tool gives back.
public struct ToolResult: Sendable, Hashable {
    public var content: [Content]
    /// For programs; fits the tool's output schema.
    public var structured: JSONObject?
    public var isError: Bool

    public init(_ content: [Content], structured: JSONObject? = nil, isError: Bool = false) {
        self.content = content
        self.structured = structured
        self.isError = isError
    }

    var json: JSONObject {
        var json: JSONObject = ["content": .array(content.map(\.json)), "isError": .bool(isError)]
        json["structuredContent"] = structured.map { .object($0) }
        return json
    }
}

/// Thrown by a tool to tell the model what went wrong, in these words. Every other error reaches the model as "the tool failed" and the log as it is.
public struct ToolError: Error, Sendable, Hashable {
    public let message: String
    public init(_ message: String) { self.message = message }
}
