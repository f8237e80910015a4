import HTTPTypes
import JOSE
import MCPAuth
import OAuth

struct RevocationEndpoint: ServerComponent {
    let context: ServerContext
    let pipeline: EndpointPipeline
    let limits: RateLimiters
    let clients: ClientAuthentication
    let store: any GrantStore
    let issuance: TokenIssuance
    let revocation: GrantRevocation
    let connections: Connections

    /// The revocation endpoint (RFC 7009). A refresh token revokes its whole grant. An access token is revoked alone.
    /// Unknown and foreign tokens receive 200.
    ///
    /// The resource server of this process applies a revocation at once. Another process on the same store applies it
    /// within seconds (`Maintenance`). Other resource servers apply it when they introspect, and at the latest when the
    /// token expires.
    func reply(to call: HTTPCall) async -> HTTPReply {
        await pipeline.post(call, limit: limits.token) { form throws(OAuthError) in
            let client = try await clients.client(form, call)
            guard let text = try form.single("token") else { throw OAuthError(.invalidRequest, "token is missing") }
            if let grant = try await grant(ofRefreshToken: text) {
                if grant.clientID == client.id {
                    try await revocation.end(grant: grant.id)
                    await connections.endIfUnused(grant.userID)
                    record("grant.revoked", .allowed, call, reason: "refresh_token", subject: grant.userID, client: client.id)
                }
            } else if let claims = issuance.tokens.claims(of: text, at: clock.now), let tokenID = claims.identifier,
                claims["client_id"]?.string == client.id.text
            {
                let now = clock.now
                let until = (claims.expiration ?? now).advanced(by: 120)
                try await stored { try await store.revokeAccessToken(tokenID, until: until, at: now) }
                revocation.list.insert(.accessToken(tokenID, until: until), at: now)
                record("token.revoked", .allowed, call, subject: claims.subject, client: client.id)
            }
            return HTTPReply(.ok, [.cacheControl: "no-store"])
        }
    }

    private func grant(ofRefreshToken text: String) async throws(OAuthError) -> Grant? {
        guard let reference = issuance.refreshTokens.reference(of: text) else { return nil }
        return try await stored { try await store.grant(of: reference) }
    }
}
