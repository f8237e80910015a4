package import HTTPTypes
package import JOSE
import OAuth

/// The header fields of MCP 2026-07-28 that repeat parts of the body.
package enum RequestHeaders {
    /// The fields that name method and target of a message.
    package static func fields(version: String, method: String, params: JSONValue?) -> HTTPFields {
        var fields = HTTPFields()
        fields[.mcpProtocolVersion] = version
        fields[.mcpMethod] = encode(method)
        if let member = ["tools/call": "name", "prompts/get": "name", "resources/read": "uri"][method], let name = params?[member]?.string {
            fields[.mcpName] = encode(name)
        }
        return fields
    }

    /// A text as a header value. Texts that a header cannot carry, or that look encoded, become `=?base64?...?=`.
    package static func encode(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let isPlain =
            bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F } && bytes.first != 0x20 && bytes.last != 0x20 && !bytes.starts(with: "=?base64?".utf8)
        return isPlain ? text : "=?base64?\(Base64.encode(bytes))?="
    }

    /// The arguments of a tool that headers repeat (`x-mcp-header`). Throws the reason why the schema cannot be used:
    /// the client must not offer such a tool.
    package static func mirrored(in schema: JSONValue) throws(InvalidSchema) -> [Mirrored] {
        var found: [Mirrored] = []
        try collect(schema, [], &found, depth: 0)
        guard Set(found.map { $0.header.canonicalName }).count == found.count else { throw InvalidSchema(reason: "two arguments have one header") }
        return found
    }

    package struct Mirrored: Sendable, Hashable {
        package let path: [String]
        package let header: HTTPField.Name
    }

    package struct InvalidSchema: Error { package let reason: String }

    private static func collect(_ schema: JSONValue, _ path: [String], _ found: inout [Mirrored], depth: Int) throws(InvalidSchema) {
        guard depth < 16, let object = schema.object else { return }
        if let mark = object["x-mcp-header"] {
            guard let text = mark.string, !text.isEmpty, text.utf8.count <= 100, let header = HTTPField.Name("Mcp-Param-" + text) else {
                throw InvalidSchema(reason: "x-mcp-header is not the name of a header")
            }
            guard !path.isEmpty, let type = object["type"]?.string, ["string", "integer", "boolean"].contains(type), object["$ref"] == nil
            else {
                throw InvalidSchema(reason: "x-mcp-header marks something that is no string, integer or Boolean")
            }
            found.append(Mirrored(path: path, header: header))
        }
        for property in object["properties"]?.object?.members ?? [] { try collect(property.value, path + [property.name], &found, depth: depth + 1) }
    }

    /// The header fields for the arguments of one call. Arguments that are absent have none.
    package static func fields(_ mirrored: [Mirrored], arguments: JSONValue) -> HTTPFields {
        var fields = HTTPFields()
        for item in mirrored {
            let value = item.path.reduce(Optional(arguments)) { value, name in value?[name] }
            if let text = value?.string {
                fields[item.header] = encode(text)
            } else if let bool = value?.bool {
                fields[item.header] = bool ? "true" : "false"
            } else if let number = value?.number {
                fields[item.header] = number.description
            }
        }
        return fields
    }
}

extension HTTPField.Name {
    package static let mcpProtocolVersion = HTTPField.Name("MCP-Protocol-Version")!
    package static let mcpMethod = HTTPField.Name("Mcp-Method")!
    package static let mcpName = HTTPField.Name("Mcp-Name")!
    package static let mcpSessionID = HTTPField.Name("Mcp-Session-Id")!
    package static let lastEventID = HTTPField.Name("Last-Event-ID")!
}
