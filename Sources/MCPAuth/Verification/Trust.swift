public import JOSE
public import OAuth

/// The issuers whose tokens a resource server accepts, and how it validates them.
public struct Trust: Sendable {
    /// The values from which a verifier is created.
    public struct Context: Sendable {
        /// The resource server's own identifier, the default audience.
        public let resource: ResourceIdentifier
        /// Fetches keys, metadata and introspection responses. Nil: the resource server has none.
        public let fetcher: (any HTTPFetcher)?
        /// The clock of the resource server.
        public let clock: Clock

        /// The fetcher. Throws `invalid_configuration` when there is none, and says how to pass one.
        public func requireFetcher() throws(OAuthError) -> any HTTPFetcher {
            guard let fetcher else {
                throw OAuthError(
                    .invalidConfiguration,
                    "this issuer's keys have to be fetched: import MCPAuthHTTPClient and pass fetcher: GuardedHTTPClient.shared")
            }
            return fetcher
        }
    }

    /// The JWTs that count as access tokens.
    public enum TokenProfile: Sendable {
        /// `typ` is `at+jwt` (RFC 9068). This is the default, and the only profile that reliably distinguishes access
        /// tokens from all other tokens.
        case rfc9068
        /// Also `typ` `JWT` or none, for issuers that do not follow RFC 9068. ID tokens are recognized by their claims
        /// and rejected.
        case anyJWT
        /// Also ID tokens, for an issuer that issues no other tokens for calls (Dex, authentik). A token that another
        /// client received at sign-in is then valid here if its audience is. Name the audience exactly, and use this
        /// for one issuer only.
        case insecureAllowIDTokens
    }

    /// The audience that a token must have.
    public enum Audience: Sendable {
        /// The identifier of the resource itself (RFC 8707).
        case resource
        /// The values that the issuer uses instead, for example an Auth0 API identifier.
        case exactly([String])
        /// For issuers whose access tokens have no `aud` (Cognito, Clerk): a token without one must name one of these
        /// clients in `client_id` or `azp`. A token that has an `aud` must name the resource itself.
        case clients([String])
        /// Any audience. A token that was issued for another server is then valid here too (confused deputy).
        case insecureUnchecked

        func values(_ resource: ResourceIdentifier) -> [String]? {
            switch self {
            case .resource, .clients: [resource.text]
            case .exactly(let values): values
            case .insecureUnchecked: nil
            }
        }

        var clients: [String] { if case .clients(let clients) = self { clients } else { [] } }
    }

    /// The authorization servers that the protected resource metadata names.
    public let authorizationServers: [String]
    private let make: @Sendable (Context) throws(OAuthError) -> any TokenVerifier
    /// The principal of every request if no token is required.
    private(set) var openPrincipal: Principal?
    /// The authorization servers of this process among `authorizationServers`.
    package var localIssuers: [LocalIssuer] = []
    /// The issuers whose metadata is fetched.
    private(set) var discoveredIssuers: [(issuer: Issuer, metadata: MetadataLocation)] = []

    /// An authorization server in this process, as resource servers that trust it use it.
    package struct LocalIssuer: Sendable {
        package let issuer: String
        /// The audit log of resource servers that have none of their own.
        package let audit: AuditLog
        /// The identifiers of the resources that the server issues tokens for.
        package let resources: [String]
        /// The scopes of a resource, together with `openid`, `profile` and `email`.
        package let scopes: @Sendable (_ resource: String) -> ScopeSet
        /// Whether an application routes requests to the server.
        package let isServed: @Sendable () -> Bool
        /// The tokens of identity providers through which its users sign in. Nil: there are none.
        package var upstreamTokens: (any UpstreamTokens)?

        package init(
            issuer: String, audit: AuditLog, resources: [String], scopes: @escaping @Sendable (String) -> ScopeSet,
            isServed: @escaping @Sendable () -> Bool
        ) {
            self.issuer = issuer
            self.audit = audit
            self.resources = resources
            self.scopes = scopes
            self.isServed = isServed
        }
    }

