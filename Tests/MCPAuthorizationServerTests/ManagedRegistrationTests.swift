import HTTPTypes
import JOSE
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("Registration, by whom, and what becomes of it")
struct ManagedRegistrationTests {
    static let plain: JSONValue = ["redirect_uris": [.string(Harness.redirectURI)], "client_name": "A client"]

    /// What a client needs to manage itself.
    struct Registration {
        let id: String
        let token: String
        let path: String
        let secret: String?

        init(_ reply: HTTPReply) throws {
            id = try #require(reply.json["client_id"]?.string)
            token = try #require(reply.json["registration_access_token"]?.string)
            path = try #require(reply.json["registration_client_uri"]?.string).replacing(Harness.issuer, with: "")
            secret = reply.json["client_secret"]?.string
        }
    }

    static func send(_ harness: Harness, _ method: HTTPRequest.Method, _ path: String, _ token: String?, _ body: JSONValue? = nil) async throws
        -> HTTPReply
    {
        var fields: HTTPFields = [.contentType: "application/json"]
        if let token { fields[.authorization] = "Bearer \(token)" }
        return try await harness.send(method, path, fields, body: body?.text ?? "")
    }

    @Test("R128: a client reads, changes and deletes itself; its tokens go with it")
    func management() async throws {
        let harness = try await Harness()
        let registration = try Registration(try await harness.register(Self.plain))
        let read = try await Self.send(harness, .get, registration.path, registration.token)
        #expect(read.status == 200 && read.json["client_name"]?.string == "A client")
        #expect(read.json["client_secret"] == nil && read.json["registration_access_token"] == nil)
        let update: JSONValue = [
            "client_id": .string(registration.id), "redirect_uris": [.string(Harness.redirectURI), "https://c.example/2"], "client_name": "Renamed",
            "token_endpoint_auth_method": "none",
        ]
        let updated = try await Self.send(harness, .put, registration.path, registration.token, update)
        #expect(updated.status == 200 && updated.json["client_name"]?.string == "Renamed")
        let tokens = try await harness.tokens(registration.id)
        #expect(try await harness.accepts(tokens.access))
        #expect(try await Self.send(harness, .delete, registration.path, registration.token).status == 204)
        #expect(try await !harness.accepts(tokens.access))
        #expect(try await harness.refresh(registration.id, tokens.refresh).status == 401)
        #expect(try await Self.send(harness, .get, registration.path, registration.token).status == 401)
    }

    @Test("D-06: nobody else's token, no token, an access token; and whether the client exists makes no difference")
    func access() async throws {
        let harness = try await Harness()
        let (one, two) = (try Registration(try await harness.register(Self.plain)), try Registration(try await harness.register(Self.plain)))
        let public_ = try await harness.registered()
        let access = try await harness.tokens(public_).access
        for method in [HTTPRequest.Method.get, .put, .delete] {
            for token in [two.token, nil, access, "x", one.token + "x"] {
                let reply = try await Self.send(harness, method, one.path, token, Self.plain)
                #expect(reply.status == 401 && reply.error == "invalid_token")
                let missing = try await Self.send(harness, method, "/register/client?client_id=client-none", token, Self.plain)
                #expect(missing.status == reply.status && missing.body == reply.body)
            }
        }
        let foreign: JSONValue = ["client_id": .string(two.id), "redirect_uris": [.string(Harness.redirectURI)]]
        #expect(try await Self.send(harness, .put, one.path, one.token, foreign).error == "invalid_client_metadata")
        #expect(try await Self.send(harness, .get, one.path, one.token).json["client_name"]?.string == "A client")
    }

