import JOSE
import OAuth

/// Makes access tokens (RFC 9068).
struct AccessTokenIssuer: Sendable {
    let issuer: Issuer
    let key: SigningKey
    let lifetime: Int64
    let random: RandomSource

    /// Throws `server_error`.
    func issue(for grant: Grant, scopes: ScopeSet, at now: NumericDate) throws(OAuthError) -> (token: String, expiresIn: Int64) {
        let expiration = min(now.advanced(by: lifetime), grant.expiresAt)
        var claims: JSONObject = [
            "iss": .string(issuer.text), "sub": .string(grant.userID), "aud": .string(grant.resource), "client_id": .string(grant.clientID.text),
            "iat": .int(now.seconds), "exp": .int(expiration.seconds), "jti": .string(TokenIdentifier.make(grantID: grant.id, random: random)),
        ]
        if !scopes.isEmpty { claims["scope"] = .string(scopes.text) }
        do throws(JOSEError) {
            return (try CompactJWS.sign(JSONValue.object(claims).serialized, type: "at+jwt", with: key), expiration.seconds(since: now))
        } catch { throw OAuthError(.serverError, "the access token could not be signed") }
    }
}
