import HTTPTypes
import OAuth

/// The paths of the server, below the path of its issuer.
struct Routes: Sendable {
    enum Route: Sendable {
        case metadata, keys, authorize, signIn, consent, signOut, account, disconnect, style, token, revoke, introspect, register

        /// The same for everybody, and harmless to read from anywhere.
        var isPublicDocument: Bool {
            switch self {
            case .metadata, .keys: true
            default: false
            }
        }

        /// Called by programs, which may run in web pages; no cookie counts there.
        var allowsAnyOrigin: Bool {
            switch self {
            case .token, .revoke, .register, .introspect: true
            default: false
            }
        }
    }

    private let routes: [String: Route]
    let issuer: Issuer

    init(_ issuer: Issuer) {
        self.issuer = issuer
        let base = issuer.trimmedPath
        var routes: [String: Route] = [:]
        for (path, route) in [
            ("/jwks", Route.keys), ("/authorize", .authorize), ("/sign-in", .signIn), ("/consent", .consent), ("/sign-out", .signOut),
            ("/account", .account),
            ("/account/disconnect", .disconnect), ("/assets/style.css", .style), ("/token", .token), ("/revoke", .revoke),
            ("/introspect", .introspect),
            ("/register", .register),
        ] { routes[base + path] = route }
        for url in issuer.metadataURLs { if let path = WebURL(url)?.path { routes[path] = .metadata } }
        self.routes = routes
    }

    /// By exact path: no other spelling of a path is a path of ours.
    func route(for path: String) -> Route? { routes[path] }

    /// The path of an endpoint, for links and forms on our own pages.
    func path(_ path: String) -> String { issuer.trimmedPath + path }

    /// The URL of an endpoint, from the configuration and never from a request.
    func url(_ path: String) -> String { issuer.url.origin + issuer.trimmedPath + path }
}

/// CORS for endpoints that programs call (RFC 9700 §2.6): anybody may, but without credentials.
enum CrossOrigin {
    static func preflight() -> HTTPReply {
        HTTPReply(
            .noContent,
            [
                .accessControlAllowOrigin: "*", .accessControlAllowMethods: "POST, OPTIONS",
                .accessControlAllowHeaders: "authorization, content-type, mcp-protocol-version", .accessControlMaxAge: "600",
            ])
    }

    static func open(_ reply: HTTPReply) -> HTTPReply {
        reply.with(.accessControlAllowOrigin, "*").with(.accessControlExposeHeaders, "WWW-Authenticate, Retry-After")
    }
}
