import HTTPTypes
import JOSE
public import OAuth

/// What a client has found out about a protected server and its authorization server.
public struct DiscoveredServer: Sendable {
    /// The revision of MCP authorization that the server follows.
    public enum Revision: Sendable, Hashable {
        /// The server has resource metadata (2025-06-18 and later).
        case resourceMetadata
        /// The server is its own authorization server (2025-03-26).
        case sameOrigin
        /// As before, without any metadata document: the endpoints are `/authorize`, `/token` and `/register`.
        case defaultEndpoints
    }

    /// The URL of the server, as it was asked for.
    public let server: ResourceIdentifier
    /// The value of `resource` in requests (RFC 8707).
    public let resource: String
    /// The metadata of the server. Nil for servers that have none.
    public let resourceMetadata: ProtectedResourceMetadata?
    /// The metadata of the authorization server.
    public let authorizationServer: AuthorizationServerMetadata
    /// The revision that the server follows.
    public let revision: Revision

    /// The issuer.
    public var issuer: Issuer { authorizationServer.issuer }
}

/// Finds the authorization server of a protected server (MCP authorization, "Authorization Server Discovery").
public struct ServerDiscovery: Sendable {
    private let fetcher: any HTTPFetcher

    /// `fetcher` decides which addresses may be reached.
    public init(fetcher: any HTTPFetcher) { self.fetcher = fetcher }

    /// Finds the metadata of the resource, then that of its authorization server.
    ///
    /// The resource metadata is at the URL that the challenge names, otherwise at the well-known URL with the path of
    /// the server, otherwise at the root. Its `resource` must be the server that was asked for, or a prefix of it by
    /// whole path segments. The issuer in the metadata of the authorization server must be the named one, byte for
    /// byte.
    ///
    /// Throws `fetch_failed` when a server cannot be reached, and `invalid_metadata` when a document contradicts what
    /// was asked for.
    ///
    /// - Parameter preferred: The issuers at which the client has credentials. If the server names several
    ///   authorization servers, the first of these is used, otherwise the first of all.
    public func discover(
        _ server: ResourceIdentifier, challenge: AuthenticationChallenge? = nil, preferring preferred: [Issuer] = []
    ) async throws(OAuthError) -> DiscoveredServer {
        guard let metadata = try await resourceMetadata(of: server, challenge: challenge), !metadata.authorizationServers.isEmpty else {
            return try await sameOrigin(server)
        }
        let named = metadata.authorizationServers
        let text = named.first { name in preferred.contains { $0.text.utf8.elementsEqual(name.utf8) } } ?? named[0]
        let issuer: Issuer
        do throws(OAuthError) { issuer = try Issuer(text) } catch {
            throw OAuthError(.invalidMetadata, "\(server) names an authorization server that cannot be used: \(error.message)")
        }
        let authorizationServer = try await AuthorizationServerMetadata.discover(issuer, with: fetcher)
        return DiscoveredServer(
            server: server, resource: metadata.resource, resourceMetadata: metadata, authorizationServer: authorizationServer,
            revision: .resourceMetadata)
    }

    /// The metadata of the resource. Nil when the server has none.
    public func resourceMetadata(
        of server: ResourceIdentifier, challenge: AuthenticationChallenge? = nil
    ) async throws(OAuthError) -> ProtectedResourceMetadata? {
        var urls: [WebURL] = []
        if let named = challenge?["resource_metadata"] {
            guard let url = WebURL(named), url.isSecure || url.isLoopback else {
                throw OAuthError(.invalidMetadata, "resource_metadata of the challenge is not an https URL: \(DisplayText.clean(named, limit: 200))")
            }
            urls.append(url)
        }
        let root = server.url.origin + ResourceIdentifier.metadataRootPath
        for text in [server.metadataURL, root] {
            if let url = WebURL(text), !urls.contains(url) { urls.append(url) }
        }
        var problem: OAuthError?
        for url in urls {
            let reply = try await AuthorizationServerMetadata.document(at: url, with: fetcher)
            guard reply.response.status == .ok else {
                // The server has metadata, as its challenge says; without it the client would ask another authorization
                // server.
                if url == urls.first, challenge?["resource_metadata"] != nil, reply.response.status.code >= 500 || reply.response.status.code == 429 {
                    problem = OAuthError(.temporarilyUnavailable, "\(url.text) answers \(reply.response.status.code); try again later")
                }
                continue
            }
            do throws(OAuthError) {
                let metadata = try ProtectedResourceMetadata(parsing: reply.body)
                guard Self.covers(metadata.resource, server) else {
                    throw OAuthError(
                        .invalidMetadata,
                        "\(url.text) describes the resource \(DisplayText.clean(metadata.resource, limit: 200)), not \(server); "
                            + "use the URL that it names if you trust it, or ask the operator to correct it")
                }
                return metadata
            } catch { problem = problem ?? error }
        }
        if let problem { throw problem }
        return nil
    }

