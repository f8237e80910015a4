import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Client ID metadata documents")
struct ClientDocumentTests {
    static let id = "https://app.example/oauth/client.json"

    static func document(_ change: JSONObject = [:]) -> JSONValue {
        var json: JSONObject = [
            "client_id": .string(id), "client_name": "An app", "redirect_uris": [.string(Harness.redirectURI)],
        ]
        for member in change { json[member.name] = member.value.isNull ? nil : member.value }
        return .object(json)
    }

    /// A server, and a site whose answer a test changes.
    static func harness(
        _ reply: HTTPReply = .json(document(), cacheControl: "max-age=300"), configure: (inout AuthorizationServerConfiguration) -> Void = { _ in }
    ) async throws -> (Harness, ScriptedFetcher, Synchronized<HTTPReply>) {
        let answer = Synchronized(reply)
        let fetcher = ScriptedFetcher { _ throws(OAuthError) in answer.value }
        return (try await Harness(fetcher: fetcher, configure: configure), fetcher, answer)
    }

    static func status(_ harness: Harness, _ id: String = id, _ change: [(String, String?)] = []) async throws -> (Int, String) {
        let reply = try await harness.send(.get, "/authorize?" + Form(harness.parameters(id, change)).encoded)
        return (reply.status, reply.text)
    }

