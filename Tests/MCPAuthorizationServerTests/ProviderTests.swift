import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Sign-in through identity providers, each as it really behaves")
struct ProviderTests {
    @Test("an application is allowed, the user signs in at the provider, and the application gets tokens", arguments: ProviderCase.all)
    func signIn(_ kind: ProviderCase) async throws {
        let world = try await ProviderHarness(kind)
        let browser = Browser(world.harness)
        let url = try await world.depart(browser)
        #expect(url.contains("code_challenge") == (kind.hasPKCE || kind.provider.signIn!.supportsPKCE))
        let reply = try await world.return(browser, url)
        let code = try #require(reply.location?["code"], "\(reply.status) \(reply.text) \(world.harness.events.events.map { $0.detail ?? "" })")
        let tokens = try await world.harness.redeem(world.client, code, [], [:])
        #expect(tokens.status == 200)
        let identity = ExternalIdentity(issuer: kind.provider.issuer, subject: kind.subject)
        let connection = try #require(try await world.harness.store.connection(identity))
        let user = try #require(try await world.harness.store.user(id: connection.userID))
        #expect(user.email == "ada@acme.example" && user.isEmailVerified == kind.isEmailVerified)
        #expect(connection.provider == kind.provider.id && connection.sealedTokens != nil)
        // The same account is the same user.
        _ = try await world.code()
        #expect(try await world.harness.store.connection(identity)?.userID == user.id)
        // Another account is another user.
        _ = try await world.code(as: "1002")
        #expect(try await world.harness.server.allUsers().count == 4)
    }

