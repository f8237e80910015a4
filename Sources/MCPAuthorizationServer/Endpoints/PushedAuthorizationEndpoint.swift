import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// An authorization request that the client pushed before the browser is involved (RFC 9126).
struct PushedRequest: Sendable {
    /// Random. It becomes the identifier of the transaction, so at most one code results from it.
    let id: String
    let request: AuthorizationRequest
    let expiresAt: NumericDate

    /// The number of seconds between the push and the visit of the browser.
    static let lifetime: Int64 = 60
    static let prefix = "urn:ietf:params:oauth:request_uri:"
    static let maximumBytes = 16 * 1024
}

/// The request URIs of pushed requests. They contain the request itself, sealed, so pushing needs no storage.
struct PushedRequests: ServerComponent {
    let context: ServerContext
    let store: any SingleUseStore
    let sealer: Sealer

    func seal(_ pushed: PushedRequest) throws(OAuthError) -> String {
        let json: JSONValue = ["id": .string(pushed.id), "exp": .int(pushed.expiresAt.seconds), "request": pushed.request.json]
        return Base64URL.encode(try sealer.seal(json.serialized, owner: pushed.request.clientID.text))
    }

    /// The request behind a `request_uri` that this client pushed. Throws `invalid_request_uri`.
    func open(_ uri: String, by clientID: ClientID) async throws(OAuthError) -> PushedRequest {
        let refusal = OAuthError(.invalidRequestURI, "request_uri is unknown, used, expired, or belongs to another client; push the request again")
        guard uri.utf8.count <= PushedRequest.maximumBytes, uri.utf8.starts(with: PushedRequest.prefix.utf8),
            let sealed = try? Base64URL.decode(String(decoding: uri.utf8.dropFirst(PushedRequest.prefix.utf8.count), as: UTF8.self)),
            let bytes = sealer.open(sealed, owner: clientID.text), let json = try? JSONValue(parsing: bytes),
            let id = json["id"]?.string, let expiry = json["exp"]?.int, let value = json["request"],
            let request = AuthorizationRequest(json: value), request.clientID == clientID, clock.now.seconds < Int64(expiry)
        else { throw refusal }
        let pushed = PushedRequest(id: id, request: request, expiresAt: NumericDate(seconds: Int64(expiry)))
        // Reloading the page is allowed. A second sign-in with the same request is not (RFC 9126 §4).
        guard try await !stored({ try await store.isConsumed(SecretHash(of: id)) }) else { throw refusal }
        return pushed
    }
}

/// The pushed authorization request endpoint (RFC 9126 §2): checks the request of an authenticated client as the
/// authorization endpoint would.
struct PushedAuthorizationEndpoint: ServerComponent {
    let context: ServerContext
    let pipeline: EndpointPipeline
    let limits: RateLimiters
    let clients: ClientAuthentication
    let proofs: ProofValidation
    let validation: AuthorizationRequestValidation
    let requests: PushedRequests

    func reply(to call: HTTPCall) async -> HTTPReply {
        await pipeline.post(call, limit: limits.begin) { form throws(OAuthError) in
            let client = try await clients.client(form, call)
            guard try form.single("request_uri") == nil else { throw OAuthError(.invalidRequest, "request_uri cannot be pushed") }
            var fields = Form(
                form.fields.filter { !["client_id", "client_secret", "client_assertion", "client_assertion_type"].contains($0.name) }
                    .map { ($0.name, $0.value) })
            fields.append("client_id", client.id.text)
            // A proof in the request binds the code to its key (RFC 9449 §10.1).
            if let proof = try await proofs.proof(call, for: client, at: "/par", isRequired: false) {
                guard try form.single("dpop_jkt").map({ $0.utf8.elementsEqual(proof.thumbprint.utf8) }) ?? true else {
                    throw OAuthError(.invalidDPoPProof, "dpop_jkt is not the key of the proof")
                }
                if try form.single("dpop_jkt") == nil { fields.append("dpop_jkt", proof.thumbprint) }
            }
            let request: AuthorizationRequest
            do throws(AuthorizationRequestError) { request = try await validation.request(fields, call).request } catch {
                switch error {
                case .local(let error, _), .redirectable(let error, _, _, _):
                    record("authorization.push", .denied, call, reason: error.code.rawValue, detail: error.message, client: client.id)
                    throw error
                }
            }
            let pushed = PushedRequest(id: random.token(), request: request, expiresAt: clock.now.advanced(by: PushedRequest.lifetime))
            var json = JSONObject()
            json["request_uri"] = .string(PushedRequest.prefix + (try requests.seal(pushed)))
            json["expires_in"] = .int(PushedRequest.lifetime)
            record("authorization.push", .allowed, call, client: client.id, scopes: request.scopes)
            return proofs.withNonce(.json(.object(json), status: .created))
        }
    }
}