    @Test(
        "positive control, R49, R50: the address of a document is a client; it is fetched once, without credentials, and the consent page names its domain"
    )
    func control() async throws {
        let (harness, fetcher, _) = try await Self.harness()
        #expect(harness.server.metadata["client_id_metadata_document_supported"]?.bool == true)
        let browser = Browser(harness)
        try await browser.open(harness.parameters(Self.id))
        #expect(browser.page.contains("An app"))
        try await browser.signIn("ada")
        #expect(browser.page.contains("app.example") && browser.page.contains("c.example"))
        let code = try #require(try await browser.decide("allow").location?["code"])
        let reply = try await harness.redeem(Self.id, code)
        #expect(reply.status == 200)
        #expect(try await harness.accepts(try #require(reply.json["access_token"]?.string)))
        let refreshed = try await harness.refresh(Self.id, try #require(reply.json["refresh_token"]?.string))
        #expect(refreshed.status == 200)
        #expect(fetcher.requests.count == 1)
        let request = try #require(fetcher.requests.first)
        #expect(request.method == .get && request.maximumBytes == 5120)
        #expect(!request.fields.contains(.authorization) && !request.fields.contains(.cookie))
    }

    @Test(
        "S-01, R52: identifiers that are no address of a document are refused, and nothing is fetched",
        arguments: [
            "http://app.example/client.json", "https://app.example", "https://app.example/", "https://app.example/./client.json",
            "https://app.example/../client.json", "https://app.example/%2e%2E/client.json", "https://app.example/client.json#x",
            "https://user@app.example/client.json", "https://app.example/client.json ", "https:/app.example/x", "https:app.example/x",
            "https://app.example\\x", "https://" + String(repeating: "a", count: 600) + ".example/x", "https://127.0.0.1/client.json",
            "https://localhost/client.json", "https://[::1]/client.json", "https://169.254.169.254/latest", "https://10.0.0.1/x",
            "https://[::ffff:127.0.0.1]/x", "https://2130706433/x", "https://0x7f.1/x", "https://app.example:99999/x",
            "HTTPS://app.example/client.json",
            "https://as.example/client.json",
        ])
    func badAddresses(_ id: String) async throws {
        let (harness, fetcher, _) = try await Self.harness()
        #expect(try await Self.status(harness, id).0 == 400)
        #expect(fetcher.requests.isEmpty)
    }

    @Test(
        "S-02, S-11: documents that do not say, byte for byte, that they are this client's, or that hold what has no place there",
        arguments: [
            ["client_id": "https://app.example/oauth/client.json/"], ["client_id": "https://APP.example/oauth/client.json"],
            ["client_id": "https://app.example:443/oauth/client.json"], ["client_id": "https://app.example/oauth/client%2Ejson"],
            ["client_id": .null], ["client_id": [.string(id)]], ["client_name": .null], ["client_name": ""], ["client_name": 1],
            ["redirect_uris": .null], ["redirect_uris": []], ["redirect_uris": ["javascript:alert(1)"]], ["redirect_uris": ["http://c.example/cb"]],
            ["client_secret": "x"], ["token_endpoint_auth_method": "client_secret_post"], ["token_endpoint_auth_method": "client_secret_basic"],
            ["token_endpoint_auth_method": "private_key_jwt"], ["grant_types": ["client_credentials"]],
        ] as [JSONObject])
    func badDocuments(_ change: JSONObject) async throws {
        let (harness, fetcher, answer) = try await Self.harness(.json(Self.document(change)))
        #expect(try await Self.status(harness).0 == 400)
        // S-13: what is wrong is not kept.
        answer.value = .json(Self.document())
        #expect(try await Self.status(harness).0 == 200)
        #expect(fetcher.requests.count == 2)
    }

    @Test(
        "S-11, W-06: texts that are not JSON, or not one JSON only",
        arguments: [
            "<html></html>", "[]", "", "\u{FEFF}{}", #"{"client_id":"https://app.example/oauth/client.json",}"#,
            #"{"client_id":"https://app.example/oauth/client.json","client_id":"x","client_name":"x","redirect_uris":["https://c.example/cb"]}"#,
        ])
    func badTexts(_ text: String) async throws {
        let (harness, _, _) = try await Self.harness(HTTPReply(.ok, body: Array(text.utf8)))
        #expect(try await Self.status(harness).0 == 400)
    }

    @Test("S-03: only a plain 200 counts", arguments: [201, 204, 206, 301, 302, 304, 307, 404, 500])
    func statuses(_ code: Int) async throws {
        var reply = HTTPReply.json(Self.document())
        reply.response.status = HTTPResponse.Status(code: code)
        let (harness, fetcher, _) = try await Self.harness(reply)
        let (status, text) = try await Self.status(harness)
        #expect(status == 400 && text.contains("could not be fetched"))
        #expect(fetcher.requests.count == 1)
    }

    @Test("S-10: why a document could not be had is nobody's business")
    func coarse() async throws {
        var pages: Set<String> = []
        for message in ["refused address 10.0.0.1", "timeout", "404"] {
            let harness = try await Harness(fetcher: ScriptedFetcher { _ throws(OAuthError) in throw OAuthError(.fetchFailed, message) })
            pages.insert(try await Self.status(harness).1)
        }
        #expect(pages.count == 1)
    }

    @Test("R51, Z-02: the redirect URI is one of the document's")
    func redirects() async throws {
        let (harness, _, _) = try await Self.harness()
        for uri in ["https://evil.lab/cb", "https://c.example/cb/", "https://c.example/cb?x"] {
            #expect(try await Self.status(harness, Self.id, [("redirect_uri", uri)]).0 == 400)
        }
    }

    @Test("S-12: a document that changes while somebody is asked is asked about anew; a code never goes where the new one does not allow")
    func swap() async throws {
        let (harness, _, answer) = try await Self.harness(.json(Self.document(), cacheControl: "no-store"))
        let browser = Browser(harness)
        try await browser.open(harness.parameters(Self.id))
        try await browser.signIn("ada")
        answer.value = .json(Self.document(["client_name": "Another app"]), cacheControl: "no-store")
        let again = try await browser.decide("allow")
        #expect(again.location == nil && browser.page.contains("Another app"))
        let question = browser.transaction
        answer.value = .json(Self.document(["redirect_uris": ["https://evil.lab/cb"]]), cacheControl: "no-store")
        #expect(try await browser.decide("allow").status == 400)
        answer.value = .json(Self.document(["client_name": "Another app"]), cacheControl: "no-store")
        #expect(try await browser.submit("/consent", [("decision", "allow")], transaction: question).location?["code"] != nil)
    }

    @Test("S-13: kept as its headers say, but a minute at least and a day at most; errors do not replace what is good")
    func caching() async throws {
        for (header, life) in [
            ("max-age=1000000000", 86400), ("max-age=300", 300), ("max-age=1", 60), ("no-cache", 60), ("private, max-age=600", 600),
            ("max-age=-5", 60), ("max-age=99999999999999999999", 60),
        ] as [(String, Int64)] {
            let (harness, fetcher, _) = try await Self.harness(.json(Self.document(), cacheControl: header))
            _ = try await Self.status(harness)
            harness.time.advance(by: life - 1)
            _ = try await Self.status(harness)
            #expect(fetcher.requests.count == 1, "\(header)")
            harness.time.advance(by: 1)
            _ = try await Self.status(harness)
            #expect(fetcher.requests.count == 2, "\(header)")
        }
        let (harness, fetcher, _) = try await Self.harness(.json(Self.document(), cacheControl: "no-store"))
        _ = try await Self.status(harness)
        _ = try await Self.status(harness)
        #expect(fetcher.requests.count == 2)
    }

    @Test("S-14: the list of domains matches whole labels")
    func domains() async throws {
        let (harness, fetcher, _) = try await Self.harness { $0.clientMetadataDocuments = .domains(["app.example", "Trusted.example"]) }
        #expect(try await Self.status(harness).0 == 200)
        for host in ["evil-app.example", "app.example.evil.lab", "example", "xapp.example"] {
            #expect(try await Self.status(harness, "https://\(host)/client.json").0 == 400, "\(host)")
        }
        #expect(fetcher.requests.count == 1)
        #expect(try await Self.status(harness, "https://a.trusted.EXAMPLE/client.json").1.contains("cannot be used"), "allowed, and then not its own")
        let (closed, none, _) = try await Self.harness { $0.clientMetadataDocuments = .off }
        #expect(try await Self.status(closed).0 == 400 && none.requests.isEmpty)
        #expect(closed.server.metadata["client_id_metadata_document_supported"] == nil)
    }

    @Test("S-14, R53, R100: a famous domain that returns to this computer is shown with a warning")
    func localhost() async throws {
        let (harness, _, _) = try await Self.harness(.json(Self.document(["redirect_uris": ["http://localhost/cb"]])))
        let browser = Browser(harness)
        try await browser.open(harness.parameters(Self.id, [("redirect_uri", "http://localhost:4444/cb")]))
        try await browser.signIn("ada")
        #expect(browser.page.contains("class=\"warning\"") && browser.page.contains("localhost:4444") && browser.page.contains("app.example"))
    }

    @Test("S-10: one address, or many, cannot make the server fetch without end")
    func limits() async throws {
        let (harness, fetcher, _) = try await Self.harness(HTTPReply(.notFound))
        for index in 0..<100 { _ = try await Self.status(harness, "https://victim.example/\(index)") }
        #expect(fetcher.requests.count <= 20)
    }

    @Test("S-10: nobody can use up what a good client's host may be asked, and a host that is away for a while costs nobody their client")
    func resilience() async throws {
        let isAway = Synchronized(false)
        let fetcher = ScriptedFetcher { request throws(OAuthError) in
            guard !isAway.value else { throw OAuthError(.fetchFailed, "away") }
            return request.url.text == Self.id ? .json(Self.document(), cacheControl: "max-age=60") : HTTPReply(.notFound)
        }
        let harness = try await Harness(fetcher: fetcher)
        #expect(try await Self.status(harness).0 == 200)
        for index in 0..<60 { _ = try await Self.status(harness, "https://app.example/x\(index)") }
        harness.time.advance(by: 61)
        for index in 0..<60 { _ = try await Self.status(harness, "https://app.example/y\(index)") }
        #expect(try await Self.status(harness).0 == 200)
        isAway.value = true
        harness.time.advance(by: 61)
        #expect(try await Self.status(harness).0 == 200, "for a while")
        harness.time.advance(by: 3601)
        #expect(try await Self.status(harness).0 == 400, "not for ever")
    }

    @Test("S-10: of many who ask at once, one fetches")
    func singleFlight() async throws {
        let fetcher = ScriptedFetcher { _ throws(OAuthError) in
            try? await Task.sleep(for: .milliseconds(50))
            return .json(Self.document())
        }
        let harness = try await Harness(fetcher: fetcher)
        let good = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<20 { group.addTask { try await Self.status(harness).0 } }
            return try await group.reduce(0) { $0 + ($1 == 200 ? 1 : 0) }
        }
        #expect(good == 20 && fetcher.requests.count == 1)
    }

