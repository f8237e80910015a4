public import JOSE
public import OAuth

/// A client that may ask for tokens (RFC 7591 §2).
public struct Client: Sendable, Hashable {
    public enum AuthenticationMethod: String, Sendable, Hashable, CaseIterable {
        case none
        case basic = "client_secret_basic"
        case post = "client_secret_post"
        case privateKeyJWT = "private_key_jwt"
    }

    public enum Origin: String, Sendable, Hashable {
        /// The operator registered it, and vouches for its name.
        case configured
        /// It registered itself (RFC 7591). Nobody checked its name.
        case dynamic
        /// Its identifier is the address of a document about itself: nobody checked its name, but the domain is its own. Never stored.
        case document
    }

    /// Where the keys of `private_key_jwt` are.
    public enum Keys: Sendable, Hashable {
        /// A JWK set, as text.
        case inline(String)
        case url(WebURL)
    }

    public let id: ClientID
    public var name: String?
    public var redirectURIs: [RedirectURI]
    public var authenticationMethod: AuthenticationMethod
    /// Whether it may send its secret in either way, since it named no method when it registered. One that named a method keeps to it.
    public var acceptsEitherSecretMethod = false
    /// Several while one replaces another.
    public var secrets: [ClientSecret]
    public var keys: Keys?
    /// The one algorithm of its assertions, where it chose one.
    public var assertionAlgorithm: SigningAlgorithm?
    public var grantTypes: [GrantType]
    /// What it may ask for at most. Nil: everything that a user may allow.
    public var scopes: ScopeSet?
    /// Whether its authorization requests must be pushed (RFC 9126 §6).
    public var requiresPushedRequests: Bool
    /// Whether its tokens must be bound to a key (RFC 9449 §5.2).
    public var requiresDPoP: Bool
    /// Its home page.
    public var webPage: WebURL?
    public var origin: Origin
    public var isDisabled: Bool
    public var createdAt: NumericDate
    /// What it shows to read, change and delete its registration (RFC 7592 §3).
    public var registrationToken: SecretHash?
    /// The resource that this client may introspect tokens for (RFC 7662 §2.1), if it is a resource server.
    public var introspects: String?

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

    /// Whether nobody but the client can redeem what is sent to it: it proves who it is, and its callbacks are on the web.
    public var isConfidential: Bool { authenticationMethod != .none && redirectURIs.allSatisfy { $0.kind == .web } }

    /// Whether it authenticates in this way.
    func uses(_ method: AuthenticationMethod) -> Bool {
        method == authenticationMethod || (acceptsEitherSecretMethod && authenticationMethod.usesSecret && method.usesSecret)
    }

    /// Whether one of its secrets that are good at a moment is this one. Takes as long for a wrong one.
    public func hasSecret(_ secret: String, at now: NumericDate) -> Bool {
        secrets.reduce(false) { found, candidate in
            let matches = candidate.hash.isHash(of: secret)
            return found || (matches && candidate.isGood(at: now))
        }
    }
}

/// A secret of a client, hashed, for as long as it is good.
public struct ClientSecret: Sendable, Hashable {
    public let hash: SecretHash
    /// Nil: until it is replaced.
    public var expiresAt: NumericDate?

    public init(_ hash: SecretHash, expiresAt: NumericDate? = nil) {
        self.hash = hash
        self.expiresAt = expiresAt
    }

    public func isGood(at now: NumericDate) -> Bool { expiresAt.map { now < $0 } ?? true }
}
