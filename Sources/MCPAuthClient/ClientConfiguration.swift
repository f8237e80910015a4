public import HTTPTypes
public import JOSE
public import OAuth

/// What an MCP client is, and how it obtains tokens.
///
/// Everything secret names the issuer at which it may be used. A server chooses which authorization server a client
/// visits, so it must not be able to choose who receives a secret.
public struct ClientConfiguration: Sendable {
    /// The name that users see when they are asked for consent.
    public var name: String
    /// The page of the client for users. Nil: none.
    public var homePage: String?
    /// Clients that were registered beforehand. If there are any, and none is for the authorization server of the
    /// protected server, the sign-in fails before anything is sent.
    public var registered: [RegisteredClient] = []
    /// The client's metadata document, for authorization servers that support it (Client ID Metadata Documents).
    public var metadataDocument: ClientMetadataDocument?
    /// Whether the client registers itself where it has to (RFC 7591).
    public var registersItself = true
    /// How tokens are obtained.
    public var grant: ClientGrant
    /// The scopes to request. Nil: those of the server's challenge, else those of its metadata, else none.
    public var scopes: ScopeSet?
    /// Whether `offline_access` is requested where the authorization server offers it, so that it issues refresh
    /// tokens.
    public var requestsOfflineAccess = true
    /// Whether tokens are bound to a key (RFC 9449).
    public var proofOfPossession = ProofOfPossession.never
    /// Issuers that support PKCE with S256 although their metadata does not say so, such as Microsoft Entra. For every
    /// other issuer a sign-in without that promise is refused.
    public var issuersWithUnadvertisedPKCE: [Issuer] = []
    /// The number of seconds before the expiration at which an access token is renewed.
    public var renewalMargin: Int64 = 30

    /// When tokens are bound to a key.
    public enum ProofOfPossession: Sendable, Hashable {
        /// Never.
        case never
        /// Where the authorization server supports it. Tokens without a binding are used if it issues them anyway.
        case whereSupported
        /// Always. Tokens without a binding are refused.
        case required
    }

    /// Tells the identities apart under which one user calls a server. Nil: a client that registers itself.
    var identity: String? {
        let client = registered.map { "\($0.authentication.clientID) at \($0.issuer)" }.joined(separator: ", ")
        return switch grant {
        case .authorizationCode, .device: client.isEmpty ? nil : "as \(client)"
        case .clientCredentials: "as \(client) itself"
        case .workload(let identity): "as a workload at \(identity.issuer)"
        case .enterprise(let identity): "by \(identity.identityProvider)"
        case .tokenExchange: "as \(client) for a subject"
        case .headers: "with headers"
        }
    }

    /// A client that registers itself where it has to.
    public init(name: String, grant: ClientGrant) {
        self.name = name
        self.grant = grant
    }
}

/// A client that was registered at one authorization server beforehand.
public struct RegisteredClient: Sendable {
    /// The issuer at which the client is registered. Its credentials are used there only, compared byte for byte.
    public var issuer: Issuer
    /// The `client_id` and the authentication.
    public var authentication: ClientAuthentication
    /// The redirect URI that is registered. Nil: a loopback address with any port.
    public var redirectURI: RedirectURI?

    /// A registered client. Nothing is checked.
    public init(issuer: Issuer, authentication: ClientAuthentication, redirectURI: RedirectURI? = nil) {
        self.issuer = issuer
        self.authentication = authentication
        self.redirectURI = redirectURI
    }

    /// A client with a secret that the authorization server accepts in the `Authorization` header. Throws
    /// `invalid_identifier`.
    public init(issuer: String, clientID: String, secret: String) throws(OAuthError) {
        self.init(issuer: try Issuer(issuer), authentication: .basic(clientID: clientID, secret: secret))
    }

    /// A public client. Throws `invalid_identifier`.
    public init(issuer: String, clientID: String) throws(OAuthError) {
        self.init(issuer: try Issuer(issuer), authentication: .none(clientID: clientID))
    }
}

/// A client whose identifier is the URL of a document about it.
public struct ClientMetadataDocument: Sendable {
    /// The https URL of the document, which is the `client_id`.
    public let url: WebURL
    /// The key with which the client authenticates, if the document announces `private_key_jwt`. Nil: a public client.
    public var key: SigningKey?

    /// Throws `invalid_identifier` for a URL that cannot be a client identifier: not https, without a path, or with a
    /// fragment. The document itself is not fetched.
    public init(_ url: String, key: SigningKey? = nil) throws(OAuthError) {
        guard let parsed = WebURL(url), parsed.isSecure, parsed.path.utf8.count > 1, parsed.fragment == nil else {
            throw OAuthError(
                .invalidIdentifier, "the URL of a client metadata document is https and has a path, such as https://app.example.com/client.json")
        }
        self.url = parsed
        self.key = key
    }
}

