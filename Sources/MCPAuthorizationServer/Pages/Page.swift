import HTTPTypes
import OAuth

/// The frame of every page, and its headers.
struct Page: Sendable {
    let title: String
    let siteName: String
    /// The path below which style sheet, icon and logo are served.
    let assets: String
    let isSecure: Bool
    let language: PageLanguage
    let logo: Branding.Logo?
    /// Whether search engines may list the page. Pages that need sign-in are not listed.
    var isListed = false

    /// A complete response.
    ///
    /// - Parameters:
    ///   - leadsAway: Whether a form of this page may lead to another site.
    ///   - isIsolated: Whether a page that opened this one in a window loses its reference to it. Not for pages of an
    ///     authorization: clients in web pages open them in a window of their own, and wait there for the response.
    func reply(
        _ status: HTTPResponse.Status = .ok, leadsAway: Bool = false, isIsolated: Bool = false, isWide: Bool = false,
        @HTMLBuilder _ content: () -> HTML
    )
        -> HTTPReply
    {
        let document = HTML.tag("html", ["lang": language.tag]) {
            HTML.tag("head") {
                HTML.void("meta", ["charset": "utf-8"])
                HTML.void("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"])
                HTML.void("meta", ["name": "color-scheme", "content": "light dark"])
                if !isListed { HTML.void("meta", ["name": "robots", "content": "noindex"]) }
                HTML.tag("title") { title == siteName ? title : "\(title) – \(siteName)" }
                HTML.void("link", ["rel": "icon", "type": "image/svg+xml", "href": assets + "/icon.svg"])
                HTML.void("link", ["rel": "stylesheet", "href": assets + "/style.css"])
            }
            HTML.tag("body") {
                HTML.tag("main", ["class": isWide ? "card wide" : "card"]) {
                    HTML.tag("p", ["class": "site"]) {
                        if let logo { HTML.void("img", ["class": "logo", "src": assets + "/logo", "alt": logo.description]) }
                        HTML.tag("span") { siteName }
                    }
                    content()
                }
            }
        }
        var reply = HTTPReply(status, [.contentType: "text/html; charset=utf-8", .contentLanguage: language.tag], body: document.document)
        PageHeaders.apply(to: &reply, isSecure: isSecure, leadsAway: leadsAway)
        if !isListed { reply.response.headerFields[.robotsTag] = "noindex" }
        if isIsolated { reply.response.headerFields[.crossOriginOpenerPolicy] = "same-origin" }
        return reply
    }

    /// A frame with the name and the logo of a service.
    init(
        _ title: String, siteName: String, assets: String, isSecure: Bool, language: PageLanguage, logo: Branding.Logo?, isListed: Bool = false
    ) {
        self.title = title
        self.siteName = siteName
        self.assets = assets
        self.isSecure = isSecure
        self.language = language
        self.logo = logo
        self.isListed = isListed
    }

    /// A field. An error is also marked for screen readers.
    func input(_ name: String, isFocused: Bool = false, isWrong: Bool = false, _ attributes: [(StaticString, String)] = []) -> HTML {
        var all: [(StaticString, String)] = [("id", name), ("name", name)] + attributes
        if isFocused { all.append(("autofocus", "")) }
        if isWrong { all += [("aria-invalid", "true"), ("aria-describedby", "problem")] }
        return .void("input", all)
    }

    func input(_ name: String, isFocused: Bool = false, isWrong: Bool = false, _ attributes: KeyValuePairs<StaticString, String>) -> HTML {
        input(name, isFocused: isFocused, isWrong: isWrong, attributes.map { ($0.key, $0.value) })
    }

    /// A labelled password field.
    func password(_ name: String, _ label: String, autocomplete: String, isFocused: Bool = false, isWrong: Bool = false) -> HTML {
        .joined([
            .tag("label", ["for": name]) { label },
            input(name, isFocused: isFocused, isWrong: isWrong, [("type", "password"), ("autocomplete", autocomplete), ("required", "")]),
        ])
    }

    func hidden(_ name: String, _ value: String) -> HTML { .void("input", ["type": "hidden", "name": name, "value": value]) }

    func problem(_ text: String?) -> HTML {
        guard let text else { return .empty }
        return .tag("p", ["class": "problem", "role": "alert", "id": "problem"]) { text }
    }

    /// A text with an emphasized value.
    func words(_ template: String, _ value: String) -> HTML {
        let (before, after) = template.around()
        return .joined([.text(before), .tag("strong") { value }, .text(after)])
    }
}

extension HTTPField.Name {
    static let robotsTag = HTTPField.Name("X-Robots-Tag")!
    static let crossOriginOpenerPolicy = HTTPField.Name("Cross-Origin-Opener-Policy")!
}

/// The headers of every response for browsers (R63, B-01, B-12).
enum PageHeaders {
    static func apply(to reply: inout HTTPReply, isSecure: Bool, leadsAway: Bool = false) {
        // Browsers apply form-action to every redirect after a form. The client's callback may redirect further,
        // perhaps to its app, which this server does not know.
        let forms = leadsAway ? "" : "form-action 'self'; "
        reply.response.headerFields[.contentSecurityPolicy] =
            "default-src 'none'; style-src 'self'; img-src 'self'; " + forms + "base-uri 'none'; frame-ancestors 'none'"
        for (name, value) in [
            ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"), ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
            // Not no-referrer: browsers would then send "Origin: null" with forms of these pages, which the server
            // checks.
            ("Referrer-Policy", "same-origin"), ("Cache-Control", "no-store"),
        ] { if let name = HTTPField.Name(name) { reply.response.headerFields[name] = value } }
        if isSecure { reply.response.headerFields[.strictTransportSecurity] = "max-age=31536000" }
    }

    /// A redirect that is not cached.
    static func redirect(to location: String, isSecure: Bool) -> HTTPReply {
        var reply = HTTPReply(.seeOther, [.location: location])
        apply(to: &reply, isSecure: isSecure)
        return reply
    }
}
