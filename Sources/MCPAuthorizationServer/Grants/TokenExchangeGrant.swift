import JOSE
import MCPAuth
import OAuth

/// Token exchange (RFC 8693).
struct TokenExchangeGrant: TokenGrant {
    let context: ServerContext
    let issuance: TokenIssuance
    let activeGrants: ActiveGrants

    private static let accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

    /// Exchanges a user's token for a token of another resource (RFC 8693), for a resource server that calls another
    /// one. Scopes and lifetime never grow, and the chain of actors is kept. The new token ends with the grant of the
    /// original token.
    func issue(_ request: TokenRequest) async throws(OAuthError) -> TokenResponse {
        let (form, client, call, now) = (request.form, request.client, request.call, request.now)
        guard client.origin == .configured, client.authenticationMethod != .none, let own = client.introspects,
            let rule = configuration.exchanges.first(where: { $0.from.utf8.elementsEqual(own.utf8) })
        else {
            record("token.exchanged", .denied, call, reason: "unauthorized_client", client: client.id)
            throw OAuthError(.unauthorizedClient, "only a resource server with an exchange rule may exchange tokens")
        }
        for name in ["subject_token_type", "requested_token_type"] {
            guard try form.single(name) ?? Self.accessTokenType == Self.accessTokenType else {
                throw OAuthError(.invalidRequest, "\(name) is \(Self.accessTokenType)")
            }
        }
        guard try form.single("subject_token_type") != nil else { throw OAuthError(.invalidRequest, "subject_token_type is missing") }
        for name in ["actor_token", "actor_token_type"] where try form.single(name) != nil {
            throw OAuthError(.invalidRequest, "\(name) is not supported: the client itself is the actor")
        }
        guard let text = try form.single("subject_token") else { throw OAuthError(.invalidRequest, "subject_token is missing") }
        guard let claims = issuance.tokens.claims(of: text, at: now), claims.isMeant(for: own), let tokenID = claims.identifier,
            let grant = try await activeGrants.grant(of: tokenID, claims)
        else {
            record("token.exchanged", .denied, call, reason: "bad_subject_token", client: client.id)
            throw OAuthError(.invalidRequest, "subject_token is not a valid access token of this server for \(own)")
        }
        // If the first token needed a proof, the exchange needs one too.
        guard claims["cnf"] == nil || request.proof != nil else {
            throw OAuthError(.invalidDPoPProof, "the subject_token is bound to a key: send a proof, and the new token is bound to that one")
        }
        let named = form.all("resource") + form.all("audience")
        guard named.contains(where: { !$0.isEmpty }) else { throw OAuthError(.invalidTarget, "say which resource the token is for") }
        let resource = try configuration.resource(named: named)
        guard rule.to.contains(where: { $0.utf8.elementsEqual(resource.identifier.text.utf8) }) else {
            record("token.exchanged", .denied, call, reason: "invalid_target", client: client.id)
            throw OAuthError(.invalidTarget, "there is no rule that lets \(own) call \(resource.identifier)")
        }
        let held = ScopeSet(lenient: claims["scope"]?.string ?? "")
        var available = held.intersection(resource.allScopes)
        if let limit = client.scopes { available = available.intersection(limit) }
        let scopes = try RequestedScopes.named(in: form) ?? available
        guard scopes.isSubset(of: available) else {
            throw OAuthError(.invalidScope, "an exchange cannot get more than the token has and the resource knows: \(available.text)")
        }
        var actor: JSONObject = ["sub": .string(client.id.text)]
        actor["act"] = claims["act"]?.value
        var contents = AccessTokenContents(grant, scopes: scopes, resource: resource, keyThumbprint: request.proof?.thumbprint)
        contents.clientID = client.id
        contents.actor = .object(actor)
        contents.notAfter = claims.expiration
        let access = try await issuance.accessToken(contents, at: now)
        record("token.exchanged", .allowed, call, subject: grant.subject, client: client.id, scopes: scopes)
        return TokenResponse(access: access, scopes: scopes, issuedTokenType: Self.accessTokenType)
    }
}
