import HTTPTypes
import JOSE
import OAuth
import Testing

/// Answers by address; everything else is 404.
private struct Site: HTTPFetcher {
    let answers: [String: HTTPReply]
    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply { answers[request.url.text] ?? HTTPReply(.notFound) }
}

@Suite("Discovery of an authorization server")
struct DiscoveryTests {
    static let issuer = "https://as.example/t"
    static let addresses = [
        "https://as.example/.well-known/oauth-authorization-server/t", "https://as.example/.well-known/openid-configuration/t",
        "https://as.example/t/.well-known/openid-configuration",
    ]
    static let good = HTTPReply.json(["issuer": .string(issuer), "jwks_uri": "https://as.example/jwks"])

    func discover(_ answers: [String: HTTPReply]) async throws(OAuthError) -> AuthorizationServerMetadata {
        try await AuthorizationServerMetadata.discover(Issuer(Self.issuer), with: Site(answers: answers))
    }

    @Test(
        "19: a document that cannot be used is no end: the next address is tried",
        arguments: [
            HTTPReply.json([:]), HTTPReply(.ok, body: Array("<html>".utf8)), .json(["issuer": "https://other.example"]),
            HTTPReply(.internalServerError),
            HTTPReply(.ok), .json([]), HTTPReply(.found, [.location: "https://elsewhere.example/x"]),
        ])
    func continues(_ first: HTTPReply) async throws {
        for (index, address) in Self.addresses.enumerated() {
            var answers = Dictionary(uniqueKeysWithValues: Self.addresses[..<index].map { ($0, first) })
            answers[address] = Self.good
            #expect(try await discover(answers).jwksURI?.text == "https://as.example/jwks")
        }
    }

    @Test("and when none can be used, the error names each address and what is wrong there")
    func reports() async throws {
        let error = await #expect(throws: OAuthError.self) {
            try await discover([Self.addresses[0]: .json(["issuer": "https://other.example"]), Self.addresses[1]: HTTPReply(.ok, body: [0x3C])])
        }
        #expect(error?.code == .invalidMetadata)
        for text in Self.addresses + ["https://other.example", "not JSON", "404"] { #expect(error?.message.contains(text) == true, "\(text)") }
        let absent = await #expect(throws: OAuthError.self) { try await discover([:]) }
        #expect(absent?.code == .fetchFailed)
    }

    func discover(_ location: MetadataLocation, _ answers: [String: HTTPReply]) async throws(OAuthError) -> AuthorizationServerMetadata {
        try await AuthorizationServerMetadata.discover(Issuer(Self.issuer), at: location, with: Site(answers: answers))
    }

    @Test("a document at a URL of the configuration, corrected or written by hand; the issuer is compared in every case")
    func location() async throws {
        let elsewhere = "https://cdn.example/as.json"
        let answers = [elsewhere: Self.good]
        #expect(try await discover(.url(elsewhere), answers).jwksURI?.text == "https://as.example/jwks")
        await #expect(throws: OAuthError.self, "no other URL is tried") { try await discover(.url(elsewhere), [Self.addresses[0]: Self.good]) }
        let wrong = [elsewhere: HTTPReply.json(["issuer": "https://other.example", "jwks_uri": "https://as.example/jwks"])]
        await #expect(throws: OAuthError.self) { try await discover(.url(elsewhere), wrong) }
        let mended = try await discover(.url(elsewhere) { $0["issuer"] = .string(Self.issuer) }, wrong)
        #expect(mended.issuer.text == Self.issuer && mended.jwksURI != nil)
        let keys = try await discover(.wellKnown { $0["jwks_uri"] = "https://keys.example/" }, [Self.addresses[2]: Self.good])
        #expect(keys.jwksURI?.text == "https://keys.example/")
        let byHand = try await discover(.document(["token_endpoint": "https://as.example/token", "issuer": "https://other.example"]), [:])
        #expect(byHand.issuer.text == Self.issuer && byHand.tokenEndpoint?.text == "https://as.example/token" && byHand.jwksURI == nil)
        for url in ["http://as.example/x", "as.example", "", "file:///etc/passwd"] {
            let error = await #expect(throws: OAuthError.self) { try await discover(.url(url), [url: Self.good]) }
            #expect(error?.code == .invalidConfiguration && error?.message.contains("not an absolute https URL") == true)
        }
    }

    @Test("20: members that are null, or are not needed and wrong, spoil nothing")
    func nulls() async throws {
        let document: JSONValue = [
            "issuer": .string(Self.issuer), "jwks_uri": "https://as.example/jwks", "introspection_endpoint": nil, "registration_endpoint": "",
            "token_endpoint": 7, "authorization_endpoint": "nowhere",
        ]
        let metadata = try await discover([Self.addresses[0]: .json(document)])
        #expect(metadata.jwksURI != nil && metadata.introspectionEndpoint == nil && metadata.registrationEndpoint == nil)
        #expect(metadata.tokenEndpoint == nil && metadata.authorizationEndpoint == nil)
    }

    @Test(
        "S-02: one redirect within the origin is followed, and none to another",
        arguments: ["/moved", "https://as.example/moved", "https://as.example:443/moved"])
    func redirects(_ location: String) async throws {
        let moved = location.hasPrefix("/") ? "https://as.example" + location : location
        let answers = [Self.addresses[0]: HTTPReply(.movedPermanently, [.location: location]), moved: Self.good]
        #expect(try await discover(answers).issuer.text == Self.issuer)
        let twice = [Self.addresses[0]: HTTPReply(.found, [.location: location]), moved: HTTPReply(.found, [.location: "/again"])]
        await #expect(throws: OAuthError.self) { try await discover(twice.merging(["https://as.example/again": Self.good]) { $1 }) }
    }

    @Test(
        "S-02: a redirect to another origin is not followed",
        arguments: ["https://evil.example/x", "//evil.example/x", "http://as.example/x", "https://as.example:8443/x", "x", ""])
    func foreign(_ location: String) async throws {
        let answers = [
            Self.addresses[0]: HTTPReply(.found, [.location: location]), "https://evil.example/x": Self.good, "http://as.example/x": Self.good,
            "https://as.example:8443/x": Self.good,
        ]
        await #expect(throws: OAuthError.self) { try await discover(answers) }
    }
}

@Suite("Keys with null members")
struct NullMemberTests {
    @Test("members of a JWK that are null count as absent")
    func keys() throws {
        let key = try SigningKey.generate(.es256, keyID: "k").verificationKey
        var jwk = try #require(key.publicJWK?.object)
        for name in ["use", "key_ops", "alg", "kid", "x5c", "x5u", "d"] { jwk[name] = .null }
        let set = try JWKSet(parsing: JSONValue.object(["keys": [.object(jwk)]]).serialized)
        #expect(set.keys.count == 1 && set.keys.first?.keyID == nil && set.ignored.isEmpty)
    }

    @Test("claims that are null count as absent where that was asked for, and are an error in a token")
    func claims() throws {
        let bytes = Array(#"{"iss":null,"sub":"ada","aud":null,"exp":null,"cnf":null}"#.utf8)
        let claims = try JWTClaims(parsing: bytes, ignoresNulls: true)
        #expect(claims.issuer == nil && claims.subject == "ada" && claims.audience.isEmpty && claims.expiration == nil && claims["cnf"] == nil)
        #expect(throws: JOSEError.self) { try JWTClaims(parsing: bytes) }
    }
}
