/// A redirect URI (RFC 6749 §3.1.2, RFC 8252 §7), validated once and compared byte for byte.
///
/// Three kinds are allowed:
///
/// - https to a name, a public address or a loopback address.
/// - http to a loopback host.
/// - Private-use schemes of native apps, such as `com.example.app:/callback` and `cursor://app/callback` (RFC 8252
///   §7.1). Schemes that a browser, a shell or an operating system handles itself, such as `javascript:` or `file:`,
///   are rejected.
///
/// Fragments, wildcards, user information, and authorization response parameters in the query are rejected.
public struct RedirectURI: Sendable, Hashable, CustomStringConvertible {
    /// The kind of application that receives the response.
    public enum Kind: Sendable, Hashable {
        /// The callback of a web site.
        case web
        /// A program on the user's own machine that listens on a port, with http or https.
        case loopback
        /// An app that registered a scheme with its operating system.
        case privateUse
    }

    /// Exactly as it was given.
    public let text: String
    /// The kind of application, which follows from scheme and host.
    public let kind: Kind
    private let url: WebURL?

    /// The parameters of an authorization response (RFC 6749 §4.1.2, RFC 9207, JARM, OpenID Connect). A redirect URI
    /// that contains one would give the client a second value that does not come from the server.
    public static let responseParameters: Set<String> = [
        "code", "state", "iss", "error", "error_description", "error_uri", "response", "id_token", "access_token",
    ]

