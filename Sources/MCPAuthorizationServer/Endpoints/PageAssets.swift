import HTTPTypes
import OAuth

extension AuthorizationServerConfiguration {
    func siteName(_ issuer: Issuer) -> String { name.flatMap { $0.isEmpty ? nil : $0 } ?? issuer.url.hostForURL }
}

/// Style sheet, logo and icon. They are the same for every client, and cached for an hour.
struct PageAssets: Sendable {
    private let branding: Branding
    private let name: String

    init(_ branding: Branding, _ name: String) {
        self.branding = branding
        self.name = name
    }

    func style(_ request: HTTPRequest) -> HTTPReply { asset(request, "text/css; charset=utf-8", Array(StyleSheet.text(branding).utf8)) }

    func logo(_ request: HTTPRequest) -> HTTPReply {
        guard let logo = branding.logo else { return HTTPReply(.notFound) }
        return asset(request, logo.mediaType, logo.bytes, Self.still)
    }

    /// The icon of browser tabs: the first letter of the name on the accent colour.
    func icon(_ request: HTTPRequest) -> HTTPReply {
        let colour = branding.accent.flatMap { Colour($0.light) } ?? StyleSheet.accent
        let letter = name.unicodeScalars.first { $0.properties.isAlphabetic || $0.properties.numericType != nil }
        let text = letter.map { HTML.text(String($0).uppercased()).source } ?? "?"
        let svg = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" fill="\(colour.text)"/>\
            <text x="32" y="45" font-family="system-ui, sans-serif" font-size="38" font-weight="600" text-anchor="middle" \
            fill="\(colour.textColour)">\(text)</text></svg>
            """
        return asset(request, "image/svg+xml", Array(svg.utf8), Self.still)
    }

    /// An SVG that is opened by itself runs no script.
    private static let still: HTTPFields = [.contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; sandbox"]

    private func asset(_ request: HTTPRequest, _ mediaType: String, _ bytes: [UInt8], _ more: HTTPFields = [:]) -> HTTPReply {
        guard request.method == .get || request.method == .head else {
            return HTTPReply.error(OAuthError(.invalidRequest, "use GET, HEAD here"), status: .methodNotAllowed).with(.allow, "GET, HEAD")
        }
        var fields = more
        fields[.contentType] = mediaType
        fields[.cacheControl] = "public, max-age=3600"
        fields[.xContentTypeOptions] = "nosniff"
        return HTTPReply(.ok, fields, body: request.method == .head ? [] : bytes)
    }
}
