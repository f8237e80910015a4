import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// A type whose properties clients of MCP 2026-07-28 repeat in headers, so that proxies can decide by them without
/// reading bodies. `mirroredHeaders["region"] = "Region"` makes clients send `Mcp-Param-Region`. The server checks that
/// header and body agree before the tool runs.
///
/// The properties are strings, integers or Booleans. A proxy that decides by these headers must accept only requests
/// with `MCP-Protocol-Version: 2026-07-28`. In earlier revisions the headers have no meaning, and the server does not
/// compare them with the body.
public protocol MirroredProperties {
    /// The part of the header name after `Mcp-Param-`, by the name of the property.
    static var mirroredHeaders: [String: String] { get }
}

/// An argument of a tool that its schema marks with `x-mcp-header` (MCP 2026-07-28, "Custom Headers from Tool
/// Parameters").
struct MirroredArgument: Sendable {
    /// The names of the properties that lead to the argument.
    let path: [String]
    let header: HTTPField.Name

    struct Mistake: Error, Sendable { let message: String }

    static let keyword = "x-mcp-header"

    /// Every argument that a schema marks, if it can be reached through `properties` alone.
    static func all(in schema: JSONValue) -> Result<[MirroredArgument], Mistake> {
        Result { () throws(Mistake) in
            var found: [MirroredArgument] = []
            try collect(schema, [], &found, depth: 0)
            let names = found.map { $0.header.canonicalName }
            guard Set(names).count == names.count else { throw Mistake(message: "two arguments have the same \(keyword)") }
            return found
        }
    }

    private static func collect(_ schema: JSONValue, _ path: [String], _ found: inout [MirroredArgument], depth: Int) throws(Mistake) {
        guard depth < 16, let object = schema.object else { return }
        if let mark = object[keyword] {
            let name = path.joined(separator: ".")
            guard let text = mark.string, !text.isEmpty, text.utf8.count <= 100, let header = HTTPField.Name("Mcp-Param-" + text) else {
                throw Mistake(message: "\(keyword) of \(name) is not the name of a header")
            }
            guard !path.isEmpty, let type = object["type"]?.string, ["string", "integer", "boolean"].contains(type) else {
                throw Mistake(
                    message: "\(keyword) marks strings, integers and Booleans; \(name.isEmpty ? "the arguments as a whole are" : name + " is") none")
            }
            found.append(MirroredArgument(path: path, header: header))
        }
        for property in object["properties"]?.object?.members ?? [] { try collect(property.value, path + [property.name], &found, depth: depth + 1) }
    }

    /// Throws `header_mismatch` unless header and body agree: both absent, or the same value.
    func check(_ request: HTTPRequest, _ arguments: JSONValue) throws(RPCError) {
        let value = path.reduce(Optional(arguments)) { value, name in value?[name] }
        let stated = try ModernEnvelope.single(header, request)
        guard let value, !value.isNull else {
            guard stated == nil else { throw mismatch("is there, and the argument is not") }
            return
        }
        guard let stated else { throw mismatch("is missing") }
        guard let decoded = ModernEnvelope.decode(stated) else { throw mismatch("is not canonical base64 of UTF-8") }
        guard says(decoded, value) else { throw mismatch("is not the argument of the body") }
    }

    private func says(_ text: String, _ value: JSONValue) -> Bool {
        if let string = value.string { return string.utf8.elementsEqual(text.utf8) }
        if let bool = value.bool { return text.utf8.elementsEqual((bool ? "true" : "false").utf8) }
        // By value: 42 and 42.0 are one number.
        guard let number = value.number, let other = (try? JSONValue(parsing: text))?.number else { return false }
        if let one = number.int64, let two = other.int64 { return one == two }
        return number.double != nil && number.double == other.double
    }

    private func mismatch(_ problem: String) -> RPCError {
        RPCError(.headerMismatch, "the header \(header.rawName), which repeats the argument \(path.joined(separator: ".")), \(problem)")
    }
}
