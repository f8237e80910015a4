public import HTTPTypes
public import JOSE
public import OAuth

/// The examination of a protected MCP server from outside: what is wrong, who will notice, and how to mend it.
///
/// It registers a client and deletes it again where the authorization server allows that. It guesses no passwords,
/// signs no user in, and sends no more than some fifty requests, unless load is asked for.
public struct DeploymentExamination: Sendable {
    /// A finding.
    public struct Finding: Sendable, Hashable {
        /// The weight of a finding, the worst first.
        public enum Severity: String, Sendable, Hashable, Comparable, CaseIterable {
            /// Anyone can get in, or a user can be attacked.
            case critical
            /// Clients cannot sign in or call.
            case error
            /// Some clients fail, or a protection is missing.
            case warning
            /// Worth knowing.
            case note

            public static func < (left: Severity, right: Severity) -> Bool {
                allCases.firstIndex(of: left) ?? 0 < allCases.firstIndex(of: right) ?? 0
            }
        }

        /// The stable code, such as `challenge_missing`.
        public let code: String
        /// The weight.
        public let severity: Severity
        /// What is wrong, in one sentence.
        public let problem: String
        /// What will fail, for whom.
        public let effect: String
        /// What to do.
        public let remedy: String
        /// The clause that demands it. Nil: none does.
        public let clause: String?
    }

    /// A point of the security list for MCP servers, and whether the deployment meets it.
    public struct Point: Sendable, Hashable {
        /// What was seen.
        public enum Verdict: String, Sendable, Hashable {
            /// It is met.
            case met
            /// It is not met.
            case notMet = "not_met"
            /// It cannot be seen from outside.
            case notVisible = "not_visible"
        }

        /// The stable code, such as `https`.
        public let code: String
        /// The point, in words.
        public let title: String
        /// What was seen.
        public let verdict: Verdict
    }

    /// A client whose habits the examination follows.
    public struct ClientProfile: Sendable, Hashable {
        /// The name, such as `cursor`.
        public let name: String
        /// The redirect URIs with which it registers.
        public let redirectURIs: [String]
        /// `application_type` of its registration.
        public let applicationType: String
        /// The grant types of its registration.
        public var grantTypes = ["authorization_code", "refresh_token"]
        /// Whether it runs in a web page, and so needs CORS.
        public var isWebPage = false

        /// A program on the user's machine.
        public static let native = ClientProfile(name: "native", redirectURIs: ["http://127.0.0.1:33418/callback"], applicationType: "native")
        /// Every profile that is known by name.
        public static let all: [ClientProfile] = [
            native,
            ClientProfile(name: "claude", redirectURIs: ["https://claude.ai/api/mcp/auth_callback"], applicationType: "web"),
            ClientProfile(name: "claude-code", redirectURIs: ["http://localhost:54545/callback"], applicationType: "native"),
            ClientProfile(name: "chatgpt", redirectURIs: ["https://chatgpt.com/connector_platform_oauth_redirect"], applicationType: "web"),
            ClientProfile(name: "cursor", redirectURIs: ["cursor://anysphere.cursor-mcp/oauth/callback"], applicationType: "web"),
            ClientProfile(
                name: "vscode", redirectURIs: ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"], applicationType: "native",
                grantTypes: ["authorization_code", "refresh_token", GrantType.deviceCode.rawValue]),
            ClientProfile(name: "windsurf", redirectURIs: ["windsurf://oauth/callback"], applicationType: "native"),
            ClientProfile(
                name: "inspector", redirectURIs: ["http://localhost:6274/oauth/callback"], applicationType: "web", isWebPage: true),
        ]

        init(name: String, redirectURIs: [String], applicationType: String, grantTypes: [String]? = nil, isWebPage: Bool = false) {
            self.name = name
            self.redirectURIs = redirectURIs
            self.applicationType = applicationType
            self.isWebPage = isWebPage
            if let grantTypes { self.grantTypes = grantTypes }
        }
    }

    /// The URL that was examined.
    public let server: ResourceIdentifier
    /// The client whose habits were followed.
    public let profile: ClientProfile
    /// The metadata of the server. Nil: there is none that can be used.
    public internal(set) var resourceMetadata: ProtectedResourceMetadata?
    /// The examination of the authorization server. Nil: none was found.
    public internal(set) var issuer: IssuerExamination?
    /// The findings, the worst first.
    public internal(set) var findings: [Finding] = []
    /// What was looked at, in words, in order.
    public internal(set) var steps: [String] = []

    let fetcher: any HTTPFetcher
    let clock: Clock
    var challenge: AuthenticationChallenge?
    var isProtected = false

    init(_ server: ResourceIdentifier, profile: ClientProfile, fetcher: any HTTPFetcher, clock: Clock) {
        self.server = server
        self.profile = profile
        self.fetcher = fetcher
        self.clock = clock
    }

    /// Whether nothing worse than a warning was found.
    public var isUsable: Bool { !findings.contains { $0.severity < .warning } }