    @Test("R26, B-08: a document's client with keys authenticates with them, and one without is never remembered")
    func keys() async throws {
        let key = try SigningKey.generate(.es256)
        let jwks: JSONValue = ["keys": [key.verificationKey.publicJWK ?? .null]]
        let (harness, _, _) = try await Self.harness(
            .json(Self.document(["token_endpoint_auth_method": "private_key_jwt", "jwks": jwks])))
        let client = AssertingClient(id: Self.id, key: key, time: harness.time)
        let code = try await harness.code(Self.id)
        #expect(try await harness.redeem(Self.id, code).status == 401)
        let form =
            [("grant_type", "authorization_code"), ("code", code), ("code_verifier", Harness.verifier)] + client.fields(try client.assertion())
        #expect(try await harness.post("/token", form).status == 200)
        let (plain, _, _) = try await Self.harness()
        let browser = Browser(plain)
        try await browser.open(plain.parameters(Self.id))
        try await browser.signIn("ada")
        #expect(!browser.page.contains("name=\"remember\""))
    }

    @Test("S-15: an identifier that is an address of this very server asks it once, gets nothing, and holds nothing up")
    func itself() async throws {
        let own = Synchronized<Harness?>(nil)
        let fetcher = ScriptedFetcher { request throws(OAuthError) in
            guard let harness = own.value else { return HTTPReply(.notFound) }
            let call = HTTPCall(HTTPRequest(method: .get, scheme: "https", authority: "as.example", path: request.url.requestPath), peer: "192.0.2.9")
            return await harness.server.reply(to: call) ?? HTTPReply(.notFound)
        }
        let harness = try await Harness(fetcher: fetcher)
        own.value = harness
        let nested = "https://as.example/authorize?client_id=https%3A%2F%2Fas.example%2Fjwks"
        for id in ["https://as.example/jwks", "https://as.example/.well-known/oauth-authorization-server", "https://as.example/token", nested] {
            let (status, page) = try await Self.status(harness, id)
            #expect((400..<500).contains(status), "\(id): \(page.prefix(300))")
        }
        #expect(fetcher.requests.count <= 5)
    }

