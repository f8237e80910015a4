public import HTTPTypes
import JOSE
public import OAuth

/// The headers that let a web page of another origin send requests (Fetch Standard, "CORS protocol"). Credentials are
/// never allowed: no cookie counts at these endpoints, and pages send tokens themselves.
package enum CrossOrigin {
    /// The headers that a page may send: those of MCP and OAuth, and those that tracing libraries add to every request.
    private static let requestHeaders: [String] = [
        "authorization", "content-type", "accept", "dpop", "last-event-id", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name",
        "traceparent", "tracestate", "baggage", "sentry-trace",
    ]
    private static let requestHeaderPrefix = "mcp-param-"

    /// The response headers that a page may read.
    private static let responseHeaders = "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, DPoP-Nonce, Retry-After"

    /// The requested headers of a preflight that are allowed. Without requested headers, all allowed ones.
    package static func allowedHeaders(_ request: HTTPRequest) -> String {
        let list = request.headerFields[values: .accessControlRequestHeaders].joined(separator: ",").utf8
        let asked = Array(list).split(separator: UInt8(ascii: ",")).prefix(64).map { name in
            String(decoding: name.filter { $0 != 0x20 && $0 != 0x09 }.map(URLBytes.lowercased), as: UTF8.self)
        }
        let fitting = asked.filter { name in
            requestHeaders.contains(name)
                || (name.utf8.starts(with: requestHeaderPrefix.utf8) && name.utf8.count <= 128 && HTTPField.Name(name) != nil)
        }
        return (fitting.isEmpty ? requestHeaders : fitting).joined(separator: ", ")
    }

    /// The response to a preflight, which needs no token.
    package static func preflight(_ request: HTTPRequest, allowing origin: String, methods: String) -> HTTPReply {
        var fields: HTTPFields = [
            .accessControlAllowOrigin: origin, .accessControlAllowMethods: methods, .accessControlAllowHeaders: allowedHeaders(request),
            .accessControlMaxAge: "600", .vary: "Origin, Access-Control-Request-Headers",
        ]
        // Browsers ask this before a public page may reach a private address, such as loopback. Only pages whose origin
        // is listed may.
        if origin != "*", request.headerFields[.accessControlRequestPrivateNetwork] == "true" { fields[.accessControlAllowPrivateNetwork] = "true" }
        return HTTPReply(.noContent, fields)
    }

    /// Adds the headers that let a page of this origin read a response.
    package static func open(_ fields: inout HTTPFields, to origin: String) {
        fields[.accessControlAllowOrigin] = origin
        fields[.accessControlExposeHeaders] = responseHeaders
        if origin != "*" { fields.append(HTTPField(name: .vary, value: "Origin")) }
    }
}

extension ResourceServer {
    /// The response to an `OPTIONS` request for the resource, or nil for every other method. It needs no token, because
    /// a browser sends none with a preflight. It is 403 for a page whose origin may not call. Call it before
    /// `authenticate`.
    public func preflightReply(for request: HTTPRequest) -> HTTPReply? {
        guard request.method == .options else { return nil }
        if let violation = transport.violation(request) {
            return .json(["error": "forbidden", "error_description": .string(violation)], status: .forbidden)
        }
        let methods = "GET, POST, DELETE"
        // Without a list of origins, the proxy in front of the server decides which pages may call.
        guard transport.allowedOrigins != nil, let origin = request.headerFields[.origin] else {
            return HTTPReply(.noContent, [.allow: methods + ", OPTIONS"])
        }
        return CrossOrigin.preflight(request, allowing: origin, methods: methods)
    }

    /// Adds to a response the headers that let the requesting page read it. Does nothing when no web page sent the
    /// request, or its origin may not call.
    public func openToOrigin(of request: HTTPRequest, _ fields: inout HTTPFields) {
        guard transport.allowedOrigins != nil, request.headerFields.contains(.origin), transport.violation(request) == nil,
            let origin = request.headerFields[.origin]
        else { return }
        CrossOrigin.open(&fields, to: origin)
    }
}

extension HTTPField.Name {
    static let accessControlRequestPrivateNetwork = HTTPField.Name("Access-Control-Request-Private-Network")!
    static let accessControlAllowPrivateNetwork = HTTPField.Name("Access-Control-Allow-Private-Network")!
}
