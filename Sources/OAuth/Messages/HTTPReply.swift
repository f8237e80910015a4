public import HTTPTypes
public import JOSE

/// A complete HTTP response, which any HTTP server can send.
public struct HTTPReply: Sendable {
    /// The status and the header fields.
    public var response: HTTPResponse
    /// The body. Empty: none.
    public var body: [UInt8]

    /// A response without a body unless it is given. No header field is added.
    public init(_ status: HTTPResponse.Status, _ fields: HTTPFields = [:], body: [UInt8] = []) {
        response = HTTPResponse(status: status, headerFields: fields)
        self.body = body
    }

    /// A JSON response. Caches must not store it unless `cacheControl` says otherwise.
    /// `X-Content-Type-Options: nosniff` is set.
    public static func json(_ value: JSONValue, status: HTTPResponse.Status = .ok, cacheControl: String = "no-store") -> HTTPReply {
        HTTPReply(
            status, [.contentType: "application/json", .cacheControl: cacheControl, .xContentTypeOptions: "nosniff"], body: value.serialized)
    }

    /// An error response (RFC 6749 §5.2). The message is reduced to printable ASCII without quotation marks and
    /// backslashes, at most 400 characters.
    public static func error(_ error: OAuthError, status: HTTPResponse.Status = .badRequest) -> HTTPReply {
        .json(["error": .string(error.code.rawValue), "error_description": .string(printable(error.message))], status: status)
    }

    /// `error_description` allows printable ASCII without quotation mark and backslash (RFC 6749 §5.2).
    package static func printable(_ text: String) -> String {
        String(
            decoding: text.utf8.prefix(400).map { $0 < 0x20 || $0 > 0x7E ? UInt8(ascii: "?") : $0 == 0x22 || $0 == 0x5C ? UInt8(ascii: "'") : $0 },
            as: UTF8.self)
    }

    /// A copy in which the header field has only this value.
    public func with(_ name: HTTPField.Name, _ value: String) -> HTTPReply {
        var copy = self
        copy.response.headerFields[name] = value
        return copy
    }
}

/// A complete HTTP request, as the endpoints of this package take it.
public struct HTTPCall: Sendable {
    /// The method, the target and the header fields.
    public var request: HTTPRequest
    /// The body. The adapter bounds its length; see the limits of each endpoint.
    public var body: [UInt8]
    /// The IP address of the client as text, for rate limits and the audit log. Nil when it is not known. This module
    /// never reads it from a header.
    public var peer: String?

    /// A request whose body was read completely.
    public init(_ request: HTTPRequest, body: [UInt8] = [], peer: String? = nil) {
        self.request = request
        self.body = body
        self.peer = peer
    }

    /// The path of the request target, without its query, exactly as it was sent.
    public var path: String { URLBytes.path(of: request.path ?? "") }
}
