public import JOSE
public import OAuth

/// The behaviour of an authorization server. Every default is the safe one.
public struct AuthorizationServerConfiguration: Sendable {
    /// The name of the service, shown on every page. Nil or empty: the host of the issuer.
    public var name: String?
    /// The resources that the server issues tokens for. At least one.
    public var resources: [ProtectedResource]
    /// Clients that the operator registered in code. They are not stored.
    public var clients: [Client] = []
    /// The clients that may register themselves (RFC 7591).
    public var dynamicRegistration: DynamicRegistration = .open
    /// The issuers whose software statements are trusted (RFC 7591 §2.3). A registration with a statement of another
    /// issuer is rejected.
    public var softwareStatements: [SoftwareStatementIssuer] = []
    /// The private-use schemes that clients may have in their redirect URIs (RFC 8252 §7.1), wherever they are
    /// registered.
    public var privateUseSchemes: PrivateUseSchemes = .any
    /// The handling of requested scopes that the resource does not have, or that the client is not registered for.
    public var unknownScopes: UnknownScopes = .ignore
    /// Whether a client may use the URL of a metadata document as its identifier, instead of registering.
    public var clientMetadataDocuments: ClientMetadataDocumentPolicy = .anyDomain
    /// The grant types that are on. A client may use those of them that it is registered for.
    public var grantTypes: Set<GrantType> = [.authorizationCode, .refreshToken]
    /// Whether every authorization request must be pushed (RFC 9126 §5).
    public var requiresPushedRequests = false
    /// The rules for tokens that are bound to keys (RFC 9449).
    public var dpop = DPoPPolicy()
    /// Whether a client that requests the scope `openid` receives an ID token and may use the userinfo endpoint (OpenID
    /// Connect Core).
    public var isOpenIDProvider = true
    /// Identity providers whose enterprise assertions (ID-JAG) are accepted. Needs the grant `jwtBearer`.
    public var identityProviders: [TrustedIdentityProvider] = []
    /// Workloads that receive tokens for the assertions of their platform. Needs the grant `jwtBearer`.
    public var workloads: [WorkloadTrust] = []
    /// The resource servers that may exchange a token for a token of another resource (RFC 8693). Needs the grant
    /// `tokenExchange`.
    public var exchanges: [TokenExchangeRule] = []
    /// The algorithms of access tokens. The first one signs. Default: ES256. Symmetric algorithms are rejected.
    public var signingAlgorithms: [SigningAlgorithm] = [.es256]
    /// The rotation of signing keys.
    public var keyRotation = KeyRotation()
    /// The lifetime of access tokens in seconds, 1 to 86400. A resource can set its own.
    public var accessTokenLifetime: Int64 = 900
    /// The longest lifetime of an access token in seconds, whatever is configured.
    public static let maximumAccessTokenLifetime: Int64 = 86400
    /// The lifetime of authorization codes in seconds, 1 to 600 (RFC 6749 §4.1.2). A minute is enough.
    public var codeLifetime: Int64 = 60
    /// The number of seconds after which an unused refresh token expires.
    public var refreshTokenIdleLifetime: Int64 = 30 * 86400
    /// The number of seconds after which a grant ends, even if it is refreshed.
    public var grantLifetime: Int64 = 180 * 86400
    /// The number of seconds for which a refresh token that was just used gives the same successor again: 0 to 60
    /// (requirement 138).
    public var refreshGrace: Int64 = 30
    /// The number of seconds for which a client can repeat a refresh whose response was lost. It receives the same
    /// successor again, provided that neither the successor nor an access token issued with it was used. 0 to 86400; 0
    /// disables it.
    public var refreshRecovery: Int64 = 3600
    /// The number of seconds for which a browser stays signed in.
    public var sessionLifetime: Int64 = 12 * 3600
    /// The number of dynamic clients. At the limit, unused ones are removed, and otherwise registrations are rejected.
    public var maximumDynamicClients = 10_000
    /// The number of seconds in which a user must approve a device, 60 to 3600.
    public var deviceCodeLifetime: Int64 = 600
    /// The number of devices that may wait for approval at the same time.
    public var maximumWaitingDevices = 10_000
    /// The number of sign-ins that may wait for identity providers at the same time.
    public var maximumWaitingSignIns = 10_000
    /// The rate limits of the endpoints.
    public var rateLimits = RateLimits()
    /// The appearance of the pages.
    public var branding = Branding()
    /// The languages of the pages. The client's `ui_locales` or the browser's `Accept-Language` selects one, otherwise
    /// the first. At least one.
    public var languages: [PageLanguage] = [.english, .german]
    /// The URL of documentation for developers, for the metadata (`service_documentation`). Nil: none.
    public var documentation: String?
    /// The links on the sign-in page for users who cannot sign in.
    public var help = SignInHelp()
    /// Whether client assertions are accepted whose `aud` is the token endpoint instead of the issuer, as old clients
    /// write it. An attacker could then use an assertion that a client made for another authorization server.
    public var insecureAllowTokenEndpointAudience = false