    /// Whether the resource is the server, or contains it: the same origin, and a path that is a prefix by whole
    /// segments.
    static func covers(_ resource: String, _ server: ResourceIdentifier) -> Bool {
        if server.isSpelled(resource) { return true }
        guard let url = WebURL(resource), url.fragment == nil, url.query == nil, url.origin.utf8.elementsEqual(server.url.origin.utf8) else {
            return false
        }
        let segments = url.path.utf8.split(separator: UInt8(ascii: "/"))
        let path = server.url.path.utf8.split(separator: UInt8(ascii: "/"))
        return path.count >= segments.count && zip(segments, path).allSatisfy { $0.elementsEqual($1) }
    }

    /// A server of 2025-03-26: the authorization server has the origin of the MCP server.
    private func sameOrigin(_ server: ResourceIdentifier) async throws(OAuthError) -> DiscoveredServer {
        let origin = server.url.origin
        for text in try Issuer(origin).metadataURLs {
            guard let url = WebURL(text) else { continue }
            let reply = try await AuthorizationServerMetadata.document(at: url, with: fetcher)
            guard reply.response.status == .ok, let stated = (try? JSONValue(parsing: reply.body))?["issuer"]?.string else { continue }
            // No document has named the issuer before, so its origin has to do.
            guard let issuer = try? Issuer(stated), issuer.url.origin.utf8.elementsEqual(origin.utf8) else {
                throw OAuthError(
                    .invalidMetadata, "\(text) names the issuer \(DisplayText.clean(stated, limit: 200)), which has another origin than the server")
            }
            return DiscoveredServer(
                server: server, resource: server.text, resourceMetadata: nil,
                authorizationServer: try AuthorizationServerMetadata(parsing: reply.body, expected: issuer), revision: .sameOrigin)
        }
        let document: JSONObject = [
            "issuer": .string(origin), "authorization_endpoint": .string(origin + "/authorize"), "token_endpoint": .string(origin + "/token"),
            "registration_endpoint": .string(origin + "/register"), "response_types_supported": ["code"],
        ]
        let metadata = try AuthorizationServerMetadata(parsing: JSONValue.object(document).serialized, expected: try Issuer(origin))
        return DiscoveredServer(
            server: server, resource: server.text, resourceMetadata: nil, authorizationServer: metadata, revision: .defaultEndpoints)
    }
}

extension DiscoveredServer {
    /// An endpoint of the authorization server, which must be https, or http on this machine. Throws
    /// `invalid_metadata`.
    func endpoint(_ name: String, _ url: WebURL?) throws(OAuthError) -> WebURL {
        guard let url else { throw OAuthError(.invalidMetadata, "the metadata of \(issuer) has no \(name)") }
        guard url.isSecure || url.isLoopback else {
            throw OAuthError(.invalidMetadata, "\(name) of \(issuer) is not https: \(url.text.prefix(200))")
        }
        return url
    }

    /// Throws `invalid_metadata` unless the authorization server promises PKCE with S256 (MCP authorization,
    /// "Authorization Code Protection"). Servers without any metadata document promise nothing, and get S256 anyway.
    func checkCodeChallenge(_ configuration: ClientConfiguration) throws(OAuthError) {
        if revision == .defaultEndpoints || configuration.issuersWithUnadvertisedPKCE.contains(issuer) { return }
        guard authorizationServer.strings("code_challenge_methods_supported")?.contains("S256") == true else {
            throw OAuthError(
                .invalidMetadata,
                "the metadata of \(issuer) does not promise PKCE with S256 (code_challenge_methods_supported), so a code could be stolen; "
                    + "ask its operator, or name the issuer in issuersWithUnadvertisedPKCE if you know that it has it")
        }
    }
}
