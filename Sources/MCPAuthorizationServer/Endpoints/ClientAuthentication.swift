import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// Who calls the token, revocation or introspection endpoint (RFC 6749 §2.3): the registered method, and no other.
    ///
    /// Throws `invalid_client`, `invalid_request` when two methods are used at once, and `temporarily_unavailable`.
    func authenticatedClient(_ form: Form, _ call: HTTPCall) async throws(OAuthError) -> Client {
        let presented = try Presented(form, call.request)
        guard let clientID = ClientID(presented.clientID) else { throw OAuthError(.invalidClient, "client_id is not printable ASCII") }
        // Only wrong secrets count: a client that asks often with the right one is no guesser.
        let limitKey = limitKey(call) + " " + clientID.text
        if presented.secret != nil, let seconds = limits.clientSecret.isBlocked(limitKey, at: clock.now) {
            throw OAuthError(.slowDown, "too many attempts; wait \(seconds) seconds")
        }
        let client = try await client(clientID)
        guard let client, client.authenticationMethod == presented.method else {
            record("client.authentication", .denied, call, reason: client == nil ? "unknown_client" : "wrong_method", client: clientID)
            throw OAuthError(.invalidClient, "the client is not known, or does not authenticate in the way it registered")
        }
        if client.authenticationMethod != .none {
            guard let secret = presented.secret, let hash = client.secretHash, hash.isHash(of: secret) else {
                _ = limits.clientSecret.wait(for: limitKey, at: clock.now)
                record("client.authentication", .denied, call, reason: "wrong_secret", client: clientID)
                throw OAuthError(.invalidClient, "the client is not known, or does not authenticate in the way it registered")
            }
        }
        return client
    }

    private struct Presented {
        let clientID: String
        let secret: String?
        let method: Client.AuthenticationMethod

        init(_ form: Form, _ request: HTTPRequest) throws(OAuthError) {
            let bodyID = try form.single("client_id")
            let bodySecret = try form.single("client_secret")
            for name in ["client_assertion", "client_assertion_type"] where try form.single(name) != nil {
                throw OAuthError(.invalidClient, "\(name) is not supported here")
            }
            guard let header = request.headerFields[.authorization] else {
                guard let bodyID else { throw OAuthError(.invalidClient, "client_id is missing") }
                (clientID, secret, method) = (bodyID, bodySecret, bodySecret == nil ? .none : .post)
                return
            }
            guard request.headerFields[values: .authorization].count == 1, bodySecret == nil else {
                throw OAuthError(.invalidRequest, "authenticate in one way only")
            }
            guard let (id, secret) = try Self.basic(header) else {
                throw OAuthError(.invalidClient, "the Authorization header is not of the Basic scheme")
            }
            guard bodyID == nil || bodyID!.utf8.elementsEqual(id.utf8) else {
                throw OAuthError(.invalidRequest, "client_id is not the one of the header")
            }
            (clientID, self.secret, method) = (id, secret, .basic)
        }

        /// RFC 6749 §2.3.1: ID and secret are form-encoded before they are joined.
        private static func basic(_ header: String) throws(OAuthError) -> (String, String)? {
            guard header.utf8.count <= 4096, header.utf8.prefix(6).elementsEqual("basic ".utf8, by: { URLBytes.lowercased($0) == $1 }),
                let bytes = Base64.decode(String(header.utf8.dropFirst(6)) ?? ""), let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
            else { return nil }
            let id: String
            let secret: String
            do throws(OAuthError) {
                id = try Form.decode(bytes[..<colon])
                secret = try Form.decode(bytes[(colon + 1)...])
            } catch { return nil }
            return id.isEmpty || secret.isEmpty ? nil : (id, secret)
        }
    }

    /// The answer to a failure of an endpoint that clients call (RFC 6749 §5.2).
    func failure(_ error: OAuthError, _ call: HTTPCall) -> HTTPReply {
        switch error.code {
        case .invalidClient:
            let reply = HTTPReply.error(error, status: .unauthorized)
            guard call.request.headerFields.contains(.authorization) else { return reply }
            return reply.with(.wwwAuthenticate, AuthenticationChallenge(scheme: "Basic", [("realm", issuer.text)]).headerValue)
        case .temporarilyUnavailable: return HTTPReply.error(error, status: .serviceUnavailable).with(.retryAfter, "5")
        case .slowDown: return HTTPReply.error(error, status: .tooManyRequests).with(.retryAfter, "5")
        case .serverError: return HTTPReply.error(error, status: .internalServerError)
        default: return HTTPReply.error(error)
        }
    }

    /// Reads the form, lets the endpoint work, and turns what it throws into an answer.
    func endpoint(_ call: HTTPCall, _ body: (Form) async throws(OAuthError) -> HTTPReply) async -> HTTPReply {
        guard call.request.method == .post else { return methodNotAllowed("POST") }
        do throws(OAuthError) { return try await body(try postedForm(call)) } catch { return failure(error, call) }
    }
}
