package import HTTPTypes
import JOSE
public import OAuth

/// The page that a browser shows at the address of an MCP server: the purpose of the server, instructions for each
/// client, and a link to sign in.
///
/// Programs receive what they received before: only a request that accepts `text/html` and has no token receives a
/// page.
public struct FrontPage: Sendable {
    /// The title. Nil: the name of the authorization server, otherwise the host.
    public var name: String?
    /// One or two sentences about the server. Shown as text, not as HTML.
    public var description: String?
    /// Logo and colours. Nil: those of the authorization server.
    public var branding: Branding?
    /// The languages of the page. Nil: those of the authorization server. Empty, or without an authorization server:
    /// English and German.
    public var languages: [PageLanguage]?

    /// A front page. Nil values come from the authorization server. The branding is checked when the server starts.
    public init(name: String? = nil, description: String? = nil, branding: Branding? = nil, languages: [PageLanguage]? = nil) {
        self.name = name
        self.description = description
        self.branding = branding
        self.languages = languages
    }

    /// The name, logo, colours and languages of the authorization server.
    public static let standard = FrontPage()
}

/// The pages of an MCP server for people: the front page, and the page for unknown paths.
package struct ServerPages: Sendable {
    private let page: FrontPage
    private let serverName: String
    private let resource: ResourceIdentifier
    private let siteName: String
    private let branding: Branding
    private let languages: [PageLanguage]
    private let accountPath: String?
    private let assetsPath: String
    private let servesAssets: Bool

    /// - Parameters:
    ///   - serverName: The name that clients show, such as `tasks`.
    ///   - authorizationServer: The server whose look and account page are used, if it runs on the same origin.
    package init(_ page: FrontPage, serverName: String, resource: ResourceIdentifier, authorizationServer: AuthorizationServer?) throws(OAuthError) {
        let configuration = authorizationServer?.configuration
        try page.branding?.check()
        self.page = page
        self.serverName = serverName
        self.resource = resource
        branding = page.branding ?? configuration?.branding ?? Branding()
        languages =
            (page.languages ?? configuration?.languages ?? []).isEmpty ? [.english, .german] : page.languages ?? configuration?.languages ?? []
        siteName = page.name ?? authorizationServer?.siteName ?? resource.url.hostForURL
        accountPath = authorizationServer?.accountPath
        let served = authorizationServer?.assetsPath
        servesAssets = served == nil || page.branding != nil
        assetsPath = servesAssets ? "/front" : served ?? "/front"
    }

    /// Whether a browser sent the request: a GET or HEAD without a token that accepts `text/html`, but not
    /// `text/event-stream` as MCP clients do.
    package static func isForPerson(_ request: HTTPRequest) -> Bool {
        guard request.method == .get || request.method == .head, !request.headerFields.contains(.authorization) else { return false }
        let accepted = request.headerFields[values: .accept].joined(separator: ",").lowercased()
        return accepted.contains("text/html") && !accepted.contains("text/event-stream")
    }

    /// Style sheet, icon, logo and `robots.txt`, for every request. Nil for other paths.
    package func asset(_ request: HTTPRequest) -> HTTPReply? {
        let assets = PageAssets(branding, siteName)
        switch URLBytes.path(of: request.path ?? "") {
        case "/favicon.ico", "/favicon.svg": return assets.icon(request)
        case "/robots.txt":
            let text = "User-agent: *\nAllow: /$\nDisallow: /\n"
            return HTTPReply(.ok, [.contentType: "text/plain; charset=utf-8", .cacheControl: "public, max-age=3600"], body: Array(text.utf8))
        case assetsPath + "/style.css" where servesAssets: return assets.style(request)
        case assetsPath + "/icon.svg" where servesAssets: return assets.icon(request)
        case assetsPath + "/logo" where servesAssets: return assets.logo(request)
        default: return nil
        }
    }

    /// The front page.
    package func front(_ request: HTTPRequest) -> HTTPReply {
        let language = PageLanguage.choose(from: languages, [], request)
        let words = language.words
        let guides = ClientGuide.all(name: serverName, url: resource.text)
        let reply = frame(siteName, language, isListed: true).reply(isWide: true) {
            HTML.tag("h1") { words.frontTitle.with(siteName) }
            if let description = page.description { HTML.tag("p") { description } }
            HTML.tag("p") { words.frontExplanation }
            HTML.tag("pre", ["class": "copy"]) { HTML.tag("code") { resource.text } }
            if resource.url.isLoopback { HTML.tag("p", ["class": "note"]) { words.frontLoopback } }
            if let accountPath {
                HTML.tag("p") { HTML.tag("a", ["class": "button", "href": accountPath]) { words.frontAccount } }
            }
            HTML.tag("h2") { words.frontConnect }
            for guide in guides where !(resource.url.isLoopback && guide.needsPublicAddress) { section(guide, words) }
        }
        return head(reply, request)
    }

    /// What a program receives at the root: there is nothing, and a line says where the endpoint is.
    package var hint: HTTPReply {
        let text = "This is an MCP server. Its endpoint is \(resource). Open this address in a browser to see how to connect a client.\n"
        return HTTPReply(.notFound, [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"], body: Array(text.utf8))
    }

    /// The page for an unknown path.
    package func notFound(_ request: HTTPRequest) -> HTTPReply {
        let language = PageLanguage.choose(from: languages, [], request)
        let reply = frame(language.words.pageNotFound, language).reply(.notFound) {
            HTML.tag("h1") { language.words.pageNotFound }
            HTML.tag("p") { language.words.pageNotFoundNote }
            HTML.tag("p") { HTML.tag("a", ["class": "button", "href": "/"]) { language.words.toFrontPage } }
        }
        return head(reply, request)
    }

    private func frame(_ title: String, _ language: PageLanguage, isListed: Bool = false) -> Page {
        Page(
            title, siteName: siteName, assets: assetsPath, isSecure: resource.url.isSecure, language: language, logo: branding.logo,
            isListed: isListed)
    }

    private func section(_ guide: ClientGuide, _ words: PageWords) -> HTML {
        .tag("details") {
            HTML.tag("summary") { guide.client ?? words.frontOther }
            for (index, step) in guide.steps.enumerated() {
                switch step {
                case .link(let url): HTML.tag("p") { HTML.tag("a", ["class": "button", "href": url]) { words.frontAddTo.with(guide.client ?? "") } }
                case .menu(let path): HTML.tag("p") { words.frontMenu.with(path) }
                case .command(let text):
                    HTML.tag("p") { index > 0 && guide.steps[index - 1].isCommand ? words.frontNextCommand : words.frontCommand }
                    HTML.tag("pre", ["class": "copy"]) { HTML.tag("code") { text } }
                case .file(let name, let text):
                    HTML.tag("p") { words.frontFile.with(name) }
                    HTML.tag("pre", ["class": "copy"]) { HTML.tag("code") { text } }
                }
            }
        }
    }

    private func head(_ reply: HTTPReply, _ request: HTTPRequest) -> HTTPReply {
        guard request.method == .head else { return reply }
        var reply = reply
        reply.response.headerFields[.contentLength] = "\(reply.body.count)"
        reply.body = []
        return reply
    }
}
