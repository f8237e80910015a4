import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// The token endpoint (RFC 6749 §3.2).
    func token(_ call: HTTPCall) async -> HTTPReply {
        await endpoint(call) { form throws(OAuthError) in
            guard let type = try form.single("grant_type") else { throw OAuthError(.invalidRequest, "grant_type is missing") }
            let client = try await authenticatedClient(form, call)
            guard ["authorization_code", "refresh_token"].contains(type) else {
                throw OAuthError(.unsupportedGrantType, "grant_type is authorization_code or refresh_token")
            }
            guard client.grantTypes.contains(type) else { throw OAuthError(.unauthorizedClient, "the client is not registered for \(type)") }
            return type == "refresh_token" ? try await refresh(form, client, call) : try await redeem(form, client, call)
        }
    }

    // MARK: Authorization code

    private func redeem(_ form: Form, _ client: Client, _ call: HTTPCall) async throws(OAuthError) -> HTTPReply {
        let refusal = OAuthError(.invalidGrant, "the code is unknown, used, expired, or belongs to another client, redirect URI or verifier")
        guard let text = try form.single("code") else { throw OAuthError(.invalidRequest, "code is missing") }
        guard let verifierText = try form.single("code_verifier") else { throw OAuthError(.invalidRequest, "code_verifier is missing") }
        let hash = SecretHash(of: text)
        let found = try await stored { try await store.code(hash) }
        // Whoever is not the client of this code learns nothing and changes nothing: replay handling must not be a weapon (T-06).
        guard let code = found, code.clientID == client.id else {
            record("token.issued", .denied, call, reason: found == nil ? "unknown_code" : "foreign_code", client: client.id)
            throw refusal
        }
        if let redirectURI = try form.single("redirect_uri"), !redirectURI.utf8.elementsEqual(code.redirectURI.utf8) {
            record("token.issued", .denied, call, reason: "wrong_redirect_uri", client: client.id)
            throw refusal
        }
        guard let verifier = CodeVerifier(verifierText), code.challenge.isMet(by: verifier) else {
            record("token.issued", .denied, call, reason: "wrong_verifier", client: client.id)
            throw refusal
        }
        if let target = try target(form), !target.utf8.elementsEqual(code.resource.utf8) {
            throw OAuthError(.invalidTarget, "the user allowed access to \(code.resource) only")
        }
        if let text = try form.single("scope") {
            guard let scopes = ScopeSet(text), scopes.subtracting(["offline_access"]).isSubset(of: code.scopes) else {
                throw OAuthError(.invalidScope, "the scopes of a code are fixed")
            }
        }

        let now = clock.now
        let grant = Grant(
            id: random.token(bytes: 16), clientID: client.id, userID: code.userID, scopes: code.scopes, resource: code.resource, createdAt: now,
            expiresAt: now.advanced(by: configuration.grantLifetime), lastUsedAt: now)
        let refreshText = client.grantTypes.contains("refresh_token") ? random.token() : nil
        let refreshToken = refreshText.map { RefreshToken(hash: SecretHash(of: $0), grantID: grant.id, expiresAt: refreshExpiry(grant, now)) }
        // Signed before anything is consumed: a failure here costs nobody their code.
        let access = try tokens.issue(for: grant, scopes: grant.scopes, at: now)
        try await checkUser(code.userID, refusal)
        let outcome = try await stored { try await store.redeem(hash, for: grant, refreshToken: refreshToken, at: now) }
        switch outcome {
        case .redeemed:
            record("token.issued", .allowed, call, reason: "authorization_code", subject: grant.userID, client: client.id, scopes: grant.scopes)
            return tokenReply(access, refreshText, grant.scopes)
        case .replayed(let grantID):
            revocations.insert(.grant(grantID), at: now)
            record("code.replayed", .denied, call, reason: "grant_revoked", subject: code.userID, client: client.id)
            throw refusal
        case .unknown:
            record("token.issued", .denied, call, reason: "expired_code", client: client.id)
            throw refusal
        }
    }

    // MARK: Refresh

    private func refresh(_ form: Form, _ client: Client, _ call: HTTPCall) async throws(OAuthError) -> HTTPReply {
        let refusal = OAuthError(.invalidGrant, "the refresh token is unknown, expired, revoked, or belongs to another client; sign in again")
        guard let text = try form.single("refresh_token") else { throw OAuthError(.invalidRequest, "refresh_token is missing") }
        let target = try self.target(form)
        let requested = try requestedScopes(form)
        let now = clock.now
        let successorText = random.token()
        let sealer = Sealer(derivedFrom: text, purpose: "refresh successor")
        let successor = Successor(
            hash: SecretHash(of: successorText), sealed: try sealer.seal(Array(successorText.utf8), owner: client.id.text),
            expiresAt: now.advanced(by: configuration.refreshTokenIdleLifetime))
        let outcome = try await stored {
            try await store.rotate(SecretHash(of: text), to: successor, grace: configuration.refreshGrace, at: now) { grant in
                // Whoever is not the client of this token learns nothing and changes nothing: reuse handling must not be a weapon.
                guard grant.clientID == client.id else { return refusal }
                if let target, !target.utf8.elementsEqual(grant.resource.utf8) {
                    return OAuthError(.invalidTarget, "the user allowed access to \(grant.resource) only")
                }
                if let requested, !requested.isSubset(of: grant.scopes) {
                    return OAuthError(.invalidScope, "a refresh cannot get more than was granted: \(grant.scopes.text)")
                }
                return nil
            }
        }
        // Signed after the exchange: should it ever fail, the client's next attempt within the grace period gets the same successor.
        func reply(_ grant: Grant, _ refreshToken: String, _ reason: String?) throws(OAuthError) -> HTTPReply {
            let scopes = requested ?? grant.scopes
            let access = try tokens.issue(for: grant, scopes: scopes, at: now)
            record("token.refreshed", .allowed, call, reason: reason, subject: grant.userID, client: client.id, scopes: scopes)
            return tokenReply(access, refreshToken, scopes)
        }
        switch outcome {
        case .rotated(let grant): return try reply(grant, successorText, nil)
        case .repeated(let grant, let sealed):
            guard let bytes = sealer.open(sealed, owner: client.id.text) else { throw refusal }
            return try reply(grant, String(decoding: bytes, as: UTF8.self), "repeated_within_grace")
        case .reused(let grantID):
            revocations.insert(.grant(grantID), at: now)
            record("refresh_token.reused", .denied, call, reason: "grant_revoked", client: client.id)
            throw refusal
        case .refused(let error):
            record("token.refreshed", .denied, call, reason: error.code.rawValue, client: client.id)
            throw error
        case .unknown:
            record("token.refreshed", .denied, call, reason: "unknown_refresh_token", client: client.id)
            throw refusal
        }
    }

    private func requestedScopes(_ form: Form) throws(OAuthError) -> ScopeSet? {
        guard let text = try form.single("scope") else { return nil }
        guard let scopes = ScopeSet(text) else {
            throw OAuthError(.invalidScope, "scope is not a list of scope tokens separated by single spaces")
        }
        return scopes.subtracting(["offline_access"])
    }

    // MARK: Shared

    private func checkUser(_ id: String, _ refusal: OAuthError) async throws(OAuthError) {
        guard let user = try await stored({ try await store.user(id: id) }), !user.isDisabled else { throw refusal }
    }

    private func refreshExpiry(_ grant: Grant, _ now: NumericDate) -> NumericDate {
        min(now.advanced(by: configuration.refreshTokenIdleLifetime), grant.expiresAt)
    }

    /// The resource that a token request names again, if it does (RFC 8707 §2.2).
    private func target(_ form: Form) throws(OAuthError) -> String? {
        let named = form.all("resource").filter { !$0.isEmpty }
        return named.isEmpty ? nil : try resource(named: named).identifier.text
    }

    private func tokenReply(_ access: (token: String, expiresIn: Int64), _ refreshToken: String?, _ scopes: ScopeSet) -> HTTPReply {
        var json: JSONObject = [
            "access_token": .string(access.token), "token_type": "Bearer", "expires_in": .int(access.expiresIn), "scope": .string(scopes.text),
        ]
        json["refresh_token"] = refreshToken.map { .string($0) }
        return .json(.object(json))
    }
}
