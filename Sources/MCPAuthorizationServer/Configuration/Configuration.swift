public import JOSE
public import OAuth

/// A protected resource that this server issues tokens for (RFC 8707).
public struct ProtectedResource: Sendable, Hashable {
    public let identifier: ResourceIdentifier
    /// The scopes that can be asked for, each with the words that the consent page says.
    public var scopes: [ScopeDescription]
    /// What a request that names no scope asks for. Nil: all of them.
    public var defaultScopes: ScopeSet?

    /// Throws `invalid_identifier`.
    public init(_ identifier: String, scopes: [ScopeDescription], defaultScopes: ScopeSet? = nil) throws(OAuthError) {
        self.identifier = try ResourceIdentifier(identifier)
        self.scopes = scopes
        self.defaultScopes = defaultScopes
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

    public init(_ scope: Scope, _ text: String, isSensitive: Bool = false) {
        self.scope = scope
        self.text = text
        self.isSensitive = isSensitive
    }
}

/// How an authorization server behaves. Every default is the safe one.
public struct AuthorizationServerConfiguration: Sendable {
    /// Shown on the pages.
    public var name = "Sign in"
    public var resources: [ProtectedResource]
    /// Clients that the operator registered.
    public var clients: [Client] = []
    public var dynamicRegistration: DynamicRegistration = .open
    /// The algorithms of access tokens; the first one signs. ES256 unless told otherwise.
    public var signingAlgorithms: [SigningAlgorithm] = [.es256]
    /// Seconds. At most a day.
    public var accessTokenLifetime: Int64 = 900
    static let maximumAccessTokenLifetime: Int64 = 86400
    /// Seconds. At most ten minutes (RFC 6749 §4.1.2); a minute is plenty.
    public var codeLifetime: Int64 = 60
    /// Seconds after which an unused refresh token ends.
    public var refreshTokenIdleLifetime: Int64 = 30 * 86400
    /// Seconds after which a grant ends, however often it was refreshed.
    public var grantLifetime: Int64 = 180 * 86400
    /// Seconds in which a refresh token that was just used gives the same successor again: 0 to 60 (requirement 138).
    public var refreshGrace: Int64 = 30
    /// Seconds that a browser stays signed in.
    public var sessionLifetime: Int64 = 12 * 3600
    /// More dynamic clients than this are not registered.
    public var maximumDynamicClients = 10_000
    /// Where developers read more.
    public var documentation: String?

    public enum DynamicRegistration: Sendable, Hashable {
        case off, open
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
        try require((1...Self.maximumAccessTokenLifetime).contains(accessTokenLifetime), "accessTokenLifetime is 1 to 86400 seconds")
        try require((1...600).contains(codeLifetime), "codeLifetime is 1 to 600 seconds")
        try require((0...60).contains(refreshGrace), "refreshGrace is 0 to 60 seconds")
        try require(refreshTokenIdleLifetime > 0 && grantLifetime > 0 && sessionLifetime > 0, "lifetimes are positive numbers of seconds")
        try require(
            !signingAlgorithms.isEmpty && !signingAlgorithms.contains(where: \.isSymmetric),
            "sign with ES256, RS256 or EdDSA, not with a shared secret")
    }
}
