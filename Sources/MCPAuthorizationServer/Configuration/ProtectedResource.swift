public import OAuth

/// A protected resource that this server issues tokens for (RFC 8707).
public struct ProtectedResource: Sendable, Hashable {
    public let identifier: ResourceIdentifier
    /// The scopes that can be asked for, each with the words that the consent page says.
    public var scopes: [ScopeDescription]
    /// What a request that names no scope asks for. Nil: all of them.
    public var defaultScopes: ScopeSet?
    /// What its access tokens look like.
    public var tokenFormat: TokenFormat
    /// Seconds that its access tokens live. Nil: as the server's configuration says.
    public var accessTokenLifetime: Int64?

    public enum TokenFormat: Sendable, Hashable {
        /// A JWT (RFC 9068), which the resource server checks by itself.
        case jwt
        /// Nothing that anybody else can read: the resource server introspects it (RFC 7662).
        case opaque
    }

    /// Throws `invalid_identifier`.
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

/// A scope, in words that somebody who has never heard of OAuth understands.
public struct ScopeDescription: Sendable, Hashable {
    public let scope: Scope
    /// For example "See your tasks".
    public let text: String
    /// Whether it can destroy or spend something: the page then says so.
    public let isSensitive: Bool
    /// The same in other languages, by their tag: `["de": "Ihre Aufgaben sehen"]`.
    public let translations: [String: String]

    public init(_ scope: Scope, _ text: String, isSensitive: Bool = false, translations: [String: String] = [:]) {
        self.translations = translations
        self.scope = scope
        self.text = text
        self.isSensitive = isSensitive
    }
}
