import JOSE
import OAuth
import Testing

@Suite("Redirect URIs")
struct RedirectURITests {
    @Test(
        "Z-07, D-03, R57: what cannot be registered",
        arguments: [
            "javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://x/y", "about:blank", "JaVaScRiPt:alert(1)",
            " javascript:x", "java\tscript:x",
            "%6aavascript:x", "view-source:https://x", "intent://x", "http://example.com/cb", "https://u@c.lab/cb", "https://c.lab/cb#f",
            "https://c.lab/*", "https://*.lab/cb", "/cb",
            "", "https://10.0.0.1/cb", "https://169.254.169.254/", "http://0.0.0.0/cb", "http://127.0.0.1.evil.lab/cb", "com.example.app:",
            "https:evil", "//evil.lab/cb", "http://localhost.evil.lab/cb",
        ])
    func refused(_ text: String) { #expect(throws: OAuthError.self) { try RedirectURI(text) } }

    @Test(
        "Z-02, R58: near misses of a registered web URI",
        arguments: [
            "https://c.lab/cb/", "https://c.lab/cb/x", "https://c.lab/cb/../x", "https://c.lab/cb?x", "https://c.lab/cb#f", "https://c.lab/CB",
            "https://c.lab/%63b", "https://c.lab//cb", "https://c.lab:443/cb",
            "https://c.lab./cb", "https://C.LAB/cb", "HTTPS://c.lab/cb", "https://c.lab@evil.lab/cb", #"https://evil.lab\@c.lab/cb"#,
            "https://c.lab:80%25@evil.lab/cb", "https://c.lab%00.evil.lab/cb",
            " https://c.lab/cb", "https://c.lab/cb ", "https://c.lab/cb\t", "https://c.lab/cb\n", "https://c.lab/cb..;/", "https://c．lab/cb",
            "https://c.lab:8443/cb", "http://c.lab/cb",
        ])
    func nearMisses(_ requested: String) throws { #expect(try !RedirectURI("https://c.lab/cb").matches(requested)) }

    @Test(
        "Z-04, R139: loopback URIs: any port, nothing else",
        arguments: [
            ("http://127.0.0.1:1234/cb", true), ("http://127.0.0.1/cb", true), ("http://localhost:1234/cb", false), ("http://[::1]:1234/cb", false),
            ("http://127.0.0.2:1/cb", false),
            ("http://127.1:1/cb", false), ("http://0.0.0.0:1/cb", false), ("http://[::ffff:127.0.0.1]:1/cb", false),
            ("http://[::1%25lo]:1/cb", false), ("http://127.0.0.1.evil.lab/cb", false),
            ("http://127.0.0.1:1@evil.lab/cb", false), ("http://127.0.0.1:1/other", false), ("https://127.0.0.1:1/cb", false),
            ("http://127.0.0.1:0/cb", false), ("http://127.0.0.1:65536/cb", false),
            ("http://127.0.0.1:+80/cb", false), ("http://127.0.0.1:080/cb", false), ("http://127.0.0.1:/cb", false),
            ("http://127.0.0.1:1/cb?x", false), ("HTTP://127.0.0.1:1/cb", false),
            ("http://127.0.0.1:1/cb#", false),
        ])
    func loopback(_ requested: String, _ matches: Bool) throws { #expect(try RedirectURI("http://127.0.0.1:9/cb").matches(requested) == matches) }

    @Test("Z-03, W-01: no Unicode in redirect URIs")
    func unicode() { #expect(throws: OAuthError.self) { try RedirectURI("https://c.lab/caf\u{E9}") } }

    @Test(
        "57: private-use schemes of apps in wide use are taken, with and without a dot",
        arguments: [
            "cursor://anysphere.cursor-mcp/oauth/callback", "claude://claude.ai/settings/connectors", "windsurf://codeium.windsurf/oauth",
            "vscode://publisher.ext/cb", "raycast://oauth?package_name=Extension", "com.raycast:/oauth?package_name=Extension", "goose://oauth",
            "zed://oauth", "com.example.app:callback", "com.example.app:/callback", "x-editor+beta://cb/1", "ab:/c",
        ])
    func privateUse(_ text: String) throws {
        let uri = try RedirectURI(text)
        #expect(uri.kind == .privateUse && uri.text == text && uri.matches(text) && !uri.matches(text + "/"))
        #expect(text.hasPrefix(uri.displayHost) && uri.displayHost.hasPrefix(uri.scheme + ":"))
    }

    static let reservedSchemes = [
        "javascript", "data", "file", "blob", "about", "vbscript", "view-source", "filesystem", "intent", "ws", "wss", "mailto", "tel", "sms", "ssh",
        "ftp", "smb", "ms-settings", "ms-appinstaller", "shell", "search-ms", "x-apple.systempreferences", "itms-services", "itms-apps", "chrome",
        "microsoft-edge", "urn", "JavaScript", "FILE", "Ms-Word", "x-man-page", "facetime", "chrome-extension",
        "googlechromes", "x-safari-https", "microsoft-edge-https", "opera-http", "touch-https", "firefox", "jnlps", "web+evil", "ext+evil", "matrix",
    ]

    @Test("B-10, A-07: a scheme that a browser, a shell or a system handles itself is refused in every form", arguments: reservedSchemes)
    func reserved(_ scheme: String) {
        for text in ["\(scheme)://x/y", "\(scheme):/x", "\(scheme):x", "\(scheme):alert(1)"] {
            #expect(throws: OAuthError.self) { try RedirectURI(text) }
        }
    }

    @Test(
        "what names no host and no path, holds user information, or has no scheme is refused",
        arguments: [
            "cursor:", "cursor://", "cursor:///", "cursor:/", "cursor:callback", "cursor://?x=1", "cursor://a@b/c", "com.example.app:", "//x/y", "x",
            "1a://b", "a..b:/c", ".a:/c", "cur sor://x", "cursor://x#y", "cursor://*/x", "cursor://x/%zz", "a://b", "http://example.com/cb",
            "http:example", "https:/x",
        ])
    func malformed(_ text: String) { #expect(throws: OAuthError.self) { try RedirectURI(text) } }

    @Test(
        "parameters of an authorization response are refused in the query, however they are encoded",
        arguments: RedirectURI.responseParameters.sorted())
    func responses(_ name: String) throws {
        let encoded = "%" + String(name.utf8.first!, radix: 16) + name.dropFirst()
        for base in ["https://c.example/cb", "http://127.0.0.1/cb", "cursor://app/cb"] {
            for query in ["\(name)=x", "a=b&\(name)", "\(encoded)=x", "\(name)="] {
                #expect(throws: OAuthError.self, "\(base)?\(query)") { try RedirectURI("\(base)?\(query)") }
            }
            #expect(try RedirectURI("\(base)?x\(name)=1&my_\(name)=2").matches("\(base)?x\(name)=1&my_\(name)=2"))
        }
    }

    @Test("139: a loopback URI and the same with a slash are one, on any port, and nothing else is")
    func slash() throws {
        for (registered, requested) in [
            ("http://127.0.0.1/", "http://127.0.0.1:5000"), ("http://127.0.0.1", "http://127.0.0.1:5000/"),
            ("http://localhost:3000/", "http://localhost:1"),
        ] { #expect(try RedirectURI(registered).matches(requested)) }
        #expect(try !RedirectURI("http://127.0.0.1/cb").matches("http://127.0.0.1:5000/cb/"))
        #expect(try !RedirectURI("http://127.0.0.1/").matches("http://localhost:5000/"))
        #expect(try !RedirectURI("https://c.example/").matches("https://c.example"), "a web site's callback is compared byte for byte")
        #expect(RedirectURI.areSame("http://127.0.0.1:5/", "http://127.0.0.1:5") && !RedirectURI.areSame("http://127.0.0.1:5/", "http://127.0.0.1:6"))
        #expect(!RedirectURI.areSame("https://c.example/", "https://c.example"))
    }

    @Test("an operator chooses which private-use schemes there are")
    func policy() throws {
        let (cursor, web) = (try RedirectURI("Cursor://app/cb"), try RedirectURI("https://c.example/cb"))
        for policy in [PrivateUseSchemes.any, .only(["cursor"]), .only(["CURSOR", "x"])] { #expect(policy.allows(cursor)) }
        for policy in [PrivateUseSchemes.none, .only([]), .only(["cursor:"]), .only(["curso"])] {
            #expect(!policy.allows(cursor) && policy.allows(web))
        }
    }
}

@Suite("Spellings of a resource")
struct ResourceSpellingTests {
    @Test(
        "what URL libraries write names the same resource",
        arguments: [
            "https://rs.example/mcp", "HTTPS://rs.example/mcp", "https://RS.Example/mcp", "https://rs.example:443/mcp", "https://rs.example/mcp/",
            "hTTps://Rs.ExamplE:443/mcp/",
        ])
    func same(_ text: String) throws { #expect(try ResourceIdentifier("https://rs.example/mcp").isSpelled(text)) }

    @Test(
        "and nothing else does",
        arguments: [
            "http://rs.example/mcp", "https://rs.example:444/mcp", "https://rs.example/MCP", "https://rs.example/mcp//", "https://rs.example/mcp?",
            "https://rs.example/mcp?x", "https://rs.example/mcp#x", "https://rs.example/%6Dcp", "https://rs.example", "https://rs.example./mcp",
            "https://u@rs.example/mcp", "rs.example/mcp", "",
        ])
    func other(_ text: String) throws { #expect(try !ResourceIdentifier("https://rs.example/mcp").isSpelled(text)) }

    @Test("a query is part of the name")
    func query() throws {
        let resource = try ResourceIdentifier("https://rs.example/mcp?tenant=1")
        #expect(resource.isSpelled("https://RS.example/mcp/?tenant=1") && !resource.isSpelled("https://rs.example/mcp?tenant=2"))
        #expect(try ResourceIdentifier("https://rs.example").isSpelled("https://rs.example/"))
    }
}

@Suite("Scopes in requests")
struct RequestedScopeTextTests {
    @Test("spaces at the ends and doubled ones count for nothing; what is no scope token is an error")
    func spaces() {
        #expect(ScopeSet(request: "  a  b a ")?.text == "a b")
        #expect(ScopeSet(request: "")?.isEmpty == true && ScopeSet(request: "   ")?.isEmpty == true)
        for text in ["a\tb", "a\"b", "a\\b", "ä", "a\nb"] { #expect(ScopeSet(request: text) == nil, "\(text)") }
        #expect(ScopeSet(request: (0...ScopeSet.maximumCount).map { "s\($0)" }.joined(separator: " ")) == nil)
    }
}
