import Crypto
import Foundation
import HTTPTypes
import JOSE
import MCPAuthTesting
import OAuth
import Synchronization
import Testing

@testable import MCPAuthorizationServer

/// What people change about their own account, without an operator.
@Suite("The own account")
struct OwnAccountTests {
    let harness: Harness
    init() async throws { harness = try await Harness() }

    func signedIn(_ user: String = "ada") async throws -> Browser {
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        try await browser.signIn(user)
        return browser
    }

    /// Somebody who has one-time codes, and the secret and recovery codes of them.
    func enrolled(_ browser: Browser) async throws -> (secret: [UInt8], recovery: [String]) {
        try await browser.go(.get, "/account/one-time-codes")
        let text = try #require(browser.page.firstMatch(of: /<code>([A-Z2-7]{32})<\/code>/)).1
        let secret = Self.base32(String(text))
        let code = OneTimePasswords.code(secret, step: harness.time.now.seconds / 30)
        try await browser.submit("/account/one-time-codes", [("code", code), ("password", "correct horse")])
        return (secret, browser.page.matches(of: /[a-z2-7]{4}(-[a-z2-7]{4}){3}/).map { String($0.0) })
    }

    static func base32(_ text: String) -> [UInt8] {
        var (bytes, buffer, bits) = ([UInt8](), 0, 0)
        for letter in text.utf8 {
            buffer = buffer << 5 | (Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8).firstIndex(of: letter) ?? 0)
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(buffer >> bits & 255))
                buffer &= (1 << bits) - 1
            }
        }
        return bytes
    }

    // MARK: Password

    @Test("a new password asks for the old one, signs other browsers out, and leaves connected applications")
    func password() async throws {
        let client = try await harness.registered()
        let tokens = try await harness.tokens(client)
        let (browser, other) = (try await signedIn(), try await signedIn())
        let cookie = browser.cookies["__Host-mcp-auth-session"]
        try await browser.go(.get, "/account/password")
        let form = [("new_password", "battery of staples"), ("repeated", "battery of staples")]
        #expect(try await browser.submit("/account/password", [("password", "wrong horse")] + form).status == 401)
        #expect(browser.page.contains("The current password is wrong"))
        #expect(
            try await browser.submit("/account/password", [("password", "correct horse"), ("new_password", "a"), ("repeated", "b")]).text
                .contains("not the same"))
        for (bad, said) in [("short", "at least 8"), ("password1", "attackers try first"), ("PASSWORD1", "attackers try first")] {
            let reply = try await browser.submit("/account/password", [("password", "correct horse"), ("new_password", bad), ("repeated", bad)])
            #expect(reply.text.contains(said))
        }
        try await browser.submit("/account/password", [("password", "correct horse")] + form)
        #expect(browser.page.contains("Your password is changed") && browser.page.contains("Signed in as"))
        #expect(browser.cookies["__Host-mcp-auth-session"] != cookie, "B-05: the session is a new one")
        #expect(try await !other.go(.get, "/account").text.contains("Signed in as"), "the other browser is signed out")
        #expect(try await harness.accepts(tokens.access))
        let again = Browser(harness)
        try await again.go(.get, "/account")
        #expect(try await again.signIn("ada").status == 401)
        #expect(try await again.signIn("ada", password: "battery of staples").text.contains("Signed in as"))
        // With the box that is ticked on the page.
        try await again.go(.get, "/account/password")
        #expect(again.page.contains(#"name="disconnect" value="yes" checked"#))
        let more = [("new_password", "staples of battery"), ("repeated", "staples of battery"), ("disconnect", "yes")]
        try await again.submit("/account/password", [("password", "battery of staples")] + more)
        #expect(try await !harness.accepts(tokens.access))
    }

    @Test("B-05: a change that is under way does not outlive the session that began it, and takes nothing back")
    func underWay() async throws {
        let store = FailingStore()
        let harness = try await Harness(store: store)
        let thief = Browser(harness)
        try await thief.go(.get, "/account")
        try await thief.signIn("ada")
        let ada = try #require(try await harness.server.user(named: "ada"))
        for path in ["/account/password", "/account/one-time-codes"] {
            try await thief.go(.get, path)
            let transaction = thief.transaction
            let secret = thief.page.firstMatch(of: /<code>([A-Z2-7]{32})<\/code>/).map { Self.base32(String($0.1)) } ?? []
            let code = secret.isEmpty ? "" : OneTimePasswords.code(secret, step: harness.time.now.seconds / 30)
            // The victim signs out everywhere while the password is being checked.
            store.meanwhile.withLock { $0 = { $0.deleteSessions(ofUser: ada.id) } }
            let form = [
                ("password", "correct horse"), ("new_password", "battery of staples"), ("repeated", "battery of staples"), ("code", code),
            ]
            #expect(try await thief.submit(path, form, transaction: transaction).status == 403, "\(path)")
            store.meanwhile.withLock { $0 = nil }
            #expect(try await !thief.go(.get, "/account").text.contains("Signed in as"), "\(path)")
            #expect(try await harness.server.user(named: "ada") == ada, "\(path): nothing was changed")
            try await thief.signIn("ada")
        }
    }

    @Test("a sign-in by password alone that is under way ends when one-time codes are turned on")
    func codesUnderWay() async throws {
        let store = FailingStore()
        let harness = try await Harness(store: store)
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        let ada = try #require(try await harness.server.user(named: "ada"))
        store.meanwhile.withLock {
            $0 = { store in
                var changed = ada
                changed.sealedOneTimeSecret = [1, 2, 3]
                _ = store.update(changed, expecting: ada)
            }
        }
        #expect(try await browser.signIn("ada").status == 403)
        store.meanwhile.withLock { $0 = nil }
        #expect(try await !browser.go(.get, "/account").text.contains("Signed in as"))
    }

    @Test("an operator who requires one-time codes ends the sessions that began without one")
    func operatorRequires() async throws {
        let browser = try await signedIn()
        _ = try await harness.server.requireOneTimePasswords(ofUser: "ada")
        #expect(try await !browser.go(.get, "/account").text.contains("Signed in as"))
    }

    @Test("a stolen session is no way to guess the password: attempts count as at sign-in")
    func guessing() async throws {
        let browser = try await signedIn()
        try await browser.go(.get, "/account/password")
        var statuses: [Int] = []
        for index in 0..<15 {
            statuses.append(
                try await browser.submit(
                    "/account/password", [("password", "guess \(index)"), ("new_password", "battery of staples"), ("repeated", "battery of staples")]
                ).status)
        }
        #expect(statuses.contains(429) && !statuses.contains(200))
    }

    @Test("CSRF, B-07: a form of one person's page does nothing for another, nor from another site, nor without a page")
    func foreign() async throws {
        let (ada, grace) = (try await signedIn(), try await signedIn("grace"))
        try await ada.go(.get, "/account/password")
        let adas = ada.transaction
        let form = [("password", "battery staple"), ("new_password", "battery of staples"), ("repeated", "battery of staples")]
        #expect(try await grace.submit("/account/password", form, transaction: adas).status == 403)
        try await grace.go(.get, "/account/password")
        grace.headers[HTTPField.Name("Sec-Fetch-Site")!] = "cross-site"
        #expect(try await grace.submit("/account/password", form).status == 403)
        grace.headers = Browser.sameOrigin
        #expect(try await grace.submit("/account/password", form, transaction: "").status == 403)
        #expect(try await grace.submit("/account/one-time-codes/change", [("password", "battery staple"), ("change", "remove")]).status == 403)
    }

    // MARK: One-time codes

    @Test("codes are set up with a first code as proof, asked for at sign-in, and turned off with the password")
    func codes() async throws {
        let browser = try await signedIn()
        try await browser.go(.get, "/account/one-time-codes")
        #expect(browser.page.contains("<svg class=\"qr\"") && browser.page.contains("role=\"img\""))
        for (code, password, status) in [("000000", "correct horse", 400), ("123456", "wrong horse", 401)] {
            #expect(try await browser.submit("/account/one-time-codes", [("code", code), ("password", password)]).status == status)
            #expect(try await harness.server.user(named: "ada")?.sealedOneTimeSecret == nil)
        }
        let (secret, recovery) = try await enrolled(browser)
        #expect(recovery.count == 10 && Set(recovery).count == 10)
        #expect(try await harness.server.user(named: "ada")?.recoveryCodes.count == 10)
        let stored = try #require(try await harness.server.user(named: "ada"))
        for code in recovery { #expect(!"\(stored)".contains(code), "only hashes are kept") }

        let other = Browser(harness)
        try await other.go(.get, "/account")
        try await other.signIn("ada")
        #expect(other.page.contains("You are signing in as <strong>ada</strong>") && other.page.contains("Not ada? Use another account"))
        let used = OneTimePasswords.code(secret, step: harness.time.now.seconds / 30)
        #expect(try await other.submit("/sign-in", [("code", used)]).status == 401, "the code that proved the app is used up")
        harness.time.advance(by: 30)
        let fresh = OneTimePasswords.code(secret, step: harness.time.now.seconds / 30)
        #expect(try await other.submit("/sign-in", [("code", fresh)]).text.contains("Signed in as"))

        try await other.go(.get, "/account/one-time-codes")
        #expect(other.page.contains("You have 10 unused recovery codes"))
        harness.time.advance(by: 30)
        let last = OneTimePasswords.code(secret, step: harness.time.now.seconds / 30)
        let path = "/account/one-time-codes/change"
        #expect(try await other.submit(path, [("password", "wrong"), ("code", last), ("change", "remove")]).status == 401)
        #expect(try await other.submit(path, [("password", "correct horse"), ("change", "remove")]).status == 401, "the password is not enough")
        #expect(
            try await other.submit(path, [("password", "correct horse"), ("code", fresh), ("change", "remove")]).status == 401, "nor a used code")
        try await other.submit(path, [("password", "correct horse"), ("code", last), ("change", "remove")])
        #expect(other.page.contains("One-time codes are off"))
        let user = try #require(try await harness.server.user(named: "ada"))
        #expect(user.sealedOneTimeSecret == nil && user.recoveryCodes.isEmpty)
    }

    @Test("a recovery code signs in once, in any spelling, and new ones end the old ones")
    func recovery() async throws {
        let browser = try await signedIn()
        let (_, recovery) = try await enrolled(browser)
        func enter(_ code: String) async throws -> Int {
            let other = Browser(harness)
            try await other.go(.get, "/account")
            try await other.signIn("ada")
            #expect(other.page.contains("Use a recovery code"))
            return try await other.submit("/sign-in", [("code", ""), ("recovery", code)]).status
        }
        #expect(try await enter(recovery[0].uppercased().replacing("-", with: " ")) == 200)
        #expect(try await enter(recovery[0]) == 401, "once")
        #expect(try await enter("aaaa-bbbb-cccc-dddd") == 401)
        #expect(try await harness.server.user(named: "ada")?.recoveryCodes.count == 9)
        let again = Browser(harness)
        try await again.go(.get, "/account")
        try await again.signIn("ada")
        try await again.submit("/sign-in", [("recovery", recovery[1])])
        try await again.go(.get, "/account/one-time-codes")
        try await again.submit(
            "/account/one-time-codes/change", [("password", "correct horse"), ("recovery", recovery[3]), ("change", "renew")])
        #expect(again.page.contains("Your recovery codes"))
        #expect(try await enter(recovery[2]) == 401, "the old ones are gone")
        #expect(harness.events.contains("user.recovery_code_used") && harness.events.contains("sign_in", "wrong_recovery_code"))
    }

    @Test("two requests with one recovery code: one of them signs in")
    func race() async throws {
        let browser = try await signedIn()
        let (_, recovery) = try await enrolled(browser)
        let user = try #require(try await harness.server.user(named: "ada"))
        var used = user
        used.recoveryCodes.removeAll { $0 == RecoveryCode.hash(recovery[0]) }
        #expect(try await harness.store.update(used, expecting: user))
        #expect(try await !harness.store.update(used, expecting: user), "what was read before counts for nothing")
    }

    // MARK: Sessions

    @Test("sessions are listed by browser, one can be ended, and only an own one")
    func sessions() async throws {
        let browser = Browser(harness)
        browser.headers[.userAgent] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        try await browser.go(.get, "/account")
        try await browser.signIn("ada")
        let phone = Browser(harness)
        phone.headers[.userAgent] = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1"
        try await phone.go(.get, "/account")
        try await phone.signIn("ada")
        try await browser.go(.get, "/account")
        #expect(browser.page.contains("Firefox, Linux") && browser.page.contains("Safari, iPhone") && browser.page.contains("this browser"))
        let hash = try #require(browser.page.firstMatch(of: /name="session" value="([^"]+)"/)).1
        let grace = try await signedIn("grace")
        #expect(try await grace.submit("/account/session", [("session", String(hash))]).status == 404, "somebody else's")
        #expect(try await phone.go(.get, "/account").text.contains("Signed in as"))
        try await browser.submit("/account/session", [("session", String(hash))])
        let linked = try await signedIn()
        linked.headers[HTTPField.Name("Sec-Fetch-Site")!] = "cross-site"
        #expect(try await !linked.go(.get, "/account?done=password").text.contains("Your password is changed"), "a link says nothing")
        #expect(browser.page.contains("That browser is signed out"))
        #expect(try await !phone.go(.get, "/account").text.contains("Signed in as"))
    }

    @Test("sign out everywhere asks first: opening its address ends nothing")
    func everywhere() async throws {
        let browser = try await signedIn()
        try await browser.go(.get, "/account/sign-out-everywhere")
        #expect(browser.page.contains("This signs you out in every browser") && browser.page.contains("Cancel"))
        #expect(try await browser.go(.get, "/account").text.contains("Signed in as"))
        try await browser.go(.get, "/account/sign-out-everywhere")
        #expect(try await browser.submit("/account/sign-out-everywhere", []).text.contains("You are signed out in every browser"))
        #expect(try await !browser.go(.get, "/account").text.contains("Signed in as"))
    }

    @Test("an account of another table has no password and no codes to change here")
    func external() async throws {
        let harness = try await Harness(signIn: [.custom { name, _ in SignedInPerson(issuer: "https://people.example", subject: name) }])
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        try await browser.signIn("lin")
        #expect(!browser.page.contains("Change password"))
        for path in ["/account/password", "/account/one-time-codes"] { #expect(try await browser.go(.get, path).status == 404) }
    }

    // MARK: What was chosen stays

    @Test("permissions that were unticked stay unticked after the error, and after signing in again")
    func ticks() async throws {
        let client = try await harness.registered()
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("scope", "read write profile")]))
        try await browser.signIn("ada")
        try await browser.decide("choose")
        #expect(browser.page.matches(of: /checked=""/).count == 3)
        #expect(try await browser.decide("allow", [("choice", "offered")]).status == 400)
        #expect(browser.page.matches(of: /checked=""/).isEmpty, "nothing is ticked again by itself")
        // The session ends while the page is open: after signing in again the choice is still there.
        let ada = try #require(try await harness.server.user(named: "ada"))
        try await harness.store.deleteSessions(ofUser: ada.id)
        #expect(try await browser.decide("allow", [("choice", "offered"), ("scope", "read")]).status == 403)
        try await browser.signIn("ada")
        #expect(browser.page.matches(of: /checked=""/).count == 1 && browser.page.contains(#"value="read" checked"#))
        let code = try #require(try await browser.decide("allow", [("choice", "offered"), ("scope", "read")]).location?["code"])
        #expect(try await harness.redeem(client, code).json["scope"]?.string == "read")
    }

    @Test("errors show the value that was sent, and what a client registered itself, but nothing that an operator configured")
    func facts() async throws {
        let client = try await harness.registered()
        let browser = Browser(harness)
        try await browser.open(harness.parameters(client, [("redirect_uri", "https://c.example/other")]))
        #expect(browser.page.contains("https://c.example/other") && browser.page.contains(Harness.redirectURI))
        let prose = "Your account was suspended. Call +1 800 555 0100"
        try await browser.open(harness.parameters(client, [("redirect_uri", prose)]))
        #expect(!browser.page.contains("suspended"), "a stranger writes no sentences on a page that people trust")
        let configured = try await Harness { configuration in
            configuration.clients = [
                Client(
                    id: ClientID("backend")!, name: "Backend", redirectURIs: [try! RedirectURI("https://internal.corp.example/cb")],
                    origin: .configured,
                    createdAt: NumericDate(seconds: 0))
            ]
        }
        let other = Browser(configured)
        try await other.open(configured.parameters("backend", [("redirect_uri", "https://c.example/other")]))
        #expect(other.page.contains("https://c.example/other") && !other.page.contains("internal.corp.example"))
    }

    @Test("a person who cannot sign in finds help, where there is some, and no link runs a script")
    func help() async throws {
        let harness = try await Harness {
            $0.help = SignInHelp(forgottenPasswordPage: "https://help.example/reset", contact: "mailto:help@example.com")
        }
        let browser = Browser(harness)
        try await browser.go(.get, "/account")
        #expect(browser.page.contains(#"href="https://help.example/reset""#) && browser.page.contains(#"href="mailto:help@example.com""#))
        for contact in ["javascript:alert(1)", "mailto:", "help@example.com"] {
            await #expect(throws: OAuthError.self) { _ = try await Harness { $0.help = SignInHelp(contact: contact) } }
        }
    }

    @Test("a site without a name is called by its host, never Sign in twice; every page of a person asks not to be indexed")
    func frame() async throws {
        let browser = Browser(harness)
        let reply = try await browser.go(.get, "/account")
        #expect(browser.page.contains("<title>Sign in – as.example</title>"))
        #expect(reply.response.headerFields[HTTPField.Name("X-Robots-Tag")!] == "noindex" && browser.page.contains(#"content="noindex""#))
        try await browser.go(.get, "/assets/icon.svg")
        #expect(browser.page.contains(">A</text>"))
    }
}

