import HTTPTypes
import JOSE
import OAuth
import Synchronization

/// Sends token requests to one endpoint, and tells failures of the network from rejections.
struct TokenEndpointClient: Sendable {
    let fetcher: any HTTPFetcher
    let clock: Clock
    let random: RandomSource
    let nonces: DPoPNonceMemory

    static let timeout: Duration = .seconds(20)

    /// Sends one request. Throws the error of the response, `temporarily_unavailable` when the server cannot answer
    /// now, `fetch_failed` when it cannot be reached, and `invalid_response`.
    func request(
        _ form: Form, to url: WebURL, authentication: ClientAuthentication?, proof key: DPoPKey? = nil
    ) async throws(OAuthError) -> TokenResponse {
        let now = clock.now
        let reply = try await post(form, to: url, authentication: authentication, proof: key)
        guard reply.response.status == .ok else { throw Self.failure(reply, of: url) }
        return try TokenResponse(parsing: reply.body, at: now)
    }

    /// Sends a form with the authentication of the client. A demand for a nonce is met twice at most (R103, C-20).
    func post(
        _ form: Form, to url: WebURL, authentication: ClientAuthentication?, proof key: DPoPKey? = nil
    ) async throws(OAuthError) -> HTTPReply {
        var attempts = 0
        while true {
            attempts += 1
            let now = clock.now
            var form = form
            var fields: HTTPFields = [.contentType: "application/x-www-form-urlencoded", .accept: "application/json"]
            try authentication?.add(to: &form, &fields, at: now)
            // Some servers find the client by this parameter only, also with Basic (official Python SDK).
            if case .basic(let id, _) = authentication { form.append("client_id", id) }
            if let key {
                fields[.dpop] = try key.proof("POST", url, nonce: nonces[url.origin], at: now, random: random)
            }
            let reply = try await fetcher.fetch(
                OutboundRequest(
                    .post, url, fields: fields, body: Array(form.encoded.utf8), maximumBytes: TokenResponse.maximumBytes, timeout: Self.timeout))
            nonces.remember(reply.response, from: url)
            guard attempts <= 2, key != nil, reply.response.status == .badRequest || reply.response.status == .unauthorized,
                Self.code(reply) == "use_dpop_nonce", nonces[url.origin] != nil
            else { return reply }
        }
    }

    private static func code(_ reply: HTTPReply) -> String? { (try? JSONValue(parsing: reply.body))?["error"]?.string }

    /// The error of a response (RFC 6749 §5.2).
    static func failure(_ reply: HTTPReply, of url: WebURL) -> OAuthError {
        let status = reply.response.status.code
        let json = try? JSONValue(parsing: reply.body)
        let words = json?["error_description"]?.string.map { ": " + DisplayText.clean($0, limit: 300) } ?? ""
        if status >= 500 || status == 429 || status == 408 {
            return OAuthError(.temporarilyUnavailable, "\(url.hostForURL) cannot answer now (\(status))\(words)")
        }
        guard let code = json?["error"]?.string, !code.isEmpty, code.utf8.count <= 100, code.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return OAuthError(.invalidResponse, "\(url.hostForURL) answers \(status) without an OAuth error")
        }
        return OAuthError(OAuthError.Code(rawValue: code), "\(url.hostForURL) answers \(code)\(words)")
    }
}

/// The last nonce of each server (RFC 9449 §8).
final class DPoPNonceMemory: Sendable {
    private let nonces = Mutex<[String: String]>([:])

    subscript(origin: String) -> String? { nonces.withLock { $0[origin] } }

    /// Remembers the nonce of a response. Values that no header may contain are ignored.
    func remember(_ response: HTTPResponse, from url: WebURL) {
        guard let nonce = response.headerFields[.dpopNonce], (1...1024).contains(nonce.utf8.count),
            nonce.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return }
        nonces.withLock { nonces in
            if nonces.count > 256 { nonces.removeAll() }
            nonces[url.origin] = nonce
        }
    }
}

extension HTTPField.Name {
    static let dpop = HTTPField.Name("DPoP")!
    static let dpopNonce = HTTPField.Name("DPoP-Nonce")!
}
