import Crypto
import JOSE
import Testing

@Suite("JWS in compact form")
struct CompactJWSTests {
    let key: SigningKey
    let keys: JWKSet

    init() throws {
        key = try SigningKey.generate(keyID: "e1")
        keys = JWKSet([key.verificationKey])
    }

    /// A token with any header at all, signed by the real key.
    func forged(_ header: String, payload: String = "{}") throws -> String {
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array(payload.utf8))
        return input + "." + Base64URL.encode(try key.sign(Array(input.utf8)))
    }

    func isAccepted(_ token: String, _ keys: JWKSet? = nil) -> Bool {
        (try? CompactJWS(parsing: token).verify(using: keys ?? self.keys)) != nil
    }

    @Test("positive control: the header that all others here vary is accepted")
    func control() throws { #expect(isAccepted(try forged(#"{"alg":"ES256","kid":"e1"}"#))) }

    @Test("J-01: unsigned tokens", arguments: [#""none""#, #""None""#, #""NONE""#, #""nOnE""#, #""""#, "null", #"["none"]"#, "1", "absent"])
    func unsigned(_ algorithm: String) throws {
        let header = algorithm == "absent" ? #"{"kid":"e1"}"# : #"{"alg":\#(algorithm),"kid":"e1"}"#
        let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array("{}".utf8))
        let real = try forged(header).split(separator: ".").last!
        for signature in [".", "", ".\(real)", ".AA"] { #expect(!isAccepted(input + signature)) }
    }

    @Test("J-02: the public key as an HMAC secret")
    func algorithmConfusion() throws {
        let rsa = try SigningKey.generate(.rs256, keyID: "r1")
        let set = JWKSet([rsa.verificationKey, key.verificationKey])
        let pem = try #require(rsa.verificationKey.pem)
        let jwk = try #require(rsa.verificationKey.publicJWK)
        let secrets = [pem, pem + "\n", jwk.text, jwk["n"]?.string ?? "", try #require(key.verificationKey.pem)].map { Array($0.utf8) }
        for secret in secrets + [try Base64URL.decode(jwk["n"]?.string ?? "")] {
            for (algorithm, kid) in [(SigningAlgorithm.hs256, "r1"), (.hs384, "e1"), (.hs512, "r1"), (.hs256, "")] {
                let forger = try SigningKey.hmac(secret: secret, algorithm: algorithm, keyID: kid.isEmpty ? nil : kid)
                let token = try CompactJWS.sign([1], with: forger)
                #expect(throws: JOSEError.self) { try CompactJWS(parsing: token).verify(using: set, allowing: Set(SigningAlgorithm.allCases)) }
            }
        }
    }

    @Test("J-04: a key inside the header is never used")
    func embeddedKey() throws {
        let attacker = try SigningKey.generate(keyID: "evil")
        let jwk = try #require(attacker.verificationKey.publicJWK).text
        for header in [
            #"{"alg":"ES256","jwk":\#(jwk)}"#, #"{"alg":"ES256","kid":"e1","jwk":\#(jwk)}"#, #"{"alg":"ES256","jku":"https://evil.lab/jwks"}"#,
            #"{"alg":"ES256","x5u":"https://evil.lab/x","kid":"evil"}"#,
        ] {
            let input = Base64URL.encode(Array(header.utf8)) + "." + Base64URL.encode(Array("{}".utf8))
            #expect(!isAccepted(input + "." + Base64URL.encode(try attacker.sign(Array(input.utf8)))))
        }
    }

    @Test(
        "J-05: strange kids find no key",
        arguments: [
            #""../../../../dev/null""#, #""x' UNION SELECT 'k""#, #""""#, "1", "[]", "{}", #""a\u0000b""#, #""__proto__""#, #""E1""#, #""e1 ""#,
        ])
    func keyID(_ kid: String) throws { #expect(!isAccepted(try forged(#"{"alg":"ES256","kid":\#(kid)}"#))) }

    @Test("J-05, W-01: the NFD twin of a kid is another kid")
    func keyIDTwin() throws {
        let nfc = try SigningKey(pem: try #require(key.pem), keyID: "caf\u{E9}")
        let token = try CompactJWS.sign([1], with: nfc)
        #expect(isAccepted(token, JWKSet([nfc.verificationKey])))
        #expect(!isAccepted(token, JWKSet([try SigningKey(pem: try #require(key.pem), keyID: "cafe\u{301}").verificationKey])))
    }

    @Test(
        "J-06: extension headers are refused, critical or not",
        arguments: [
            #""crit":["x"],"x":1"#, #""crit":[]"#, #""crit":["alg"]"#, #""crit":["exp","exp"]"#, #""crit":"b64""#, #""crit":["b64"]"#,
            #""b64":false"#,
            #""b64":true"#, #""b64":false,"crit":["b64"]"#, #""zip":"DEF""#, #""enc":"A128GCM""#,
        ])
    func extensions(_ members: String) throws { #expect(!isAccepted(try forged(#"{"alg":"ES256","kid":"e1",\#(members)}"#))) }

    @Test("J-08: five segments are not a JWS")
    func encrypted() { #expect(!isAccepted("eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA")) }

    @Test("J-09: ECDSA signatures of other shapes and with edge values")
    func edgeValues() throws {
        let input = Base64URL.encode(Array(#"{"alg":"ES256","kid":"e1"}"#.utf8)) + "." + Base64URL.encode(Array("{}".utf8))
        let order = try Base64URL.decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE")
        let values = [
            [UInt8](repeating: 0, count: 32), [UInt8](repeating: 0, count: 31) + [1], order, order.dropLast() + [0x50], order.dropLast() + [0x52],
        ]
        for r in values { for s in values { #expect(!isAccepted(input + "." + Base64URL.encode(r + s))) } }
        let real = try key.sign(Array(input.utf8))
        #expect(isAccepted(input + "." + Base64URL.encode(real)))
        for wrong in [Array(real.dropLast()), real + [0], real + real, [0] + real] { #expect(!isAccepted(input + "." + Base64URL.encode(wrong))) }
        let der = [UInt8](try P256.Signing.ECDSASignature(rawRepresentation: real).derRepresentation)
        #expect(!isAccepted(input + "." + Base64URL.encode(der)))
    }

    @Test("J-12: duplicate members in the header")
    func duplicateHeader() throws {
        #expect(!isAccepted(try forged(#"{"alg":"ES256","alg":"none"}"#)))
        #expect(!isAccepted(try forged(#"{"alg":"none","alg":"ES256"}"#)))
        #expect(!isAccepted(try forged(#"{"alg":"ES256","kid":"e1","\u006bid":"x"}"#)))
    }

    @Test("J-13: lax compact forms")
    func lax() throws {
        let token = try forged(#"{"alg":"ES256","kid":"e1"}"#)
        let parts = token.split(separator: ".").map(String.init)
        for wrong in [
            token + "=", token + "\n", " " + token, token + ".", "." + token, token + ".AA", parts[0] + ". " + parts[1] + "." + parts[2],
            parts[0] + ".\u{301}" + parts[1] + "." + parts[2], parts[0] + "." + parts[1], parts[0], "", "..", parts[0] + "..",
            token.replacing("-", with: "+") + "+",
            parts[0] + "==." + parts[1] + "." + parts[2],
        ] { #expect(!isAccepted(wrong), "\(wrong)") }
    }

    @Test("a token longer than 16 KiB is refused before it is decoded")
    func tooLong() { #expect(!isAccepted(String(repeating: "A", count: 20_000))) }

    @Test("a key verifies its own algorithm only: jwt-kit's PS256 poisoning cannot happen")
    func ownAlgorithm() throws {
        let rsa = try SigningKey.generate(.rs256)
        let pss = try SigningKey(pem: try #require(rsa.pem), algorithm: .ps256, keyID: rsa.keyID)
        let set = JWKSet([rsa.verificationKey])
        #expect(!isAccepted(try CompactJWS.sign([1], with: pss), set))
        #expect(isAccepted(try CompactJWS.sign([1], with: rsa), set))
    }
}
