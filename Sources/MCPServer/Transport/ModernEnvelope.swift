import HTTPTypes
import JOSE
import MCPAuth

/// The checks of MCP 2026-07-28 that headers and body agree, so that a decision about one holds for the other.
enum ModernEnvelope {
    static func check(_ request: HTTPRequest, _ method: String, _ params: JSONValue) throws(RPCError) {
        let version = try single(.mcpProtocolVersion, request)
        let named = try single(.mcpMethod, request)
        let name = try single(.mcpName, request)
        let declared = try declaredVersion(params)
        guard let version, version.utf8.elementsEqual(declared.utf8) else {
            throw RPCError(.headerMismatch, "MCP-Protocol-Version is not the protocolVersion of the body")
        }
        guard let named, named.utf8.elementsEqual(method.utf8) else { throw RPCError(.headerMismatch, "Mcp-Method is not the method of the body") }
        if let member = ["tools/call": "name", "prompts/get": "name", "resources/read": "uri"][method] {
            if let wanted = params[member]?.string {
                guard let name, let decoded = decode(name), decoded.utf8.elementsEqual(wanted.utf8) else {
                    throw RPCError(.headerMismatch, "Mcp-Name is not the \(member) of the body")
                }
            }
        }
        try checkVersion(declared)
    }

    /// The same for a transport without headers.
    static func check(_ params: JSONValue) throws(RPCError) { try checkVersion(try declaredVersion(params)) }

    /// The lowest level of log messages that a request wants. Nil when it wants none.
    static func logLevel(_ params: JSONValue) throws(RPCError) -> LogLevel? {
        guard let value = params["_meta"]?["io.modelcontextprotocol/logLevel"], !value.isNull else { return nil }
        return try LogLevel(value)
    }

    private static func declaredVersion(_ params: JSONValue) throws(RPCError) -> String {
        guard let meta = params["_meta"]?.object, let declared = meta["io.modelcontextprotocol/protocolVersion"]?.string,
            meta["io.modelcontextprotocol/clientCapabilities"]?.object != nil
        else {
            throw RPCError(
                .invalidParams, "params._meta needs io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities")
        }
        return declared
    }

    private static func checkVersion(_ declared: String) throws(RPCError) {
        guard declared == ProtocolVersion.modern else {
            throw RPCError(
                .unsupportedProtocolVersion, "Unsupported protocol version",
                data: ["supported": [.string(ProtocolVersion.modern)], "requested": .string(String(declared.prefix(40)))])
        }
    }

    static func single(_ name: HTTPField.Name, _ request: HTTPRequest) throws(RPCError) -> String? {
        let values = request.headerFields[values: name]
        guard values.count <= 1 else { throw RPCError(.headerMismatch, "\(name.rawName) is there more than once") }
        return values.first
    }

    /// Decodes `=?base64?...?=`, which stands for a text that a header cannot contain. Nil when it is not canonical
    /// base64 of UTF-8.
    static func decode(_ value: String) -> String? {
        let bytes = Array(value.utf8)
        let (prefix, suffix) = (Array("=?base64?".utf8), Array("?=".utf8))
        guard bytes.starts(with: prefix), bytes.count >= prefix.count + suffix.count, bytes.suffix(2).elementsEqual(suffix) else { return value }
        guard let decoded = Base64.decode(String(decoding: bytes[prefix.count..<(bytes.count - 2)], as: UTF8.self)),
            UTF8Sequence.isValid(decoded.span)
        else {
            return nil
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}
