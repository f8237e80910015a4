import JOSE
import OAuth

/// The scopes that share the user's identity (OpenID Connect Core §5.4), beside those of resources.
enum IdentityScope {
    static let openID: Scope = "openid"
    static let profile: Scope = "profile"
    static let email: Scope = "email"
    static let all: ScopeSet = [openID, profile, email]

    /// The claims that these scopes share about a user. The same in access tokens, ID tokens, introspection and
    /// userinfo.
    ///
    /// Users of another table or identity provider have no sign-in name here, so only the provider's data is shared.
    static func claims(about user: User, _ scopes: ScopeSet) -> JSONObject {
        var claims = JSONObject()
        if scopes.contains(profile) {
            let login = user.identity == nil ? user.name : String?.none
            claims["preferred_username"] = login.map { .string($0) }
            claims["name"] = (user.displayName ?? login).map { .string($0) }
        }
        if scopes.contains(email), let address = user.email {
            claims["email"] = .string(address)
            claims["email_verified"] = .bool(user.isEmailVerified)
        }
        return claims
    }

    /// Whether a token with these scopes has claims about its user.
    static func isPersonal(_ scopes: ScopeSet) -> Bool { scopes.contains(profile) || scopes.contains(email) }
}
