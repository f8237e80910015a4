public import JOSE

/// The location of an issuer's metadata, and the corrections that it needs.
///
/// The `issuer` of the document is compared with the expected one in every case, after the corrections.
public struct MetadataLocation: Sendable {
    enum Place: Sendable {
        case wellKnown
        case url(String)
        case document(JSONObject)
    }

    let place: Place
    let transform: (@Sendable (inout JSONObject) -> Void)?

    /// The well-known URLs of the issuer (RFC 8414 §3.1, OpenID Connect Discovery §4).
    public static let wellKnown = MetadataLocation(place: .wellKnown, transform: nil)

    /// The well-known URLs of the issuer, whose document is corrected before use.
    ///
    /// - Parameter transform: Corrects the document, for example `{ $0["jwks_uri"] = "https://keys.example.com" }`. It
    ///   runs at every fetch. What it writes is trusted as if the issuer had said it.
    public static func wellKnown(transform: @escaping @Sendable (inout JSONObject) -> Void) -> MetadataLocation {
        MetadataLocation(place: .wellKnown, transform: transform)
    }

    /// This URL and no other, for an issuer whose document is elsewhere.
    public static func url(_ url: String, transform: (@Sendable (inout JSONObject) -> Void)? = nil) -> MetadataLocation {
        MetadataLocation(place: .url(url), transform: transform)
    }

    /// A document that is written by hand, for an issuer that has none. Nothing is fetched. Its `issuer` is the
    /// expected one.
    public static func document(_ document: JSONObject) -> MetadataLocation { MetadataLocation(place: .document(document), transform: nil) }

    /// Throws `invalid_configuration` when the URL is not an absolute https URL, or http on loopback.
    public func check() throws(OAuthError) {
        guard case .url(let text) = place else { return }
        guard let url = WebURL(text), url.isSecure || url.isLoopback else {
            throw OAuthError(.invalidConfiguration, "the URL of the metadata is not an absolute https URL: \(text.prefix(200))")
        }
    }
}
