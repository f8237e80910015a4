public import OAuth
import JOSE

extension IdentityProvider {
    /// Any provider with OpenID Connect.
    ///
    /// - Parameters:
    ///   - issuer: The exact issuer, also its final slash.
    ///   - id: A short name for paths and logs.
    ///   - name: The name on the button. Nil: the host of the issuer.
    public static func openID(issuer: String, id: String = "oidc", name: String? = nil) -> IdentityProvider {
        IdentityProvider(
            id: id, name: name ?? WebURL(issuer)?.hostForURL ?? issuer, endpoints: .discovered(issuer: issuer), signIn: .openID(),
            accessTokens: ProviderAccessTokens(.jwt, audience: .configured))
    }

    /// Any provider with OAuth 2 and a userinfo endpoint, without OpenID Connect.
    ///
    /// - Parameters:
    ///   - issuer: A URL that names the provider. Users are stored under it, so it must never change.
    ///   - subject: The member of the userinfo answer that identifies the user and never changes. Its value is a text
    ///     or a whole number.
    public static func oauth2(
        issuer: String, authorization: String, token: String, userInfo: String, scopes: [String], subject: String = "id", id: String = "oauth2",
        name: String? = nil
    ) -> IdentityProvider {
        let signIn = ProviderSignIn(scopes: scopes, identity: .userInfo) { documents throws(OAuthError) in
            let value = documents.userInfo[subject]
            guard let identifier = value?.string ?? value?.number?.int64.map({ "\($0)" }), (1...255).contains(identifier.utf8.count) else {
                throw OAuthError(.invalidToken, "the userinfo answer does not name the user: \(subject) is missing")
            }
            return ProviderPerson(
                subject: identifier, name: ProviderPerson.text(documents.userInfo["name"]),
                userName: ProviderPerson.text(documents.userInfo["preferred_username"]), email: ProviderPerson.text(documents.userInfo["email"]),
                isEmailVerified: documents.userInfo["email_verified"]?.bool == true)
        }
        return IdentityProvider(
            id: id, name: name ?? WebURL(issuer)?.hostForURL ?? issuer,
            endpoints: .fixed(issuer: issuer, FixedEndpoints(authorization: authorization, token: token, userInfo: userInfo)), signIn: signIn,
            accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// A provider with OpenID Connect whose differences are in its data.
    static func named(
        _ id: String, _ name: String, _ mark: ProviderMark, issuer: String, tokens: ProviderAccessTokens,
        scopes: [String] = ["openid", "profile", "email"],
        offline: [String] = ["offline_access"], fixed: FixedEndpoints = FixedEndpoints(), _ change: (inout ProviderSignIn) -> Void = { _ in }
    ) -> IdentityProvider {
        var signIn = ProviderSignIn.openID(scopes: scopes, offlineScopes: offline)
        change(&signIn)
        return IdentityProvider(
            id: id, name: name, mark: mark, endpoints: .discovered(issuer: issuer, fixed: fixed), signIn: signIn, accessTokens: tokens)
    }

    /// Auth0. Its issuer ends with a slash.
    ///
    /// - Parameter domain: The tenant's domain, such as `acme.eu.auth0.com`, or a custom domain.
    public static func auth0(domain: String) -> IdentityProvider {
        named(
            "auth0", "Auth0", ProviderMark(letters: "0", colour: "#b4390a"), issuer: "https://\(domain)/",
            tokens: ProviderAccessTokens(.jwt, audience: .configured)
        ) { $0.clientAuthentication = .post }
    }

    /// Okta with a custom authorization server, whose access tokens are for your own APIs. Users are identified by
    /// `uid` in access tokens and by `sub` in ID tokens.
    ///
    /// - Parameters:
    ///   - domain: The organization's domain, such as `acme.okta.com`.
    ///   - server: The identifier of the authorization server.
    public static func okta(domain: String, server: String = "default") -> IdentityProvider {
        named(
            "okta", "Okta", ProviderMark(letters: "O", colour: "#1d4ed8"), issuer: "https://\(domain)/oauth2/\(server)",
            tokens: ProviderAccessTokens(.jwt, audience: .configured))
    }

    /// AWS Cognito. Its endpoints are on the domain of the user pool, not on the host of the issuer.
    ///
    /// - Parameters:
    ///   - region: The region, such as `eu-central-1`.
    ///   - pool: The identifier of the user pool.
    ///   - domain: The domain of the pool's hosted pages, such as `acme.auth.eu-central-1.amazoncognito.com`.
    public static func cognito(region: String, pool: String, domain: String) -> IdentityProvider {
        named(
            "cognito", "Amazon Cognito", ProviderMark(letters: "C", colour: "#a21caf"), issuer: "https://cognito-idp.\(region).amazonaws.com/\(pool)",
            tokens: ProviderAccessTokens(.jwt, audience: .none), offline: [],
            fixed: FixedEndpoints(
                authorization: "https://\(domain)/oauth2/authorize", token: "https://\(domain)/oauth2/token",
                userInfo: "https://\(domain)/oauth2/userInfo", revocation: "https://\(domain)/oauth2/revoke")
        ) { signIn in
            signIn.refresh = .stable
            signIn.person = { documents throws(OAuthError) in
                var person = try ProviderPerson(standardClaims: documents)
                person.groups += documents.idToken["cognito:groups"]?.strings ?? []
                return person
            }
        }
    }

    /// Keycloak.
    ///
    /// - Parameters:
    ///   - url: The URL of the server, such as `https://id.example.com`.
    ///   - realm: The realm.
    public static func keycloak(url: String, realm: String) -> IdentityProvider {
        named(
            "keycloak", "Keycloak", ProviderMark(letters: "K", colour: "#0f5f8a"), issuer: "\(url)/realms/\(realm)",
            tokens: ProviderAccessTokens(.jwt, audience: .configured), offline: []
        ) { signIn in
            signIn.person = { documents throws(OAuthError) in
                var person = try ProviderPerson(standardClaims: documents)
                person.groups += documents["realm_access"]?["roles"]?.strings ?? []
                return person
            }
        }
    }

    /// Supabase. Its access tokens name the same audience for every server of a project.
    ///
    /// - Parameter project: The reference of the project.
    public static func supabase(project: String) -> IdentityProvider {
        named(
            "supabase", "Supabase", ProviderMark(letters: "S", colour: "#146c43"), issuer: "https://\(project).supabase.co/auth/v1",
            tokens: ProviderAccessTokens(.jwt, audience: .configured), offline: [])
    }

    /// Logto.
    public static func logto(endpoint: String) -> IdentityProvider {
        named(
            "logto", "Logto", ProviderMark(letters: "L", colour: "#5b21b6"), issuer: "\(endpoint)/oidc",
            tokens: ProviderAccessTokens(.jwtAccessToken, audience: .resource)
        ) { $0.parameters = [("prompt", "consent")] }
    }

    /// Asgardeo.
    public static func asgardeo(organization: String) -> IdentityProvider {
        named(
            "asgardeo", "Asgardeo", ProviderMark(letters: "A", colour: "#c2410c"), issuer: "https://api.asgardeo.io/t/\(organization)/oauth2/token",
            tokens: ProviderAccessTokens(.jwtAccessToken, audience: .configured), offline: [])
    }

    /// WSO2 Identity Server.
    public static func wso2(url: String) -> IdentityProvider {
        named(
            "wso2", "WSO2 Identity Server", ProviderMark(letters: "W", colour: "#c2410c"), issuer: "\(url)/oauth2/token",
            tokens: ProviderAccessTokens(.jwtAccessToken, audience: .configured), offline: [])
    }

    /// WorkOS AuthKit.
    public static func authKit(domain: String) -> IdentityProvider {
        named(
            "authkit", "WorkOS AuthKit", ProviderMark(letters: "W", colour: "#4338ca"), issuer: "https://\(domain)",
            tokens: ProviderAccessTokens(.jwt, audience: .resource))
    }

    /// Descope.
    public static func descope(issuer: String) -> IdentityProvider {
        named(
            "descope", "Descope", ProviderMark(letters: "D", colour: "#0e7490"), issuer: issuer,
            tokens: ProviderAccessTokens(.jwt, audience: .configured))
    }

    /// Scalekit. Its access tokens name the resource identifier `res_...`.
    public static func scalekit(environment: String) -> IdentityProvider {
        named(
            "scalekit", "Scalekit", ProviderMark(letters: "S", colour: "#4338ca"), issuer: environment,
            tokens: ProviderAccessTokens(.jwt, audience: .configured))
    }

    /// Clerk. Its access tokens name no audience.
    public static func clerk(domain: String) -> IdentityProvider {
        named(
            "clerk", "Clerk", ProviderMark(letters: "C", colour: "#6d28d9"), issuer: "https://\(domain)",
            tokens: ProviderAccessTokens(.jwt, audience: .none))
    }

    /// PropelAuth. Its access tokens are introspected.
    public static func propelAuth(url: String) -> IdentityProvider {
        named(
            "propelauth", "PropelAuth", ProviderMark(letters: "P", colour: "#4338ca"), issuer: "\(url)/oauth/2.1",
            tokens: ProviderAccessTokens(.introspected, audience: .configured))
    }

    /// Oracle Cloud Infrastructure, identity domains.
    public static func oci(domainURL: String) -> IdentityProvider {
        named(
            "oci", "Oracle Cloud", ProviderMark(letters: "O", colour: "#b42318"), issuer: domainURL,
            tokens: ProviderAccessTokens(.jwt, audience: .configured)
        ) { $0.clientAuthentication = .post }
    }

    /// Zitadel. Organizations of a person are the owner of the user; groups are project roles.
    public static func zitadel(instance: String) -> IdentityProvider {
        named(
            "zitadel", "Zitadel", ProviderMark(letters: "Z", colour: "#1e293b"), issuer: "https://\(instance)",
            tokens: ProviderAccessTokens(.jwt, audience: .configured)
        ) { signIn in
            signIn.person = { documents throws(OAuthError) in
                var person = try ProviderPerson(standardClaims: documents)
                // An object of roles, each with the organizations that grant it.
                person.groups += documents["urn:zitadel:iam:org:project:roles"]?.object?.members.map(\.name) ?? []
                person.tenant = ProviderPerson.text(documents["urn:zitadel:iam:user:resourceowner:id"])
                return person
            }
        }
    }

    /// Authentik. Its issuer ends with a slash.
    public static func authentik(host: String, application: String) -> IdentityProvider {
        named(
            "authentik", "authentik", ProviderMark(letters: "a", colour: "#b4390a"), issuer: "https://\(host)/application/o/\(application)/",
            tokens: ProviderAccessTokens(.jwt, audience: .configured))
    }

    /// Ory Hydra or the Ory Network.
    public static func ory(issuer: String) -> IdentityProvider {
        named(
            "ory", "Ory", ProviderMark(letters: "O", colour: "#0e7490"), issuer: issuer,
            tokens: ProviderAccessTokens(.jwt, audience: .configured), scopes: ["openid"])
    }

    /// FusionAuth.
    public static func fusionAuth(url: String) -> IdentityProvider {
        named(
            "fusionauth", "FusionAuth", ProviderMark(letters: "F", colour: "#b4390a"), issuer: url,
            tokens: ProviderAccessTokens(.jwt, audience: .configured)
        ) { $0.revocation = .none }
    }

    /// PingOne.
    public static func pingOne(environment: String, topLevelDomain: String = "com") -> IdentityProvider {
        named(
            "pingone", "PingOne", ProviderMark(letters: "P", colour: "#b42318"), issuer: "https://auth.pingone.\(topLevelDomain)/\(environment)/as",
            tokens: ProviderAccessTokens(.jwt, audience: .configured))
    }

    /// OneLogin, version 2 of its OpenID Connect. It has no `offline_access`.
    public static func oneLogin(subdomain: String) -> IdentityProvider {
        named(
            "onelogin", "OneLogin", ProviderMark(letters: "1", colour: "#1e293b"), issuer: "https://\(subdomain).onelogin.com/oidc/2",
            tokens: ProviderAccessTokens(.opaque, audience: .none), scopes: ["openid", "profile", "email", "groups"], offline: []
        ) { $0.refresh = .none }
    }

    /// Stytch Connected Apps.
    public static func stytch(domain: String) -> IdentityProvider {
        named(
            "stytch", "Stytch", ProviderMark(letters: "S", colour: "#134e4a"), issuer: "https://\(domain)",
            tokens: ProviderAccessTokens(.jwt, audience: .configured))
    }

    /// Firebase Authentication. It has no authorization server, and its ID tokens serve as access tokens.
    public static func firebase(project: String) -> IdentityProvider {
        IdentityProvider(
            id: "firebase", name: "Firebase", mark: ProviderMark(letters: "F", colour: "#b45309"),
            endpoints: .fixed(
                issuer: "https://securetoken.google.com/\(project)",
                FixedEndpoints(keys: "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com")),
            signIn: nil, accessTokens: ProviderAccessTokens(.idToken, audience: .configured))
    }
}
