import JOSE
import OAuth

/// Issues the tokens of a grant.
struct TokenIssuance: ServerComponent {
    let context: ServerContext
    let tokens: AccessTokens
    let refreshTokens: RefreshTokens
    let permissions: UserPermissions

    /// An access token with the roles that its user has now. Throws `server_error` or `temporarily_unavailable`.
    func accessToken(_ contents: AccessTokenContents, at now: NumericDate) async throws(OAuthError) -> IssuedAccessToken {
        var contents = contents
        if let userID = contents.grant.userID { contents.roles = try await permissions.roles(ofUser: userID) }
        return try tokens.issue(contents, at: now)
    }

    /// A refresh token for a new grant. Nil if its client receives none.
    func refreshToken(for grant: Grant, _ client: Client, at now: NumericDate) -> (text: String, record: RefreshToken)? {
        guard client.grantTypes.contains(.refreshToken), configuration.grantTypes.contains(.refreshToken) else { return nil }
        let text = refreshTokens.first(for: grant.id, random)
        let expiresAt = min(now.advanced(by: configuration.refreshTokenIdleLifetime), grant.expiresAt)
        return (text, RefreshToken(hash: SecretHash(of: text), grantID: grant.id, expiresAt: expiresAt))
    }

    /// The ID token for a grant with the scope `openid`. Nil for another grant. Throws `server_error`.
    func idToken(for user: User, _ grant: Grant, nonce: String?, accessToken: String, at now: NumericDate) throws(OAuthError) -> String? {
        guard grant.scopes.contains(IdentityScope.openID) else { return nil }
        return try IDTokens.make(for: user, grant: grant, nonce: nonce, accessToken: accessToken, with: tokens, at: now)
    }
}

/// A successful response of the token endpoint (RFC 6749 §5.1).
struct TokenResponse: Sendable {
    let access: IssuedAccessToken
    var refreshToken: String?
    let scopes: ScopeSet
    var idToken: String?
    /// RFC 8693 §2.2.1.
    var issuedTokenType: String?

    var json: JSONValue {
        var json: JSONObject = [
            "access_token": .string(access.text), "token_type": access.isBoundToKey ? "DPoP" : "Bearer", "expires_in": .int(access.expiresIn),
            "scope": .string(scopes.text),
        ]
        json["refresh_token"] = refreshToken.map { .string($0) }
        json["id_token"] = idToken.map { .string($0) }
        json["issued_token_type"] = issuedTokenType.map { .string($0) }
        return .object(json)
    }
}
