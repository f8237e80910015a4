/// The JWS algorithms that this module signs and verifies (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864). `none` is not among
/// them.
public enum SigningAlgorithm: String, Sendable, Hashable, CaseIterable {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    case rs256 = "RS256"
    /// RSASSA-PKCS1-v1_5 with SHA-384 (RFC 7518 §3.3).
    case rs384 = "RS384"
    /// RSASSA-PKCS1-v1_5 with SHA-512 (RFC 7518 §3.3).
    case rs512 = "RS512"
    /// RSASSA-PSS with SHA-256 (RFC 7518 §3.5).
    case ps256 = "PS256"
    /// RSASSA-PSS with SHA-384 (RFC 7518 §3.5).
    case ps384 = "PS384"
    /// RSASSA-PSS with SHA-512 (RFC 7518 §3.5).
    case ps512 = "PS512"
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
    case es256 = "ES256"
    /// ECDSA with P-384 and SHA-384 (RFC 7518 §3.4).
    case es384 = "ES384"
    /// ECDSA with P-521 and SHA-512 (RFC 7518 §3.4).
    case es512 = "ES512"
    /// Ed25519 under its older, polymorphic name (RFC 8037 §3.1).
    case edDSA = "EdDSA"
    /// Ed25519 under its fully specified name (RFC 9864).
    case ed25519 = "Ed25519"
    /// HMAC with SHA-256 (RFC 7518 §3.2). The secret has at least 32 bytes.
    case hs256 = "HS256"
    /// HMAC with SHA-384 (RFC 7518 §3.2). The secret has at least 48 bytes.
    case hs384 = "HS384"
    /// HMAC with SHA-512 (RFC 7518 §3.2). The secret has at least 64 bytes.
    case hs512 = "HS512"

    /// Whether one secret both signs and verifies. Such an algorithm works only with a key that was configured as
    /// symmetric.
    public var isSymmetric: Bool {
        switch self {
        case .hs256, .hs384, .hs512: true
        default: false
        }
    }

    /// Every algorithm except HMAC. Verifiers allow this set by default.
    public static let asymmetric: Set<SigningAlgorithm> = Set(allCases.filter { !$0.isSymmetric })

    static let rsa: Set<SigningAlgorithm> = [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
    static let edwards: Set<SigningAlgorithm> = [.edDSA, .ed25519]

    /// Compares the exact bytes of the name. Nil for an unknown name.
    init?(name: JSONView) {
        switch name.document.shortName(name.index) {
        case "RS256": self = .rs256
        case "RS384": self = .rs384
        case "RS512": self = .rs512
        case "PS256": self = .ps256
        case "PS384": self = .ps384
        case "PS512": self = .ps512
        case "ES256": self = .es256
        case "ES384": self = .es384
        case "ES512": self = .es512
        case "EdDSA": self = .edDSA
        case "Ed25519": self = .ed25519
        case "HS256": self = .hs256
        case "HS384": self = .hs384
        case "HS512": self = .hs512
        default: return nil
        }
    }

    /// The bit of this algorithm in an `AlgorithmSet`.
    fileprivate var bit: UInt16 {
        switch self {
        case .rs256: 1
        case .rs384: 1 << 1
        case .rs512: 1 << 2
        case .ps256: 1 << 3
        case .ps384: 1 << 4
        case .ps512: 1 << 5
        case .es256: 1 << 6
        case .es384: 1 << 7
        case .es512: 1 << 8
        case .edDSA: 1 << 9
        case .ed25519: 1 << 10
        case .hs256: 1 << 11
        case .hs384: 1 << 12
        case .hs512: 1 << 13
        }
    }
}

/// A set of algorithms that needs no hashing, because it is searched for every token.
package struct AlgorithmSet: Sendable {
    private let bits: UInt16

    package init(_ algorithms: some Sequence<SigningAlgorithm>) { bits = algorithms.reduce(0) { $0 | $1.bit } }

    package func contains(_ algorithm: SigningAlgorithm) -> Bool { bits & algorithm.bit != 0 }
}
