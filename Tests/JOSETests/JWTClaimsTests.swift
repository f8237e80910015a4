import JOSE
import Testing

@Suite("JWT claims")
struct JWTClaimsTests {
    static let now = NumericDate(seconds: 1_800_000_000)
    static let requirements = JWTRequirements(
        issuer: "https://as.example", audiences: ["https://rs.example/mcp"], type: .oneOf(["at+jwt"]), leeway: 30, maximumLifetime: 86400)
    static let base: JSONValue = [
        "iss": "https://as.example", "aud": "https://rs.example/mcp", "sub": "u", "exp": 1_800_000_600, "iat": 1_800_000_000,
    ]

    func violation(_ change: [String: String], type: String? = "at+jwt", requirements: JWTRequirements = requirements) throws -> String? {
        var members = Self.base.object!.members.map { ($0.name, $0.value.text) }.filter { change[$0.0] == nil }
        members += change.filter { $0.value != "absent" }.map { ($0.key, $0.value) }
        let payload = "{" + members.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
        let key = try SigningKey.generate()
        let jws = try CompactJWS(parsing: CompactJWS.sign(Array(payload.utf8), type: type, with: key))
        do {
            return requirements.violation(header: jws.header, claims: try JWTClaims(parsing: jws.payload), now: Self.now)?.rawValue
        } catch { return error.code.rawValue }
    }

    @Test("positive control")
    func control() throws { #expect(try violation([:]) == nil) }

    @Test(
        "J-15, W-05: exp",
        arguments: [
            ("absent", "no_expiration"), ("null", "malformed_claims"), ("0", "no_expiration"), ("-1", "no_expiration"),
            ("\"9999999999\"", "malformed_claims"),
            ("true", "malformed_claims"), ("[]", "malformed_claims"), ("1.5", "expired"), ("1e300", "malformed_claims"),
            ("1e400", "malformed_claims"),
            ("9223372036854775807", "malformed_claims"), ("9223372036854775808", "malformed_claims"), ("99999999999999999999", "malformed_claims"),
            ("NaN", "malformed_json"), ("9007199254740992", "lives_too_long"), ("1800086401", "lives_too_long"), ("1.8000006e9", nil),
        ] as [(String, String?)])
    func expiration(_ value: String, _ expected: String?) throws { #expect(try violation(["exp": value]) == expected) }

    @Test(
        "J-16: the edges of time",
        arguments: [
            ("exp", "1799999971", nil), ("exp", "1799999970", "expired"), ("nbf", "1800000030", nil), ("nbf", "1800000031", "not_yet_valid"),
            ("nbf", "1800000030.5", "not_yet_valid"), ("iat", "1800086400", "issued_in_the_future"), ("nbf", "\"1\"", "malformed_claims"),
        ] as [(String, String, String?)])
    func edges(_ claim: String, _ value: String, _ expected: String?) throws { #expect(try violation([claim: value]) == expected) }

    @Test("134: leeway is never more than 60 s")
    func leeway() { #expect(JWTRequirements(issuer: "x", audiences: nil, type: .oneOf([]), leeway: 3600).leeway == 60) }

    @Test(
        "J-17: the issuer is compared byte by byte",
        arguments: [
            "absent", "\"https://as.example/\"", "\"https://AS.example\"", "\"https://as.example.evil.lab\"", "\"https://as.exampl\"",
            "\"https://as.example\\u0000\"",
            "[\"https://as.example\"]", "null", "\"\"",
        ])
    func issuer(_ value: String) throws { #expect(try violation(["iss": value]) != nil) }

    @Test(
        "J-18, R6, R13: the audience is compared byte by byte",
        arguments: [
            "absent", "[]", "\"https://other.example\"", "\"https://as.example\"", "\"https://rs.example/mcp-evil\"", "\"https://rs.example\"",
            "\"https://rs.example/mcp/\"",
            "\"https://rs.example/mcp2\"", "{\"0\":\"https://rs.example/mcp\"}", "[1]", "null", "[\"https://rs.example/mcp\",1]",
        ])
    func audience(_ value: String) throws { #expect(try violation(["aud": value]) != nil) }

    @Test("an audience among several is enough")
    func severalAudiences() throws { #expect(try violation(["aud": #"["x","https:\/\/rs.example\/mcp"]"#]) == nil) }

    @Test(
        "J-19, R133: other kinds of JWT",
        arguments: [nil, "JWT", "oauth-id-jag+jwt", "dpop+jwt", "logout+jwt", "token-introspection+jwt", "id_token", "at+jwt ", ""])
    func type(_ type: String?) throws { #expect(try violation([:], type: type) == "wrong_type") }

    @Test("the type's case and prefix do not matter", arguments: ["AT+JWT", "application/at+jwt", "Application/At+Jwt"])
    func typeSpelling(_ type: String) throws { #expect(try violation([:], type: type) == nil) }

    @Test("legacy mode takes JWT or nothing, and still no other kind")
    func legacy() throws {
        var legacy = Self.requirements
        legacy.type = .absentOrJWT(or: ["at+jwt"])
        #expect(try violation([:], type: nil, requirements: legacy) == nil && violation([:], type: "JWT", requirements: legacy) == nil)
        #expect(try violation([:], type: "dpop+jwt", requirements: legacy) == "wrong_type")
    }

    @Test("dates saturate")
    func saturation() {
        #expect(NumericDate(seconds: .max).advanced(by: 1).seconds == .max && NumericDate(seconds: .min).advanced(by: -1).seconds == .min)
        #expect(NumericDate(seconds: .max).seconds(since: NumericDate(seconds: .min)) == .max)
    }
}
