import OAuth

/// The redirect back to a client (RFC 6749 §4.1.2), always with `iss` (RFC 9207).
enum AuthorizationResponse {
    static func code(_ code: String, issuer: Issuer, redirectURI: String, state: String?) -> String {
        location(redirectURI, [("code", code), ("state", state), ("iss", issuer.text)])
    }

    static func error(_ error: OAuthError, issuer: Issuer, redirectURI: String, state: String?) -> String {
        location(
            redirectURI,
            [("error", error.code.rawValue), ("error_description", HTTPReply.printable(error.message)), ("state", state), ("iss", issuer.text)])
    }

    private static func location(_ redirectURI: String, _ parameters: [(String, String?)]) -> String {
        var form = Form()
        for (name, value) in parameters { form.append(name, value) }
        return redirectURI + (redirectURI.utf8.contains(UInt8(ascii: "?")) ? "&" : "?") + form.encoded
    }
}
