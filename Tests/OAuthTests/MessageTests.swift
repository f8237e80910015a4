import HTTPTypes
import JOSE
import OAuth
import Testing

@Suite("Messages")
struct MessageTests {
    @Test("SF-11: form fields decode on bytes and come back as sent")
    func form() throws {
        let form = try Form(parsing: Array("a=b+c&d=%25%C3%A9&e=&f&state=a%2Bb%26c%3Dd".utf8))
        #expect(
            try form.single("a") == "b c" && form.single("d") == "%é" && form.single("e") == nil && form.single("f") == nil
                && form.single("state") == "a+b&c=d")
        #expect(try Form(parsing: Array(form.encoded.utf8)) == form)
    }

    @Test("Z-06: a parameter that is there twice is an error")
    func duplicates() throws {
        let form = try Form(parsing: Array("client_id=a&client_id=b&client%5Fid=c".utf8))
        #expect(form.all("client_id").count == 3)
        #expect(throws: OAuthError.self) { try form.single("client_id") }
    }

    @Test("broken forms are refused", arguments: ["a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1", "a=%ed%a0%80", "a=%00", "a=%+4"])
    func broken(_ text: String) { #expect(throws: OAuthError.self) { try Form(parsing: Array(text.utf8)) } }

    @Test(
        "so are bytes that are no text, also where nothing is encoded",
        arguments: [[0], [0x61, 0, 0x62], [0xFF], [0xED, 0xA0, 0x80], [0xC0, 0x80]])
    func brokenBytes(_ value: [UInt8]) {
        for tail in ["", "%20", "+"] {
            #expect(throws: OAuthError.self) { try Form(parsing: Array("a=".utf8) + value + Array(tail.utf8)) }
            #expect(throws: OAuthError.self) { try Form(parsing: value + Array("\(tail)=1".utf8)) }
        }
    }

    @Test("N-02: the number of parameters is bounded")
    func many() { #expect(throws: OAuthError.self) { try Form(parsing: Array(String(repeating: "a=1&", count: 50_000).utf8)) } }

    @Test("Z-10: a value survives byte for byte", arguments: ["a+b&c=d%25é\"<>~", "\u{301}\u{2028}", "caf\u{E9}", "cafe\u{301}", " "])
    func fidelity(_ value: String) throws {
        let decoded = try Form(parsing: Array(Form([("state", value)]).encoded.utf8)).single("state")
        #expect(decoded.map { Array($0.utf8) } == Array(value.utf8))
    }

    @Test("RFC 7636 appendix B, R118: the example verifier and its challenge")
    func pkce() throws {
        let verifier = try #require(CodeVerifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"))
        let challenge = try #require(CodeChallenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"))
        #expect(challenge.isMet(by: verifier) && !challenge.isMet(by: CodeVerifier(random: .system)))
    }

    @Test(
        "T-01: challenges of another shape",
        arguments: [
            "", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cMA",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN",
        ])
    func challenges(_ text: String) { #expect(CodeChallenge(text) == nil) }

    @Test("R-04, SF-2: a challenge header stays one line, whatever is in it")
    func challengeHeader() {
        let value = AuthenticationChallenge([("error", "a\"b\\c"), ("scope", "x\r\nSet-Cookie: a=b"), ("x", "é\u{301}\"\u{301}"), ("absent", nil)])
            .headerValue
        #expect(value == #"Bearer error="a\"b\\c", scope="x??Set-Cookie: a=b", x="????\"??""#)
    }

    @Test("RFC 6749 §5.2: an error body is printable ASCII")
    func errorBody() throws {
        let reply = HTTPReply.error(OAuthError(.invalidRequest, "a\"b\\\r\n\u{301}"))
        #expect(try JSONDocument(parsing: reply.body).root["error_description"]?.string == "a'b'????")
        #expect(reply.response.headerFields[.cacheControl] == "no-store")
    }

    @Test(
        "R20, C-03: metadata of another issuer is not used",
        arguments: ["https://as.example/", "https://AS.example", "https://evil.lab", "https://as.example:443"])
    func foreignMetadata(_ issuer: String) throws {
        let expected = try Issuer("https://as.example")
        let good: JSONValue = ["issuer": "https://as.example", "jwks_uri": "https://as.example/jwks"]
        #expect(try AuthorizationServerMetadata(parsing: good.serialized, expected: expected).jwksURI?.text == "https://as.example/jwks")
        #expect(throws: OAuthError.self) {
            try AuthorizationServerMetadata(parsing: JSONValue.object(["issuer": .string(issuer)]).serialized, expected: expected)
        }
    }

    @Test(
        "S-04: private networks are those of organizations, and nothing else that is not public",
        arguments: [
            ("10.1.2.3", true), ("172.16.0.1", true), ("172.31.255.255", true), ("172.32.0.1", false), ("192.168.1.1", true), ("100.64.0.1", true),
            ("100.128.0.1", false), ("fd00::1", true), ("fc00::1", true), ("127.0.0.1", false), ("::1", false), ("169.254.169.254", false),
            ("fe80::1", false), ("0.0.0.0", false), ("224.0.0.1", false), ("::ffff:10.0.0.1", false), ("203.0.113.1", false), ("8.8.8.8", false),
        ] as [(String, Bool)])
    func privateNetworks(_ text: String, _ isPrivate: Bool) throws {
        let address = try #require(IPAddress(text))
        #expect(address.isPrivateNetwork == isPrivate)
        #expect(OutboundPolicy(allowPrivateNetworks: true).allows(address) == (isPrivate || address.isPublic))
        #expect(OutboundPolicy.strict.allows(address) == address.isPublic)
    }

    @Test("the guard: https and public addresses, unless somebody says otherwise")
    func policy() throws {
        let loopback = try #require(WebURL("http://127.0.0.1:1/x"))
        #expect(!OutboundPolicy.strict.allows(loopback) && OutboundPolicy.development.allows(loopback))
        #expect(try !OutboundPolicy.development.allows(#require(WebURL("http://169.254.169.254/"))))
        #expect(
            try !OutboundPolicy.strict.allows(#require(WebURL("https://10.0.0.1/")))
                && OutboundPolicy.strict.allows(#require(WebURL("https://a.example/"))))
    }
}
