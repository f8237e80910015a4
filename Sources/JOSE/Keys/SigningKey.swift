import Crypto
import CryptoExtras

/// A private key and the one algorithm that it signs with. Only `pem` reveals the secret; descriptions and mirrors do
/// not.
public struct SigningKey: Sendable {
    enum Material: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
        case hmac(SymmetricKey)
    }

    let material: Material
    /// The algorithm of every signature by this key.
    public let algorithm: SigningAlgorithm
    /// The `kid` in the header of signatures. Unless it was given, it is the RFC 7638 thumbprint of the public key. Nil
    /// for an HMAC key without one.
    public let keyID: String?
    /// The key that verifies the signatures. For HMAC it contains the same secret.
    public let verificationKey: VerificationKey

    init(_ material: Material, algorithm: SigningAlgorithm, keyID: String?) throws(JOSEError) {
        let verification: VerificationKey.Material
        switch material {
        case .rsa(let key): verification = .rsa(key.publicKey)
        case .p256(let key): verification = .p256(key.publicKey)
        case .p384(let key): verification = .p384(key.publicKey)
        case .p521(let key): verification = .p521(key.publicKey)
        case .ed25519(let key): verification = .ed25519(key.publicKey)
        case .hmac(let key): verification = .hmac(key)
        }
        let algorithms = SigningAlgorithm.edwards.contains(algorithm) ? SigningAlgorithm.edwards : [algorithm]
        let keyID = keyID ?? VerificationKey(verification, keyID: nil, algorithms: algorithms).thumbprint
        self.material = material
        self.algorithm = algorithm
        self.keyID = keyID
        verificationKey = VerificationKey(verification, keyID: keyID, algorithms: algorithms)
    }

    /// A new key. RSA keys have 2048 bits.
    ///
    /// Throws `algorithm_not_allowed` for HMAC, whose secrets are configured, and `unusable_key` when no RSA key can be
    /// generated.
    public static func generate(_ algorithm: SigningAlgorithm = .es256, keyID: String? = nil) throws(JOSEError) -> SigningKey {
        let material: Material
        switch algorithm {
        case .es256: material = .p256(P256.Signing.PrivateKey())
        case .es384: material = .p384(P384.Signing.PrivateKey())
        case .es512: material = .p521(P521.Signing.PrivateKey())
        case .edDSA, .ed25519: material = .ed25519(Curve25519.Signing.PrivateKey())
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512:
            do { material = .rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048)) } catch {
                throw JOSEError(.unusableKey, "no RSA key could be made")
            }
        case .hs256, .hs384, .hs512: throw JOSEError(.algorithmNotAllowed, "HMAC secrets are configured, not generated")
        }
        return try SigningKey(material, algorithm: algorithm, keyID: keyID)
    }

    /// A secret shared with the verifier. Throws `unusable_key` like `VerificationKey.hmac(secret:algorithm:keyID:)`.
    public static func hmac(secret: [UInt8], algorithm: SigningAlgorithm, keyID: String? = nil) throws(JOSEError) -> SigningKey {
        _ = try VerificationKey.hmac(secret: secret, algorithm: algorithm)
        return try SigningKey(.hmac(SymmetricKey(data: secret)), algorithm: algorithm, keyID: keyID)
    }

    /// The signature over `input`, in the form that JWS uses (RFC 7518 §3, RFC 8037 §3.1). Throws `unusable_key` when
    /// the cryptographic library cannot sign.
    public func sign(_ input: [UInt8]) throws(JOSEError) -> [UInt8] {
        do {
            switch material {
            case .rsa(let key):
                switch algorithm {
                case .rs256: return [UInt8](try key.signature(for: SHA256.hash(data: input), padding: .insecurePKCS1v1_5).rawRepresentation)
                case .rs384: return [UInt8](try key.signature(for: SHA384.hash(data: input), padding: .insecurePKCS1v1_5).rawRepresentation)
                case .rs512: return [UInt8](try key.signature(for: SHA512.hash(data: input), padding: .insecurePKCS1v1_5).rawRepresentation)
                case .ps256: return [UInt8](try key.signature(for: SHA256.hash(data: input), padding: .PSS).rawRepresentation)
                case .ps384: return [UInt8](try key.signature(for: SHA384.hash(data: input), padding: .PSS).rawRepresentation)
                case .ps512: return [UInt8](try key.signature(for: SHA512.hash(data: input), padding: .PSS).rawRepresentation)
                default: break
                }
            case .p256(let key): return [UInt8](try key.signature(for: input).rawRepresentation)
            case .p384(let key): return [UInt8](try key.signature(for: input).rawRepresentation)
            case .p521(let key): return [UInt8](try key.signature(for: input).rawRepresentation)
            case .ed25519(let key): return [UInt8](try key.signature(for: input))
            case .hmac(let key):
                switch algorithm {
                case .hs256: return [UInt8](HMAC<SHA256>.authenticationCode(for: input, using: key))
                case .hs384: return [UInt8](HMAC<SHA384>.authenticationCode(for: input, using: key))
                case .hs512: return [UInt8](HMAC<SHA512>.authenticationCode(for: input, using: key))
                default: break
                }
            }
        } catch { throw JOSEError(.unusableKey, "the key could not sign") }
        throw JOSEError(.algorithmNotAllowed, "the key does not sign \(algorithm.rawValue)")
    }
}

extension SigningKey: CustomStringConvertible, CustomReflectable {
    public var description: String { "SigningKey(\(algorithm.rawValue), \(keyID ?? "no kid"))" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
