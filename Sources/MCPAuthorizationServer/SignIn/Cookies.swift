import HTTPTypes
import JOSE
import OAuth

/// The cookies of the pages: the identity of the browser, the session, and whether a user signed in here before. None
/// grants access by itself.
struct Cookies: Sendable {
    enum Name: String {
        /// Binds a transaction to the browser that began it.
        case browser
        case session
        /// Proves that a user of a name signed in with this browser before, so that strangers who guess elsewhere
        /// cannot lock the user out.
        case known
    }

    private let isSecure: Bool
    private let path: String

    /// On https the names have the prefix `__Host-`, which no other host and no http page can set (RFC 6265bis §4.1.3).
    init(_ issuer: Issuer) {
        isSecure = issuer.url.isSecure
        path = issuer.trimmedPath.isEmpty || isSecure ? "/" : issuer.trimmedPath
    }

    private func fullName(_ name: Name) -> String { (isSecure ? "__Host-" : "") + "mcp-auth-" + name.rawValue }

    /// The value in a request. Nil when the cookie is missing, occurs with different values, or does not have the form
    /// of ours.
    func value(_ name: Name, in request: HTTPRequest) -> String? {
        let wanted = Array(fullName(name).utf8)
        var found: String?
        for field in request.headerFields[values: .cookie] {
            for part in field.utf8.split(separator: UInt8(ascii: ";")) {
                let pair = part.drop { $0 == 0x20 }
                guard let equals = pair.firstIndex(of: UInt8(ascii: "=")), pair[..<equals].elementsEqual(wanted) else { continue }
                let value = String(decoding: pair[pair.index(after: equals)...], as: UTF8.self)
                if let found, found != value { return nil }
                found = value
            }
        }
        guard let found, found.utf8.count == 43, (try? Base64URL.decode(found)) != nil else { return nil }
        return found
    }

    func set(_ name: Name, _ value: String, maximumAge: Int64) -> String {
        "\(fullName(name))=\(value); Path=\(path); Max-Age=\(maximumAge); HttpOnly; SameSite=Lax" + (isSecure ? "; Secure" : "")
    }

    func clear(_ name: Name) -> String { set(name, "", maximumAge: 0) }
}

/// The cookie that identifies a browser, and the header that sets it if it is new.
struct BrowserCookie: Sendable {
    let value: String
    let header: String?

    /// The longest lifetime of a cookie in browsers, in seconds.
    static let lifetime: Int64 = 400 * 86400

    func set(on reply: HTTPReply) -> HTTPReply {
        guard let header else { return reply }
        var reply = reply
        reply.response.headerFields.append(HTTPField(name: .setCookie, value: header))
        return reply
    }
}

extension HTTPField.Name {
    static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
}
