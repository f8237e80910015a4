import Crypto
import CryptoExtras

/// A key that verifies signatures. It is parsed and checked once, then used many times.
///
/// A key verifies only the algorithms of its type, narrowed to the `alg` of its JWK. A header can therefore not choose
/// the algorithm (RFC 8725 §3.1). Symmetric keys never come from a JWK set (RFC 8725 §2.1), only from
/// `hmac(secret:algorithm:keyID:)` and `init(symmetricJWK:)`.
public struct VerificationKey: Sendable {
    enum Material: Sendable {
        case rsa(_RSA.Signing.PublicKey)
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
        case hmac(SymmetricKey)
    }

    let material: Material
    /// The `kid` of the key. Nil when it has none.
    public let keyID: String?
    /// The algorithms that this key verifies.
    public let algorithms: Set<SigningAlgorithm>
    private let allowed: AlgorithmSet
    /// Whether a header with any `kid` may use this key, which has none. True for a key that was configured by itself.
    package let matchesAnyKeyID: Bool

    init(_ material: Material, keyID: String?, algorithms: Set<SigningAlgorithm>, matchesAnyKeyID: Bool = false) {
        self.material = material
        self.keyID = keyID
        self.algorithms = algorithms
        allowed = AlgorithmSet(algorithms)
        self.matchesAnyKeyID = matchesAnyKeyID
    }

    /// A secret shared with the signer.
    ///
    /// Throws `unusable_key` when the secret is shorter than the hash (32, 48 or 64 bytes, RFC 7518 §3.2), or the
    /// algorithm is not HMAC.
    public static func hmac(secret: [UInt8], algorithm: SigningAlgorithm, keyID: String? = nil) throws(JOSEError) -> VerificationKey {
        let needed: Int
        switch algorithm {
        case .hs256: needed = 32
        case .hs384: needed = 48
        case .hs512: needed = 64
        default: throw JOSEError(.unusableKey, "\(algorithm.rawValue) is not an HMAC algorithm")
        }
        guard secret.count >= needed else {
            throw JOSEError(.unusableKey, "an \(algorithm.rawValue) secret needs at least \(needed) bytes, this one has \(secret.count)")
        }
        return VerificationKey(.hmac(SymmetricKey(data: secret)), keyID: keyID, algorithms: [algorithm], matchesAnyKeyID: keyID == nil)
    }

    /// Whether this key may verify a token with this `kid` and algorithm. A token without `kid` matches every key of
    /// its algorithm.
    func mayVerify(keyID wanted: String?, algorithm: SigningAlgorithm) -> Bool {
        guard allowed.contains(algorithm) else { return false }
        guard let wanted else { return true }
        return keyID.map { ByteScan.areSame($0, wanted) } ?? matchesAnyKeyID
    }

    /// Whether `signature` is this key's signature over `input`. False for an algorithm that is not among `algorithms`.
    public func isValidSignature(_ signature: [UInt8], for input: ArraySlice<UInt8>, algorithm: SigningAlgorithm) -> Bool {
        guard allowed.contains(algorithm) else { return false }
        switch material {
        case .rsa(let key):
            let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
            switch algorithm {
            case .rs256: return key.isValidSignature(signature, for: SHA256.hash(data: input), padding: .insecurePKCS1v1_5)
            case .rs384: return key.isValidSignature(signature, for: SHA384.hash(data: input), padding: .insecurePKCS1v1_5)
            case .rs512: return key.isValidSignature(signature, for: SHA512.hash(data: input), padding: .insecurePKCS1v1_5)
            case .ps256: return key.isValidSignature(signature, for: SHA256.hash(data: input), padding: .PSS)
            case .ps384: return key.isValidSignature(signature, for: SHA384.hash(data: input), padding: .PSS)
            case .ps512: return key.isValidSignature(signature, for: SHA512.hash(data: input), padding: .PSS)
            default: return false
            }
        case .p256(let key):
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: input)
        case .p384(let key):
            guard let signature = try? P384.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: input)
        case .p521(let key):
            guard let signature = try? P521.Signing.ECDSASignature(rawRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: input)
        case .ed25519(let key):
            return signature.count == 64 && key.isValidSignature(signature, for: input)
        case .hmac(let key):
            switch algorithm {
            case .hs256: return HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: input, using: key)
            case .hs384: return HMAC<SHA384>.isValidAuthenticationCode(signature, authenticating: input, using: key)
            case .hs512: return HMAC<SHA512>.isValidAuthenticationCode(signature, authenticating: input, using: key)
            default: return false
            }
        }
    }
}
