import JOSE
import OAuth

/// A valid authorization request (RFC 6749 §4.1.1), as it is carried through the pages.
struct AuthorizationRequest: Sendable {
    let clientID: ClientID
    /// The redirect URI as requested. For loopback its port may differ from the registered one.
    let redirectURI: String
    let state: String?
    let challenge: CodeChallenge
    let scopes: ScopeSet
    /// Whether the user has to choose among `scopes`, because none of the requested scopes can be granted.
    var isChoiceNeeded = false
    let resource: String
    let prompt: Set<String>
    let maximumAge: Int64?
    let loginHint: String?
    /// The `nonce` for the ID token.
    let nonce: String?
    /// The key that must be proven when the code is redeemed (RFC 9449 §10).
    let keyThumbprint: String?
    /// The languages that the client requested (`ui_locales`).
    let locales: [String]

    /// `state` returns in a URL, percent-encoded, and proxies limit the length of URLs.
    static let maximumStateBytes = 2048
}

/// The error of an authorization request, and whether it may be sent to the client.
enum AuthorizationRequestError: Error {
    /// Client or redirect URI are not certain. Only the user sees the error, with the values that do not match.
    case local(OAuthError, [ErrorFact])
    /// The redirect URI belongs to the client.
    case redirectable(OAuthError, client: Client, redirectURI: String, state: String?)
}
