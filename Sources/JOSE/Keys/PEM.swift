import Crypto
import CryptoExtras

extension VerificationKey {
    /// A public key from PEM: SubjectPublicKeyInfo (`PUBLIC KEY`, RFC 5280) or PKCS #1 (`RSA PUBLIC KEY`). The key is
    /// RSA, P-256, P-384, P-521 or Ed25519.
    ///
    /// Without `keyID`, the key matches every `kid` that a header names. Throws `unusable_key`. For a certificate or a
    /// private key the message contains the `openssl` command that extracts the public key.
    public init(pem: String, keyID: String? = nil) throws(JOSEError) {
        if pem.contains("BEGIN CERTIFICATE") {
            throw JOSEError(.unusableKey, "this is a certificate; take its key with: openssl x509 -pubkey -noout -in certificate.pem")
        }
        if pem.contains("PRIVATE KEY") {
            throw JOSEError(.unusableKey, "this is a private key; take its public key with: openssl pkey -pubout -in key.pem")
        }
        let (material, algorithms): (Material, Set<SigningAlgorithm>)
        if let key = try? _RSA.Signing.PublicKey(unsafePEMRepresentation: pem) {
            try RSAKeyRules.check(key)
            (material, algorithms) = (.rsa(key), SigningAlgorithm.rsa)
        } else if let key = try? P256.Signing.PublicKey(pemRepresentation: pem) {
            (material, algorithms) = (.p256(key), [.es256])
        } else if let key = try? P384.Signing.PublicKey(pemRepresentation: pem) {
            (material, algorithms) = (.p384(key), [.es384])
        } else if let key = try? P521.Signing.PublicKey(pemRepresentation: pem) {
            (material, algorithms) = (.p521(key), [.es512])
        } else if let bytes = Ed25519PEM.keyBytes(pem, label: "PUBLIC KEY", prefix: Ed25519PEM.publicPrefix),
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)
        {
            (material, algorithms) = (.ed25519(key), SigningAlgorithm.edwards)
        } else {
            throw JOSEError(.unusableKey, "not a PEM public key of RSA, P-256, P-384, P-521 or Ed25519")
        }
        self.init(material, keyID: keyID, algorithms: algorithms, matchesAnyKeyID: keyID == nil)
    }

    /// The public key as PEM (`PUBLIC KEY`, SubjectPublicKeyInfo). Nil for a symmetric key.
    public var pem: String? {
        switch material {
        case .rsa(let key): key.pemRepresentation
        case .p256(let key): key.pemRepresentation
        case .p384(let key): key.pemRepresentation
        case .p521(let key): key.pemRepresentation
        case .ed25519(let key): Ed25519PEM.text(Ed25519PEM.publicPrefix + key.rawRepresentation, label: "PUBLIC KEY")
        case .hmac: nil
        }
    }
}

extension SigningKey {
    /// A private key from PEM: PKCS #8, and PKCS #1 or SEC 1 for RSA and EC.
    ///
    /// `algorithm` chooses among the algorithms of the key. The default is RS256 for RSA and EdDSA for Ed25519. Throws
    /// `unusable_key` when the key is malformed or weak, does not sign with `algorithm`, or is encrypted, which is not
    /// supported.
    public init(pem: String, algorithm: SigningAlgorithm? = nil, keyID: String? = nil) throws(JOSEError) {
        let (material, algorithms): (Material, [SigningAlgorithm])
        if let key = try? _RSA.Signing.PrivateKey(pemRepresentation: pem) {
            try RSAKeyRules.check(key.publicKey)
            (material, algorithms) = (.rsa(key), [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512])
        } else if let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) {
            (material, algorithms) = (.p256(key), [.es256])
        } else if let key = try? P384.Signing.PrivateKey(pemRepresentation: pem) {
            (material, algorithms) = (.p384(key), [.es384])
        } else if let key = try? P521.Signing.PrivateKey(pemRepresentation: pem) {
            (material, algorithms) = (.p521(key), [.es512])
        } else if let bytes = Ed25519PEM.keyBytes(pem, label: "PRIVATE KEY", prefix: Ed25519PEM.privatePrefix),
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes)
        {
            (material, algorithms) = (.ed25519(key), [.edDSA, .ed25519])
        } else {
            throw JOSEError(.unusableKey, "not an unencrypted PEM private key of RSA (2048 bits or more), P-256, P-384, P-521 or Ed25519")
        }
        let chosen = algorithm ?? algorithms[0]
        guard algorithms.contains(chosen) else { throw JOSEError(.unusableKey, "the key does not sign \(chosen.rawValue)") }
        try self.init(material, algorithm: chosen, keyID: keyID)
    }

    /// The private key as PKCS #8 PEM. The text is a secret. Nil for a symmetric key.
    public var pem: String? {
        switch material {
        case .rsa(let key): key.pkcs8PEMRepresentation
        case .p256(let key): key.pemRepresentation
        case .p384(let key): key.pemRepresentation
        case .p521(let key): key.pemRepresentation
        case .ed25519(let key): Ed25519PEM.text(Ed25519PEM.privatePrefix + key.rawRepresentation, label: "PRIVATE KEY")
        case .hmac: nil
        }
    }
}

/// RFC 8410: the DER around an Ed25519 key never varies, so it is a prefix.
private enum Ed25519PEM {
    static let publicPrefix: [UInt8] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00]
    static let privatePrefix: [UInt8] = [0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20]

    static func text(_ der: [UInt8], label: String) -> String {
        var base64 = Base64URL.encode(der).map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
        while base64.count % 4 != 0 { base64.append("=") }
        return "-----BEGIN \(label)-----\n\(String(base64))\n-----END \(label)-----"
    }

    static func keyBytes(_ pem: String, label: String, prefix: [UInt8]) -> [UInt8]? {
        let lines = pem.utf8.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D })
        guard let first = lines.first, let last = lines.last, lines.count >= 3,
            first.elementsEqual("-----BEGIN \(label)-----".utf8), last.elementsEqual("-----END \(label)-----".utf8)
        else { return nil }
        let body = lines.dropFirst().dropLast().joined().filter { $0 != UInt8(ascii: "=") }.map { byte -> UInt8 in
            byte == UInt8(ascii: "+") ? UInt8(ascii: "-") : byte == UInt8(ascii: "/") ? UInt8(ascii: "_") : byte
        }
        guard let der = try? Base64URL.decode(String(decoding: body, as: UTF8.self)), der.starts(with: prefix), der.count == prefix.count + 32
        else { return nil }
        return Array(der.dropFirst(prefix.count))
    }
}
