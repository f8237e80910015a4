import Crypto
import JOSE
import OAuth

/// Issues ID tokens (OpenID Connect Core §2), for clients that request the scope `openid`.
enum IDTokens {
    static let lifetime: Int64 = 600

    /// The claims that the scopes share about a user, and the subject.
    static func claims(about user: User, scopes: ScopeSet) -> JSONObject {
        var claims = IdentityScope.claims(about: user, scopes)
        claims["sub"] = .string(user.id)
        return claims
    }

    /// `typ` is `JWT`, so that no resource server of this package accepts it as an access token. Throws `server_error`.
    static func make(
        for user: User, grant: Grant, nonce: String?, accessToken: String, with tokens: AccessTokens, at now: NumericDate
    ) throws(OAuthError) -> String {
        var claims = claims(about: user, scopes: grant.scopes)
        claims["iss"] = .string(tokens.issuer.text)
        claims["aud"] = .string(grant.clientID.text)
        claims["iat"] = .int(now.seconds)
        claims["exp"] = .int(now.advanced(by: lifetime).seconds)
        claims["auth_time"] = grant.authenticatedAt.map { .int($0.seconds) }
        claims["nonce"] = nonce.map { .string($0) }
        // The hash function of the signature's algorithm (§3.1.3.6).
        if let algorithm = tokens.keys.current(at: now)?.algorithm {
            let hash: [UInt8]
            switch algorithm {
            case .rs256, .ps256, .es256, .hs256: hash = Array(SHA256.hash(data: Array(accessToken.utf8)))
            case .rs384, .ps384, .es384, .hs384: hash = Array(SHA384.hash(data: Array(accessToken.utf8)))
            case .rs512, .ps512, .es512, .hs512, .edDSA, .ed25519: hash = Array(SHA512.hash(data: Array(accessToken.utf8)))
            }
            claims["at_hash"] = .string(Base64URL.encode(hash.prefix(hash.count / 2)))
        }
        return try tokens.sign(JSONValue.object(claims).serialized, type: "JWT", at: now)
    }
}
