public import JOSE
public import OAuth

/// A client that may request tokens (RFC 7591 §2).
public struct Client: Sendable, Hashable {
    /// The method by which a client authenticates at the token endpoint (RFC 7591 §2, `token_endpoint_auth_method`).
    public enum AuthenticationMethod: String, Sendable, Hashable, CaseIterable {
        /// A public client, which does not authenticate.
        case none
        /// A secret in the `Authorization` header (RFC 6749 §2.3.1).
        case basic = "client_secret_basic"
        /// A secret in the body (RFC 6749 §2.3.1).
        case post = "client_secret_post"
        /// An assertion that the client signs with its private key (RFC 7523 §2.2).
        case privateKeyJWT = "private_key_jwt"
    }

    /// The way by which the server learned of a client.
    public enum Origin: String, Sendable, Hashable {
        /// The operator registered it and vouches for its name.
        case configured
        /// It registered itself (RFC 7591). Its name was not checked.
        case dynamic
        /// Its identifier is the URL of a metadata document. Its name was not checked, but it controls the domain.
        /// Never stored.
        case document
    }

    /// The location of the keys for `private_key_jwt`.
    public enum Keys: Sendable, Hashable {
        /// A JWK set as text.
        case inline(String)
        /// The URL of a JWK set, which the server fetches.
        case url(WebURL)
    }

    /// The `client_id`.
    public let id: ClientID
    /// The name for consent pages. It was checked only if the client is `configured`. Nil: none.
    public var name: String?
    /// The registered redirect URIs; see `RedirectURI.matches`.
    public var redirectURIs: [RedirectURI]
    /// The method that the client must use. It may use no other; see `acceptsEitherSecretMethod`.
    public var authenticationMethod: AuthenticationMethod
    /// Whether the client may send its secret in the header or in the body, because it named no method when it
    /// registered.
    public var acceptsEitherSecretMethod = false
    /// The hashed secrets. Several are valid while one replaces another.
    public var secrets: [ClientSecret]
    /// The keys for `private_key_jwt`. Nil for other methods.
    public var keys: Keys?
    /// The only algorithm of its assertions. Nil: every asymmetric algorithm.
    public var assertionAlgorithm: SigningAlgorithm?
    /// The grant types that the client may use. The configuration of the server may allow fewer.
    public var grantTypes: [GrantType]
    /// The scopes that the client may request at most. Nil: everything that a user may allow.
    public var scopes: ScopeSet?
    /// Whether its authorization requests must be pushed (RFC 9126 §6).
    public var requiresPushedRequests: Bool
    /// Whether its tokens must be bound to a key (RFC 9449 §5.2).
    public var requiresDPoP: Bool
    /// Its home page. Nil: none.
    public var webPage: WebURL?
    /// The way by which the server learned of the client.
    public var origin: Origin
    /// Whether the client is disabled. A disabled client cannot authenticate or begin a grant.
    public var isDisabled: Bool
    /// The time of its registration.
    public var createdAt: NumericDate
    /// The hash of the token with which the client reads, changes and deletes its registration (RFC 7592 §3). Nil: it
    /// cannot.
    public var registrationToken: SecretHash?
    /// The identifier of the resource whose tokens this client may introspect (RFC 7662 §2.1). Nil: it is not a
    /// resource server.
    public var introspects: String?

    /// Nothing is checked here. A server checks its configured clients when it starts.
    public init(
        id: ClientID, name: String?, redirectURIs: [RedirectURI], authenticationMethod: AuthenticationMethod = .none, secrets: [ClientSecret] = [],
        keys: Keys? = nil, assertionAlgorithm: SigningAlgorithm? = nil, grantTypes: [GrantType] = [.authorizationCode, .refreshToken],
        scopes: ScopeSet? = nil, requiresPushedRequests: Bool = false, requiresDPoP: Bool = false, webPage: WebURL? = nil, origin: Origin,
        isDisabled: Bool = false, createdAt: NumericDate, registrationToken: SecretHash? = nil, introspects: String? = nil
    ) {
        self.id = id
        self.name = name
        self.redirectURIs = redirectURIs
        self.authenticationMethod = authenticationMethod
        self.secrets = secrets
        self.keys = keys
        self.assertionAlgorithm = assertionAlgorithm
        self.grantTypes = grantTypes
        self.scopes = scopes
        self.requiresPushedRequests = requiresPushedRequests
        self.requiresDPoP = requiresDPoP
        self.webPage = webPage
        self.origin = origin
        self.isDisabled = isDisabled
        self.createdAt = createdAt
        self.registrationToken = registrationToken
        self.introspects = introspects
    }

    /// Whether only the client can redeem a code that is sent to it: it authenticates, and all of its redirect URIs are
    /// on the web.
    public var isConfidential: Bool { authenticationMethod != .none && redirectURIs.allSatisfy { $0.kind == .web } }

    /// Throws `invalid_configuration` for a client that is registered for a grant that it can never use.
    func checkGrants() throws(OAuthError) {
        guard !(authenticationMethod == .none && grantTypes.contains(.clientCredentials)) else {
            throw OAuthError(
                .invalidConfiguration,
                "the client \(id) is public, so it cannot use client_credentials, which needs a secret or a key (RFC 6749 §4.4). Give it a secret or a "
                    + "key, or leave the grant out")
        }
    }

    /// Whether the client may authenticate with this method.
    func uses(_ method: AuthenticationMethod) -> Bool {
        method == authenticationMethod || (acceptsEitherSecretMethod && authenticationMethod.usesSecret && method.usesSecret)
    }

    /// Whether `secret` is one of the client's secrets and has not expired. A wrong secret takes as long as a correct
    /// one.
    public func hasSecret(_ secret: String, at now: NumericDate) -> Bool {
        secrets.reduce(false) { found, candidate in
            let matches = candidate.hash.isHash(of: secret)
            return found || (matches && candidate.isGood(at: now))
        }
    }
}

/// A hashed client secret and its expiration.
public struct ClientSecret: Sendable, Hashable {
    /// The hash of the secret. The secret itself is not stored.
    public let hash: SecretHash
    /// The time from which the secret is rejected. Nil: never.
    public var expiresAt: NumericDate?

    /// A secret without an expiration, unless one is given.
    public init(_ hash: SecretHash, expiresAt: NumericDate? = nil) {
        self.hash = hash
        self.expiresAt = expiresAt
    }

    /// Whether the secret has not expired.
    public func isGood(at now: NumericDate) -> Bool { expiresAt.map { now < $0 } ?? true }
}
