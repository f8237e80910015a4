public import JOSE
public import OAuth

/// An access token of an identity provider, for requests of a tool to its API. Its description does not contain it.
public struct UpstreamToken: Sendable, CustomStringConvertible, CustomReflectable {
    /// The token, for the header `Authorization: Bearer`.
    public let text: String
    /// The time until which it is valid. Nil: the provider does not say.
    public let expiresAt: NumericDate?
    /// The scopes that the provider granted.
    public let scopes: [String]

    /// A token.
    public init(text: String, expiresAt: NumericDate?, scopes: [String]) {
        self.text = text
        self.expiresAt = expiresAt
        self.scopes = scopes
    }

    public var description: String { "UpstreamToken" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The reason why there is no token of an identity provider.
public enum UpstreamTokenError: Error, Sendable, Hashable {
    /// The user has not connected the provider, or the provider no longer accepts the connection. The user can connect
    /// it at `url`, or by an authorization request with `scope`, which leads through the provider. Nil: there is no
    /// such scope.
    case notConnected(provider: String, url: String, scope: Scope? = nil)
    /// The user has not granted these scopes. The user can connect the provider again at `url`.
    case missingScopes([String], provider: String, url: String)
    /// The provider cannot be reached, or asks to wait. The connection is kept.
    case unavailable(provider: String)
    /// The provider is not one of this server's, or the principal is not a user.
    case unsupported(String)

    /// The question to the user that the MCP client can show, with the page that answers it. Nil when the user can do
    /// nothing.
    public var question: (message: String, url: String)? {
        switch self {
        case .notConnected(let provider, let url, _): ("This needs your \(provider) account. Connect it in the browser.", url)
        case .missingScopes(let scopes, let provider, let url):
            ("This needs more permissions at \(provider) (\(scopes.joined(separator: ", "))). Allow them in the browser.", url)
        case .unavailable, .unsupported: nil
        }
    }

    /// What to do next, in words for the user.
    public var advice: String {
        switch self {
        case .notConnected(let provider, let url, _): "Connect your \(provider) account first: open \(url), then try again."
        case .missingScopes(let scopes, let provider, let url):
            "This needs more permissions at \(provider) (\(scopes.joined(separator: ", "))): connect it again at \(url), then try again."
        case .unavailable(let provider): "\(provider) does not answer at the moment. Your connection is kept; try again in a minute."
        case .unsupported(let text): text
        }
    }
}

/// Obtains access tokens of identity providers for the users of a resource server. An authorization server in the same
/// process does (`Trust.local`).
public protocol UpstreamTokens: Sendable {
    /// A valid token of the user behind a principal.
    func token(of principal: Principal, from provider: String, scopes: [String]) async throws(UpstreamTokenError) -> UpstreamToken
}

extension ResourceServer {
    /// The source of tokens for a caller: the authorization server in this process which issued the caller's token, and
    /// the exchanges. Nil when there is none.
    package func upstreamTokens(for caller: Caller) -> (any UpstreamTokens)? {
        guard let principal = caller.principal else { return nil }
        let local = localIssuers.first { $0.issuer.utf8.elementsEqual(principal.issuer.utf8) }?.upstreamTokens
        guard let token = caller.token, !exchanges.isEmpty else { return local }
        return CallerTokens(local: local, exchanges: exchanges, token: token)
    }
}
