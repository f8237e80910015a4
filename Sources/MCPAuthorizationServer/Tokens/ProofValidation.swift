import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Validates the DPoP proofs of requests to this server (RFC 9449 §5).
struct ProofValidation: ServerComponent {
    let context: ServerContext
    let store: any SingleUseStore
    let nonces: DPoPNonces

    /// The proof of a request to one of these endpoints, consumed. Nil when there is none and none is required.
    ///
    /// Throws `invalid_dpop_proof`, `use_dpop_nonce` or `temporarily_unavailable`.
    func proof(_ call: HTTPCall, for client: Client, at path: String = "/token", isRequired: Bool? = nil) async throws(OAuthError) -> DPoPProof? {
        let proof = try checkedProof(call, at: path, isRequired: isRequired ?? (configuration.dpop.isRequired || client.requiresDPoP))
        if let proof { try await use(proof) }
        return proof
    }

    /// The same, not consumed.
    func checkedProof(_ call: HTTPCall, at path: String, accessToken: String? = nil, isRequired: Bool = false) throws(OAuthError) -> DPoPProof? {
        let proofs = call.request.headerFields[values: .dpop]
        guard let text = proofs.first else {
            guard !isRequired else { throw OAuthError(.invalidDPoPProof, "tokens are bound to a key here: send a proof in the header DPoP") }
            return nil
        }
        guard proofs.count == 1, let url = WebURL(routes.url(path)) else { throw OAuthError(.invalidDPoPProof, "there is more than one DPoP header") }
        let now = clock.now
        let proof = try DPoPProof(parsing: text, method: call.request.method.rawValue, url: url, accessToken: accessToken, at: now)
        guard proof.nonce.map({ nonces.isGood($0, at: now) }) ?? !configuration.dpop.requiresNonce else {
            throw OAuthError(.useDPoPNonce, "repeat the value of DPoP-Nonce in the proof")
        }
        return proof
    }

    /// Consumes a proof in the store, for every instance and after every restart. Throws `invalid_dpop_proof` when it
    /// was used before.
    func use(_ proof: DPoPProof) async throws(OAuthError) {
        let use = SingleUse(SecretHash(of: proof.useText), until: max(proof.issuedAt, clock.now).advanced(by: DPoPProof.tolerance + 60))
        guard try await stored({ try await store.consume(use) }) else {
            throw OAuthError(.invalidDPoPProof, "the proof was used before; make a new one for each request")
        }
    }

    /// A response with the current nonce, where nonces are required.
    func withNonce(_ reply: HTTPReply) -> HTTPReply { configuration.dpop.requiresNonce ? demandingNonce(reply) : reply }

    /// A response with the current nonce.
    func demandingNonce(_ reply: HTTPReply) -> HTTPReply { reply.with(.dpopNonce, nonces.current(at: clock.now)) }
}