    @Test("tokens of the provider are refreshed where it has refresh tokens, and the grant goes on", arguments: ProviderCase.all)
    func refresh(_ kind: ProviderCase) async throws {
        let world = try await ProviderHarness(kind)
        var tokens = try await world.tokens()
        for round in 1...3 {
            world.harness.time.advance(by: kind.behaviour.lifetime.map { max(4000, $0 + 10) } ?? 4000)
            // Where the provider has no refresh tokens, its token has expired, and the user has to sign in again.
            let reply = try await world.harness.refresh(world.client, tokens.refresh)
            if !kind.hasRefresh, kind.behaviour.lifetime != nil {
                #expect(reply.status == 400 && reply.error == "invalid_grant")
                return
            }
            #expect(reply.status == 200, "\(reply.text) \(world.harness.events.events.compactMap(\.detail))")
            tokens = Harness.Tokens(access: "", refresh: try #require(reply.json["refresh_token"]?.string))
            if kind.hasRefresh { #expect(world.provider.tokenRequests("refresh_token") == round) }
        }
    }

    @Test("an operator who removes a user has the tokens of the user revoked at the provider", arguments: ProviderCase.all)
    func removedUser(_ kind: ProviderCase) async throws {
        let world = try await ProviderHarness(kind)
        _ = try await world.tokens()
        let user = try #require(try await world.harness.server.allUsers().first { $0.identity != nil })
        try await world.harness.server.removeUser(named: user.name)
        #expect(try await world.harness.store.connections(ofUser: user.id).isEmpty)
        #expect(world.provider.revokedTokens.isEmpty != kind.hasRevocation)
    }

    @Test("what another process ends is revoked at the provider by the running server: a grant, a user; nothing that is still needed")
    func endedElsewhere() async throws {
        let (store, master) = (MemoryStore(), MasterKey.random())
        let world = try await ProviderHarness(store: store, master: master)
        // As the commands do it: without the credentials at the provider.
        let operations = try await Harness(store: store, master: master, time: world.harness.time).server
        _ = try await world.tokens()
        let user = try #require(try await operations.allUsers().first { $0.identity != nil })
        func maintain() async {
            for connection in await world.harness.server.maintain(sweeps: true) { await world.harness.server.revokeAtProvider(connection) }
        }
        await maintain()
        #expect(world.provider.revokedTokens.isEmpty, "a live grant needs them")
        world.harness.time.advance(by: 10)
        for grant in try await operations.liveGrants(ofUser: user.name) { try await operations.revokeGrant(grant.id) }
        #expect(world.provider.revokedTokens.isEmpty)
        await maintain()
        #expect(world.provider.revokedTokens.count == 1)
        #expect(world.harness.events.contains("connection.ended", "no_grant"))

        // A new sign-in after that is no rest of the old one, whether an application is connected yet or not.
        world.harness.time.advance(by: 10)
        let browser = Browser(world.harness)
        let code = try await world.code(browser)
        await maintain()
        #expect(world.provider.revokedTokens.count == 1, "an application holds a code")
        let tokens = try await world.harness.redeem(world.client, code)
        #expect(tokens.status == 200)

        world.harness.time.advance(by: 10)
        try await operations.removeUser(named: user.name)
        #expect(world.provider.revokedTokens.count == 1)
        await maintain()
        await maintain()
        #expect(world.provider.revokedTokens.count == 2, "once")
        #expect(try await store.connections(ofUser: user.id).isEmpty)

        // The last grant of a user ends by itself.
        _ = try await world.tokens()
        world.harness.time.advance(by: 400 * 86400)
        await maintain()
        #expect(world.provider.revokedTokens.count == 3)
    }

    @Test("a user who has connected a provider and no application yet keeps the connection")
    func connectedEarly() async throws {
        let world = try await ProviderHarness(alsoPasswords: true)
        let browser = Browser(world.harness)
        try await browser.go(.get, "/account")
        try await browser.signIn("ada")
        try await browser.go(.get, "/account")
        let begun = try await browser.submit("/sign-in/provider", [("provider", world.id)])
        try await world.return(browser, try #require(begun.response.headerFields[.location]))
        let ada = try #require(try await world.harness.server.user(named: "ada"))
        #expect(try await world.harness.store.connections(ofUser: ada.id).count == 1)
        world.harness.time.advance(by: 7200)
        #expect(await world.harness.server.maintain(sweeps: true).isEmpty)
        #expect(try await world.harness.store.connections(ofUser: ada.id).first?.sealedTokens != nil && world.provider.revokedTokens.isEmpty)
    }

    @Test("organizations beyond the first page count, from the same origin only, and not without an end")
    func pages() async throws {
        func enters(_ configure: (inout ProviderBehaviour) -> Void) async throws -> Bool {
            var behaviour = ProviderBehaviour.github()
            let url = "https://api.github.com/user/orgs?per_page=100"
            behaviour.api[url] = { _ in .array((0..<100).map { ["login": .string("other-\($0)")] }) }
            behaviour.api["https://api.github.com/organizations/2"] = { _ in [["login": "acme"]] }
            behaviour.api["https://evil.example/organizations/2"] = { _ in [["login": "acme"]] }
            behaviour.nextPages[url] = "https://api.github.com/organizations/2"
            configure(&behaviour)
            let kind = ProviderCase(name: "GitHub", provider: .github(), behaviour: behaviour, hasRefresh: false, hasNonce: false)
            let world = try await ProviderHarness(kind, admission: Admission(organizations: ["acme"]))
            let browser = Browser(world.harness)
            let reply = try await world.return(browser, try await world.depart(browser))
            return reply.location?["code"] != nil
        }
        let first = "https://api.github.com/user/orgs?per_page=100"
        #expect(try await enters { _ in })
        #expect(try await !enters { $0.nextPages = [:] })
        #expect(try await !enters { $0.nextPages[first] = "https://evil.example/organizations/2" })
        // A list whose pages name each other ends.
        #expect(
            try await !enters { behaviour in
                behaviour.api["https://api.github.com/organizations/2"] = { _ in [["login": "other"]] }
                behaviour.nextPages["https://api.github.com/organizations/2"] = first
            })
    }

    @Test("the provider's tokens are revoked with the last grant, where the provider has a way", arguments: ProviderCase.all)
    func revocation(_ kind: ProviderCase) async throws {
        let world = try await ProviderHarness(kind)
        let first = try await world.tokens()
        let second = try await world.tokens()
        _ = try await world.harness.post("/revoke", [("token", first.refresh), ("client_id", world.client)])
        #expect(world.provider.revokedTokens.isEmpty, "another grant needs them")
        _ = try await world.harness.post("/revoke", [("token", second.refresh), ("client_id", world.client)])
        #expect(world.provider.revokedTokens.isEmpty != kind.hasRevocation)
        let identity = ExternalIdentity(issuer: kind.provider.issuer, subject: kind.subject)
        #expect(try await world.harness.store.connection(identity)?.sealedTokens == nil)
    }

    @Test("two refusals: the user says no, and the account is not one that may enter", arguments: ProviderCase.all)
    func refusals(_ kind: ProviderCase) async throws {
        let world = try await ProviderHarness(kind, admission: Admission(condition: { $0.subject != kind.subject }))
        let browser = Browser(world.harness)
        let denied = try await world.return(browser, try await world.depart(browser), denies: true)
        #expect(denied.location?["error"] == "access_denied" && denied.location?["state"] == "st" && denied.location?["iss"] == Harness.issuer)
        let refused = try await world.return(browser, try await world.depart(browser))
        #expect(refused.status == 403 && refused.location == nil && refused.text.contains("may not be used here"))
        #expect(world.harness.events.contains("sign_in", "not_admitted"))
        #expect(try await world.harness.server.allUsers().count == 2, "nobody was added")
        #expect(try await world.code(as: "1002").isEmpty == false)
    }

    @Test("a wrong client secret is the operator's mistake: the page says so, the log names what to check", arguments: ProviderCase.all)
    func wrongSecret(_ kind: ProviderCase) async throws {
        let world = try await ProviderHarness(kind, secret: "another secret")
        let browser = Browser(world.harness)
        let reply = try await world.return(browser, try await world.depart(browser))
        #expect(reply.text.contains("not set up correctly") || reply.text.contains("did not sign you in"), "\(reply.text)")
        #expect(reply.location == nil && !reply.text.contains("another secret"))
    }
}

@Suite("Sign-in through a provider, attacked")
struct ProviderAttackTests {
    @Test("P-02: who finishes a sign-in that another browser began gets nothing, and nothing is asked of the provider")
    func otherBrowser() async throws {
        let world = try await ProviderHarness()
        let (attacker, victim) = (Browser(world.harness), Browser(world.harness))
        let url = try await world.depart(attacker)
        try await victim.go(.get, "/account")
        let before = world.provider.requests.count
        let reply = try await world.return(victim, url)
        #expect(reply.status == 403 && reply.location == nil && reply.text.contains("another browser"))
        #expect(world.provider.requests.count == before)
        #expect(try await world.harness.server.allUsers().count == 2)
        #expect(world.harness.events.contains("sign_in", "other_browser"))
        #expect(try await world.return(attacker, url).status == 400, "nor does the browser that began it: the state is used up")
    }

    @Test("P-02: a browser that lost its cookies is told to begin again in a real browser")
    func lostCookies() async throws {
        let world = try await ProviderHarness()
        let browser = Browser(world.harness)
        let url = try await world.depart(browser)
        browser.cookies = [:]
        let reply = try await world.return(browser, url)
        #expect(reply.status == 403 && reply.text.contains("open the application in your browser"))
    }

    @Test("P-03: before the application is allowed there is no state and no departure")
    func beforeConsent() async throws {
        let world = try await ProviderHarness(alsoPasswords: true)
        let browser = Browser(world.harness)
        try await browser.open(world.harness.parameters(world.client))
        let reply = try await browser.submit("/sign-in/provider", [("provider", "oidc")])
        #expect(reply.status == 200 && reply.text.contains("value=\"allow\"") && reply.response.headerFields[.location] == nil)
        for state in ["", "x", String(repeating: "A", count: 43)] {
            #expect(try await browser.go(.get, "/sign-in/callback/oidc?code=code-1&state=\(state)").status == 400)
        }
        #expect(world.provider.tokenRequests("authorization_code") == 0)
        let denied = try await browser.go(.get, "/authorize?" + Form(world.harness.parameters(world.client)).encoded)
        #expect(denied.status == 200)
    }

    @Test("P-04: a state that is missing, wrong, used, too old or of another provider is refused before anything is asked")
    func state() async throws {
        let world = try await ProviderHarness()
        let browser = Browser(world.harness)
        guard case .redirect(let answer) = try world.provider.authorize(try await world.depart(browser), as: "1001") else { throw Unexpected() }
        let target = world.target(answer)
        let state = try #require(try Form(queryOf: target).single("state"))
        let asked = world.provider.tokenRequests("authorization_code")
        for wrong in ["/sign-in/callback/oidc?code=code-1", "/sign-in/callback/oidc?code=code-1&state=https://evil.example"] {
            #expect(try await browser.go(.get, wrong).status == 400)
        }
        #expect(try await browser.go(.get, "/sign-in/callback/oidc?code=code-1&state=\(state)&state=\(state)").status == 400)
        #expect(world.provider.tokenRequests("authorization_code") == asked)
        #expect(try await browser.go(.get, target).location?["code"] != nil)
        #expect(try await browser.go(.get, target).status == 400, "used")
        guard case .redirect(let second) = try world.provider.authorize(try await world.depart(Browser(world.harness)), as: "1001") else {
            throw Unexpected()
        }
        world.harness.time.advance(by: 660)
        #expect(try await browser.go(.get, world.target(second)).status == 400, "eleven minutes")
        #expect(world.provider.tokenRequests("authorization_code") == asked + 1)
    }

    @Test("P-06: no secret of the provider reaches a client, a page, the audit log or the store in the clear")
    func secrets() async throws {
        let world = try await ProviderHarness(alsoPasswords: true)
        let browser = Browser(world.harness)
        let reply = try await world.return(browser, try await world.depart(browser))
        let tokens = try await world.harness.redeem(world.client, try #require(reply.location?["code"]))
        let account = try await browser.go(.get, "/account")
        var texts = [reply.text, tokens.text, account.text, browser.page]
        texts.append(
            tokens.json["access_token"]?.string.map {
                String(decoding: (try? Base64URL.decode(String($0.split(separator: ".")[1]))) ?? [], as: UTF8.self)
            } ?? "")
        texts += world.harness.events.events.map { "\($0)" }
        let connections = try await world.harness.store.connections(
            ofUser: try #require(try await world.harness.server.allUsers().first { $0.displayName == "Ada Lovelace" }).id)
        texts += connections.map { String(decoding: $0.sealedTokens ?? [], as: UTF8.self) }
        for text in texts { #expect(!text.contains("canary"), "\(text.prefix(200))") }
        #expect(connections.count == 1)
    }

    @Test(
        "P-07: an ID token with a wrong nonce, audience, party, issuer, time or subject signs nobody in",
        arguments: ["nonce", "aud", "azp", "iss", "exp", "iat", "sub", "no nonce", "two audiences"])
    func idToken(_ wrong: String) async throws {
        let world = try await ProviderHarness()
        let now = world.harness.time.now
        world.provider.setFaults { faults in
            faults.claims = { claims in
                switch wrong {
                case "nonce": claims["nonce"] = "another"
                case "no nonce": claims["nonce"] = nil
                case "aud": claims["aud"] = "another-client"
                case "two audiences": claims["aud"] = ["client-at-provider", "another-client"]
                case "azp": claims["azp"] = "another-client"
                case "iss": claims["iss"] = "https://evil.example"
                case "exp": claims["exp"] = .int(now.advanced(by: -3600).seconds)
                case "iat": claims["iat"] = .int(now.advanced(by: 3600).seconds)
                default: claims["sub"] = nil
                }
            }
        }
        let browser = Browser(world.harness)
        let reply = try await world.return(browser, try await world.depart(browser))
        #expect(reply.status == 403 && reply.location == nil, "\(reply.text)")
        #expect(world.harness.events.contains("sign_in", "provider_answer_invalid"))
        #expect(try await world.harness.server.allUsers().count == 2)
    }

    @Test("P-07: an ID token of another key, or without a signature, signs nobody in", arguments: ["none", "other"])
    func signature(_ kind: String) async throws {
        let world = try await ProviderHarness()
        let other = try SigningKey.generate(.rs256, keyID: "simulated")
        let now = world.harness.time.now
        world.provider.setFaults { faults in
            faults.answer = { answer in
                let claims: JSONValue = [
                    "iss": "https://id.example.com", "aud": "client-at-provider", "sub": "1001", "iat": .int(now.seconds),
                    "exp": .int(now.advanced(by: 60).seconds),
                ]
                let unsigned = Base64URL.encode(Array(#"{"alg":"none"}"#.utf8)) + "." + Base64URL.encode(claims.serialized) + "."
                answer["id_token"] = .string(kind == "none" ? unsigned : (try? CompactJWS.sign(claims.serialized, type: "JWT", with: other)) ?? "")
            }
        }
        let browser = Browser(world.harness)
        #expect(try await world.return(browser, try await world.depart(browser)).status == 403)
    }

    @Test("P-07: with several tenants, the issuer is that of the token's own tenant, which is a UUID")
    func tenants() async throws {
        let kind = try #require(ProviderCase.all.first { $0.name == "Entra, several tenants" })
        for (tid, issuer) in [
            ("11111111-2222-3333-4444-555555555555", "https://login.microsoftonline.com/\(ProviderCase.tenant)/v2.0"),
            ("../evil", "https://login.microsoftonline.com/../evil/v2.0"), ("", "https://login.microsoftonline.com//v2.0"),
        ] {
            let world = try await ProviderHarness(kind)
            world.provider.setFaults { faults in
                faults.claims = { claims in
                    claims["tid"] = .string(tid)
                    claims["iss"] = .string(issuer)
                }
            }
            let browser = Browser(world.harness)
            #expect(try await world.return(browser, try await world.depart(browser)).status == 403, "\(tid)")
        }
        let world = try await ProviderHarness(kind, admission: Admission(tenants: ["another-tenant"]))
        let browser = Browser(world.harness)
        #expect(try await world.return(browser, try await world.depart(browser)).status == 403, "a tenant that is not listed")
        // Every tenant of the world is rarely meant, so the start says so.
        let warning = "every account of every tenant"
        #expect(try await ProviderHarness(kind).harness.server.findingsOfProviders().contains { $0.hasPrefix(warning) })
        #expect(await !world.harness.server.findingsOfProviders().contains { $0.hasPrefix(warning) })
    }

    @Test("P-08: an account is who the provider says by issuer and subject, whatever its e-mail address says")
    func identity() async throws {
        let world = try await ProviderHarness()
        let first = try world.user(try await world.tokens())
        var renamed = ProviderHarness.ada
        renamed.email = "grace@navy.example"
        renamed.userName = "grace"
        world.provider.setAccount(renamed)
        #expect(try world.user(try await world.tokens()) == first, "the same person with another address")
        var other = ProviderHarness.grace
        other.email = "ada@acme.example"
        world.provider.setAccount(other)
        #expect(try world.user(try await world.tokens(as: "1002")) != first, "another person with ada's address")
        world.provider.setAccount(SimulatedAccount("caf\u{E9}", name: "One", userName: "one", email: "one@acme.example"))
        world.provider.setAccount(SimulatedAccount("cafe\u{301}", name: "Two", userName: "two", email: "two@acme.example"))
        let (nfc, nfd) = (try await world.tokens(as: "caf\u{E9}"), try await world.tokens(as: "cafe\u{301}"))
        #expect(try world.user(nfc) != world.user(nfd), "compared as bytes")
    }

    @Test("P-08: users are admitted by verified addresses and domains that the provider vouches for only")
    func domains() async throws {
        var unverified = ProviderHarness.ada
        unverified.isEmailVerified = false
        for (kind, admission, account, enters) in [
            (ProviderCase.openID, Admission(domains: ["acme.example"]), ProviderHarness.ada, true),
            (.openID, Admission(domains: ["acme.example"]), unverified, false),
            (.openID, Admission(emails: ["ADA@acme.example"]), ProviderHarness.ada, true),
            (.openID, Admission(emails: ["ada@acme.example"]), unverified, false),
            // Google vouches for a domain by hd. A personal account with an address of the domain is none of it.
            (ProviderCase.all[2], Admission(domains: ["acme.example"]), ProviderHarness.ada, false),
            (ProviderCase.all[2], Admission(domains: [ProviderCase.tenant]), ProviderHarness.ada, true),
            (ProviderCase.all[0], Admission(organizations: ["acme"]), ProviderHarness.ada, true),
            (ProviderCase.all[0], Admission(organizations: ["acme"]), ProviderHarness.grace, false),
            (ProviderCase.all[0], Admission(teams: ["acme/engines"]), ProviderHarness.ada, true),
            (ProviderCase.all[0], Admission(teams: ["acme/owners"]), ProviderHarness.ada, false),
            (.openID, Admission(groups: ["engineers"]), ProviderHarness.ada, true),
            (.openID, Admission(groups: ["owners"]), ProviderHarness.ada, false),
        ] {
            let world = try await ProviderHarness(kind, admission: admission, accounts: [account])
            let browser = Browser(world.harness)
            let reply = try await world.return(browser, try await world.depart(browser), as: account.subject)
            #expect((reply.location?["code"] != nil) == enters, "\(kind.name) \(admission) \(reply.text.prefix(300))")
        }
    }

    @Test("P-09: a hundred people who sign in at once are each themselves")
    func crowd() async throws {
        let accounts = (1...100).map { SimulatedAccount("\($0)", name: "Person \($0)", userName: "p\($0)", email: "p\($0)@acme.example") }
        let world = try await ProviderHarness(accounts: accounts)
        let subjects = try await withThrowingTaskGroup(of: (String, String).self) { group in
            for account in accounts {
                group.addTask {
                    let browser = Browser(world.harness)
                    browser.peer = "198.51.100.\(account.subject)"
                    let url = try await world.depart(browser)
                    try await Task.sleep(for: .milliseconds(Int.random(in: 0...30)))
                    let reply = try await world.return(browser, url, as: account.subject)
                    let tokens = try await world.harness.redeem(world.client, try #require(reply.location?["code"]))
                    let parts = try #require(tokens.json["access_token"]?.string).split(separator: ".")
                    let user = try JSONValue(parsing: Base64URL.decode(String(parts[1])))["sub"]?.string ?? ""
                    return (account.subject, user)
                }
            }
            return try await group.reduce(into: [String: String]()) { $0[$1.0] = $1.1 }
        }
        #expect(Set(subjects.values).count == 100)
        for (subject, user) in subjects {
            #expect(try await world.harness.store.connection(ExternalIdentity(issuer: "https://id.example.com", subject: subject))?.userID == user)
        }
    }

    @Test(
        "P-11: an outage, a limit or nonsense of the provider is no verdict about the user",
        arguments: ["429", "500", "unreachable", "html", "200 with an error", "expires -1", "expires x", "expires 1e300", "CRLF"])
    func outages(_ fault: String) async throws {
        let world = try await ProviderHarness()
        let tokens = try await world.tokens()
        world.provider.setFaults { faults in
            switch fault {
            case "429": faults.tokenReply = HTTPReply(.tooManyRequests, [.retryAfter: "60"], body: Array(#"{"error":"invalid_grant"}"#.utf8))
            case "500": faults.tokenReply = HTTPReply(.internalServerError)
            case "unreachable": faults.isUnreachable = true
            case "html": faults.tokenReply = HTTPReply(.ok, [.contentType: "text/html"], body: Array("<html>".utf8))
            case "200 with an error": faults.tokenReply = .json(["error": "server_error"])
            case "expires -1": faults.answer = { $0["expires_in"] = -1 }
            case "expires x": faults.answer = { $0["expires_in"] = "x" }
            case "expires 1e300": faults.answer = { $0["expires_in"] = .number(JSONNumber(1e300)!) }
            default: faults.answer = { $0["access_token"] = "a\r\nX-Evil: 1" }
            }
        }
        let browser = Browser(world.harness)
        if fault != "unreachable" {
            let reply = try await world.return(browser, try await world.depart(browser))
            #expect(reply.location == nil && [403, 500, 503].contains(reply.status), "\(reply.status)")
            if reply.status == 503 { #expect(reply.response.headerFields[.retryAfter] != nil) }
        }
        world.harness.time.advance(by: 4000)
        let refreshed = try await world.harness.refresh(world.client, tokens.refresh)
        #expect(refreshed.status == 200, "our grant goes on: \(refreshed.text)")
        #expect(try await world.harness.store.connection(ExternalIdentity(issuer: "https://id.example.com", subject: "1001"))?.sealedTokens != nil)
    }

    @Test("P-12: an account that was closed, or left the organization, loses its grants within the hour")
    func closed() async throws {
        for isClosed in [true, false] {
            let kind = ProviderCase.all[0]
            let world = try await ProviderHarness(kind, admission: Admission(organizations: ["acme"]))
            let tokens = try await world.tokens()
            if isClosed {
                world.provider.setFaults { $0.closedAccounts = ["1001"] }
            } else {
                var left = ProviderHarness.ada
                left.organizations = []
                world.provider.setAccount(left)
            }
            let soon = try await world.harness.refresh(world.client, tokens.refresh)
            #expect(soon.status == 200, "asked hourly at most")
            world.harness.time.advance(by: 3601)
            let late = try await world.harness.refresh(world.client, try #require(soon.json["refresh_token"]?.string))
            #expect(late.status == 400 && late.error == "invalid_grant")
            #expect(world.harness.events.contains("sessions.ended", "no_longer_admitted"))
            #expect(try await !world.harness.accepts(try #require(soon.json["access_token"]?.string)), "access tokens too")
        }
    }

    @Test("P-12: disconnecting is no way around the rules: without a connection or a password, everything ends")
    func disconnected() async throws {
        let world = try await ProviderHarness(ProviderCase.all[0], admission: Admission(organizations: ["acme"]))
        let browser = Browser(world.harness)
        let code = try await world.code(browser)
        let tokens = try await world.harness.redeem(world.client, code)
        try await browser.go(.get, "/account")
        let identifier = try #require(browser.page.firstMatch(of: /name="connection" value="([^"]*)"/)).1
        try await browser.submit("/account/connection", [("connection", String(identifier))])
        let refreshed = try await world.harness.refresh(world.client, try #require(tokens.json["refresh_token"]?.string))
        #expect(refreshed.status == 400 && refreshed.error == "invalid_grant")
        #expect(try await !world.harness.accepts(try #require(tokens.json["access_token"]?.string)))
        #expect(try await browser.go(.get, "/account").text.contains("Continue with GitHub"), "signed out")
    }

    @Test("P-10: a crash between the provider's answer and the commit costs one sign-in, and no storm of requests")
    func crash() async throws {
        let store = FailingStore()
        let world = try await ProviderHarness(store: store)
        let tokens = try await world.tokens()
        world.harness.time.advance(by: 4000)
        store.losesConnections.value = true
        var reply = try await world.harness.refresh(world.client, tokens.refresh)
        #expect(reply.status == 200 && world.provider.tokenRequests("refresh_token") == 1, "the provider has rotated its token")
        store.losesConnections.value = false
        for seconds in [10, 20, 20] as [Int64] {
            world.harness.time.advance(by: seconds)
            reply = try await world.harness.refresh(world.client, try #require(reply.json["refresh_token"]?.string))
            #expect(reply.status == 200 && world.provider.tokenRequests("refresh_token") == 1, "it is left alone")
        }
        world.harness.time.advance(by: 61)
        let last = try #require(reply.json["refresh_token"]?.string)
        for _ in 0..<5 {
            reply = try await world.harness.refresh(world.client, last)
            #expect(reply.status == 400 && reply.error == "invalid_grant")
        }
        #expect(world.provider.tokenRequests("refresh_token") == 2, "asked once, and rejected")
        let again = try await world.tokens()
        #expect(try await world.harness.refresh(world.client, again.refresh).status == 200, "signed in again")
    }

    @Test("P-12: where only the sign-in describes users, a refresh at the provider proves that the account still exists")
    func closedWithoutProfile() async throws {
        for name in ["Google", "Apple", "Entra"] {
            let world = try await ProviderHarness(ProviderCase.all.first { $0.name == name }!)
            // The access token is still good when the check is due.
            world.provider.setFaults { $0.answer = { $0["expires_in"] = 86_400 } }
            let tokens = try await world.tokens()
            world.harness.time.advance(by: 3601)
            let before = world.provider.tokenRequests("refresh_token")
            let still = try await world.harness.refresh(world.client, tokens.refresh)
            #expect(still.status == 200 && world.provider.tokenRequests("refresh_token") == before + 1, "\(name)")
            world.provider.setFaults { $0.closedAccounts = ["1001"] }
            world.harness.time.advance(by: 3601)
            let late = try await world.harness.refresh(world.client, try #require(still.json["refresh_token"]?.string))
            #expect(late.status == 400 && late.error == "invalid_grant", "\(name)")
        }
    }

    @Test("P-11: a provider that does not answer is left alone for a minute, so that an outage delays no refresh")
    func outageIsNotRepeated() async throws {
        let world = try await ProviderHarness()
        var tokens = try await world.tokens().refresh
        world.harness.time.advance(by: 4000)
        world.provider.setFaults { $0.isUnreachable = true }
        var asked: [Int] = []
        for _ in 0..<4 {
            let before = world.provider.requests.count
            let reply = try await world.harness.refresh(world.client, tokens)
            #expect(reply.status == 200)
            tokens = try #require(reply.json["refresh_token"]?.string)
            asked.append(world.provider.requests.count - before)
            world.harness.time.advance(by: 25)
        }
        #expect(asked[0] > 0 && asked[1] == 0 && asked[2] == 0 && asked[3] > 0, "\(asked)")
    }

    @Test("P-11: the tokens of a sign-in that came during a rejected check are kept")
    func rejectedMeanwhile() async throws {
        let world = try await ProviderHarness()
        let tokens = try await world.tokens()
        world.harness.time.advance(by: 4000)
        world.provider.setFaults { faults in
            faults.delay = .milliseconds(500)
            faults.tokenReply = HTTPReply(.badRequest, [.contentType: "application/json"], body: Array(#"{"error":"invalid_grant"}"#.utf8))
        }
        async let refreshed = world.harness.refresh(world.client, tokens.refresh)
        while world.provider.tokenRequests("refresh_token") == 0 { try await Task.sleep(for: .milliseconds(5)) }
        world.provider.setFaults { $0 = SimulatedProvider.Faults() }
        _ = try await world.tokens()
        #expect(try await refreshed.status == 200)
        let identity = ExternalIdentity(issuer: "https://id.example.com", subject: "1001")
        #expect(try await world.harness.store.connection(identity)?.sealedTokens != nil)
        #expect(!world.harness.events.contains("sessions.ended", "no_longer_admitted"))
    }

    @Test("who has ended the last grant and allows an application again, keeps the new grant")
    func grantAfterTheLast() async throws {
        let world = try await ProviderHarness()
        let browser = Browser(world.harness)
        let first = try await world.harness.redeem(world.client, try await world.code(browser))
        let refresh = try #require(first.json["refresh_token"]?.string)
        #expect(try await world.harness.post("/revoke", [("client_id", world.client), ("token", refresh)]).status == 200)
        #expect(!world.provider.revokedTokens.isEmpty)
        // The session goes on, so that the provider need not be asked again.
        let answer = try await world.depart(browser)
        let code: String
        if answer.hasPrefix("https://c.example/") {
            code = try #require(answer.firstMatch(of: /code=([^&]+)/)).1.description
        } else {
            code = try #require(try await world.return(browser, answer).location?["code"])
        }
        let second = try await world.harness.redeem(world.client, code)
        let reply = try await world.harness.refresh(world.client, try #require(second.json["refresh_token"]?.string))
        #expect(reply.status == 200, "\(reply.text)")
    }

    @Test("P-10: twenty refreshes at once ask the provider once, where its refresh tokens rotate")
    func flight() async throws {
        let world = try await ProviderHarness()
        var grants: [Harness.Tokens] = []
        for _ in 0..<20 { grants.append(try await world.tokens()) }
        world.provider.setFaults { $0.delay = .milliseconds(50) }
        let asked = world.provider.tokenRequests("refresh_token")
        world.harness.time.advance(by: 4000)
        let all = grants
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for tokens in all { group.addTask { try await world.harness.refresh(world.client, tokens.refresh).status } }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(statuses.allSatisfy { $0 == 200 }, "\(statuses)")
        #expect(world.provider.tokenRequests("refresh_token") == asked + 1)
    }

    @Test("an account of a provider is added to an account by its signed-in user only, shortly after signing in, and never to two")
    func linking() async throws {
        let world = try await ProviderHarness(alsoPasswords: true)
        let browser = Browser(world.harness)
        try await browser.go(.get, "/account")
        try await browser.signIn("ada")
        #expect(browser.page.contains("Connect id.example.com"))
        var url = try #require(try await browser.submit("/sign-in/provider", [("provider", "oidc")]).response.headerFields[.location])
        try await world.return(browser, url)
        #expect(browser.page.contains("The account is connected.") || browser.page.contains("ada@acme.example"))
        let ada = try #require(try await world.harness.server.user(named: "ada"))
        #expect(try await world.harness.store.connections(ofUser: ada.id).map(\.identity.subject) == ["1001"])
        // It signs in as the same user now.
        let signed = try await world.harness.redeem(world.client, try await world.code())
        let parts = try #require(signed.json["access_token"]?.string).split(separator: ".")
        #expect(try JSONValue(parsing: Base64URL.decode(String(parts[1])))["sub"]?.string == ada.id)
        // Grace cannot take it.
        let other = Browser(world.harness)
        try await other.go(.get, "/account")
        try await other.signIn("grace")
        url = try #require(try await other.submit("/sign-in/provider", [("provider", "oidc")]).response.headerFields[.location])
        #expect(try await world.return(other, url).status == 403)
        #expect(try await world.harness.store.connections(ofUser: ada.id).count == 1)
        // Long after signing in, the password is asked for first.
        world.harness.time.advance(by: 1000)
        try await other.go(.get, "/account")
        #expect(try await other.submit("/sign-in/provider", [("provider", "oidc")]).status == 403)
        // Disconnected: gone here and there.
        try await browser.go(.get, "/account")
        let identifier = try #require(browser.page.firstMatch(of: /name="connection" value="([^"]*)"/)).1
        try await browser.submit("/account/connection", [("connection", String(identifier))])
        #expect(try await world.harness.store.connections(ofUser: ada.id).isEmpty && !world.provider.revokedTokens.isEmpty)
    }

    @Test("groups at the provider decide which scopes a user can allow, and again when the provider is asked again")
    func permissions() async throws {
        let byGroup: @Sendable (ProviderPerson) -> ScopeSet = { $0.groups.contains("engineers") ? ["read", "write"] : ["read"] }
        let kind = ProviderCase.all.first { $0.name == "Keycloak" }!
        let world = try await ProviderHarness(kind, permissions: byGroup)
        func scopes(_ subject: String) async throws -> String {
            let reply = try await world.harness.redeem(world.client, try await world.code(nil, as: subject, [("scope", "read write")]))
            return reply.json["scope"]?.string ?? ""
        }
        #expect(try await scopes("1001") == "read write")
        #expect(try await scopes("1002") == "read")
        let browser = Browser(world.harness)
        let refused = try await world.return(browser, try await world.depart(browser, [("scope", "write")]), as: "1002")
        #expect(refused.status == 403 && refused.location == nil && world.harness.events.contains("consent", "not_permitted"))
    }

    @Test("a rule about groups that was added later gives no scope to users whose groups are not known yet")
    func laterPermissions() async throws {
        let (store, master) = (MemoryStore(), MasterKey.random())
        let before = try await ProviderHarness(store: store, master: master)
        let code = try await before.code(nil, as: "1001", [("scope", "read write")])
        let tokens = try await before.harness.redeem(before.client, code)
        let after = try await ProviderHarness(store: store, master: master, permissions: { _ in ["read"] })
        let refused = try await after.harness.refresh(before.client, try #require(tokens.json["refresh_token"]?.string))
        #expect(refused.status == 400, "\(refused.text)")
        let again = try await after.harness.redeem(after.client, try await after.code(nil, as: "1001", [("scope", "read write")]))
        #expect(again.json["scope"]?.string == "read", "\(again.text)")
    }

    @Test("a device gets no grant from a user whose groups permit none of the scopes")
    func deviceWithoutPermissions() async throws {
        let world = try await ProviderHarness(permissions: { _ in ["read"] }, configure: { $0.grantTypes.insert(.deviceCode) })
        let device = try await world.harness.registered([
            "client_name": "A television", "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
            "token_endpoint_auth_method": "none", "redirect_uris": [],
        ])
        let begun = try await world.harness.post("/device_authorization", [("client_id", device), ("scope", "write")])
        let browser = Browser(world.harness)
        try await browser.go(.get, "/device")
        let departure = try await browser.submit("/sign-in/provider", [("provider", world.id)])
        try await world.return(browser, try #require(departure.response.headerFields[.location]))
        try await browser.go(.get, "/device")
        try await browser.submit("/device", [("user_code", try #require(begun.json["user_code"]?.string))])
        let decided = try await browser.submit("/device/decision", [("decision", "allow")])
        #expect(decided.status == 403 && world.harness.events.contains("device.decided", "not_permitted"), "\(decided.text)")
        let polled = try await world.harness.post(
            "/token",
            [
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("client_id", device),
                ("device_code", try #require(begun.json["device_code"]?.string)),
            ])
        #expect(polled.error == "authorization_pending")
    }

    @Test("a user who leaves a group at the provider loses its scopes at a refresh, within the hour")
    func fewerPermissions() async throws {
        let byOrganization: @Sendable (ProviderPerson) -> ScopeSet = { $0.organizations.contains("acme") ? ["read", "write"] : ["read"] }
        let world = try await ProviderHarness(
            ProviderCase.all[0], admission: Admission(condition: { _ in true }), permissions: byOrganization)
        let code = try await world.code(nil, as: "1001", [("scope", "read write")])
        var reply = try await world.harness.redeem(world.client, code)
        #expect(reply.json["scope"]?.string == "read write")
        var left = ProviderHarness.ada
        left.organizations = []
        world.provider.setAccount(left)
        world.harness.time.advance(by: 3601)
        reply = try await world.harness.refresh(world.client, try #require(reply.json["refresh_token"]?.string))
        #expect(reply.status == 200 && reply.json["scope"]?.string == "read", "\(reply.text)")
    }

    @Test("roles at the provider are the roles of the token, and change with them within the hour")
    func roles() async throws {
        let world = try await ProviderHarness(
            ProviderCase.all[0], roles: { $0.organizations.map { "member-of-" + $0 } + ["", String(repeating: "x", count: 300)] })
        let tokens = try await world.tokens()
        #expect(try world.claims(tokens.access)["roles"]?.strings == ["member-of-acme"])
        var moved = ProviderHarness.ada
        moved.organizations = ["navy", "acme"]
        world.provider.setAccount(moved)
        world.harness.time.advance(by: 3601)
        var reply = try await world.harness.refresh(world.client, tokens.refresh)
        #expect(
            Set(try world.claims(try #require(reply.json["access_token"]?.string))["roles"]?.strings ?? []) == ["member-of-navy", "member-of-acme"])
        moved.organizations = []
        world.provider.setAccount(moved)
        world.harness.time.advance(by: 3601)
        reply = try await world.harness.refresh(world.client, try #require(reply.json["refresh_token"]?.string))
        #expect(try world.claims(try #require(reply.json["access_token"]?.string))["roles"] == nil)
        let none = try await ProviderHarness()
        #expect(try none.claims(try await none.tokens().access)["roles"] == nil, "no rule, no claim")
    }

    /// A browser with a session, and the connection's user.
    private func signedInBrowser(_ world: ProviderHarness) async throws -> Browser {
        let browser = Browser(world.harness)
        _ = try await world.code(browser)
        #expect(try await browser.go(.get, "/account").text.contains("Your account"))
        return browser
    }

    @Test("signing out at the provider ends the sessions here, and no grant (OpenID Connect Back-Channel Logout)")
    func backChannelLogout() async throws {
        let world = try await ProviderHarness()
        let tokens = try await world.tokens()
        let browser = try await signedInBrowser(world)
        let path = "/sign-in/logout/oidc"
        func isSignedIn() async throws -> Bool { try await browser.go(.get, "/account").text.contains("Your account") }
        let good = try world.provider.logoutToken(for: "1001")
        // Each of these ends nothing.
        let payload = try CompactJWS(parsing: good).payload
        let forged = try CompactJWS.sign(payload, type: "logout+jwt", with: try SigningKey.generate(.rs256))
        let now = world.harness.time.now.seconds
        var bad = [
            "another key": forged, "nothing": "", "not a JWT": "a.b.c",
            "an access token": tokens.access, "an at+jwt": try world.provider.logoutToken(for: "1001", type: "at+jwt"),
        ]
        let changes: [(String, (inout JSONObject) -> Void)] = [
            ("another issuer", { $0["iss"] = "https://evil.example" }), ("another audience", { $0["aud"] = "other" }),
            ("no event", { $0["events"] = [:] }), ("no events", { $0["events"] = nil }), ("an ID token", { $0["nonce"] = "n" }),
            (
                "neither sub nor sid",
                {
                    $0["sub"] = nil; $0["sid"] = ""
                }
            ), ("expired", { $0["exp"] = .int(now - 100) }),
            ("no end", { $0["exp"] = nil }), ("valid too long", { $0["exp"] = .int(now + 86_400) }),
        ]
        for (name, change) in changes { bad[name] = try world.provider.logoutToken(for: "1001", change) }
        for (name, token) in bad {
            let reply = try await world.harness.post(path, token.isEmpty ? [] : [("logout_token", token)])
            #expect(reply.status == 400 && reply.error == "invalid_request", "\(name): \(reply.status)")
            #expect(try await isSignedIn(), "\(name)")
        }
        let foreign = try await world.harness.post(path, [("logout_token", try world.provider.logoutToken(for: "1002"))])
        #expect(foreign.status == 200, "a user who was never here")
        #expect(try await isSignedIn())
        let reply = try await world.harness.post(path, [("logout_token", good)])
        #expect(reply.status == 200 && reply.response.headerFields[.cacheControl] == "no-store")
        #expect(try await !isSignedIn())
        #expect(world.harness.events.contains("sessions.ended", "signed_out_at_provider"))
        #expect(try await world.harness.refresh(world.client, tokens.refresh).status == 200, "applications go on")
        #expect(try await world.harness.send(.get, path).status == 405)
        let unknown = HTTPRequest(method: .post, scheme: "https", authority: "as.example", path: "/sign-in/logout/other")
        #expect(await world.harness.server.reply(to: HTTPCall(unknown)) == nil)
    }

    @Test("B-05: a logout token with a sid ends the sessions that began with that session at the provider, and no other ones")
    func logoutOfOneSession() async throws {
        let world = try await ProviderHarness()
        let path = "/sign-in/logout/oidc"
        func browser(_ sid: String?, as subject: String = "1001") async throws -> Browser {
            world.provider.setFaults { faults in faults.claims = { $0["sid"] = sid.map { .string($0) } } }
            let browser = Browser(world.harness)
            _ = try await world.code(browser, as: subject)
            return browser
        }
        func isSignedIn(_ browser: Browser) async throws -> Bool { try await browser.go(.get, "/account").text.contains("Your account") }
        func signOut(_ sid: String, subject: String?) async throws {
            let token = try world.provider.logoutToken(for: "1001") { claims in
                claims["sid"] = .string(sid)
                claims["sub"] = subject.map { .string($0) }
            }
            #expect(try await world.harness.post(path, [("logout_token", token)]).status == 200)
        }
        var browsers = [try await browser("one"), try await browser("two"), try await browser(nil), try await browser("theirs", as: "1002")]
        func signedIn() async throws -> [Bool] {
            var all: [Bool] = []
            for browser in browsers { all.append(try await isSignedIn(browser)) }
            return all
        }
        try await signOut("unknown", subject: nil)
        #expect(try await signedIn() == [true, true, true, true])
        try await signOut("one", subject: nil)
        #expect(try await signedIn() == [false, true, true, true])
        #expect(world.harness.events.contains("sessions.ended", "signed_out_at_provider"))
        browsers[0] = try await browser("three")
        try await signOut("two", subject: "1001")
        #expect(try await signedIn() == [true, false, true, true], "sub and sid: that session")
        try await signOut("a session that no ID token named", subject: "1001")
        #expect(try await signedIn() == [false, false, false, true], "then every session of the user")
    }

    @Test("prompt=login and max_age: a provider that did not ask the user again is no new sign-in, and the application learns it")
    func notSignedInAgain() async throws {
        let world = try await ProviderHarness()
        let now = world.harness.time.now
        let cases: [(change: [(String, String?)], ago: Int64?, isIn: Bool)] = [
            ([("prompt", "login")], 1000, false), ([("prompt", "login")], 30, true), ([("prompt", "login")], nil, true),
            ([("max_age", "100")], 1000, false), ([("max_age", "100")], 90, true), ([("max_age", "100")], nil, true),
            ([("prompt", "select_account")], 1000, true), ([], 1000, true),
        ]
        for (change, ago, isIn) in cases {
            world.provider.setFaults { faults in
                faults.claims = { $0["auth_time"] = ago.map { .int(now.advanced(by: -$0).seconds) } }
            }
            let browser = Browser(world.harness)
            let reply = try await world.return(browser, try await world.depart(browser, change))
            #expect((reply.location?["code"] != nil) == isIn, "\(change) \(ago ?? -1)")
            if !isIn { #expect(reply.location?["error"] == "login_required" && reply.location?["iss"] != nil) }
            #expect(try await browser.go(.get, "/account").text.contains("Your account") == isIn)
        }
        #expect(world.harness.events.contains("sign_in", "not_signed_in_again"))
        // No application that could be told is no way around it.
        world.provider.setFaults { faults in faults.claims = { $0["auth_time"] = .int(now.advanced(by: -1000).seconds) } }
        let browser = Browser(world.harness)
        let url = try await world.depart(browser, [("prompt", "login")])
        try await world.harness.store.deleteClient(try #require(ClientID(world.client)), at: now)
        #expect(try await world.return(browser, url).location == nil)
        #expect(try await !browser.go(.get, "/account").text.contains("Your account"))
    }

    @Test("O-07: a provider that does not answer delays no run of maintenance, so that revocations are known in time", .timeLimit(.minutes(1)))
    func slowProvider() async throws {
        let (store, master) = (MemoryStore(), MasterKey.random())
        let world = try await ProviderHarness(store: store, master: master)
        let operations = try await Harness(store: store, master: master, time: world.harness.time).server
        let (gone, other) = (try await world.tokens(), try await world.tokens(as: "1002"))
        let user = try #require(try await operations.user(id: world.user(gone)))
        let grace = try #require(try await operations.user(id: world.user(other)))
        try await operations.removeUser(named: user.name)
        world.provider.setFaults { $0.delay = .seconds(3600) }
        let maintenance = Task { try await Maintenance(world.harness.server, every: .milliseconds(10)).run() }
        while !world.harness.events.contains("connection.ended", "no_grant") { try await Task.sleep(for: .milliseconds(5)) }
        #expect(try await world.harness.accepts(other.access))
        try await operations.signOutUser(named: grace.name)
        while try await world.harness.accepts(other.access) { try await Task.sleep(for: .milliseconds(5)) }
        maintenance.cancel()
        _ = await maintenance.result
        #expect(world.provider.revokedTokens.isEmpty, "the provider has not answered yet")
    }

    @Test("a user who signs out here is shown the way to sign out at the provider, where it has one")
    func logoutLink() async throws {
        for hasPage in [true, false] {
            var kind = ProviderCase.openID
            if hasPage {
                var provider = kind.provider
                provider.metadata = .wellKnown { $0["end_session_endpoint"] = "https://id.example.com/logout?a=1" }
                kind = ProviderCase(name: kind.name, provider: provider, behaviour: kind.behaviour)
            }
            let world = try await ProviderHarness(kind)
            let browser = try await signedInBrowser(world)
            let reply = try await browser.submit("/sign-out", [])
            let link = "href=\"https://id.example.com/logout?a=1&amp;client_id=client-at-provider\""
            #expect(reply.text.contains(link) == hasPage && reply.text.contains("Signed out"), "\(reply.text)")
        }
    }

    @Test("users of providers have names that operators recognize, and a name that is taken takes nobody's place")
    func names() async throws {
        let twin = SimulatedAccount("7", name: "Another Ada", userName: "ada", email: "other@acme.example")
        let odd = SimulatedAccount("8", name: "Odd", userName: "x y<z>", email: "odd@acme.example")
        let world = try await ProviderHarness(accounts: [ProviderHarness.ada, twin, odd])
        let first = try world.user(try await world.tokens())
        let second = try world.user(try await world.tokens(as: "7"))
        let third = try world.user(try await world.tokens(as: "8"))
        let users = try await world.harness.server.allUsers()
        #expect(users.first { $0.id == first }?.name == "ada@oidc")
        for id in [second, third] { #expect(users.first { $0.id == id }?.name.hasPrefix("external.") == true) }
        #expect(Set([first, second, third]).count == 3)
        #expect(try await world.harness.server.connections(ofUser: first).map(\.accountName) == ["ada"])
    }

    @Test("another account than the one that allowed is asked again")
    func otherAccount() async throws {
        let world = try await ProviderHarness()
        let browser = Browser(world.harness)
        _ = try await world.code(browser)
        let url = try await world.depart(browser, [("prompt", "login")])
        let reply = try await world.return(browser, url, as: "1002")
        #expect(reply.status == 200 && reply.text.contains("Signed in as") && reply.text.contains("Grace Hopper"))
        #expect(try await browser.decide("allow").location?["code"] != nil)
    }

    @Test("iss of the provider's answer is compared, and required where its metadata promises it")
    func issuer() async throws {
        var kind = ProviderCase.openID
        var behaviour = kind.behaviour
        behaviour.metadataMembers = ["authorization_response_iss_parameter_supported": true]
        kind = ProviderCase(name: "promises iss", provider: kind.provider, behaviour: behaviour)
        let world = try await ProviderHarness(kind)
        for (suffix, isGood) in [("", false), ("&iss=https%3A%2F%2Fevil.example", false), ("&iss=https%3A%2F%2Fid.example.com", true)] {
            let browser = Browser(world.harness)
            guard case .redirect(let answer) = try world.provider.authorize(try await world.depart(browser), as: "1001") else { throw Unexpected() }
            let reply = try await browser.go(.get, world.target(answer) + suffix)
            #expect((reply.location?["code"] != nil) == isGood, "\(suffix)")
        }
    }

    @Test("configurations that cannot work are named at the start")
    func configuration() async throws {
        func message(_ methods: [SignInMethod], fetcher: (any HTTPFetcher)? = ScriptedFetcher { _ in HTTPReply(.notFound) }) async -> String {
            do {
                _ = try await Harness(signIn: methods, fetcher: fetcher)
                return ""
            } catch { return "\(error)" }
        }
        let github = SignInMethod.github(clientID: "id", clientSecret: "secret")
        #expect(await message([github, .github(clientID: "id", clientSecret: "secret")]).contains("two sign-in methods have the id github"))
        #expect(await message([github], fetcher: nil).contains("fetcher: GuardedHTTPClient.shared"))
        #expect(await message([.github(clientID: "id", clientSecret: "")]).contains("client secret"))
        #expect(await message([.password, .custom { _, _ in nil }]).contains("not with both"))
        #expect(await message([]).contains("at least one"))
        #expect(await message([.provider(.firebase(project: "p"), clientID: "id", clientSecret: "s")]).contains("cannot sign in through Firebase"))
        #expect(await message([github, .password]).isEmpty)
        #expect("\(ProviderSecret("canary"))" == "ProviderSecret")
    }
}

struct Unexpected: Error {}
