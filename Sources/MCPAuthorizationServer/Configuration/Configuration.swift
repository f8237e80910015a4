public import JOSE
public import OAuth

/// How an authorization server behaves. Every default is the safe one.
public struct AuthorizationServerConfiguration: Sendable {
    /// The name of the service, shown on every page. Nil: the host of the issuer.
    public var name: String?
    public var resources: [ProtectedResource]
    /// Clients that the operator registered.
    public var clients: [Client] = []
    public var dynamicRegistration: DynamicRegistration = .open
    /// Whose software statements are believed (RFC 7591 §2.3). A registration that brings one of another issuer is
    /// refused.
    public var softwareStatements: [SoftwareStatementIssuer] = []
    /// Which private-use schemes clients may have in their redirect URIs (RFC 8252 §7.1), wherever they are registered.
    public var privateUseSchemes: PrivateUseSchemes = .any
    /// What becomes of scopes in a request that the resource does not have, or that the client is not registered for.
    public var unknownScopes: UnknownScopes = .ignore
    /// Whether a client may name the address of a document about itself instead of registering.
    public var clientMetadataDocuments: ClientMetadataDocumentPolicy = .anyDomain
    /// The grants that are on. A client gets those of them that it is registered for.
    public var grantTypes: Set<GrantType> = [.authorizationCode, .refreshToken]
    /// Whether every authorization request must be pushed (RFC 9126 §5).
    public var requiresPushedRequests = false
    /// How tokens are bound to keys (RFC 9449).
    public var dpop = DPoPPolicy()
    /// Whether a client that asks for the scope `openid` gets an ID token, and may ask who the user is (OpenID Connect
    /// Core).
    public var isOpenIDProvider = true
    /// Identity providers whose enterprise assertions (ID-JAG) are taken.
    public var identityProviders: [TrustedIdentityProvider] = []
    /// Workloads that get tokens for what their platform says of them.
    public var workloads: [WorkloadTrust] = []
    /// Which resource servers may exchange a token for one of another resource (RFC 8693).
    public var exchanges: [TokenExchangeRule] = []
    /// The algorithms of access tokens; the first one signs. ES256 unless told otherwise.
    public var signingAlgorithms: [SigningAlgorithm] = [.es256]
    /// When signing keys are replaced.
    public var keyRotation = KeyRotation()
    /// Seconds. At most a day.
    public var accessTokenLifetime: Int64 = 900
    /// No access token lives longer than this many seconds, whatever is configured.
    public static let maximumAccessTokenLifetime: Int64 = 86400
    /// Seconds. At most ten minutes (RFC 6749 §4.1.2); a minute is plenty.
    public var codeLifetime: Int64 = 60
    /// Seconds after which an unused refresh token ends.
    public var refreshTokenIdleLifetime: Int64 = 30 * 86400
    /// Seconds after which a grant ends, however often it was refreshed.
    public var grantLifetime: Int64 = 180 * 86400
    /// Seconds in which a refresh token that was just used gives the same successor again: 0 to 60 (requirement 138).
    public var refreshGrace: Int64 = 30
    /// Seconds in which a client can repeat a refresh whose response was lost. It receives the same successor again,
    /// provided that neither the successor nor an access token issued with it was used. 0 to 86400; 0 disables it.
    public var refreshRecovery: Int64 = 3600
    /// Seconds that a browser stays signed in.
    public var sessionLifetime: Int64 = 12 * 3600
    /// More dynamic clients than this are not registered.
    public var maximumDynamicClients = 10_000
    /// Seconds that somebody has to allow a device.
    public var deviceCodeLifetime: Int64 = 600
    /// More devices than this do not wait at once.
    public var maximumWaitingDevices = 10_000
    /// How often the endpoints may be asked.
    public var rateLimits = RateLimits()
    /// How the pages look, and in which languages they speak.
    public var branding = Branding()
    public var languages: [PageLanguage] = [.english, .german]
    /// Where developers read more.
    public var documentation: String?
    /// What the sign-in page offers to a person who cannot sign in.
    public var help = SignInHelp()
    /// Takes assertions of clients whose `aud` is the token endpoint instead of the issuer, as old clients write.
    /// Whoever has several authorization servers can then be made to sign in at the wrong one.
    public var insecureAllowTokenEndpointAudience = false

    public enum DynamicRegistration: Sendable, Hashable {
        case off
        /// Anybody, as most MCP clients expect.
        case open
        /// Whoever brings a token that `clients invite` made (RFC 7591 §1.2).
        case initialAccessToken
    }

    public enum UnknownScopes: Sendable, Hashable {
        /// They are left out, and the answer says what was granted (RFC 6749 §3.3). Where none is left, people are
        /// asked which of the default scopes they allow, none of which is ticked.
        case ignore
        /// The request is refused with `invalid_scope`.
        case refuse
    }

    public init(resources: [ProtectedResource]) { self.resources = resources }

    /// Throws `invalid_configuration` saying what to change.
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
