import JOSE

/// A JSON-RPC 2.0 message, read strictly. Batches are not messages here: nobody sends them, and one authorization decision belongs to one request.
enum RPCMessage: Sendable {
    case request(id: JSONValue, method: String, params: JSONValue)
    case notification(method: String, params: JSONValue)
    /// An answer to a request of ours, which we never make.
    case response

    init(parsing bytes: [UInt8]) throws(RPCError) {
        let value: JSONValue
        do throws(JOSEError) { value = try JSONValue(parsing: bytes, limits: JSONLimits(maximumBytes: 4 << 20)) } catch {
            throw RPCError(.parse, "Parse error: \(error.message)")
        }
        guard let object = value.object, object["jsonrpc"]?.string == "2.0" else {
            throw RPCError(.invalidRequest, "the body must be a single JSON-RPC 2.0 message")
        }
        guard let methodValue = object["method"] else {
            guard object["id"] != nil, object["result"] != nil || object["error"] != nil else {
                throw RPCError(.invalidRequest, "the message has no method")
            }
            self = .response
            return
        }
        guard let method = methodValue.string else { throw RPCError(.invalidRequest, "method is not a string") }
        let params = object["params"] ?? [:]
        guard params.object != nil else { throw RPCError(.invalidParams, "params must be an object") }
        guard let id = object["id"] else {
            self = .notification(method: method, params: params)
            return
        }
        guard id.string != nil || id.number?.int64 != nil else { throw RPCError(.invalidRequest, "id must be a string or an integer") }
        self = .request(id: id, method: method, params: params)
    }
}

/// An error of the protocol. Its HTTP status depends on the wire.
struct RPCError: Error, Sendable {
    enum Code: Int, Sendable {
        case parse = -32700
        case invalidRequest = -32600
        case methodNotFound = -32601
        case invalidParams = -32602
        case `internal` = -32603
        /// Headers say something else than the body (MCP 2026-07-28, "Server Validation").
        case headerMismatch = -32020
        case unsupportedProtocolVersion = -32022

        var status: Int {
            switch self {
            case .methodNotFound: 404
            case .internal: 200
            default: 400
            }
        }
    }

    let code: Code
    let message: String
    var data: JSONValue?

    init(_ code: Code, _ message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }

    func json(id: JSONValue = nil) -> JSONValue {
        var error: JSONObject = ["code": .int(code.rawValue), "message": .string(message)]
        error["data"] = data
        return ["jsonrpc": "2.0", "id": id, "error": .object(error)]
    }
}

/// The revisions of MCP that are spoken here.
enum ProtocolVersion {
    /// Stateless: every request stands for itself.
    static let modern = "2026-07-28"
    /// With a handshake, newest first.
    static let handshake = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
}