    /// Throws `invalid_redirect_uri`. The message says what is allowed.
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
        } else {
            try Self.checkPrivateUse(bytes)
            (kind, url) = (.privateUse, nil)
        }
        try Self.checkQuery(bytes)
    }

    /// Whether a request may name `requested` when this URI is registered. The bytes must be equal.
    ///
    /// A loopback URI matches with any port (RFC 8252 §7.3). Its host must have the same spelling, and its path and
    /// query must be equal. An empty path equals `/` (RFC 3986 §6.2.3).
    public func matches(_ requested: String) -> Bool {
        if text.utf8.elementsEqual(requested.utf8) { return true }
        guard kind == .loopback, let url, let other = WebURL(requested) else { return false }
        return Self.isSame(url, other)
    }

    /// Whether two redirect URIs of one authorization are equal: byte for byte, or loopback URIs that differ only in an
    /// empty path and `/`.
    package static func areSame(_ one: String, _ other: String) -> Bool {
        if one.utf8.elementsEqual(other.utf8) { return true }
        guard let one = WebURL(one), let other = WebURL(other), one.isLoopback, one.effectivePort == other.effectivePort else { return false }
        return isSame(one, other)
    }

    private static func isSame(_ one: WebURL, _ other: WebURL) -> Bool {
        other.fragment == nil && other.scheme == one.scheme && other.text.utf8.starts(with: one.scheme.utf8) && other.host == one.host
            && other.requestPath == one.requestPath && other.query == one.query
    }

    /// The text for consent pages: the host with its explicit port, or the private-use scheme with the host after it.
    public var displayHost: String {
        guard let url else {
            let rest = Array(text.utf8.dropFirst(scheme.utf8.count + 1))
            guard rest.starts(with: "//".utf8) else { return scheme + ":" }
            let host = rest.dropFirst(2).prefix { ![UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#")].contains($0) }
            return scheme + "://" + String(decoding: host, as: UTF8.self)
        }
        return url.hostForURL + (url.port.map { ":\($0)" } ?? "")
    }

    /// The scheme in lower case, without the colon.
    public var scheme: String { Self.scheme(of: Array(text.utf8)) }

    public var description: String { text }

    // MARK: Private-use schemes (RFC 8252 §7.1, §8.6)

    /// Requires a scheme that an app may register, then a host or a path. Several apps can claim a name without a dot
    /// (`cursor`). The consent page therefore says that an app will open, and names the scheme.
    private static func checkPrivateUse(_ bytes: [UInt8]) throws(OAuthError) {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidRedirectURI, message) }
        let form =
            "a redirect URI is https://host/path, http://127.0.0.1/path, or a private-use scheme such as com.example.app:/callback or editor://callback"
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), isSchemeName(bytes[..<colon]), URLBytes.hasValidPercentEncoding(bytes[...]) else {
            throw fail("\(DisplayText.clean(String(decoding: bytes, as: UTF8.self), limit: 100)) is none: \(form)")
        }
        let scheme = scheme(of: bytes)
        guard !isReserved(scheme) else {
            throw fail("the scheme \(scheme.prefix(32)): belongs to browsers or operating systems and cannot be the scheme of an app")
        }
        let rest = bytes[(colon + 1)...]
        let isReverseDomain = bytes[..<colon].contains(UInt8(ascii: "."))
        let path = rest.starts(with: "//".utf8) ? rest.dropFirst(2) : rest
        // A scheme without a dot needs a host or a path with a slash, since `name:text` is the form of schemes that a
        // system handles itself.
        guard path.contains(where: { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }), path.first != UInt8(ascii: "?"),
            isReverseDomain || rest.first == UInt8(ascii: "/")
        else { throw fail("a redirect URI with a private-use scheme names a host or a path after it, such as editor://callback") }
        guard !bytes.contains(UInt8(ascii: "@")) else { throw fail("a redirect URI holds no user information") }
    }

    private static func scheme(of bytes: [UInt8]) -> String {
        String(decoding: bytes.prefix { $0 != UInt8(ascii: ":") }.map(URLBytes.lowercased), as: UTF8.self)
    }

    /// RFC 3986 §3.1, without empty labels between dots.
    private static func isSchemeName(_ scheme: ArraySlice<UInt8>) -> Bool {
        guard let first = scheme.first, URLBytes.isLetter(first), (2...128).contains(scheme.count) else { return false }
        return scheme.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            !label.isEmpty
                && label.allSatisfy { URLBytes.isLetter($0) || URLBytes.isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") }
        }
    }

    private static func isReserved(_ scheme: String) -> Bool {
        reservedSchemes.contains(scheme) || reservedPrefixes.contains { scheme.utf8.starts(with: $0.utf8) }
            || reservedSuffixes.contains { scheme.utf8.reversed().starts(with: $0.utf8.reversed()) }
    }

    /// Schemes that a browser, a shell or an operating system handles itself. A code that is sent there runs, shows or
    /// opens something other than a client.
    private static let reservedSchemes: Set<String> = [
        "http", "https", "ws", "wss", "ftp", "ftps", "sftp", "tftp", "file", "data", "javascript", "livescript", "mocha", "vbscript", "blob", "about",
        "view-source", "view-cache", "filesystem", "intent", "android-app", "market", "content", "resource", "jar", "chrome", "chrome-extension",
        "chrome-search", "chrome-untrusted", "devtools", "moz-extension", "moz-icon", "edge", "microsoft-edge", "brave", "opera", "vivaldi",
        "safari-web-extension", "webkit-extension", "wyciwyg", "res", "mk", "hcp", "help", "its", "javafx", "mailto", "tel", "sms", "smsto", "mms",
        "mmsto", "facetime", "facetime-audio", "imessage", "callto", "sip", "sips", "skype", "geo", "maps", "webcal", "feed", "news", "nntp", "snews",
        "gopher", "wais", "ldap", "ldaps", "telnet", "tn3270", "rlogin", "ssh", "smb", "cifs", "afp", "nfs", "dav", "davs", "vnc", "rdp", "irc",
        "ircs",
        "magnet", "urn", "cid", "mid", "shell", "search", "search-ms", "terminal", "x-man-page", "man", "info", "ghelp", "apt", "pkg", "prefs",
        "app-prefs", "app-settings", "bitcoin", "matrix", "openpgp4fpr", "wtai", "xmpp", "im", "message", "addressbook", "applescript", "shortcuts",
        "workflow", "windowsdefender", "windowsupdate", "ms",
    ]

    private static let reservedPrefixes = [
        "ms-", "x-apple", "itms", "itunes", "com.apple.", "x-msi", "microsoft.", "view-",
        // Schemes that open a web page in some browser, and schemes that web pages can claim
        // (`registerProtocolHandler`).
        "web+", "ext+", "x-safari-", "x-web-search", "googlechrome", "firefox", "microsoft-edge", "opera-", "brave-", "vivaldi-", "ddgquicklink",
        "touch-http", "jnlp",
    ]

    /// `touch-https:`, `opera-http:` and similar schemes open a web page.
    private static let reservedSuffixes = ["http", "https"]

    // MARK: The query

    private static func checkQuery(_ bytes: [UInt8]) throws(OAuthError) {
        guard let mark = bytes.firstIndex(of: UInt8(ascii: "?")) else { return }
        let form: Form
        do throws(OAuthError) { form = try Form(parsing: bytes[(mark + 1)...]) } catch {
            throw OAuthError(.invalidRedirectURI, "the query of a redirect URI is form-encoded UTF-8, with at most \(Form.maximumFields) parameters")
        }
        for (name, _) in form.fields where responseParameters.contains(where: { $0.utf8.elementsEqual(name.utf8) }) {
            throw OAuthError(
                .invalidRedirectURI, "a redirect URI does not hold \(name) in its query: that parameter belongs to the authorization response")
        }
    }
}

/// The private-use schemes that clients may have in their redirect URIs (RFC 8252 §7.1).
public enum PrivateUseSchemes: Sendable, Hashable {
    /// Every scheme that `RedirectURI` accepts.
    case any
    /// These schemes, without the colon, ignoring case: `["cursor", "com.example.app"]`.
    case only([String])
    /// No private-use scheme.
    case none

    /// Whether the policy allows a redirect URI. True for every URI that has no private-use scheme.
    public func allows(_ uri: RedirectURI) -> Bool {
        guard uri.kind == .privateUse else { return true }
        switch self {
        case .any: return true
        case .none: return false
        case .only(let schemes): return schemes.contains { URLBytes.equalIgnoringCase($0, uri.scheme) }
        }
    }
}
