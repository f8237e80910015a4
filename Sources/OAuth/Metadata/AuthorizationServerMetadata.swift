import HTTPTypes
public import JOSE

/// The metadata of an authorization server (RFC 8414 §2, OpenID Connect Discovery §3, RFC 9207 §3), as a client or a
/// resource server reads it.
public struct AuthorizationServerMetadata: Sendable {
    /// The issuer, which was compared with the expected one.
    public let issuer: Issuer
    /// `jwks_uri`. Nil, as for every endpoint, when the document does not name it, or its value is not an http(s) URL.
    public let jwksURI: WebURL?
    /// `introspection_endpoint` (RFC 7662).
    public let introspectionEndpoint: WebURL?
    /// `authorization_endpoint` (RFC 6749 §3.1).
    public let authorizationEndpoint: WebURL?
    /// `token_endpoint` (RFC 6749 §3.2).
    public let tokenEndpoint: WebURL?
    /// `registration_endpoint` (RFC 7591 §3).
    public let registrationEndpoint: WebURL?
    /// `revocation_endpoint` (RFC 7009).
    public var revocationEndpoint: WebURL? { endpoint("revocation_endpoint") }
    /// `device_authorization_endpoint` (RFC 8628 §4).
    public var deviceAuthorizationEndpoint: WebURL? { endpoint("device_authorization_endpoint") }
    /// `pushed_authorization_request_endpoint` (RFC 9126 §5).
    public var pushedAuthorizationEndpoint: WebURL? { endpoint("pushed_authorization_request_endpoint") }

    private func endpoint(_ name: String) -> WebURL? { document.root[name]?.string.flatMap(WebURL.init) }

    /// A member that is a list of strings. Nil when it is absent or of another type.
    public func strings(_ name: String) -> [String]? { document.root[name]?.strings }

    /// Whether a member is `true`.
    public func isTrue(_ name: String) -> Bool { document.root[name]?.bool == true }

    /// The whole document, for members that have no property here.
    public let document: JSONDocument

    /// Parses a metadata document. Endpoints may be on any origin and may use http; the fetcher decides what it
    /// fetches.
    ///
    /// Throws `invalid_metadata` when the document is not a JSON object, or `issuer` is not byte for byte the expected
    /// issuer (RFC 8414 §3.3). Otherwise one server could claim to be another. A member that is `null` counts as
    /// absent.
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

    /// Fetches the metadata of an issuer. By default from the URLs of `Issuer.metadataURLs`, in order, and skips
    /// documents that cannot be used. A redirect is followed once, within the same origin.
    ///
    /// Throws when no URL has a usable document: `invalid_metadata` if a document was wrong, else `fetch_failed`. The
    /// message lists each URL and its result.
    public static func discover(
        _ issuer: Issuer, at location: MetadataLocation = .wellKnown, with fetcher: any HTTPFetcher
    ) async throws(OAuthError) -> AuthorizationServerMetadata {
        try location.check()
        var findings: [String] = []
        var messages: Set<String> = []
        var isWrong = false
        let urls: [String]
        switch location.place {
        case .wellKnown: urls = issuer.metadataURLs
        case .url(let url): urls = [url]
        case .document(var document):
            document["issuer"] = .string(issuer.text)
            return try AuthorizationServerMetadata(parsing: JSONValue.object(document).serialized, expected: issuer)
        }
        for text in urls {
            guard let url = WebURL(text) else { continue }
            do throws(OAuthError) {
                let reply = try await document(at: url, with: fetcher)
                guard reply.response.status == .ok else {
                    findings.append("\(text) answers \(reply.response.status.code)")
                    continue
                }
                return try AuthorizationServerMetadata(parsing: corrected(reply.body, location), expected: issuer)
            } catch {
                if error.code == .invalidMetadata { isWrong = true }
                findings.append("\(text): \(messages.insert(error.message).inserted ? error.message : "the same")")
            }
        }
        throw OAuthError(
            isWrong ? .invalidMetadata : .fetchFailed, "no usable metadata found for the issuer \(issuer): " + findings.joined(separator: "; "))
    }

    /// The document after the operator's corrections. A document that is no JSON object stays as it is.
    private static func corrected(_ bytes: [UInt8], _ location: MetadataLocation) -> [UInt8] {
        guard let transform = location.transform, var document = (try? JSONValue(parsing: bytes))?.object else { return bytes }
        transform(&document)
        return JSONValue.object(document).serialized
    }

    /// Follows one redirect within the same origin, such as one that adds a slash. It follows no redirect to another
    /// origin, which could answer for this one.
    package static func document(at url: WebURL, with fetcher: any HTTPFetcher) async throws(OAuthError) -> HTTPReply {
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
