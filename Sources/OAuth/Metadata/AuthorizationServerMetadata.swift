import HTTPTypes
public import JOSE

/// The metadata of an authorization server (RFC 8414 §2, OpenID Connect Discovery §3, RFC 9207 §3), as somebody else's client reads it.
public struct AuthorizationServerMetadata: Sendable {
    public let issuer: Issuer
    public let jwksURI: WebURL?
    public let introspectionEndpoint: WebURL?
    public let authorizationEndpoint: WebURL?
    public let tokenEndpoint: WebURL?
    public let registrationEndpoint: WebURL?
    /// The whole document.
    public let document: JSONDocument

    /// Throws `invalid_metadata` when the document is not JSON, an endpoint is not an http(s) URL, or `issuer` is not byte for byte the issuer that was
    /// asked (RFC 8414 §3.3): otherwise one server could speak for another.
    public init(parsing bytes: [UInt8], expected: Issuer) throws(OAuthError) {
        let document: JSONDocument
        do throws(JOSEError) { document = try JSONDocument(parsing: bytes) } catch {
            throw OAuthError(.invalidMetadata, "the metadata of \(expected) is not JSON: \(error.message)")
        }
        guard let issuer = document.root["issuer"]?.string else { throw OAuthError(.invalidMetadata, "the metadata of \(expected) names no issuer") }
        guard issuer.utf8.elementsEqual(expected.text.utf8) else {
            throw OAuthError(
                .invalidMetadata,
                "the metadata found for the issuer \(expected) says that its issuer is \(issuer.prefix(200)); configure exactly that one, also its trailing slash"
            )
        }
        func endpoint(_ name: String) throws(OAuthError) -> WebURL? {
            guard let value = document.root[name] else { return nil }
            guard let text = value.string, let url = WebURL(text) else { throw OAuthError(.invalidMetadata, "\(name) of \(expected) is not a URL") }
            return url
        }
        self.issuer = expected
        self.document = document
        jwksURI = try endpoint("jwks_uri")
        introspectionEndpoint = try endpoint("introspection_endpoint")
        authorizationEndpoint = try endpoint("authorization_endpoint")
        tokenEndpoint = try endpoint("token_endpoint")
        registrationEndpoint = try endpoint("registration_endpoint")
    }

    /// Finds and reads the metadata of an issuer. Throws `fetch_failed` when no well-known document can be had, `invalid_metadata` when one is wrong.
    public static func discover(_ issuer: Issuer, with fetcher: any HTTPFetcher) async throws(OAuthError) -> AuthorizationServerMetadata {
        var lastError = OAuthError(.fetchFailed, "no metadata found for the issuer \(issuer)")
        for text in issuer.metadataURLs {
            guard let url = WebURL(text) else { continue }
            do throws(OAuthError) {
                let reply = try await fetcher.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"]))
                guard reply.response.status == .ok else {
                    lastError = OAuthError(.fetchFailed, "no metadata found for the issuer \(issuer): \(text) answers \(reply.response.status.code)")
                    continue
                }
                guard (try? JSONDocument(parsing: reply.body))?.root.isObject == true else {
                    // A site that answers everything with its front page has no metadata here, and may have it at the next address.
                    lastError = OAuthError(.invalidMetadata, "\(text) is not a JSON document")
                    continue
                }
                return try AuthorizationServerMetadata(parsing: reply.body, expected: issuer)
            } catch {
                if error.code == .invalidMetadata { throw error }
                lastError = error
            }
        }
        throw lastError
    }
}