    /// Trust with a verifier of your own, which is created when the resource server is.
    ///
    /// - Parameters:
    ///   - authorizationServers: The issuers that the protected resource metadata names.
    ///   - make: Creates the verifier. It may throw `invalid_configuration`.
    public init(authorizationServers: [String], _ make: @escaping @Sendable (Context) throws(OAuthError) -> any TokenVerifier) {
        self.authorizationServers = authorizationServers
        self.make = make
    }

    /// Creates the verifier. `ResourceServer` calls it once. Throws `invalid_configuration` when the context has no
    /// fetcher and the trust needs one.
    public func verifier(_ context: Context) throws(OAuthError) -> any TokenVerifier { try make(context) }

    /// JWTs of an issuer whose keys are found by discovery (RFC 8414, OpenID Connect Discovery).
    ///
    /// - Parameters:
    ///   - issuer: The exact `iss` of the tokens.
    ///   - audience: The audience that a token must have.
    ///   - tokens: The JWTs that count as access tokens.
    ///   - algorithms: The accepted algorithms. HMAC is never accepted.
    ///   - leeway: The tolerated clock difference in seconds, limited to 0 to 60.
    ///   - metadata: The location of the metadata, for issuers that publish it elsewhere or incorrectly.
    ///   - insecureAllowHTTP: Whether the issuer may be http on a host that is not loopback.
    public static func issuer(
        _ issuer: String, audience: Audience = .resource, tokens: TokenProfile = .rfc9068,
        algorithms: Set<SigningAlgorithm> = SigningAlgorithm.asymmetric,
        leeway: Int64 = 30, metadata: MetadataLocation = .wellKnown, insecureAllowHTTP: Bool = false
    ) -> Trust {
        var trust = Trust(authorizationServers: [issuer]) { context throws(OAuthError) in
            try metadata.check()
            let location = RemoteKeySet.Location.issuer(try Issuer(issuer, insecureAllowHTTP: insecureAllowHTTP), metadata)
            return JWTVerifier(
                requirements(issuer, audience, tokens, leeway, context), keys: RemoteKeySet(location, fetcher: try context.requireFetcher()),
                algorithms: algorithms.subtracting([.hs256, .hs384, .hs512]), insecureAllowIDTokens: tokens == .insecureAllowIDTokens)
        }
        trust.discoveredIssuers = (try? Issuer(issuer, insecureAllowHTTP: insecureAllowHTTP)).map { [($0, metadata)] } ?? []
        return trust
    }

    /// JWTs of an issuer whose JWK set is at a known URL. The parameters are those of
    /// `issuer(_:audience:tokens:algorithms:leeway:metadata:insecureAllowHTTP:)`.
    public static func jwks(
        _ url: String, issuer: String, audience: Audience = .resource, tokens: TokenProfile = .rfc9068,
        algorithms: Set<SigningAlgorithm> = SigningAlgorithm.asymmetric, leeway: Int64 = 30
    ) -> Trust {
        Trust(authorizationServers: [issuer]) { context throws(OAuthError) in
            guard let location = WebURL(url) else {
                throw OAuthError(.invalidConfiguration, "the JWKS URL is not an absolute http(s) URL: \(url.prefix(200))")
            }
            return JWTVerifier(
                requirements(issuer, audience, tokens, leeway, context), keys: RemoteKeySet(.url(location), fetcher: try context.requireFetcher()),
                algorithms: algorithms.subtracting([.hs256, .hs384, .hs512]), insecureAllowIDTokens: tokens == .insecureAllowIDTokens)
        }
    }

    /// JWTs of an issuer whose keys are in the configuration. A key made with `VerificationKey.hmac` is trusted with
    /// HMAC.
    public static func keys(
        _ keys: [VerificationKey], issuer: String, audience: Audience = .resource, tokens: TokenProfile = .rfc9068, leeway: Int64 = 30
    ) -> Trust {
        Trust(authorizationServers: [issuer]) { context throws(OAuthError) in
            JWTVerifier(
                requirements(issuer, audience, tokens, leeway, context), keys: FixedKeys(keys), algorithms: Set(keys.flatMap(\.algorithms)),
                insecureAllowIDTokens: tokens == .insecureAllowIDTokens)
        }
    }

