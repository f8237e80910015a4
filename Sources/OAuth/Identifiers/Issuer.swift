/// The identifier of an authorization server (RFC 8414 §2): an https URL without query and fragment, compared byte for
/// byte.
public struct Issuer: Sendable, Hashable, CustomStringConvertible {
    /// The identifier as a URL, exactly as it was given.
    public let url: WebURL

    /// Throws `invalid_identifier`. http is allowed for loopback hosts; for other hosts only with `insecureAllowHTTP`.
    public init(_ text: String, insecureAllowHTTP: Bool = false) throws(OAuthError) {
        guard let url = WebURL(text), url.query == nil, url.fragment == nil else {
            throw OAuthError(
                .invalidIdentifier, "an issuer is a URL like https://auth.example.com, without query or fragment; this is none: \(text.prefix(200))")
        }
        guard url.isSecure || url.isLoopback || insecureAllowHTTP else {
            throw OAuthError(.invalidIdentifier, "the issuer \(text.prefix(200)) must use https; http is for localhost and 127.0.0.1 only")
        }
        if let issuer = Self.issuer(ofMetadataAt: url) {
            throw OAuthError(
                .invalidIdentifier, "\(text.prefix(200)) is the URL of a metadata document; the issuer is its value of issuer, probably \(issuer)")
        }
        self.url = url
    }

    /// The issuer whose metadata is at this URL, if it is one of the well-known ones.
    private static func issuer(ofMetadataAt url: WebURL) -> String? {
        for name in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            guard let range = url.path.firstRange(of: name) else { continue }
            return url.origin + url.path[..<range.lowerBound] + url.path[range.upperBound...]
        }
        return nil
    }

    /// The identifier exactly as it was given.
    public var text: String { url.text }
    public var description: String { url.text }

    /// The URLs of the metadata documents, in the order that a client tries them (MCP authorization, "Authorization
    /// Server Metadata Discovery").
    public var metadataURLs: [String] {
        let path = trimmedPath
        let base = url.origin
        let oauth = base + "/.well-known/oauth-authorization-server" + path
        guard !path.isEmpty else { return [oauth, base + "/.well-known/openid-configuration"] }
        return [oauth, base + "/.well-known/openid-configuration" + path, base + path + "/.well-known/openid-configuration"]
    }

    /// The path without a slash at its end. Empty for the root.
    package var trimmedPath: String { url.path.hasSuffix("/") ? String(url.path.dropLast()) : url.path }
}
