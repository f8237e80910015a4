public import JOSE
public import OAuth

/// The documents of a provider about one user.
public struct ProviderDocuments: Sendable {
    /// The claims of the validated ID token. Null without one.
    public var idToken: JSONValue
    /// The answer of the userinfo endpoint. Null if it was not asked.
    public var userInfo: JSONValue
    /// The answers to `ProfileRequest`s, by name.
    public var profiles: [String: JSONValue]

    /// Documents.
    public init(idToken: JSONValue = .null, userInfo: JSONValue = .null, profiles: [String: JSONValue] = [:]) {
        self.idToken = idToken
        self.userInfo = userInfo
        self.profiles = profiles
    }

    /// A claim of the ID token, otherwise of the userinfo answer.
    public subscript(claim: String) -> JSONValue? {
        if let value = idToken[claim], !value.isNull { return value }
        if let value = userInfo[claim], !value.isNull { return value }
        return nil
    }
}

/// When an e-mail address counts as verified.
public enum EmailRule: Sendable, Hashable {
    /// `email_verified` is `true`, or the text "true", which some providers send.
    case claim
    /// Never: the provider does not prove that the address belongs to the user.
    case never
    /// The Entra claim `xms_edov` says that the domain's owner verified it.
    case domainOwnerVerified
}

/// A user as a provider describes them.
public struct ProviderPerson: Sendable, Hashable {
    /// The identifier of the user at the provider, which never changes and is never reassigned.
    public var subject: String
    /// The name for display.
    public var name: String?
    /// The sign-in name, which may change.
    public var userName: String?
    /// The e-mail address.
    public var email: String?
    /// Whether the provider verified that the address belongs to the user.
    public var isEmailVerified: Bool
    /// The domain or tenant that the provider vouches for, such as Google's `hd` or Entra's `tid`.
    public var tenant: String?
    /// The organizations that the user is a member of.
    public var organizations: [String]
    /// Teams, as `organization/team`.
    public var teams: [String]
    /// Groups and roles, as the provider names them.
    public var groups: [String]
    /// The session at the provider, `sid` of the ID token. Nil without one.
    public var sessionID: String?
    /// When the provider authenticated the user, `auth_time` of the ID token. Nil when it does not say so.
    public var authenticatedAt: NumericDate?

    /// A user.
    public init(
        subject: String, name: String? = nil, userName: String? = nil, email: String? = nil, isEmailVerified: Bool = false, tenant: String? = nil,
        organizations: [String] = [], teams: [String] = [], groups: [String] = []
    ) {
        self.subject = subject
        self.name = name
        self.userName = userName
        self.email = email
        self.isEmailVerified = email != nil && isEmailVerified
        self.tenant = tenant
        self.organizations = organizations
        self.teams = teams
        self.groups = groups
    }

    /// The user of the standard claims (OpenID Connect Core §5.1). Throws `invalid_token` without a subject, or when
    /// the userinfo answer is about another subject (§5.3.2).
    public init(standardClaims documents: ProviderDocuments, subject claim: String = "sub", email rule: EmailRule = .claim) throws(OAuthError) {
        if let first = documents.idToken["sub"]?.string, let second = documents.userInfo["sub"]?.string, !first.utf8.elementsEqual(second.utf8) {
            throw OAuthError(.invalidToken, "the userinfo endpoint answered about another user")
        }
        guard let subject = documents[claim]?.string, (1...255).contains(subject.utf8.count) else {
            throw OAuthError(.invalidToken, "the provider does not name the user: \(claim) is missing")
        }
        self.init(
            subject: subject, name: Self.text(documents["name"]), userName: Self.text(documents["preferred_username"]),
            email: Self.text(documents["email"]), isEmailVerified: Self.isVerified(documents, rule))
        groups = (documents["groups"]?.strings ?? []) + (documents["roles"]?.strings ?? [])
    }

    /// A text that is not empty.
    public static func text(_ value: JSONValue?) -> String? { value?.string.flatMap { $0.isEmpty ? nil : $0 } }

    private static func isVerified(_ documents: ProviderDocuments, _ rule: EmailRule) -> Bool {
        switch rule {
        case .never: false
        case .claim: isTrue(documents["email_verified"])
        case .domainOwnerVerified: isTrue(documents["xms_edov"]) || documents["xms_edov"]?.string == "1" || documents["xms_edov"]?.int == 1
        }
    }

    /// True, or the text "true".
    public static func isTrue(_ value: JSONValue?) -> Bool { value?.bool ?? (value?.string == "true") }

    public static func == (left: ProviderPerson, right: ProviderPerson) -> Bool {
        left.subject.utf8.elementsEqual(right.subject.utf8) && left.name == right.name && left.userName == right.userName && left.email == right.email
            && left.isEmailVerified == right.isEmailVerified && left.tenant == right.tenant && left.organizations == right.organizations
            && left.teams == right.teams && left.groups == right.groups
    }
}