/// How a client obtains tokens.
public enum ClientGrant: Sendable {
    /// A user signs in with a browser (RFC 6749 §4.1). Nil: no user can be asked; stored tokens are used and renewed,
    /// and `login_required` is thrown when that does not suffice.
    case authorizationCode((any UserAgent)?)
    /// A user signs in on another device (RFC 8628). `show` presents the address and the code to the user.
    case device(show: @Sendable (DevicePrompt) async -> Void)
    /// The client acts for itself, as one of `registered` (RFC 6749 §4.4).
    case clientCredentials
    /// A workload proves its identity with an assertion of its platform (RFC 7523 §2.1).
    case workload(WorkloadIdentity)
    /// The user has signed in at an identity provider that decides for the enterprise which servers they may use
    /// (MCP enterprise-managed authorization).
    case enterprise(EnterpriseIdentity)
    /// The client exchanges a token that it received for one of the server (RFC 8693), as one of `registered`: a
    /// service that calls another one for its caller.
    case tokenExchange(SubjectToken)
    /// Header fields that were configured, such as an API key. There is no sign-in.
    case headers(FixedHeaders)

    /// Whether a user takes part.
    var isInteractive: Bool {
        switch self {
        case .authorizationCode, .device: true
        case .clientCredentials, .workload, .enterprise, .tokenExchange, .headers: false
        }
    }

    /// Whether a user can be asked now.
    var canAskUser: Bool { if case .authorizationCode(nil) = self { false } else { isInteractive } }
}

/// Header fields for one server.
public struct FixedHeaders: Sendable {
    /// The server to which they are sent, and no other.
    public var server: ResourceIdentifier
    /// The header fields.
    public var fields: HTTPFields

    /// Header fields. Nothing is checked.
    public init(for server: ResourceIdentifier, _ fields: HTTPFields) {
        self.server = server
        self.fields = fields
    }
}

/// The assertion of a workload, for one authorization server.
public struct WorkloadIdentity: Sendable {
    /// The issuer that the assertion is meant for. It is sent nowhere else.
    public var issuer: Issuer
    /// Returns the current assertion. Called for each token request, because assertions are short-lived.
    public var assertion: @Sendable () async throws(OAuthError) -> String

    /// An identity. Nothing is checked.
    public init(issuer: Issuer, assertion: @escaping @Sendable () async throws(OAuthError) -> String) {
        self.issuer = issuer
        self.assertion = assertion
    }
}

/// The token that a service received from its caller, for one authorization server.
public struct SubjectToken: Sendable {
    /// The issuer that exchanges the token. It is sent nowhere else.
    public var issuer: Issuer
    /// What the token is, such as `urn:ietf:params:oauth:token-type:jwt`.
    public var type: String
    /// Returns the token. Called for each token request.
    public var token: @Sendable () async throws(OAuthError) -> String

    /// An access token.
    public static let accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

    /// A token to exchange. Nothing is checked.
    public init(
        issuer: Issuer, type: String = SubjectToken.accessTokenType, token: @escaping @Sendable () async throws(OAuthError) -> String
    ) {
        self.issuer = issuer
        self.type = type
        self.token = token
    }
}

/// The sign-in of a user at the identity provider of an enterprise.
public struct EnterpriseIdentity: Sendable {
    /// The identity provider. The ID token and the client's credentials are sent to it only.
    public var identityProvider: Issuer
    /// The token endpoint of the identity provider. Nil: from its metadata.
    public var tokenEndpoint: WebURL?
    /// The client at the identity provider.
    public var authentication: ClientAuthentication
    /// Returns the current ID token of the user.
    public var idToken: @Sendable () async throws(OAuthError) -> String

    /// An identity. Nothing is checked.
    public init(
        identityProvider: Issuer, tokenEndpoint: WebURL? = nil, authentication: ClientAuthentication,
        idToken: @escaping @Sendable () async throws(OAuthError) -> String
    ) {
        self.identityProvider = identityProvider
        self.tokenEndpoint = tokenEndpoint
        self.authentication = authentication
        self.idToken = idToken
    }
}

/// What a user needs to sign in on another device (RFC 8628 §3.2).
public struct DevicePrompt: Sendable, Hashable {
    /// The code to type.
    public let userCode: String
    /// The address to open, http(s) only.
    public let verificationURL: WebURL
    /// The same address with the code in it. Nil when the server gives none.
    public let completeURL: WebURL?
    /// The moment at which the code expires.
    public let expiresAt: NumericDate
}
