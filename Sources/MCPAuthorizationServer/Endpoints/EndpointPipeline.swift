import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The steps that the endpoints for programs share: method, rate limit, form, and the response to an error.
struct EndpointPipeline: ServerComponent {
    let context: ServerContext
    let limits: RateLimiters
    let proofs: ProofValidation

    /// Reads the form of a POST request, runs the endpoint, and turns its error into a response.
    func post(
        _ call: HTTPCall, limit: RateLimiter, _ body: (Form) async throws(OAuthError) -> HTTPReply
    ) async -> HTTPReply {
        guard call.request.method == .post else { return .methodNotAllowed("POST") }
        if let reply = limits.tooMany(call, limit) { return reply }
        do throws(OAuthError) { return try await body(try call.postedForm()) } catch { return failure(error, call) }
    }

    /// The response to a failed request to an endpoint for clients (RFC 6749 §5.2).
    func failure(_ error: OAuthError, _ call: HTTPCall) -> HTTPReply {
        switch error.code {
        case .invalidClient:
            let reply = HTTPReply.error(error, status: .unauthorized)
            guard call.request.headerFields.contains(.authorization) else { return reply }
            return reply.with(.wwwAuthenticate, AuthenticationChallenge(scheme: "Basic", [("realm", issuer.text)]).headerValue)
        case .temporarilyUnavailable: return HTTPReply.error(error, status: .serviceUnavailable).with(.retryAfter, "5")
        case .tooManyRequests: return HTTPReply.error(error, status: .tooManyRequests).with(.retryAfter, "5")
        case .useDPoPNonce: return proofs.demandingNonce(HTTPReply.error(error))
        case .serverError: return HTTPReply.error(error, status: .internalServerError)
        default: return HTTPReply.error(error)
        }
    }
}

extension HTTPCall {
    /// The fields of a form body. Throws `invalid_request` for any other content.
    func postedForm() throws(OAuthError) -> Form {
        guard mediaType == "application/x-www-form-urlencoded" else {
            throw OAuthError(.invalidRequest, "send Content-Type: application/x-www-form-urlencoded")
        }
        guard body.count <= 65536 else { throw OAuthError(.invalidRequest, "the body is longer than 64 KiB") }
        return try Form(parsing: body)
    }

    /// The media type of the body, in lower case and without parameters. Empty without the header.
    var mediaType: String { request.headerFields[.contentType]?.prefix { $0 != ";" }.lowercased().trimmingSpaces ?? "" }
}

extension HTTPReply {
    static func methodNotAllowed(_ allowed: String) -> HTTPReply {
        error(OAuthError(.invalidRequest, "use \(allowed) here"), status: .methodNotAllowed).with(.allow, allowed)
    }
}

extension String {
    /// Without ASCII spaces and tabs at its ends.
    var trimmingSpaces: String {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let bytes = Array(utf8)
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }
}
