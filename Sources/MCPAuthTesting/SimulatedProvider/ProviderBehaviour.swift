public import JOSE

/// How a simulated identity provider behaves: its URLs, documents and quirks.
///
/// The values are written down from the providers' own documentation and from other projects, independently of
/// `IdentityProviders`, so that a wrong value there fails a test.
public struct ProviderBehaviour: Sendable {
    /// The issuer of ID tokens and metadata.
    public var issuer: String
    /// The URL of the metadata document. Nil: there is none.
    public var metadata: String?
    /// The members of the metadata document beside the endpoints.
    public var metadataMembers: JSONObject = [:]
    /// The authorization endpoint.
    public var authorization: String
    /// The token endpoint.
    public var token: String
    /// The userinfo endpoint. Nil: there is none.
    public var userInfo: String?
    /// The key set. Nil: there are no ID tokens.
    public var keys: String?
    /// The revocation endpoint. Nil: there is none.
    public var revocation: String?
    /// Whether the revocation endpoint takes DELETE with a JSON body.
    public var revokesByDelete = false
    /// The documents of the API about an account, by URL.
    public var api: [String: @Sendable (SimulatedAccount) -> JSONValue] = [:]

    /// The URL of the next page of such a document, which is named in the header `Link`.
    public var nextPages: [String: String] = [:]

    /// The claims of the ID token beside `iss`, `aud`, `exp`, `iat` and `nonce`. Nil: there are no ID tokens.
    public var idToken: (@Sendable (SimulatedAccount) -> JSONObject)?
    /// The userinfo answer.
    public var userInfoClaims: @Sendable (SimulatedAccount) -> JSONObject = { $0.standardClaims }
    /// The `iss` of ID tokens, if it is not the issuer.
    public var idTokenIssuer: (@Sendable (SimulatedAccount) -> String)?
    /// The authentication that the token endpoint accepts: `client_secret_basic`, `client_secret_post`.
    public var authentication: Set<String> = ["client_secret_basic", "client_secret_post"]
    /// Whether a code challenge is verified. Otherwise the parameters are ignored.
    public var supportsPKCE = true
    /// Whether errors of the token endpoint come with the status 200.
    public var errorsComeAs200 = false
    /// Whether the token endpoint answers in form encoding without `Accept: application/json`.
    public var answersFormsByDefault = false
    /// Whether the answer is posted as a form.
    public var postsAnswers = false
    /// The separator of scopes in answers. Nil: the answer has no `scope`.
    public var scopeSeparator: String? = " "
    /// The lifetime of access tokens in seconds. Nil: they do not expire.
    public var lifetime: Int64? = 3600
    /// When there is a refresh token.
    public var refresh: Refresh = .always
    /// Whether a refresh replaces the refresh token, and the old one is no longer accepted.
    public var rotates = true
    /// Whether a parameter `resource` is rejected.
    public var rejectsResource = false

    /// When a code is exchanged for a refresh token too.
    public enum Refresh: Sendable, Hashable {
        /// Always.
        case always
        /// Never.
        case never
        /// With this scope.
        case withScope(String)
        /// With this parameter of the authorization request.
        case withParameter(String, String)
    }

    /// A provider with OpenID Connect and discovery, and no quirks.
    public init(issuer: String) {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        self.issuer = issuer
        metadata = base + "/.well-known/openid-configuration"
        authorization = base + "/authorize"
        token = base + "/token"
        userInfo = base + "/userinfo"
        keys = base + "/keys"
        revocation = base + "/revoke"
        idToken = { $0.standardClaims }
    }
}

/// An account at a simulated provider.
public struct SimulatedAccount: Sendable {
    /// The identifier. GitHub's are numbers.
    public var subject: String
    /// The full name.
    public var name: String
    /// The sign-in name.
    public var userName: String
    /// The e-mail address.
    public var email: String
    /// Whether the provider verified the address.
    public var isEmailVerified: Bool
    /// The domain, tenant or workspace.
    public var tenant: String?
    /// The organizations.
    public var organizations: [String]
    /// The teams, as `organization/team`.
    public var teams: [String]
    /// The groups and roles.
    public var groups: [String]

    /// An account.
    public init(
        _ subject: String, name: String, userName: String, email: String, isEmailVerified: Bool = true, tenant: String? = nil,
        organizations: [String] = [], teams: [String] = [], groups: [String] = []
    ) {
        self.subject = subject
        self.name = name
        self.userName = userName
        self.email = email
        self.isEmailVerified = isEmailVerified
        self.tenant = tenant
        self.organizations = organizations
        self.teams = teams
        self.groups = groups
    }

    /// The claims of OpenID Connect.
    public var standardClaims: JSONObject {
        [
            "sub": .string(subject), "name": .string(name), "preferred_username": .string(userName), "email": .string(email),
            "email_verified": .bool(isEmailVerified), "groups": .strings(groups),
        ]
    }
}
