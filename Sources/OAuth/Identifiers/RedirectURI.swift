/// Where an authorization response may go (RFC 6749 §3.1.2, RFC 8252 §7): validated once, compared byte for byte.
///
/// Allowed are https (to a name, or to a literal address that is public), http to a loopback host, and private-use schemes in reverse domain form
/// (`com.example.app:/callback`, RFC 8252 §7.1). Everything else, such as `javascript:` or `data:`, is refused everywhere. So are fragments, wildcards and user information.
public struct RedirectURI: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// A web site's callback.
        case web
        /// A program on the user's own machine that listens on some port, by http or https.
        case loopback
        /// A program that registered a scheme with its operating system.
        case privateUse
    }

    /// Exactly as it was written.
    public let text: String
    public let kind: Kind
    private let url: WebURL?

    /// Throws `invalid_redirect_uri` with a message for whoever registers it.
    public init(_ text: String) throws(OAuthError) {
        let bytes = Array(text.utf8)
        guard bytes.count <= WebURL.maximumBytes, bytes.allSatisfy(URLBytes.isAllowed), !bytes.contains(UInt8(ascii: "#")),
            !bytes.contains(UInt8(ascii: "*"))
        else {
            throw OAuthError(
                .invalidRedirectURI, "a redirect URI is plain ASCII, at most \(WebURL.maximumBytes) characters, without fragment and wildcards")
        }
        self.text = text
        if let url = WebURL(text) {
            if url.isSecure {
                guard url.isLoopback || IPAddress(url.host).map(\.isPublic) ?? true else {
                    throw OAuthError(.invalidRedirectURI, "a redirect URI with https must not point to a private address")
                }
                (kind, self.url) = (url.isLoopback ? .loopback : .web, url)
            } else {
                guard url.isLoopback else {
                    throw OAuthError(.invalidRedirectURI, "a redirect URI with http is for localhost, 127.0.0.1 and [::1] only; use https")
                }
                (kind, self.url) = (.loopback, url)
            }
            return
        }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), Self.isReverseDomain(bytes[..<colon]),
            URLBytes.hasValidPercentEncoding(bytes[...]),
            !bytes.contains(UInt8(ascii: "@")), bytes.count > colon + 1
        else {
            throw OAuthError(
                .invalidRedirectURI,
                "a redirect URI is https://host/path, http://127.0.0.1/path, or a private scheme with a dot such as com.example.app:/callback")
        }
        (kind, url) = (.privateUse, nil)
    }

    /// Whether a request may name `requested` when this one is registered: the same bytes; for a loopback URI any port (RFC 8252 §7.3), in the same
    /// literal form of the host, with the same path and query.
    public func matches(_ requested: String) -> Bool {
        if text.utf8.elementsEqual(requested.utf8) { return true }
        guard kind == .loopback, let url, let other = WebURL(requested), other.fragment == nil else { return false }
        return other.scheme == url.scheme && other.text.utf8.starts(with: url.scheme.utf8) && other.host == url.host && other.path == url.path
            && other.query == url.query
    }

    /// What a person is shown: the host, with the port that is written there, or the private scheme.
    public var displayHost: String {
        guard let url else { return String(text.prefix { $0 != ":" }) + ":" }
        return url.hostForURL + (url.port.map { ":\($0)" } ?? "")
    }

    public var description: String { text }

    /// Whether a text is an address with a scheme that programs register without a domain of their own (`editor://callback`): never allowed, and yet no sign of
    /// an attack, unlike schemes that browsers run or read themselves.
    package static func isSingleLabelScheme(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8), bytes.allSatisfy(URLBytes.isAllowed)
        else {
            return false
        }
        let scheme = String(decoding: bytes[..<colon].map(URLBytes.lowercased), as: UTF8.self)
        let known: Set<String> = [
            "http", "https", "javascript", "data", "vbscript", "file", "blob", "about", "view-source", "intent", "ftp", "ws", "wss", "filesystem",
            "chrome",
            "resource", "content", "jar", "mailto", "tel", "sms", "feed", "gopher", "ldap", "livescript", "mocha",
        ]
        return !known.contains(scheme) && !scheme.isEmpty
            && scheme.utf8.allSatisfy { URLBytes.isLetter($0) || URLBytes.isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isReverseDomain(_ scheme: ArraySlice<UInt8>) -> Bool {
        guard let first = scheme.first, URLBytes.isLetter(first), scheme.count <= 128 else { return false }
        let labels = scheme.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.count >= 2
            && labels.allSatisfy { !$0.isEmpty && $0.allSatisfy { URLBytes.isLetter($0) || URLBytes.isDigit($0) || $0 == UInt8(ascii: "-") } }
    }
}
