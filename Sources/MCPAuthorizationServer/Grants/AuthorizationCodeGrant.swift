import JOSE
import MCPAuth
import OAuth

/// Authorization codes (RFC 6749 §4.1).
struct AuthorizationCodeGrant: TokenGrant {
    let context: ServerContext
    let store: any GrantStore
    let users: UserDirectory
    let clients: ClientDirectory
    let issuance: TokenIssuance
    let revocation: GrantRevocation

    /// Exchanges a code (RFC 6749 §4.1.3, RFC 7636 §4.6), once. A second attempt revokes the grant of the first.
    func issue(_ request: TokenRequest) async throws(OAuthError) -> TokenResponse {
        let (form, client, call, now) = (request.form, request.client, request.call, request.now)
        let refusal = OAuthError(.invalidGrant, "the code is unknown, used, expired, or belongs to another client, redirect URI, key or verifier")
        guard let text = try form.single("code") else { throw OAuthError(.invalidRequest, "code is missing") }
        guard let verifierText = try form.single("code_verifier") else { throw OAuthError(.invalidRequest, "code_verifier is missing") }
        let hash = SecretHash(of: text)
        let found = try await stored { try await store.code(hash) }
        // Another client learns nothing and changes nothing: replay handling must not be a weapon (T-06).
        guard let code = found, code.clientID == client.id else {
            record("token.issued", .denied, call, reason: found == nil ? "unknown_code" : "foreign_code", client: client.id)
            throw refusal
        }
        if let redirectURI = try form.single("redirect_uri"), !RedirectURI.areSame(redirectURI, code.redirectURI) {
            record("token.issued", .denied, call, reason: "wrong_redirect_uri", client: client.id)
            throw refusal
        }
        guard let verifier = CodeVerifier(verifierText), code.challenge.isMet(by: verifier) else {
            record("token.issued", .denied, call, reason: "wrong_verifier", client: client.id)
            throw refusal
        }
        if let bound = code.keyThumbprint, request.proof?.thumbprint != bound {
            record("token.issued", .denied, call, reason: "wrong_key", client: client.id)
            throw refusal
        }
        if let target = try configuration.target(form), !target.utf8.elementsEqual(code.resource.utf8) {
            throw OAuthError(.invalidTarget, "the user allowed access to \(code.resource) only")
        }
        // Clients repeat the scopes that they requested. The user may have allowed fewer, which the response says.
        _ = try configuration.narrowed(form, to: code.scopes)
        let resource = try configuration.grantedResource(code.resource)
        let user = try await users.activeUser(code.userID, else: refusal)

        let grant = Grant(
            id: Grant.makeID(random), type: .authorizationCode, clientID: client.id, userID: code.userID, scopes: code.scopes,
            resource: code.resource, keyThumbprint: client.authenticationMethod == .none ? request.proof?.thumbprint : nil,
            authenticatedAt: code.authenticatedAt, createdAt: now, expiresAt: now.advanced(by: configuration.grantLifetime), lastUsedAt: now)
        let refreshToken = issuance.refreshToken(for: grant, client, at: now)
        // Signed before anything is consumed, so that a failure does not use up the code.
        let access = try await issuance.accessToken(
            AccessTokenContents(grant, resource: resource, user: user, keyThumbprint: request.proof?.thumbprint), at: now)
        let idToken = try issuance.idToken(for: user, grant, nonce: code.nonce, accessToken: access.text, at: now)
        let outcome = try await stored {
            try await store.redeem(hash, for: grant, refreshToken: refreshToken?.record, clientIn: clients.registry(of: client), at: now)
        }
        switch outcome {
        case .redeemed:
            record("token.issued", .allowed, call, reason: "authorization_code", subject: grant.userID, client: client.id, scopes: grant.scopes)
            return TokenResponse(access: access, refreshToken: refreshToken?.text, scopes: grant.scopes, idToken: idToken)
        case .replayed(let grantID):
            revocation.list.insert(.grant(grantID), at: now)
            record("code.replayed", .denied, call, reason: "grant_revoked", subject: code.userID, client: client.id)
            throw refusal
        case .unknown:
            record("token.issued", .denied, call, reason: "expired_code", client: client.id)
            throw refusal
        }
    }
}
