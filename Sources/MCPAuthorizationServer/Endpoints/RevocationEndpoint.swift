import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// The revocation endpoint (RFC 7009). A refresh token takes its whole grant with it; an access token goes alone. Unknown and foreign tokens are 200.
    func revoke(_ call: HTTPCall) async -> HTTPReply {
        await endpoint(call) { form throws(OAuthError) in
            let client = try await authenticatedClient(form, call)
            guard let text = try form.single("token") else { throw OAuthError(.invalidRequest, "token is missing") }
            let found = try await stored { try await store.refreshToken(SecretHash(of: text)) }
            if let found {
                if found.grant.clientID == client.id {
                    try await end(grant: found.grant.id)
                    record("grant.revoked", .allowed, call, reason: "refresh_token", subject: found.grant.userID, client: client.id)
                }
            } else if let claims = ownAccessToken(text), let tokenID = claims.identifier, claims["client_id"]?.string == client.id.text {
                let now = clock.now
                try await stored { try await store.revokeAccessToken(tokenID, until: (claims.expiration ?? now).advanced(by: 120), at: now) }
                revocations.insert(.accessToken(tokenID), at: now)
                record("token.revoked", .allowed, call, subject: claims.subject, client: client.id)
            }
            return HTTPReply(.ok, [.cacheControl: "no-store"])
        }
    }

    /// The introspection endpoint (RFC 7662), for resource servers that the operator registered, and only of tokens meant for them (R123).
    func introspect(_ call: HTTPCall) async -> HTTPReply {
        await endpoint(call) { form throws(OAuthError) in
            let server = try await authenticatedClient(form, call)
            guard server.authenticationMethod != .none, let resource = server.introspects else {
                throw OAuthError(.invalidClient, "only a resource server that is registered for introspection may ask")
            }
            guard let text = try form.single("token") else { throw OAuthError(.invalidRequest, "token is missing") }
            guard let claims = ownAccessToken(text), claims.isMeant(for: resource), let tokenID = claims.identifier,
                !revocations.contains(tokenID: tokenID)
            else {
                return .json(["active": false])
            }
            let grant = try await stored { try await store.grant(TokenIdentifier.grantID(of: tokenID)) }
            guard let grant, grant.isLive(at: clock.now), let user = try await stored({ try await store.user(id: grant.userID) }), !user.isDisabled
            else { return .json(["active": false]) }
            var json = JSONObject()
            json["active"] = true
            json["token_type"] = "Bearer"
            for name in ["iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti"] { json[name] = claims[name]?.value }
            return .json(.object(json))
        }
    }

    /// The claims of an access token that this server signed and that has not expired, else nil.
    private func ownAccessToken(_ text: String) -> JWTClaims? {
        guard let jws = try? CompactJWS(parsing: text), (try? jws.verify(using: keys.published)) != nil,
            let claims = try? JWTClaims(parsing: jws.payload)
        else {
            return nil
        }
        let requirements = JWTRequirements(issuer: issuer.text, audiences: nil, type: .oneOf(["at+jwt"]), leeway: 0)
        return requirements.violation(header: jws.header, claims: claims, now: clock.now) == nil ? claims : nil
    }
}
