public import JOSE

/// An error that an MCP server answered with, or a response that is not MCP.
public struct MCPError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The JSON-RPC code, such as -32602, or one of the constants.
    public let code: Int
    /// The message of the server, for people.
    public let message: String
    /// Further data. Nil: none.
    public let data: JSONValue?

    /// An error. Nothing is checked.
    public init(code: Int, message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    /// The response is not one of MCP.
    public static let notMCP = -1
    /// The server answered with an HTTP status that is no success, and without a JSON-RPC error.
    public static let httpStatus = -2
    /// The server demanded more input than a client gives in one call.
    public static let tooManyRounds = -3

    static let methodNotFound = -32601
    static let unsupportedProtocolVersion = -32022

    public var description: String { "\(message) (\(code))" }
}