    /// The clients that may register themselves (RFC 7591).
    public enum DynamicRegistration: Sendable, Hashable {
        /// No client. There is no registration endpoint.
        case off
        /// Every client. Most MCP clients expect this.
        case open
        /// Clients with an initial access token (RFC 7591 §1.2), which `clients invite` creates.
        case initialAccessToken
    }

    /// The handling of requested scopes that cannot be granted.
    public enum UnknownScopes: Sendable, Hashable {
        /// They are left out, and the response names the granted scopes (RFC 6749 §3.3). If none is left, the consent
        /// page offers the default scopes unticked.
        case ignore
        /// The request is rejected with `invalid_scope`.
        case refuse
    }

    /// A configuration with these resources and the defaults.
    public init(resources: [ProtectedResource]) { self.resources = resources }

    /// Throws `invalid_configuration`. The message says what to change.
    func check() throws(OAuthError) {
        func require(_ condition: Bool, _ message: String) throws(OAuthError) { if !condition { throw OAuthError(.invalidConfiguration, message) } }
        try require(!resources.isEmpty, "name at least one protected resource: the URL of your MCP server, such as https://mcp.example.com/mcp")
        for resource in resources {
            try require(
                !resource.allScopes.union(resource.defaultScopes ?? []).contains(.invalidLiteral),
                "a scope of \(resource.identifier) is mistyped: scopes are printable ASCII without quotes, separated by spaces")
        }
        for resource in resources {
            try require(
                resource.accessTokenLifetime.map { (1...Self.maximumAccessTokenLifetime).contains($0) } ?? true,
                "the accessTokenLifetime of \(resource.identifier) is 1 to 86400 seconds")
        }
        try require(
            Set(resources.map(\.identifier)).count == resources.count, "each resource is listed once")
        try require(grantTypes.contains(.authorizationCode) || !grantTypes.isEmpty, "turn on at least one grant")
        try require(grantTypes.isSubset(of: Self.knownGrantTypes), "an unknown grant type; see GrantType for those there are")
        try require(
            grantTypes.contains(.jwtBearer) || (identityProviders.isEmpty && workloads.isEmpty),
            "turn on the grant jwt-bearer: identityProviders and workloads are of no use without it")
        try require(
            grantTypes.contains(.tokenExchange) || exchanges.isEmpty, "turn on the grant token-exchange: exchanges are of no use without it")
        if isOpenIDProvider {
            for resource in resources {
                let taken = resource.allScopes.intersection(IdentityScope.all)
                try require(
                    taken.isEmpty,
                    "the scope \(taken.text) of \(resource.identifier) means who the user is (OpenID Connect); give it another name, or turn isOpenIDProvider off"
                )
            }
        }
        try require((60...3600).contains(deviceCodeLifetime), "deviceCodeLifetime is 60 to 3600 seconds")
        try require(!languages.isEmpty, "languages holds at least one, such as .english")
        for client in clients { try client.checkGrants() }
        try help.check()
        try keyRotation.check()
        try branding.check()
        try require((1...Self.maximumAccessTokenLifetime).contains(accessTokenLifetime), "accessTokenLifetime is 1 to 86400 seconds")
        try require((1...600).contains(codeLifetime), "codeLifetime is 1 to 600 seconds")
        try require((0...60).contains(refreshGrace), "refreshGrace is 0 to 60 seconds")
        try require((0...86400).contains(refreshRecovery), "refreshRecovery is 0 to 86400 seconds")
        for client in clients {
            for uri in client.redirectURIs {
                try require(
                    privateUseSchemes.allows(uri),
                    "the client \(client.id) has the redirect URI \(uri), whose scheme privateUseSchemes does not allow; add the scheme there")
            }
        }
        try require(refreshTokenIdleLifetime > 0 && grantLifetime > 0 && sessionLifetime > 0, "lifetimes are positive numbers of seconds")
        try require(
            !signingAlgorithms.isEmpty && !signingAlgorithms.contains(where: \.isSymmetric),
            "sign with ES256, RS256 or EdDSA, not with a shared secret")
    }

    static let knownGrantTypes: Set<GrantType> = [
        .authorizationCode, .refreshToken, .clientCredentials, .deviceCode, .tokenExchange, .jwtBearer,
    ]

    /// The resource with exactly this identifier.
    func resource(_ identifier: String) -> ProtectedResource? {
        resources.first { $0.identifier.text.utf8.elementsEqual(identifier.utf8) }
    }
}
