public import OAuth

/// A protected resource that this server issues tokens for (RFC 8707).
public struct ProtectedResource: Sendable, Hashable {
    /// The identifier, which is the URL of the MCP endpoint.
    public let identifier: ResourceIdentifier
    /// The scopes that clients can request, each with its text for the consent page.
    public var scopes: [ScopeDescription]
    /// The scopes of a request that names none. Nil: all.
    public var defaultScopes: ScopeSet?
    /// The format of its access tokens.
    public var tokenFormat: TokenFormat
    /// The lifetime of its access tokens in seconds, 1 to 86400. Nil: the lifetime of the server's configuration.
    public var accessTokenLifetime: Int64?

    /// The format of access tokens.
    public enum TokenFormat: Sendable, Hashable {
        /// A JWT (RFC 9068), which the resource server verifies by itself.
        case jwt
        /// A text that only this server can read. The resource server introspects it (RFC 7662).
        case opaque
    }

    /// A resource. Throws `invalid_identifier` when the identifier is not a valid URL. The scopes are checked when the
    /// server starts.
    public init(
        _ identifier: String, scopes: [ScopeDescription], defaultScopes: ScopeSet? = nil, tokenFormat: TokenFormat = .jwt,
        accessTokenLifetime: Int64? = nil
    ) throws(OAuthError) {
        self.identifier = try ResourceIdentifier(identifier)
        try self.identifier.checkSlashes()
        self.scopes = scopes
        self.defaultScopes = defaultScopes
        self.tokenFormat = tokenFormat
        self.accessTokenLifetime = accessTokenLifetime
    }

    var allScopes: ScopeSet { ScopeSet(scopes.map(\.scope)) }
}

/// A scope, with a text for users who do not know OAuth.
public struct ScopeDescription: Sendable, Hashable {
    /// The scope.
    public let scope: Scope
    /// The text for the consent page, for example "See your tasks".
    public let text: String
    /// Whether the scope allows operations that cannot be undone. The consent page then says so.
    public let isSensitive: Bool
    /// The text in other languages, by language tag: `["de": "Ihre Aufgaben sehen"]`.
    public let translations: [String: String]

    /// A scope with its text. Without a translation, the pages of that language show `text`.
    public init(_ scope: Scope, _ text: String, isSensitive: Bool = false, translations: [String: String] = [:]) {
        self.translations = translations
        self.scope = scope
        self.text = text
        self.isSensitive = isSensitive
    }
}
