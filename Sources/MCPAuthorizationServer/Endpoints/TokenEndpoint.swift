import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// A token request of an authenticated client, with its checked proof if it has one.
struct TokenRequest: Sendable {
    let form: Form
    let client: Client
    let proof: DPoPProof?
    let call: HTTPCall
    let now: NumericDate
}

extension AuthorizationServer {
    /// The token endpoint (RFC 6749 §3.2): authenticates the client and passes the request to its grant.
    func token(_ call: HTTPCall) async -> HTTPReply {
        await endpoint(call, limit: limits.token) { form throws(OAuthError) in
            guard let text = try form.single("grant_type") else { throw OAuthError(.invalidRequest, "grant_type is missing") }
            let type = GrantType(rawValue: text)
            guard configuration.grantTypes.contains(type) else {
                throw OAuthError(
                    .unsupportedGrantType, "grant_type is one of \(configuration.grantTypes.map(\.rawValue).sorted().joined(separator: ", "))")
            }
            // A workload has no client. The assertion of its platform is the only evidence (requirement 110).
            if type == .jwtBearer, try isWorkloadRequest(form, call) {
                return try await workload(form, try checkedProof(call, at: "/token", isRequired: configuration.dpop.isRequired), call)
            }
            let client = try await authenticatedClient(form, call)
            guard client.grantTypes.contains(type) else { throw OAuthError(.unauthorizedClient, "the client is not registered for \(type)") }
            let request = TokenRequest(form: form, client: client, proof: try await proof(call, for: client), call: call, now: clock.now)
            switch type {
            case .authorizationCode: return try await redeem(request)
            case .refreshToken: return try await refresh(request)
            case .clientCredentials: return try await clientCredentials(request)
            case .deviceCode: return try await redeemDevice(request)
            case .tokenExchange: return try await exchange(request)
            case .jwtBearer: return try await enterpriseAssertion(request)
            default: throw OAuthError(.unsupportedGrantType, "this grant is not supported")
            }
        }
    }

    // MARK: Proofs (RFC 9449 §5)

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

    // MARK: Shared by the grants

    func checkUser(_ id: String, _ refusal: OAuthError) async throws(OAuthError) -> User {
        guard let user = try await stored({ try await store.user(id: id) }), !user.isDisabled else { throw refusal }
        return user
    }

    /// A refresh token for a new grant. Nil if its client receives none.
    func refreshToken(for grant: Grant, _ client: Client, at now: NumericDate) -> (text: String, record: RefreshToken)? {
        guard client.grantTypes.contains(.refreshToken), configuration.grantTypes.contains(.refreshToken) else { return nil }
        let text = refreshTokens.first(for: grant.id, random)
        let expiresAt = min(now.advanced(by: configuration.refreshTokenIdleLifetime), grant.expiresAt)
        return (text, RefreshToken(hash: SecretHash(of: text), grantID: grant.id, expiresAt: expiresAt))
    }

    /// The resource of a grant, which may no longer be configured. Throws `invalid_target`.
    func grantedResource(_ identifier: String) throws(OAuthError) -> ProtectedResource {
        guard let resource = configuration.resource(identifier) else {
            throw OAuthError(.invalidTarget, "\(identifier) is no longer a resource of this server; sign in again for another")
        }
        return resource
    }

    /// The resource that a token request names again (RFC 8707 §2.2). Nil if it names none.
    func target(_ form: Form) throws(OAuthError) -> String? {
        let named = form.all("resource").filter { !$0.isEmpty }
        return named.isEmpty ? nil : try resource(named: named).identifier.text
    }

    func requestedScopes(_ form: Form) throws(OAuthError) -> ScopeSet? {
        guard let text = try form.single("scope"), let scopes = try RequestedScopes.parse(text) else { return nil }
        return scopes.subtracting(["offline_access"])
    }

    /// The granted scopes that a token request names: never more than was granted (RFC 6749 §6). Clients repeat the
    /// scopes that they requested first, of which the user may have allowed a part.
    ///
    /// Throws `invalid_scope` when none is left, and with `UnknownScopes.refuse` when one was not granted.
    func narrowed(_ form: Form, to granted: ScopeSet) throws(OAuthError) -> ScopeSet {
        guard let requested = try requestedScopes(form), !requested.isEmpty else { return granted }
        return try narrowed(requested, to: granted)
    }

    func narrowed(_ requested: ScopeSet, to granted: ScopeSet) throws(OAuthError) -> ScopeSet {
        let scopes = granted.intersection(requested)
        guard !scopes.isEmpty, configuration.unknownScopes == .ignore || requested.isSubset(of: granted) else {
            throw OAuthError(.invalidScope, "no more can be had than the user allowed: \(granted.text)")
        }
        return scopes
    }

    /// The response of the token endpoint (RFC 6749 §5.1, RFC 9449 §5).
    func tokenReply(
        _ access: IssuedAccessToken, _ refreshToken: String?, _ scopes: ScopeSet, idToken: String? = nil, issuedTokenType: String? = nil
    ) -> HTTPReply {
        var json: JSONObject = [
            "access_token": .string(access.text), "token_type": access.isBoundToKey ? "DPoP" : "Bearer", "expires_in": .int(access.expiresIn),
            "scope": .string(scopes.text),
        ]
        json["refresh_token"] = refreshToken.map { .string($0) }
        json["id_token"] = idToken.map { .string($0) }
        json["issued_token_type"] = issuedTokenType.map { .string($0) }
        return withNonce(.json(.object(json)))
    }

    func withNonce(_ reply: HTTPReply) -> HTTPReply {
        configuration.dpop.requiresNonce ? reply.with(.dpopNonce, nonces.current(at: clock.now)) : reply
    }
}