    /// Examines a server.
    ///
    /// - Parameters:
    ///   - credentials: Valid tokens of a user, to look from inside too. Nil: only from outside.
    ///   - session: A session to sign a user in with, unless it has signed in, and to look at renewal, sessions and
    ///     revocation too. Its tokens are revoked, and its registration is deleted. Use a store of its own.
    ///   - registers: Whether a client may be registered and deleted again.
    ///   - loads: Whether the endpoints are asked more often than any client would, to see their limits. Only with the
    ///     consent of the operator.
    public static func examine(
        _ server: ResourceIdentifier, as profile: ClientProfile = .native, credentials: Credentials? = nil,
        spending session: AuthorizedSession? = nil,
        registers: Bool = true, loads: Bool = false, with fetcher: any HTTPFetcher, clock: Clock = .system
    ) async -> DeploymentExamination {
        var examination = DeploymentExamination(server, profile: profile, fetcher: fetcher, clock: clock)
        guard await examination.checkChallenge() else {
            examination.sort()
            return examination
        }
        await examination.checkBadTokens()
        await examination.checkBrowsers()
        await examination.checkResourceMetadata()
        await examination.checkIssuer()
        await examination.checkForgedTokens()
        if registers { await examination.checkRegistration() }
        await examination.checkTokenEndpoint()
        if let session, let fresh = await examination.checkSignIn(session) {
            await examination.checkInside(fresh, isFresh: true)
            await examination.checkGrant(session)
        } else if let credentials {
            await examination.checkInside(credentials, isFresh: false)
        }
        if loads { await examination.checkLoad(registers: registers) }
        examination.sort()
        return examination
    }

    private mutating func sort() {
        var seen: Set<String> = []
        findings = findings.filter { seen.insert($0.code).inserted }.enumerated().sorted {
            ($0.element.severity, $0.offset) < ($1.element.severity, $1.offset)
        }.map(\.element)
    }

    /// The security list that guides for MCP servers have in common. Empty when the server did not answer.
    public var checklist: [Point] {
        func has(_ codes: String...) -> Bool { findings.contains { codes.contains($0.code) } }
        func point(_ code: String, _ title: String, _ isMet: Bool?) -> Point {
            Point(code: code, title: title, verdict: isMet.map { $0 ? .met : .notMet } ?? .notVisible)
        }
        guard steps.count > 1 else { return [] }
        // An answer that is neither a challenge nor a result says nothing of tokens.
        let isOpen = has("not_protected")
        // Without an authorization server that can be used, its part was not seen, and no forged token could be made.
        let usable = issuer.flatMap { $0.metadata == nil ? nil : $0 }
        let acceptsForgeries = has("any_token_accepted", "unsigned_token_accepted", "forged_token_accepted", "confused_key_accepted")
        return [
            point("https", "Everything is https, or on this machine", !has("not_https", "issuer_endpoint_not_https", "resource_metadata_not_https")),
            point(
                "protected", "Every request needs a token", isOpen ? false : isProtected ? !has("any_token_accepted", "session_replaces_token") : nil),
            point(
                "validation", "Tokens are validated: signature, issuer, audience, expiration",
                acceptsForgeries || isOpen ? false : isProtected && usable != nil ? true : nil),
            point(
                "asymmetric", "Tokens are verified with public keys, not with a shared secret",
                has("tokens_are_opaque")
                    ? nil : usable.map { $0.keyCount != nil && !has("secret_key_published", "private_key_published", "confused_key_accepted") }),
            point(
                "pkce", "Sign-in needs PKCE with S256",
                usable.map { _ in !has("pkce_not_enforced", "pkce_not_supported", "s256_code_challenge_method_not_supported") }),
            point("redirects", "Answers go to registered addresses only", has("open_redirect") ? false : usable == nil ? nil : true),
            point("scopes", "Scopes are granular", resourceMetadata.map { ($0.scopesSupported?.count ?? 0) > 1 }),
            // An open server has refused nothing.
            point("errors", "Errors leak nothing", has("error_leaks") ? false : isOpen ? nil : true),
            point("pages", "Pages cannot be framed or cached", usable == nil ? nil : !has("page_can_be_framed", "page_can_be_cached")),
            point("isolation", "The data of users is apart", nil),
            point("audit", "Every decision is in an audit log", nil),
        ]
    }

    // MARK: Tools

    mutating func add(
        _ severity: Finding.Severity, _ code: String, _ problem: String, effect: String, remedy: String, clause: String? = nil
    ) {
        findings.append(Finding(code: code, severity: severity, problem: problem, effect: effect, remedy: remedy, clause: clause))
    }

    func fetch(_ request: OutboundRequest) async -> HTTPReply? { try? await fetcher.fetch(request) }

    /// A harmless request to the server.
    func ping(_ fields: HTTPFields = [:]) -> OutboundRequest {
        var fields = fields
        fields[.contentType] = "application/json"
        fields[.accept] = "application/json, text/event-stream"
        return OutboundRequest(
            .post, server.url, fields: fields, body: Array(#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.utf8), maximumBytes: 1 << 20)
    }

    func ping(token: String) -> OutboundRequest { ping([.authorization: "Bearer \(token)"]) }

    /// Whether a reply to a request with a bad token means that the token was accepted. A request that passes may still
    /// be refused as a message.
    static func isAccepted(_ reply: HTTPReply) -> Bool { ![401, 403, 429].contains(reply.response.status.code) && reply.response.status.code < 500 }

    /// What a stack trace or a database says.
    static func leaks(_ body: [UInt8]) -> Bool {
        let text = String(decoding: body.prefix(64 << 10), as: UTF8.self)
        return [
            "Traceback (most recent call last)", "Exception in thread", "\n    at ", "Stack trace", "SQLSTATE", "sqlite3.", "psycopg", "Fatal error:",
            "node_modules/", "site-packages/",
        ].contains(where: text.contains)
    }
}
