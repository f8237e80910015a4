public import HTTPTypes
public import JOSE

/// The metadata of an authorization server (RFC 8414 §2, OpenID Connect Discovery §3, RFC 9207 §3), as a client or a resource server reads it.
public struct AuthorizationServerMetadata: Sendable {
    public let issuer: Issuer
    /// Nil, here and for every endpoint: the document does not name it, or names something that is not an http(s) URL.
    public let jwksURI: WebURL?
    public let introspectionEndpoint: WebURL?
    public let authorizationEndpoint: WebURL?
    public let tokenEndpoint: WebURL?
    public let registrationEndpoint: WebURL?
    /// The whole document.
    public let document: JSONDocument

    /// Throws `invalid_metadata` when the document is not a JSON object, or `issuer` is not byte for byte the issuer that was asked (RFC 8414 §3.3):
    /// otherwise one server could speak for another. A member that is `null` counts as absent.
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
        func endpoint(_ name: String) -> WebURL? { document.root[name]?.string.flatMap(WebURL.init) }
        self.issuer = expected
        self.document = document
        jwksURI = endpoint("jwks_uri")
        introspectionEndpoint = endpoint("introspection_endpoint")
        authorizationEndpoint = endpoint("authorization_endpoint")
        tokenEndpoint = endpoint("token_endpoint")
        registrationEndpoint = endpoint("registration_endpoint")
    }

    /// Finds and reads the metadata of an issuer, at the addresses of `Issuer.metadataURLs` in their order. A document that cannot be used is
    /// skipped.
    ///
    /// Throws, when no address has a usable one, `invalid_metadata` if some document was wrong, else `fetch_failed`. The message names each address
    /// and what was found there.
    public static func discover(_ issuer: Issuer, with fetcher: any HTTPFetcher) async throws(OAuthError) -> AuthorizationServerMetadata {
        var findings: [String] = []
        var isWrong = false
        for text in issuer.metadataURLs {
            guard let url = WebURL(text) else { continue }
            do throws(OAuthError) {
                let reply = try await document(at: url, with: fetcher)
                guard reply.response.status == .ok else {
                    findings.append("\(text) answers \(reply.response.status.code)")
                    continue
                }
                return try AuthorizationServerMetadata(parsing: reply.body, expected: issuer)
            } catch {
                if error.code == .invalidMetadata { isWrong = true }
                findings.append("\(text): \(error.message)")
            }
        }
        throw OAuthError(
            isWrong ? .invalidMetadata : .fetchFailed, "no usable metadata found for the issuer \(issuer): " + findings.joined(separator: "; "))
    }

    /// Follows one redirect within the same origin, such as one that adds a slash. Another origin could answer for this one, so nothing goes there.
    private static func document(at url: WebURL, with fetcher: any HTTPFetcher) async throws(OAuthError) -> HTTPReply {
        let reply = try await fetcher.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"]))
        guard [301, 302, 303, 307, 308].contains(reply.response.status.code), let location = reply.response.headerFields[.location] else {
            return reply
        }
        let target = WebURL(location.utf8.first == UInt8(ascii: "/") && !location.utf8.starts(with: "//".utf8) ? url.origin + location : location)
        guard let target, target.origin.utf8.elementsEqual(url.origin.utf8) else {
            throw OAuthError(.fetchFailed, "redirects to another origin, which is not followed")
        }
        return try await fetcher.fetch(OutboundRequest(.get, target, fields: [.accept: "application/json"]))
    }
}
