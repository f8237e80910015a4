/// What went wrong in this module. The code is stable and meant for programs; the message is meant for people and may change.
///
/// A message never holds key material or the text of a token.
public struct JOSEError: Error, Hashable, CustomStringConvertible {
    /// A stable, extensible name for a kind of failure.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The bytes are not a JSON text (RFC 8259), or exceed a limit, or hold a duplicate member.
        public static let malformedJSON = Code(rawValue: "malformed_json")
        /// The text is not unpadded, canonical base64url (RFC 7515 §2).
        public static let malformedBase64URL = Code(rawValue: "malformed_base64url")
        /// The text is not a JWS in compact serialization (RFC 7515 §7.1).
        public static let malformedJWS = Code(rawValue: "malformed_jws")
        /// The header asks for something that this verifier does not do (`crit`, `b64`, `zip`, `enc`).
        public static let unsupportedHeader = Code(rawValue: "unsupported_header")
        /// The algorithm is unknown, `none`, or not one that the key or the policy allows.
        public static let algorithmNotAllowed = Code(rawValue: "algorithm_not_allowed")
        /// No key of the set fits the header.
        public static let unknownKey = Code(rawValue: "unknown_key")
        /// The key is malformed, too weak, or not meant for signatures.
        public static let unusableKey = Code(rawValue: "unusable_key")
        /// The signature does not verify.
        public static let invalidSignature = Code(rawValue: "invalid_signature")
        /// The payload is not a claims set, or a claim has the wrong type.
        public static let malformedClaims = Code(rawValue: "malformed_claims")
        /// A value could not be decoded into, or encoded from, a Swift type.
        public static let typeMismatch = Code(rawValue: "type_mismatch")
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
