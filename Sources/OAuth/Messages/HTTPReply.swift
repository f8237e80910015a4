public import HTTPTypes
public import JOSE

/// A whole HTTP answer, ready to send by whatever serves HTTP.
public struct HTTPReply: Sendable {
    public var response: HTTPResponse
    public var body: [UInt8]

    public init(_ status: HTTPResponse.Status, _ fields: HTTPFields = [:], body: [UInt8] = []) {
        response = HTTPResponse(status: status, headerFields: fields)
        self.body = body
    }

    /// JSON that nobody may store.
    public static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok, cacheControl: String = "no-store") -> HTTPReply {
        HTTPReply(
            status, [.contentType: "application/json", .cacheControl: cacheControl, .xContentTypeOptions: "nosniff"], body: value.serialized)
    }

    /// An error body (RFC 6749 §5.2).
    public static func error(_ error: OAuthError, status: HTTPResponse.Status = .badRequest) -> HTTPReply {
        .json(["error": .string(error.code.rawValue), "error_description": .string(printable(error.message))], status: status)
    }

    /// `error_description` allows printable ASCII without quote and backslash (RFC 6749 §5.2).
    package static func printable(_ text: String) -> String {
        String(
            decoding: text.utf8.prefix(400).map { $0 < 0x20 || $0 > 0x7E ? UInt8(ascii: "?") : $0 == 0x22 || $0 == 0x5C ? UInt8(ascii: "'") : $0 },
            as: UTF8.self)
    }

    public func with(_ name: HTTPField.Name, _ value: String) -> HTTPReply {
        var copy = self
        copy.response.headerFields[name] = value
        return copy
    }
}

/// A whole HTTP request, as the endpoints of this package take it.
public struct HTTPCall: Sendable {
    public var request: HTTPRequest
    public var body: [UInt8]
    /// The address of the peer, as text, where it is known. Never taken from a header here.
    public var peer: String?

    public init(_ request: HTTPRequest, body: [UInt8] = [], peer: String? = nil) {
        self.request = request
        self.body = body
        self.peer = peer
    }

    /// The path of the request target, without its query, exactly as it was sent.
    public var path: String { URLBytes.path(of: request.path ?? "") }
}
