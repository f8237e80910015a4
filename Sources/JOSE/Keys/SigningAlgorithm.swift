/// The JWS algorithms that this module signs and verifies (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864). `none` is not among them and cannot be.
public enum SigningAlgorithm: String, Sendable, Hashable, CaseIterable {
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    /// Ed25519 under its older, polymorphic name.
    case edDSA = "EdDSA"
    /// Ed25519 under its fully specified name.
    case ed25519 = "Ed25519"
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"

    /// Whether one secret both signs and verifies. Such algorithms only ever work with a key that its owner configured as symmetric.
    public var isSymmetric: Bool {
        switch self {
        case .hs256, .hs384, .hs512: true
        default: false
        }
    }

    /// Everything but HMAC: what a verifier allows unless told otherwise.
    public static let asymmetric: Set<SigningAlgorithm> = Set(allCases.filter { !$0.isSymmetric })

    static let rsa: Set<SigningAlgorithm> = [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512]
    static let edwards: Set<SigningAlgorithm> = [.edDSA, .ed25519]

    /// By the exact bytes of its name.
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

    /// Its place in an `AlgorithmSet`.
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

/// A set of algorithms that is asked for every token.
package struct AlgorithmSet: Sendable {
    private let bits: UInt16

    package init(_ algorithms: some Sequence<SigningAlgorithm>) { bits = algorithms.reduce(0) { $0 | $1.bit } }

    package func contains(_ algorithm: SigningAlgorithm) -> Bool { bits & algorithm.bit != 0 }
}