@Suite("QR codes")
struct QRCodeTests {
    /// The matrices were read back by an independent decoder (zxing-cpp) when this was written; a change of one module
    /// shows.
    @Test("a code of each size is the one that decoders read", arguments: [1, 20, 60, 100, 150, 200, 287])
    func sizes(_ length: Int) throws {
        let text = String(repeating: "otpauth://totp/Acme:ada?secret=ABC&", count: 9).prefix(length)
        let code = try #require(QRCode(String(text)))
        #expect(code.modules.count == code.size && code.modules.allSatisfy { $0.count == code.size })
        // The three finders, and the module that is always dark.
        for (row, column) in [(0, 0), (0, code.size - 7), (code.size - 7, 0)] {
            let edge = code.modules[row][column..<column + 7]
            let (ring, core) = (code.modules[row + 1][column + 1], code.modules[row + 3][column + 3])
            #expect(edge.allSatisfy { $0 } && !ring && core)
        }
        #expect(code.modules[code.size - 8][8])
        let bits: [UInt8] = code.modules.flatMap { row in row.map { isDark -> UInt8 in isDark ? 1 : 0 } }
        let digest = SHA256.hash(data: bits).prefix(6).map { String($0, radix: 16) }.joined()
        #expect(digest == Self.digests[length])
    }

    static let digests = [
        1: "40bd22717220", 20: "a4ccadd8807f", 60: "8ca5a087eef5", 100: "ff29e4d6723", 150: "68552a179be1", 200: "ef2652f8de70", 287: "a59e9c876f76",
    ]

    @Test("what does not fit is no code") func tooLong() { #expect(QRCode(String(repeating: "x", count: 288)) == nil) }
}
