import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// Exchanges a refresh token for its successor (RFC 6749 §6, requirement 131).
    func refresh(_ request: TokenRequest) async throws(OAuthError) -> HTTPReply {
        let (form, client, call, now) = (request.form, request.client, request.call, request.now)
        let refusal = OAuthError(.invalidGrant, "the refresh token is unknown, expired, revoked, or belongs to another client or key; sign in again")
        guard let text = try form.single("refresh_token") else { throw OAuthError(.invalidRequest, "refresh_token is missing") }
        let target = try self.target(form)
        let requested = try requestedScopes(form)
        guard let token = refreshTokens.reference(of: text), let grantID = try await grantID(of: token) else {
            record("token.refreshed", .denied, call, reason: "unknown_refresh_token", client: client.id)
            throw refusal
        }
        let successorText = refreshTokens.successor(of: text, for: grantID)
        let successor = Successor(hash: SecretHash(of: successorText), expiresAt: now.advanced(by: configuration.refreshTokenIdleLifetime))
        let thumbprint = request.proof?.thumbprint
        let outcome = try await stored {
            try await store.rotate(token, to: successor, grace: configuration.refreshGrace, at: now) { grant in
                // Whoever is not the client of this token, or has not its key, learns nothing and changes nothing: reuse handling must not be a weapon.
                guard grant.clientID == client.id, grant.keyThumbprint == nil || grant.keyThumbprint == thumbprint else { return refusal }
                if let target, !target.utf8.elementsEqual(grant.resource.utf8) {
                    return OAuthError(.invalidTarget, "the user allowed access to \(grant.resource) only")
                }
                if let seconds = self.limitOfGrant(grant.id, call, at: now) {
                    return OAuthError(.tooManyRequests, "this token is exchanged too often; wait \(seconds) seconds")
                }
                guard self.configuration.resource(grant.resource) != nil else {
                    return OAuthError(.invalidTarget, "\(grant.resource) is no longer a resource of this server; sign in again for another")
                }
                if let requested, !requested.isSubset(of: grant.scopes) {
                    return OAuthError(.invalidScope, "a refresh cannot get more than was granted: \(grant.scopes.text)")
                }
                return nil
            }
        }
        // Signed after the exchange: should it ever fail, the client's next attempt within the grace period gets the same successor.
        func reply(_ grant: Grant, _ reason: String?) throws(OAuthError) -> HTTPReply {
            let resource = try grantedResource(grant.resource)
            // What the operator has taken away since is not given again.
            var scopes = (requested ?? grant.scopes).intersection(resource.allScopes.union(identityScopes))
            if let limit = client.scopes { scopes = scopes.intersection(limit.union(identityScopes)) }
            let contents = AccessTokenContents(grant, scopes: scopes, resource: resource, keyThumbprint: thumbprint)
            let access = try tokens.issue(contents, at: now)
            record("token.refreshed", .allowed, call, reason: reason, subject: grant.userID, client: client.id, scopes: scopes)
            return tokenReply(access, successorText, scopes)
        }
        switch outcome {
        case .rotated(let grant): return try reply(grant, nil)
        case .repeated(let grant): return try reply(grant, "repeated_within_grace")
        case .reused(let grantID):
            revocations.insert(.grant(grantID), at: now)
            let subject = try? await store.grant(grantID)?.subject
            record("refresh_token.reused", .denied, call, reason: "grant_revoked", subject: subject, client: client.id)
            throw refusal
        case .refused(let error):
            record("token.refreshed", .denied, call, reason: error.code.rawValue, client: client.id)
            throw error
        case .unknown:
            record("token.refreshed", .denied, call, reason: "unknown_refresh_token", client: client.id)
            throw refusal
        }
    }

    /// Tokens name their grant, unless they are from before they did.
    private func grantID(of token: RefreshTokenReference) async throws(OAuthError) -> String? {
        if let grantID = token.grantID { return grantID }
        return try await stored { try await store.grant(of: token)?.id }
    }
}
