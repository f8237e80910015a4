public import OAuth

/// Shows an authorization page to a user, and receives the answer.
public protocol UserAgent: Sendable {
    /// Prepares one sign-in. If `preferred` is given, it is the redirect URI of an earlier registration, which is used
    /// again if possible.
    ///
    /// Throws `temporarily_unavailable` when no answer can be received, for example because a port is in use.
    func begin(preferring preferred: RedirectURI?) async throws(OAuthError) -> any AuthorizationReceiver
}

/// Receives the answer of one sign-in.
public protocol AuthorizationReceiver: Sendable {
    /// The redirect URIs at which the answer can be received, the preferred one first.
    var redirectURIs: [RedirectURI] { get }
    /// Shows `url` to the user, and returns the query of the answer whose `state` is the given one. Answers with
    /// another state are ignored.
    ///
    /// Throws `access_denied` when the user cancels, and `expired_token` when no answer comes in time.
    func authorize(_ url: WebURL, state: String) async throws(OAuthError) -> String
    /// Releases what was prepared. Called once, also after a failure.
    func close() async
}

/// A user agent for machines without a browser: the user opens the address elsewhere, and pastes the address that the
/// browser shows at the end.
public struct PastingUserAgent: UserAgent {
    private let redirectURI: RedirectURI
    private let ask: @Sendable (WebURL) async throws(OAuthError) -> String

    /// `ask` shows the address and returns what the user pasted: the whole address, or its query. The redirect URI is a
    /// loopback address at which nothing listens.
    public init(redirectURI: RedirectURI, ask: @escaping @Sendable (WebURL) async throws(OAuthError) -> String) {
        self.redirectURI = redirectURI
        self.ask = ask
    }

    /// Prepares one sign-in. Nothing listens.
    public func begin(preferring preferred: RedirectURI?) async throws(OAuthError) -> any AuthorizationReceiver {
        Receiver(redirectURIs: [preferred ?? redirectURI], ask: ask)
    }

    private struct Receiver: AuthorizationReceiver {
        let redirectURIs: [RedirectURI]
        let ask: @Sendable (WebURL) async throws(OAuthError) -> String

        func authorize(_ url: WebURL, state: String) async throws(OAuthError) -> String {
            for _ in 0..<3 {
                if let query = AuthorizationAnswer.query(of: try await ask(url), state: state) { return query }
            }
            throw OAuthError(
                .invalidResponse, "what was pasted does not belong to this sign-in; paste the whole address that the browser shows at the end")
        }

        func close() async {}
    }
}

/// The answer of an authorization endpoint, before it is checked.
public enum AuthorizationAnswer {
    /// The query of a pasted or received address, if it contains exactly one `state`, and that is the expected one. Nil
    /// otherwise.
    public static func query(of text: String, state: String) -> String? {
        let bytes = text.utf8
        let query = bytes.contains(UInt8(ascii: "?")) ? String(bytes.drop { $0 != UInt8(ascii: "?") }.dropFirst()) ?? "" : text
        guard let form = try? Form(parsing: query.utf8.prefix { $0 != UInt8(ascii: "#") && $0 > 0x20 }), let stated = try? form.single("state"),
            ConstantTime.areEqual(Array(stated.utf8), Array(state.utf8))
        else { return nil }
        return String(query.utf8.prefix { $0 != UInt8(ascii: "#") && $0 > 0x20 })
    }
}
