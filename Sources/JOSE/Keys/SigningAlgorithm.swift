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
        guard let match = Self.allCases.first(where: { name.hasText($0.rawValue) }) else { return nil }
        self = match
    }
}
