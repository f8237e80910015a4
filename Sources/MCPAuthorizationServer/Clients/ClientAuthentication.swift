import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Authenticates clients (RFC 6749 §2.3).
struct ClientAuthentication: ServerComponent {
    let context: ServerContext
    /// Remembers assertions.
    let store: any SingleUseStore
    let clients: ClientDirectory
    let limits: RateLimiters
    let assertionKeys: AssertionKeySets

    /// The authenticated client of a request to the token, revocation or introspection endpoint (RFC 6749 §2.3). Only
    /// the registered method is accepted. A client that named none may send its secret in the header or in the body.
    ///
    /// Throws `invalid_client`, `invalid_request` when two methods are used at once, `too_many_requests` and
    /// `temporarily_unavailable`.
    func client(_ form: Form, _ call: HTTPCall) async throws(OAuthError) -> Client {
        let presented = try Presented(form, call.request)
        guard let clientID = ClientID(presented.clientID) else { throw OAuthError(.invalidClient, "client_id is not printable ASCII") }
        // Only wrong secrets count, because a client that often sends the right one does not guess.
        let limitKey = call.limitKey + " " + clientID.text
        if presented.method != .none, let seconds = limits.clientSecret.isBlocked(limitKey, at: clock.now) {
            throw OAuthError(.tooManyRequests, "too many attempts; wait \(seconds) seconds")
        }
        let client: Client?
        do throws(OAuthError) { client = try await clients.client(clientID, call) } catch {
            // A program that receives `invalid_client` deletes its registration. That must not happen when the host of
            // its document is down for a moment.
            throw error == ClientMetadataDocuments.unreachable ? OAuthError(.temporarilyUnavailable, error.message) : error
        }
        let refusal = OAuthError(.invalidClient, "the client is not known, or does not authenticate in the way it registered")
        guard let client, !client.isDisabled, client.uses(presented.method) else {
            record("client.authentication", .denied, call, reason: client == nil ? "unknown_client" : "wrong_method", client: clientID)
            throw refusal
        }
        do throws(OAuthError) {
            switch presented.method {
            case .none: break
            case .basic, .post: guard let secret = presented.secret, client.hasSecret(secret, at: clock.now) else { throw refusal }
            case .privateKeyJWT:
                guard let assertion = presented.assertion else { throw refusal }
                try await verifyAssertion(assertion, of: client)
            }
        } catch {
            if error.code == .invalidClient {
                _ = limits.clientSecret.wait(for: limitKey, at: clock.now)
                record(
                    "client.authentication", .denied, call, reason: presented.assertion == nil ? "wrong_secret" : "wrong_assertion",
                    detail: error.message, client: clientID)
            }
            throw error
        }
        if client.authenticationMethod != .none, let seconds = limits.client.wait(for: client.id.text, at: clock.now) {
            throw OAuthError(.tooManyRequests, "this client asks too often; wait \(seconds) seconds")
        }
        return client
    }

    private struct Presented {
        let clientID: String
        let secret: String?
        let assertion: String?
        let method: Client.AuthenticationMethod

        init(_ form: Form, _ request: HTTPRequest) throws(OAuthError) {
            let bodyID = try form.single("client_id")
            let bodySecret = try form.single("client_secret")
            if let assertion = try form.single("client_assertion") {
                guard try form.single("client_assertion_type") == ClientAuthentication.assertionType else {
                    throw OAuthError(.invalidClient, "client_assertion_type is \(ClientAuthentication.assertionType)")
                }
                guard bodySecret == nil, !request.headerFields.contains(.authorization) else {
                    throw OAuthError(.invalidRequest, "authenticate in one way only")
                }
                // No claim is trusted yet. `sub` only selects the keys.
                let claimed = (try? CompactJWS(parsing: assertion)).flatMap { try? JWTClaims(parsing: $0.payload) }?.subject
                guard let claimed else { throw OAuthError(.invalidClient, "client_assertion is not a signed JWT with a sub") }
                guard bodyID == nil || bodyID!.utf8.elementsEqual(claimed.utf8) else {
                    throw OAuthError(.invalidClient, "client_id is not the sub of the assertion")
                }
                (clientID, secret, self.assertion, method) = (claimed, nil, assertion, .privateKeyJWT)
                return
            }
            guard try form.single("client_assertion_type") == nil else { throw OAuthError(.invalidRequest, "client_assertion is missing") }
            assertion = nil
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
}
