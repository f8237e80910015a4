public import IdentityProviders
import JOSE
import OAuth

extension Trust {
    /// The access tokens of an identity provider, validated as its data says.
    ///
    /// Throws `invalid_configuration` when the resource server is created and the provider's tokens cannot be trusted
    /// (GitHub's, for example, name no audience), the audience is missing, or a fetcher is needed.
    ///
    /// - Parameters:
    ///   - provider: The provider, such as `.okta(domain: "acme.okta.com")`.
    ///   - audience: The audience that is configured at the provider, such as an API identifier. Nil: the resource
    ///     itself, for providers that follow RFC 8707.
    ///   - clients: The client identifiers that are checked in place of an audience, for providers whose access tokens
    ///     have none (Cognito, Clerk).
    ///   - leeway: The tolerated clock difference in seconds.
    ///   - insecureAllowIDTokens: Whether ID tokens serve as access tokens, for providers that have no others
    ///     (Firebase). Every other server of the same project then has tokens that are valid here.
    public static func provider(
        _ provider: IdentityProvider, audience: String? = nil, clients: [String] = [], leeway: Int64 = 30, insecureAllowIDTokens: Bool = false
    ) -> Trust {
        let expected: Audience
        var problem: String?
        switch provider.accessTokens.audience {
        case .resource: expected = audience.map { .exactly([$0]) } ?? .resource
        case .configured:
            expected = audience.map { .exactly([$0]) } ?? .resource
            if audience == nil {
                problem = "its access tokens name an audience that is configured there; pass audience:, such as your API identifier"
            }
        case .none:
            expected = audience.map { .exactly([$0]) } ?? .clients(clients)
            if audience == nil, clients.isEmpty {
                problem = "its access tokens have no audience; pass clients:, the client identifiers that may call"
            }
        }
        let profile: TokenProfile
        switch provider.accessTokens.format {
        case .jwtAccessToken: profile = .rfc9068
        case .jwt: profile = .anyJWT
        case .idToken:
            profile = .insecureAllowIDTokens
            if !insecureAllowIDTokens {
                problem = "it has ID tokens only; pass insecureAllowIDTokens: true if no other server shares its audience"
            }
        case .introspected:
            profile = .anyJWT
            problem = "its access tokens are introspected; use .introspection(issuer: \"\(provider.issuer)\", authentication:)"
        case .opaque:
            profile = .anyJWT
            problem =
                "its access tokens name no audience, so that a token for any other service would be valid here; sign users in through it instead (SignInMethod)"
        }
        if let problem {
            let message = "the tokens of \(provider.name) cannot be trusted: \(problem)"
            return Trust(authorizationServers: [provider.issuer]) { _ throws(OAuthError) in throw OAuthError(.invalidConfiguration, message) }
        }
        do throws(OAuthError) { try provider.check() } catch {
            return Trust(authorizationServers: [provider.issuer]) { _ throws(OAuthError) in throw error }
        }
        let fixedKeys: String? =
            switch provider.endpoints {
            case .discovered(_, let fixed), .fixed(_, let fixed): fixed.keys
            }
        let main: Trust =
            fixedKeys.map { .jwks($0, issuer: provider.issuer, audience: expected, tokens: profile, leeway: leeway) }
            ?? .issuer(provider.issuer, audience: expected, tokens: profile, leeway: leeway, metadata: provider.metadata)
        let others = provider.accessTokens.otherIssuers.map { other in
            Trust.jwks(other.keys, issuer: other.issuer, audience: expected, tokens: profile, leeway: leeway)
        }
        guard !others.isEmpty else { return main }
        // Clients are sent to the first one only.
        var trust = Trust(authorizationServers: main.authorizationServers) { context throws(OAuthError) in
            try Trust.anyOf([main] + others).verifier(context)
        }
        trust.localIssuers = main.localIssuers
        return trust
    }

    /// The access tokens of Auth0 for an API.
    ///
    /// - Parameters:
    ///   - domain: The domain of the tenant, such as `acme.eu.auth0.com`.
    ///   - audience: The identifier of the API.
    public static func auth0(domain: String, audience: String) -> Trust { provider(.auth0(domain: domain), audience: audience) }

    /// The access tokens of Microsoft Entra for an app registration that exposes an API, of versions 1 and 2.
    ///
    /// - Parameters:
    ///   - tenant: The identifier of the tenant.
    ///   - audience: The application (client) identifier, or the Application ID URI for tokens of version 1.
    public static func entra(tenant: String, audience: String) -> Trust { provider(.entra(tenant: tenant), audience: audience) }

    /// The access tokens of Keycloak.
    public static func keycloak(url: String, realm: String, audience: String) -> Trust {
        provider(.keycloak(url: url, realm: realm), audience: audience)
    }

    /// The access tokens of a custom authorization server of Okta.
    public static func okta(domain: String, server: String = "default", audience: String) -> Trust {
        provider(.okta(domain: domain, server: server), audience: audience)
    }
}
