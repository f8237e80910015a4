/// The identifier of a protected resource (RFC 8707 §2, RFC 9728 §1.2): an absolute URL without a fragment, compared
/// byte for byte.
public struct ResourceIdentifier: Sendable, Hashable, CustomStringConvertible {
    /// The identifier as a URL, exactly as it was given.
    public let url: WebURL

    /// Throws `invalid_identifier`. http is allowed for loopback hosts; for other hosts only with `insecureAllowHTTP`.
    public init(_ text: String, insecureAllowHTTP: Bool = false) throws(OAuthError) {
        guard let url = WebURL(text), url.fragment == nil else {
            throw OAuthError(
                .invalidIdentifier, "a resource is the public URL of the server, like https://mcp.example.com/mcp; this is none: \(text.prefix(200))")
        }
        guard url.isSecure || url.isLoopback || insecureAllowHTTP else {
            throw OAuthError(.invalidIdentifier, "the resource \(text.prefix(200)) must use https; http is for localhost and 127.0.0.1 only")
        }
        self.url = url
    }

    /// Throws `invalid_identifier` if the path has two slashes in a row, which happens when the configured origin ends
    /// with one.
    package func checkSlashes() throws(OAuthError) {
        guard url.path.firstRange(of: "//") == nil else {
            throw OAuthError(
                .invalidIdentifier, "the resource \(text.prefix(200)) has two slashes in a row; is there a slash at the end of its origin?")
        }
    }

    /// The identifier exactly as it was given.
    public var text: String { url.text }
    public var description: String { url.text }

    /// The URL of the metadata document (RFC 9728 §3.1). The well-known part stands between host and path.
    public var metadataURL: String { url.origin + metadataPath }

    /// The path and the query of `metadataURL`.
    public var metadataPath: String {
        let path = url.path == "/" ? "" : url.path
        return Self.metadataRootPath + path + (url.query.map { "?" + $0 } ?? "")
    }

    /// Whether a text names this resource in another spelling, as URL libraries of clients produce them. Scheme and
    /// host may differ in case, the default port may be present or absent, and one slash at the end may be present or
    /// absent. Path and query must otherwise have the same bytes.
    public func isSpelled(_ text: String) -> Bool {
        if text.utf8.elementsEqual(url.text.utf8) { return true }
        guard let other = WebURL(text), other.fragment == nil, other.origin.utf8.elementsEqual(url.origin.utf8) else { return false }
        guard isSamePath(other.path.utf8) else { return false }
        switch (url.query, other.query) {
        case (nil, nil): return true
        case (let one?, let two?): return one.utf8.elementsEqual(two.utf8)
        default: return false
        }
    }

    /// Whether a path is the path of this resource. One slash at its end makes no difference.
    package func isSamePath<Path: BidirectionalCollection<UInt8>>(_ path: Path) -> Bool {
        func trimmed<Text: BidirectionalCollection<UInt8>>(_ path: Text) -> Text.SubSequence {
            path.last == UInt8(ascii: "/") ? path.dropLast() : path[...]
        }
        return trimmed(path).elementsEqual(trimmed(url.path.utf8))
    }

    /// The path of the metadata document of a resource without a path (RFC 9728 §3).
    public static let metadataRootPath = "/.well-known/oauth-protected-resource"
}
