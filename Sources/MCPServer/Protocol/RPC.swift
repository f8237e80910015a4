import JOSE

/// A JSON-RPC 2.0 message, parsed strictly.
enum RPCMessage: Sendable {
    case request(id: JSONValue, method: String, params: JSONValue)
    case notification(method: String, params: JSONValue)
    /// A response to a request of this server, which never makes any.
    case response

    /// The most messages in a batch.
    static let maximumBatch = 50

    /// Whether a body is a batch, which only MCP 2025-03-26 has.
    static func isBatch(_ bytes: [UInt8]) -> Bool {
        bytes.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0A && $0 != 0x0D } == UInt8(ascii: "[")
    }

    /// The messages of a batch, each by itself: an invalid one does not affect the others. Throws when the body is not
    /// a batch, or the batch is empty or too long.
    static func batch(parsing bytes: [UInt8]) throws(RPCError) -> [Result<RPCMessage, RPCError>] {
        guard let values = try json(bytes).array, (1...maximumBatch).contains(values.count) else {
            throw RPCError(.invalidRequest, "a batch holds 1 to \(maximumBatch) messages")
        }
        return values.map { value in Result { () throws(RPCError) in try RPCMessage(value) } }
    }

    init(parsing bytes: [UInt8]) throws(RPCError) { try self.init(try Self.json(bytes)) }

    private static func json(_ bytes: [UInt8]) throws(RPCError) -> JSONValue {
        do throws(JOSEError) { return try JSONValue(parsing: bytes, limits: JSONLimits(maximumBytes: 4 << 20)) } catch {
            throw RPCError(.parse, "Parse error: \(error.message)")
        }
    }

    /// The error names the request that it is about, if that is known.
    init(_ value: JSONValue) throws(RPCError) {
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
        let id = object["id"]
        if let id { guard id.string != nil || id.number?.int64 != nil else { throw RPCError(.invalidRequest, "id must be a string or an integer") } }
        guard let method = methodValue.string else { throw RPCError(.invalidRequest, "method is not a string", id: id) }
        // Clients that serialize a typed model send `null` for absent members.
        var params: JSONValue = [:]
        if let stated = object["params"], !stated.isNull { params = stated }
        guard params.object != nil else { throw RPCError(.invalidParams, "params must be an object", id: id) }
        guard let id else {
            self = .notification(method: method, params: params)
            return
        }
        self = .request(id: id, method: method, params: params)
    }
}

/// An error of the protocol. Its HTTP status depends on the revision.
struct RPCError: Error, Sendable {
    enum Code: Int, Sendable {
        case parse = -32700
        case invalidRequest = -32600
        case methodNotFound = -32601
        case invalidParams = -32602
        case `internal` = -32603
        /// Headers and body disagree (MCP 2026-07-28, "Server Validation").
        case headerMismatch = -32020
        case unsupportedProtocolVersion = -32022
        /// The user has to open a page first (MCP 2025-11-25, "URL Elicitation Required Error").
        case urlElicitationRequired = -32042

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
    /// The request that the error is about, if it could be read.
    var id: JSONValue?

    init(_ code: Code, _ message: String, data: JSONValue? = nil, id: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
        self.id = id
    }

    func json(id: JSONValue? = nil) -> JSONValue {
        var error: JSONObject = ["code": .int(code.rawValue), "message": .string(message)]
        error["data"] = data
        return ["jsonrpc": "2.0", "id": id ?? self.id ?? .null, "error": .object(error)]
    }
}

/// The supported revisions of MCP.
enum ProtocolVersion {
    /// The stateless revision: every request is complete by itself.
    static let modern = "2026-07-28"
    /// The revisions with a handshake, newest first.
    static let handshake = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
    /// The revision that has batches.
    static let withBatches = "2025-03-26"
}
