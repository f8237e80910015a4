public import JOSE
import MCPAuth
import OAuth

/// One content item of a tool result, a resource or a prompt.
public enum Content: Sendable, Hashable {
    /// Text for the model.
    case text(String)
    /// An image. The bytes are in base64, as MCP sends them; the encoding is not checked.
    case image(base64: String, mimeType: String)
    /// A recording. The bytes are in base64. Clients of revisions before 2025-03-26 receive a text instead.
    case audio(base64: String, mimeType: String)
    /// The URI of something that the client can read, with `resources/read` or by itself. Clients of revisions before
    /// 2025-06-18 receive a text instead.
    case link(uri: String, name: String)
    /// The content of a resource, embedded in the result.
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

/// The result of a tool.
public struct ToolResult: Sendable, Hashable {
    /// The content items for the model, in order.
    public var content: [Content]
    /// The result for programs. It must match the output schema of the tool, which is not checked. Nil: none.
    public var structured: JSONObject?
    /// Whether the tool failed. The model sees the content either way.
    public var isError: Bool

    /// A successful result, unless `isError` is set.
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

/// An error that a tool throws to tell the model what went wrong, in these words. For every other error the model
/// receives "The tool failed.", and the log receives the error.
public struct ToolError: Error, Sendable, Hashable {
    /// The text for the model. It must not contain secrets.
    public let message: String
    /// What the user has to do before the call can go on.
    public let elicitation: Elicitation?
    /// A scope with which a client that opens no URLs can step up instead.
    var stepUp: Scope?

    /// The message is sent to the client as it is.
    ///
    /// - Parameter elicitation: What the user has to do first. A client that can show it receives it instead of the
    ///   message, and repeats the call afterwards. So the message must say the same for the others.
    public init(_ message: String, elicitation: Elicitation? = nil) {
        self.message = message
        self.elicitation = elicitation
    }
}