    /// Tokens of any form that their issuer introspects (RFC 7662). See `IntrospectionVerifier`.
    ///
    /// - Parameters:
    ///   - endpoint: The introspection endpoint. Nil: found by discovery.
    ///   - authentication: The authentication of this server at the endpoint.
    public static func introspection(
        issuer: String, endpoint: String? = nil, authentication: IntrospectionVerifier.ClientAuthentication, audience: Audience = .resource,
        cacheLifetime: Int64 = 30, opaqueTokensOnly: Bool = false, insecureAllowHTTP: Bool = false
    ) -> Trust {
        Trust(authorizationServers: [issuer]) { context throws(OAuthError) in
            let source: IntrospectionVerifier.EndpointSource
            if let endpoint {
                guard let url = WebURL(endpoint) else {
                    throw OAuthError(.invalidConfiguration, "the introspection endpoint is not a URL: \(endpoint.prefix(200))")
                }
                source = .url(url)
            } else {
                source = .discovered(try Issuer(issuer, insecureAllowHTTP: insecureAllowHTTP))
            }
            return IntrospectionVerifier(
                issuer: issuer, endpoint: source, authentication: authentication, audiences: audience.values(context.resource),
                clientsWithoutAudience: audience.clients, fetcher: try context.requireFetcher(), cacheLifetime: cacheLifetime,
                opaqueTokensOnly: opaqueTokensOnly)
        }
    }

    /// Any verifier. The protected resource metadata names `authorizationServers`.
    public static func verifier(_ verifier: any TokenVerifier, authorizationServers: [String] = []) -> Trust {
        Trust(authorizationServers: authorizationServers) { _ throws(OAuthError) in verifier }
    }

    /// No protection: every request is accepted as one principal that has every scope, and tokens are ignored. For
    /// development and tests only. `ResourceServer` throws `invalid_configuration` if the resource is not on loopback,
    /// and the application throws it if it listens on another address.
    ///
    /// - Parameter subject: The subject of that principal.
    public static func insecureOpen(subject: String = "developer") -> Trust {
        var trust = Trust.verifier(StaticTokenVerifier([:]))
        if let claims = try? JSONDocument(parsing: "{}") {
            trust.openPrincipal = Principal(issuer: "insecure-open", subject: subject, expiration: NumericDate(seconds: .max), claims: claims)
        }
        return trust
    }

    /// A closure that validates tokens; see `ClosureVerifier`.
    public static func custom(
        authorizationServers: [String] = [], cacheLifetime: Int64 = 0, _ body: @escaping @Sendable (AccessToken) async throws -> Principal?
    ) -> Trust {
        .verifier(ClosureVerifier(cacheLifetime: cacheLifetime, body), authorizationServers: authorizationServers)
    }

    /// Several trusts. The first one that accepts a token decides.
    public static func anyOf(_ trusts: Trust...) -> Trust { anyOf(trusts) }

    /// Several trusts. The first one that accepts a token decides.
    public static func anyOf(_ trusts: [Trust]) -> Trust {
        var servers: [String] = []
        for server in trusts.flatMap(\.authorizationServers) where !servers.contains(server) { servers.append(server) }
        var trust = Trust(authorizationServers: servers) { context throws(OAuthError) in
            var verifiers: [any TokenVerifier] = []
            for trust in trusts { verifiers.append(try trust.verifier(context)) }
            return AnyOfVerifier(verifiers)
        }
        trust.localIssuers = trusts.flatMap(\.localIssuers)
        trust.discoveredIssuers = trusts.flatMap(\.discoveredIssuers)
        return trust
    }

    private static func requirements(
        _ issuer: String, _ audience: Audience, _ tokens: TokenProfile, _ leeway: Int64, _ context: Context
    ) -> JWTRequirements {
        let type: JWTRequirements.TokenType =
            switch tokens {
            case .rfc9068: .oneOf(["at+jwt"])
            case .anyJWT, .insecureAllowIDTokens: .absentOrJWT(or: ["at+jwt"])
            }
        var requirements = JWTRequirements(
            issuer: issuer, audiences: audience.values(context.resource), type: type, leeway: leeway, maximumLifetime: 7 * 86400)
        requirements.clientsWithoutAudience = audience.clients
        return requirements
    }
}
