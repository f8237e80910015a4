import JOSE
public import MCPAuth

/// Content that clients can read: one URI, or a template with `{variables}`, each of which stands for one path segment.
public struct Resource: Sendable {
    /// The content of a resource.
    public enum Body: Sendable, Hashable {
        /// Text in UTF-8.
        case text(String)
        /// Bytes in base64.
        case blob(base64: String)

        /// The form of results and embedded resources.
        func json(uri: String, mimeType: String?) -> JSONObject {
            var json: JSONObject = ["uri": .string(uri)]
            json["mimeType"] = mimeType.map { .string($0) }
            switch self {
            case .text(let text): json["text"] = .string(text)
            case .blob(let base64): json["blob"] = .string(base64)
            }
            return json
        }
    }

    /// The URI or the URI template. Compared as bytes.
    public let uri: String
    /// The name, for users and models.
    public let name: String
    /// The meaning of the resource. Nil: none.
    public let description: String?
    /// The media type of every body of this resource.
    public let mimeType: String
    /// The requirement for callers. Nil: the policy's requirement for this URI or template.
    public let requirement: Requirement?
    let isTemplate: Bool
    let read: @Sendable ([String: String], ToolCall) async throws -> Body?

    /// A resource with one URI. If `read` throws, the client receives a general error, and the log receives the error.
    public init(
        _ uri: String, name: String, _ description: String? = nil, mimeType: String = "text/plain", requires: Requirement? = nil,
        _ read: @escaping @Sendable (ToolCall) async throws -> Body
    ) {
        self.init(uri, name, description, mimeType, requires, false) { _, call in try await read(call) }
    }

    /// Resources whose URIs match a template.
    ///
    /// `read` receives the values of the variables as the client sent them, never empty, never with a slash, and not
    /// percent-decoded. It returns nil when the caller has no such resource; the client then receives the same error as
    /// for an unknown URI.
    public init(
        template uri: String, name: String, _ description: String? = nil, mimeType: String = "text/plain", requires: Requirement? = nil,
        _ read: @escaping @Sendable ([String: String], ToolCall) async throws -> Body?
    ) {
        self.init(uri, name, description, mimeType, requires, true, read)
    }

    private init(
        _ uri: String, _ name: String, _ description: String?, _ mimeType: String, _ requirement: Requirement?, _ isTemplate: Bool,
        _ read: @escaping @Sendable ([String: String], ToolCall) async throws -> Body?
    ) {
        self.uri = uri
        self.name = name
        self.description = description
        self.mimeType = mimeType
        self.requirement = requirement
        self.isTemplate = isTemplate
        self.read = read
    }

    var json: JSONValue {
        var json: JSONObject = [isTemplate ? "uriTemplate" : "uri": .string(uri), "name": .string(name), "mimeType": .string(mimeType)]
        json["description"] = description.map { .string($0) }
        return .object(json)
    }

    /// The variables, or nil when `requested` is another resource. Compares bytes. A variable never contains a slash
    /// and is never empty.
    func match(_ requested: String) -> [String: String]? {
        guard isTemplate else { return requested.utf8.elementsEqual(uri.utf8) ? [:] : nil }
        var variables: [String: String] = [:]
        var rest = Array(requested.utf8)[...]
        var pattern = Array(uri.utf8)[...]
        while let character = pattern.first {
            guard character == UInt8(ascii: "{"), let close = pattern.firstIndex(of: UInt8(ascii: "}")) else {
                guard rest.first == character else { return nil }
                rest = rest.dropFirst()
                pattern = pattern.dropFirst()
                continue
            }
            let name = String(decoding: pattern[(pattern.startIndex + 1)..<close], as: UTF8.self)
            pattern = pattern[(close + 1)...]
            let end = pattern.first
            let value = rest.prefix { $0 != UInt8(ascii: "/") && $0 != end }
            guard !value.isEmpty else { return nil }
            variables[name] = String(decoding: value, as: UTF8.self)
            rest = rest[value.endIndex...]
        }
        return rest.isEmpty ? variables : nil
    }
}
