import JOSE
import Testing

@Suite("Wycheproof")
struct WycheproofTests {
    /// Vectors whose verdict differs here on purpose, and why.
    static let exceptions: [String: String] = [
        "json_web_crypto_test 50": "JWE is not done here: this module signs and verifies",
        "json_web_crypto_test 67": "JWE is not done here: this module signs and verifies",
        "json_web_signature_test 346": "the key says alg PS256 and the token PS384: a key is used with its own algorithm only (RFC 8725 §3.1)",
        "json_web_signature_test 350": "the key says alg PS256 and the token PS384: a key is used with its own algorithm only (RFC 8725 §3.1)",
        "json_web_signature_test 347": "the key says alg ES521, which no registry knows",
        "json_web_signature_test 351": "the key says alg ES521, which no registry knows",
        "json_web_signature_test 367":
            "the text is the same, byte for byte, as that of a valid vector of its group: the padding it speaks of is not there",
        "json_web_signature_test 370":
            "the text is the same, byte for byte, as that of a valid vector of its group: the padding it speaks of is not there",
        "json_web_signature_test 372": "a foreign character inside base64url is skipped by lax decoders only (RFC 7515 §2, attack J-13)",
        "json_web_signature_test 373": "a foreign character inside base64url is skipped by lax decoders only (RFC 7515 §2, attack J-13)",
    ]

    @Test(
        "J-09, J-11: all signature, key and crypto vectors", .needsVectors,
        arguments: [
            "json_web_signature_test", "json_web_key_test", "json_web_crypto_test",
        ])
    func vectors(_ file: String) throws {
        let root = try JSONDocument(parsing: Vectors.read("wycheproof/\(file).json"), limits: JSONLimits(maximumBytes: 1 << 24)).root
        let expected = try #require(root["numberOfTests"]?.number?.int64)
        var seen: Int64 = 0
        var differences: [String] = []
        var excepted = 0
        for group in root["testGroups"]?.array ?? [] {
            for test in group["tests"]?.array ?? [] {
                seen += 1
                let identifier = "\(file) \(test["tcId"]?.number?.description ?? "?")"
                let isValid = test["result"]?.string == "valid"
                let isAccepted = Self.accepts(test, group)
                if isAccepted != isValid, Self.exceptions[identifier] != nil {
                    excepted += 1
                } else if isAccepted != isValid {
                    differences.append("\(identifier) \(test["comment"]?.string ?? "") is \(isValid ? "valid" : "invalid")")
                }
            }
        }
        #expect(seen == expected)
        #expect(differences.isEmpty, "\(differences)")
        #expect(excepted == Self.exceptions.keys.count { $0.hasPrefix(file) }, "an exception that is not needed any more should go")
    }

    private static func accepts(_ test: JSONView, _ group: JSONView) -> Bool {
        // The owner of the group's key configures it: the public key where there is one, the secret where there is only
        // that.
        guard let configured = group["public"] ?? group["private"] else { return false }
        guard let token = test["jws"]?.string, let keys = configure(configured) else { return false }
        let algorithms = Set(SigningAlgorithm.allCases)
        return (try? CompactJWS(parsing: token).verify(using: keys, allowing: algorithms)) != nil
    }

    /// As an application would: a set of asymmetric keys, or secrets that are named as secrets, never both in one.
    private static func configure(_ key: JSONView) -> JWKSet? {
        if let elements = key["keys"]?.array {
            let symmetric = elements.filter { $0["kty"]?.string == "oct" }
            if symmetric.isEmpty { return try? JWKSet(parsing: key.value.serialized) }
            guard symmetric.count == elements.count else { return nil }
            let secrets = symmetric.compactMap { try? VerificationKey(symmetricJWK: $0) }
            return secrets.count == symmetric.count ? JWKSet(secrets) : nil
        }
        if key["kty"]?.string == "oct" { return (try? VerificationKey(symmetricJWK: key)).map { JWKSet([$0]) } }
        return (try? VerificationKey(jwk: key)).map { JWKSet([$0]) }
    }
}
