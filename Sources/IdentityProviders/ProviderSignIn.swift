public import OAuth

/// How users sign in through a provider.
public struct ProviderSignIn: Sendable {
    /// The scopes that sign-in needs, without those that obtain a refresh token.
    public var scopes: [String]
    /// The scopes that obtain a refresh token, such as `offline_access`.
    public var offlineScopes: [String] = []
    /// The separator of scopes in requests. Answers may separate them by spaces or by this.
    public var scopeSeparator: String = " "
    /// The scopes that reading organizations or teams needs.
    public var membershipScopes: [String] = []
    /// Further parameters of the authorization request.
    public var parameters: [(name: String, value: String)] = []
    /// The same, when the user has to sign in again.
    public var parametersToSignInAgain: [(name: String, value: String)] = [("prompt", "login")]
    /// Whether a refresh has to name the scopes again.
    public var repeatsScopesAtRefresh: Bool = false
    /// Whether `ProviderPerson.tenant` is a domain that the provider vouches for. A verified e-mail address then does
    /// not prove that its user belongs to the domain.
    public var vouchesForDomains: Bool = false
    /// How the provider answers the authorization request.
    public var responseMode: ResponseMode = .query
    /// Whether the provider supports PKCE with S256. It is used whenever it is supported.
    public var supportsPKCE: Bool = true
    /// How this server authenticates at the token endpoint.
    public var clientAuthentication: ClientAuthentication = .basic
    /// Where the user is read from.
    public var identity: IdentitySource
    /// The issuers that an ID token may name.
    public var issuers: IssuerRule = .exact
    /// What is known of the provider's refresh tokens.
    public var refresh: Refresh = .rotating
    /// How a grant is revoked at the provider.
    public var revocation: Revocation = .standard
    /// Reads the user from the documents of the provider.
    public var person: @Sendable (ProviderDocuments) throws(OAuthError) -> ProviderPerson

    /// The response mode of the authorization endpoint.
    public enum ResponseMode: Sendable, Hashable {
        /// In the query of the redirect URI.
        case query
        /// As a form that the browser posts from the provider's site (OAuth 2.0 Form Post Response Mode).
        case formPost
    }

    /// The authentication of this server at the token endpoint.
    public enum ClientAuthentication: Sendable, Hashable {
        /// HTTP Basic (RFC 6749 §2.3.1).
        case basic
        /// Client identifier and secret in the form.
        case post
    }

    /// Where the user is read from.
    public enum IdentitySource: Sendable {
        /// The ID token, which is always validated.
        case idToken
        /// The ID token, which is always validated, and the userinfo endpoint for claims that it does not have.
        case idTokenAndUserInfo
        /// The userinfo endpoint. There is no ID token.
        case userInfo
        /// Requests to an API with the access token.
        case requests([ProfileRequest])
    }

    /// The issuers that an ID token may name.
    public enum IssuerRule: Sendable, Hashable {
        /// The issuer of the provider.
        case exact
        /// The issuer of the provider, or one of these.
        case also([String])
        /// A template in which `{tenantid}` stands for the claim `tid` of the same token, which must be a UUID.
        case tenantTemplate(String)
    }

    /// What is known of refresh tokens.
    public enum Refresh: Sendable, Hashable {
        /// There are none. The access token is used until it expires.
        case none
        /// Each use gives a new one, and the old one is no longer valid.
        case rotating
        /// The same one stays valid.
        case stable
    }

    /// How a grant is revoked at the provider.
    public enum Revocation: Sendable, Hashable {
        /// The provider has no way.
        case none
        /// The revocation endpoint (RFC 7009).
        case standard
        /// `DELETE` with HTTP Basic and the access token in a JSON body. `{client_id}` is replaced in the URL.
        case deleteWithJSON(url: String)
    }

    /// Sign-in that reads the user with a closure of your own.
    public init(scopes: [String], identity: IdentitySource, person: @escaping @Sendable (ProviderDocuments) throws(OAuthError) -> ProviderPerson) {
        self.scopes = scopes
        self.identity = identity
        self.person = person
    }

    /// Sign-in with OpenID Connect: the user is read from the standard claims.
    public static func openID(
        scopes: [String] = ["openid", "profile", "email"], offlineScopes: [String] = ["offline_access"], emailIsVerified: EmailRule = .claim
    ) -> ProviderSignIn {
        var signIn = ProviderSignIn(scopes: scopes, identity: .idTokenAndUserInfo) { documents throws(OAuthError) in
            try ProviderPerson(standardClaims: documents, email: emailIsVerified)
        }
        signIn.offlineScopes = offlineScopes
        return signIn
    }
}

/// A request to the provider's API about the user, with the access token.
public struct ProfileRequest: Sendable {
    /// The name of its document in `ProviderDocuments.profiles`.
    public var name: String
    /// The URL.
    public var url: String
    /// Whether it is sent only if the operator restricts who may enter by organizations or teams.
    public var isForMembership: Bool

    /// A request.
    public init(_ name: String, _ url: String, isForMembership: Bool = false) {
        self.name = name
        self.url = url
        self.isForMembership = isForMembership
    }
}
