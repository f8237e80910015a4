public import HTTPTypes
public import JOSE
public import OAuth

/// Help for clients of MCP 2025-03-26, which look for the authorization server on the MCP server's own origin.
///
/// `/.well-known/oauth-authorization-server` returns the metadata of the real authorization server. `/authorize`
/// redirects there. `/token` and `/register` answer 404 and name the right endpoint, because a redirect would send
/// secrets to another origin. Not needed if the authorization server runs on the same origin.
public final class LegacyEndpoints: Sendable {
    private let issuer: Issuer
    private let clock: Clock
    private let remote: RemoteMetadata

    /// Endpoints for an authorization server on another origin.
    ///
    /// - Parameters:
    ///   - metadata: The location of the metadata. Corrections are part of what clients receive.
    ///   - fetcher: Fetches the metadata of the issuer, which is cached for ten minutes.
    public init(issuer: Issuer, metadata: MetadataLocation = .wellKnown, fetcher: any HTTPFetcher, clock: Clock = .system) {
        self.issuer = issuer
        remote = RemoteMetadata(issuer, at: metadata, fetcher: fetcher)
        self.clock = clock
    }

    /// The paths that `reply(to:)` answers.
    public static let paths = ["/.well-known/oauth-authorization-server", "/authorize", "/token", "/register"]

    /// The response to a request for one of `paths`. Nil for every other path, and for `/authorize` when the issuer has
    /// no authorization endpoint. 503 when the metadata of the issuer cannot be fetched.
    public func reply(to request: HTTPRequest) async -> HTTPReply? {
        let target = request.path ?? ""
        let path = URLBytes.path(of: target)
        guard Self.paths.contains(path) else { return nil }
        let metadata: AuthorizationServerMetadata
        do throws(OAuthError) { metadata = try await remote.current(at: clock.now) } catch {
            return HTTPReply.error(OAuthError(.temporarilyUnavailable, "the authorization server cannot be reached"), status: .serviceUnavailable)
        }
        switch path {
        case Self.paths[0]: return PublicDocument.reply(to: request, metadata.document.bytes)
        case "/authorize":
            guard let endpoint = metadata.authorizationEndpoint else { return nil }
            let query = target.utf8.dropFirst(path.utf8.count + 1)
            let separator = query.isEmpty ? "" : endpoint.text.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
            return HTTPReply(.found, [.location: endpoint.text + separator + String(decoding: query, as: UTF8.self), .cacheControl: "no-store"])
        default:
            let endpoint = path == "/token" ? metadata.tokenEndpoint : metadata.registrationEndpoint
            return .error(
                OAuthError(.invalidRequest, "this is the MCP server; send this to its authorization server: \(endpoint?.text ?? issuer.text)"),
                status: .notFound)
        }
    }
}
