import Crypto
import CryptoExtras
import JOSE
import Testing

@Suite("Keys")
struct KeyTests {
    static let algorithms: [SigningAlgorithm] = SigningAlgorithm.allCases.filter { !$0.isSymmetric }

    @Test("every algorithm signs, verifies, survives PEM and JWK, and notices one flipped bit", arguments: algorithms)
    func roundTrip(_ algorithm: SigningAlgorithm) throws {
        let key = try SigningKey.generate(algorithm)
        let again = try SigningKey(pem: try #require(key.pem), algorithm: algorithm)
        #expect(again.keyID == key.keyID && again.verificationKey.thumbprint == key.verificationKey.thumbprint)
        let token = try CompactJWS.sign(Array("payload".utf8), with: again)
        let document = JWKSet([key.verificationKey]).publicDocument.serialized
        let published = try JWKSet(parsing: document)
        #expect(published.keys.count == 1 && published.ignored.isEmpty)
        #expect(!String(decoding: document, as: UTF8.self).contains("\"d\""))
        #expect(throws: Never.self) { try CompactJWS(parsing: token).verify(using: published) }
        let pem = try VerificationKey(pem: try #require(key.verificationKey.pem))
        #expect(throws: Never.self) { try CompactJWS(parsing: token).verify(using: JWKSet([pem])) }
        var bytes = Array(token.utf8)
        bytes[bytes.count - 10] ^= 1
        #expect(throws: JOSEError.self) { try CompactJWS(parsing: bytes).verify(using: published) }
    }

    @Test("RFC 7638 §3.1: the thumbprint of its example key")
    func thumbprint() throws {
        let jwk = """
            {"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
            tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI\
            SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}
            """
        #expect(try VerificationKey(jwk: JSONDocument(parsing: jwk).root).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    }

    @Test(
        "J-11: bad keys are left out, the good key beside them works",
        arguments: [
            #"{"kty":"RSA","kid":"bad","n":"AQAB","e":"AQAB"}"#, #"{"kty":"EC","kid":"bad","crv":"P-256","x":"AA","y":"AA"}"#,
            #"{"kty":"EC","kid":"bad","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
            #"{"kty":"oct","kid":"bad","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#, #"{"kty":"OKP","kid":"bad","crv":"X25519","x":"AA"}"#,
            #"{"kty":"XYZ"}"#, #"{}"#, #"[]"#, #"1"#, #"null"#, #"{"kty":"EC","crv":"secp256k1"}"#,
        ])
    func badKeys(_ bad: String) throws {
        let good = try SigningKey.generate(keyID: "good")
        let goodJWK = try #require(good.verificationKey.publicJWK).text
        let set = try JWKSet(parsing: Array("{\"keys\":[\(bad),\(goodJWK)]}".utf8))
        #expect(set.keys.map(\.keyID) == ["good"] && set.ignored.count == 1)
        #expect(throws: Never.self) { try CompactJWS(parsing: CompactJWS.sign([1], with: good)).verify(using: set) }
    }

    @Test(
        "J-11: keys that are not for verifying signatures",
        arguments: [
            ("use", "enc"), ("use", 1), ("key_ops", ["encrypt"]), ("key_ops", "verify"), ("alg", "ES384"), ("alg", "HS256"), ("alg", "none"),
            ("kid", 1),
        ] as [(String, JSONValue)])
    func wrongPurpose(_ member: String, _ value: JSONValue) throws {
        var jwk = try #require(SigningKey.generate().verificationKey.publicJWK?.object)
        jwk[member] = value
        let document = try JSONDocument(parsing: JSONValue.object(jwk).serialized)
        #expect(throws: JOSEError.self) { try VerificationKey(jwk: document.root) }
    }

    @Test("J-11: RSA keys of 1024 and of more than 8192 bits")
    func rsaSize() throws {
        let weak = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024))
        #expect(throws: JOSEError.self) { try VerificationKey(pem: weak.publicKey.pemRepresentation) }
        #expect(throws: JOSEError.self) { try SigningKey(pem: weak.pemRepresentation) }
        let huge = Base64URL.encode([UInt8](repeating: 0xC5, count: 2048))
        #expect(throws: JOSEError.self) { try VerificationKey(jwk: JSONDocument(parsing: #"{"kty":"RSA","e":"AQAB","n":"\#(huge)"}"#).root) }
    }

    @Test("J-11: one kid, two different keys: neither is used; the same key twice: it is")
    func sameKeyID() throws {
        let (one, two) = (try SigningKey.generate(keyID: "k"), try SigningKey.generate(keyID: "k"))
        #expect(JWKSet([one.verificationKey, two.verificationKey]).keys.isEmpty)
        #expect(!JWKSet([one.verificationKey, one.verificationKey]).keys.isEmpty)
    }

    @Test("J-23: a set of more than 256 keys is refused")
    func tooMany() {
        #expect(throws: JOSEError.self) {
            try JWKSet(parsing: Array("{\"keys\":[\(Array(repeating: "{}", count: 257).joined(separator: ","))]}".utf8))
        }
    }

    @Test("an HMAC secret is at least as long as its hash")
    func shortSecret() {
        #expect(throws: JOSEError.self) { try VerificationKey.hmac(secret: [UInt8](repeating: 1, count: 31), algorithm: .hs256) }
        #expect(throws: JOSEError.self) { try VerificationKey.hmac(secret: [UInt8](repeating: 1, count: 64), algorithm: .rs256) }
    }

    @Test("PEM mistakes get an answer that says what to do", arguments: ["-----BEGIN CERTIFICATE-----", "-----BEGIN PRIVATE KEY-----"])
    func wrongPEM(_ text: String) throws {
        let error = #expect(throws: JOSEError.self) { try VerificationKey(pem: text) }
        #expect(error?.message.contains("openssl") == true)
    }

    @Test("L-01: a signing key does not print its secret")
    func description() throws {
        let key = try SigningKey.generate()
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!"\(key)\(dumped)".contains("PRIVATE") && "\(key)".hasPrefix("SigningKey(ES256"))
    }
}
