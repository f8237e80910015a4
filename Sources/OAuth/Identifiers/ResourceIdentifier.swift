/// The identifier of a protected resource (RFC 8707 §2, RFC 9728 §1.2): an absolute URL without fragment, compared byte for byte.
public struct ResourceIdentifier: Sendable, Hashable, CustomStringConvertible {
    public let url: WebURL

    /// Throws `invalid_identifier`. Plain http is allowed for loopback hosts; for others only with `insecureAllowHTTP`.
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

    public var text: String { url.text }
    public var description: String { url.text }

    /// Where its metadata is served (RFC 9728 §3.1): the well-known part goes between host and path.
    public var metadataURL: String { url.origin + metadataPath }

    /// The path, and query, of `metadataURL`.
    public var metadataPath: String {
        let path = url.path == "/" ? "" : url.path
        return Self.metadataRootPath + path + (url.query.map { "?" + $0 } ?? "")
    }

    /// Whether a text names this resource in another spelling: scheme and host in another case, the default port written or left out, one slash
    /// more or less at the end. URL libraries of clients write these. Path and query are compared byte for byte otherwise.
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

    /// Whether a path is this resource's, where one slash more or less at its end makes no difference.
    package func isSamePath<Path: BidirectionalCollection<UInt8>>(_ path: Path) -> Bool {
        func trimmed<Text: BidirectionalCollection<UInt8>>(_ path: Text) -> Text.SubSequence {
            path.last == UInt8(ascii: "/") ? path.dropLast() : path[...]
        }
        return trimmed(path).elementsEqual(trimmed(url.path.utf8))
    }

    public static let metadataRootPath = "/.well-known/oauth-protected-resource"
}