    @Test("S-15: what a document says of logos and pages elsewhere is not shown as if it were ours, and nobody's browser fetches it")
    func logo() async throws {
        let (harness, _, _) = try await Self.harness(
            .json(
                Self.document([
                    "logo_uri": "https://app.example/logo.svg", "tos_uri": "https://app.example/tos", "policy_uri": "https://app.example/policy",
                ])))
        let browser = Browser(harness)
        try await browser.open(harness.parameters(Self.id))
        try await browser.signIn("ada")
        #expect(browser.page.contains("An app"))
        #expect(!browser.page.contains("logo.svg") && !browser.page.contains("<img"))
    }

    @Test("O-07: a client whose document's host is away, after a restart, is told to come back, and not that it is no client")
    func outageAtToken() async throws {
        let answer = Synchronized(HTTPReply.json(Self.document()))
        let fetcher = ScriptedFetcher { _ throws(OAuthError) in answer.value }
        let master = MasterKey.random()
        let harness = try await Harness(master: master, fetcher: fetcher)
        let tokens = try await harness.tokens(Self.id)
        let restarted = try await Harness(store: harness.store, master: master, fetcher: fetcher, time: harness.time)
        answer.value = HTTPReply(.badGateway)
        let reply = try await restarted.refresh(Self.id, tokens.refresh)
        #expect(reply.status == 503 && reply.error == "temporarily_unavailable")
        answer.value = .json(Self.document())
        #expect(try await restarted.refresh(Self.id, tokens.refresh).status == 200)
    }

    @Test("R49, 57: a document says the same to every server: grants that this one does not have are left out, callbacks of apps are taken")
    func generous() async throws {
        let (harness, _, _) = try await Self.harness(
            .json(
                Self.document([
                    "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "urn:example:other"],
                    "redirect_uris": ["editor://vendor.extension/callback", .string(Harness.redirectURI), "http://127.0.0.1/"],
                ])))
        #expect(try await harness.tokens(Self.id).access.isEmpty == false)
        let (status, _) = try await Self.status(harness, Self.id, [("redirect_uri", "editor://vendor.extension/callback")])
        #expect(status == 200)
    }

    @Test("D-04: nobody registers an identifier that looks like a document's")
    func disjoint() async throws {
        let (harness, _, _) = try await Self.harness()
        let reply = try await harness.register(["redirect_uris": [.string(Harness.redirectURI)], "client_id": .string(Self.id)])
        #expect(reply.json["client_id"]?.string?.hasPrefix("client-") == true)
        for id in [Self.id, "user-1", "workload:x"] {
            await #expect(throws: OAuthError.self) {
                _ = try await harness.server.addClient(
                    Client(id: ClientID(id)!, name: nil, redirectURIs: [], origin: .configured, createdAt: harness.time.now))
            }
        }
    }
}
