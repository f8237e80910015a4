import HTTPTypes
import OAuth

/// What the pages are made of beside their text.
extension AuthorizationServer {
    func styleReply(_ call: HTTPCall) -> HTTPReply {
        asset(call, "text/css; charset=utf-8", Array(StyleSheet.text(configuration.branding).utf8))
    }

    func logoReply(_ call: HTTPCall) -> HTTPReply {
        guard let logo = configuration.branding.logo else { return HTTPReply(.notFound) }
        // An SVG that is opened by itself runs no script either.
        return asset(call, logo.mediaType, logo.bytes, [.contentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; sandbox"])
    }

    private func asset(_ call: HTTPCall, _ mediaType: String, _ bytes: [UInt8], _ more: HTTPFields = [:]) -> HTTPReply {
        guard call.request.method == .get || call.request.method == .head else { return methodNotAllowed("GET, HEAD") }
        var fields = more
        fields[.contentType] = mediaType
        fields[.cacheControl] = "public, max-age=3600"
        fields[.xContentTypeOptions] = "nosniff"
        return HTTPReply(.ok, fields, body: call.request.method == .head ? [] : bytes)
    }
}
