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

    public static let metadataRootPath = "/.well-known/oauth-protected-resource"
}