    @Test("R128: an update gives nothing that a registration would not")
    func widening() async throws {
        let harness = try await Harness { $0.grantTypes.insert(.clientCredentials) }
        let registration = try Registration(try await harness.register(Self.plain))
        func update(_ change: JSONObject) async throws -> HTTPReply {
            var json: JSONObject = ["client_id": .string(registration.id), "redirect_uris": [.string(Harness.redirectURI)]]
            for member in change { json[member.name] = member.value }
            return try await Self.send(harness, .put, registration.path, registration.token, .object(json))
        }
        for change in [
            ["grant_types": ["client_credentials"]], ["redirect_uris": ["javascript:x"]], ["client_secret": "chosen"],
            ["registration_access_token": "chosen"], ["client_secret_expires_at": 0],
        ] as [JSONObject] { #expect(try await update(change).status == 400) }
        #expect(try await update(["client_secret": .string(try #require(registration.secret))]).status == 200)
        let quiet = try await update(["introspects": .string(Harness.resource), "origin": "configured", "trusted": true])
        #expect(quiet.status == 200 && quiet.json["introspects"] == nil)
    }

    @Test("with an initial access token only: each good once, and not for ever")
    func invitations() async throws {
        let harness = try await Harness { $0.dynamicRegistration = .initialAccessToken }
        let refused = try await harness.register(Self.plain)
        #expect(refused.status == 401 && refused.error == "invalid_token")
        #expect(refused.response.headerFields[.wwwAuthenticate]?.hasPrefix("Bearer") == true)
        let invitation = try harness.server.inviteClient(lifetime: 600)
        let broken = try await Self.send(harness, .post, "/register", invitation, ["redirect_uris": ["javascript:x"]])
        #expect(broken.status == 400, "a mistake does not use it up")
        let wins = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<10 { group.addTask { try await Self.send(harness, .post, "/register", invitation, Self.plain).status == 201 } }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(wins == 1)
        let late = try harness.server.inviteClient(lifetime: 600)
        harness.time.advance(by: 600)
        #expect(try await Self.send(harness, .post, "/register", late, Self.plain).status == 401)
        let other = try await Harness { $0.dynamicRegistration = .initialAccessToken }
        #expect(try await Self.send(other, .post, "/register", try harness.server.inviteClient(lifetime: 600), Self.plain).status == 401)
    }

    @Test("D-04: software statements: what a trusted issuer says counts more than what the client says; all others are refused")
    func softwareStatements() async throws {
        let mint = try TokenMint(issuer: "https://store.example")
        let harness = try await Harness {
            $0.softwareStatements = [SoftwareStatementIssuer(issuer: mint.issuer, keys: [mint.key.verificationKey])]
        }
        func statement(_ claims: JSONObject = [:], issuer: String = mint.issuer, key: SigningKey? = nil, type: String? = nil) throws -> JSONValue {
            var all: JSONObject = ["iss": .string(issuer), "client_name": "Approved app", "software_id": "x"]
            for claim in claims { all[claim.name] = claim.value }
            return .string(try CompactJWS.sign(JSONValue.object(all).serialized, type: type, with: key ?? mint.key))
        }
        func register(_ statement: JSONValue) async throws -> HTTPReply {
            try await harness.register(["redirect_uris": [.string(Harness.redirectURI)], "client_name": "Claimed", "software_statement": statement])
        }
        #expect(try await register(try statement()).json["client_name"]?.string == "Approved app")
        let bad: [(JSONValue, String)] = [
            (try statement(issuer: "https://other.example"), "unapproved_software_statement"),
            (try statement(key: try SigningKey.generate(.es256)), "invalid_software_statement"),
            (try statement(["exp": 1_799_999_000]), "invalid_software_statement"), (try statement(type: "at+jwt"), "invalid_software_statement"),
            ("x", "invalid_software_statement"), (1, "invalid_software_statement"),
        ]
        for (statement, error) in bad { #expect(try await register(statement).error == error) }
        let none = Base64URL.encode(#"{"alg":"none"}"#.utf8) + "." + Base64URL.encode(#"{"iss":"https://store.example"}"#.utf8) + "."
        #expect(try await register(.string(none)).error == "invalid_software_statement")
        #expect(try await register(try statement(["redirect_uris": ["javascript:x"]])).error == "invalid_redirect_uri")
    }

    @Test("D-06: a client that is kept out, or gone, does not bring itself back, however fast it is")
    func resurrection() async throws {
        for isRemoved in [true, false] {
            let harness = try await Harness()
            let registration = try Registration(try await harness.register(Self.plain))
            let update: JSONValue = ["client_id": .string(registration.id), "redirect_uris": [.string(Harness.redirectURI)]]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 { group.addTask { _ = try await Self.send(harness, .put, registration.path, registration.token, update) } }
                group.addTask {
                    let id = ClientID(registration.id)!
                    if isRemoved { try await harness.server.removeClient(id) } else { try await harness.server.setDisabled(true, client: id) }
                }
                try await group.waitForAll()
            }
            let left = try await harness.store.client(ClientID(registration.id)!)
            #expect(isRemoved ? left == nil : left?.isDisabled == true)
        }
    }

    @Test("K-11: a rotated secret: the old one works for the overlap and not longer; a disabled client is out at once")
    func secrets() async throws {
        let harness = try await Harness()
        let id = ClientID("backend")!
        let first = try #require(
            try await harness.server.addClient(
                Client(
                    id: id, name: "Backend", redirectURIs: [try RedirectURI(Harness.redirectURI)], authenticationMethod: .post, origin: .configured,
                    createdAt: harness.time.now)))
        func status(_ secret: String) async throws -> Int {
            try await harness.post("/revoke", [("token", "x"), ("client_id", "backend"), ("client_secret", secret)]).status
        }
        #expect(try await status(first) == 200)
        let second = try await harness.server.rotateSecret(ofClient: id, overlap: 100)
        #expect(try await status(first) == 200)
        #expect(try await status(second) == 200)
        harness.time.advance(by: 100)
        #expect(try await status(first) == 401)
        #expect(try await status(second) == 200)
        let third = try await harness.server.rotateSecret(ofClient: id, overlap: 0)
        #expect(try await status(second) == 401)
        try await harness.server.setDisabled(true, client: id)
        #expect(try await status(third) == 401)
        #expect(try await harness.send(.get, "/authorize?" + Form(harness.parameters("backend")).encoded).status == 400)
        try await harness.server.setDisabled(false, client: id)
        #expect(try await status(third) == 200)
        try await harness.server.removeClient(id)
        #expect(try await status(third) == 401)
        await #expect(throws: OAuthError.self) { try await harness.server.removeClient(id) }
    }
}
