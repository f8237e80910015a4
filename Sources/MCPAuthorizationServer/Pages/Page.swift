import HTTPTypes
import OAuth

/// The frame around every page, and the headers that go with it.
struct Page: Sendable {
    let title: String
    let siteName: String
    let routes: Routes
    let language: PageLanguage
    let logo: Branding.Logo?

    /// A whole answer.
    ///
    /// - Parameters:
    ///   - leadsAway: a form of this page may end up at another site.
    ///   - isIsolated: no page that opened this one in a window keeps a hold of it. Not for pages on the way of an authorization: clients in web
    ///     pages open them in a window of their own, and wait there for the answer.
    func reply(_ status: HTTPResponse.Status = .ok, leadsAway: Bool = false, isIsolated: Bool = false, @HTMLBuilder _ content: () -> HTML)
        -> HTTPReply
    {
        let document = HTML.tag("html", ["lang": language.tag]) {
            HTML.tag("head") {
                HTML.void("meta", ["charset": "utf-8"])
                HTML.void("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"])
                HTML.void("meta", ["name": "color-scheme", "content": "light dark"])
                HTML.tag("title") { "\(title) – \(siteName)" }
                HTML.void("link", ["rel": "stylesheet", "href": routes.path("/assets/style.css")])
            }
            HTML.tag("body") {
                HTML.tag("main", ["class": "card"]) {
                    HTML.tag("p", ["class": "site"]) {
                        if let logo { HTML.void("img", ["class": "logo", "src": routes.path("/assets/logo"), "alt": logo.description]) }
                        siteName
                    }
                    content()
                }
            }
        }
        var reply = HTTPReply(status, [.contentType: "text/html; charset=utf-8", .contentLanguage: language.tag], body: document.document)
        PageHeaders.apply(to: &reply, isSecure: routes.issuer.url.isSecure, leadsAway: leadsAway, hasImages: logo != nil)
        if isIsolated { reply.response.headerFields[.crossOriginOpenerPolicy] = "same-origin" }
        return reply
    }

    func hidden(_ name: String, _ value: String) -> HTML { .void("input", ["type": "hidden", "name": name, "value": value]) }

    func problem(_ text: String?) -> HTML {
        guard let text else { return .empty }
        return .tag("p", ["class": "problem", "role": "alert", "id": "problem"]) { text }
    }

    /// Words around something that stands out.
    func words(_ template: String, _ value: String) -> HTML {
        let (before, after) = template.around()
        return .joined([.text(before), .tag("strong") { value }, .text(after)])
    }
}

extension HTTPField.Name {
    static let crossOriginOpenerPolicy = HTTPField.Name("Cross-Origin-Opener-Policy")!
}

/// Headers of everything that a browser shows (R63, B-01, B-12).
enum PageHeaders {
    static func apply(to reply: inout HTTPReply, isSecure: Bool, leadsAway: Bool = false, hasImages: Bool = false) {
        // Browsers hold every redirect after a form to form-action, and where a client's callback leads on to, its program perhaps, is not ours to
        // know.
        let forms = leadsAway ? "" : "form-action 'self'; "
        reply.response.headerFields[.contentSecurityPolicy] =
            "default-src 'none'; style-src 'self'; " + (hasImages ? "img-src 'self'; " : "")
            + forms + "base-uri 'none'; frame-ancestors 'none'"
        for (name, value) in [
            ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"), ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
            // Not no-referrer: browsers would then send "Origin: null" with our own forms, and we check it.
            ("Referrer-Policy", "same-origin"), ("Cache-Control", "no-store"),
        ] { if let name = HTTPField.Name(name) { reply.response.headerFields[name] = value } }
        if isSecure { reply.response.headerFields[.strictTransportSecurity] = "max-age=31536000" }
    }

    /// A redirect that nobody stores.
    static func redirect(to location: String, isSecure: Bool) -> HTTPReply {
        var reply = HTTPReply(.seeOther, [.location: location])
        apply(to: &reply, isSecure: isSecure)
        return reply
    }
}
