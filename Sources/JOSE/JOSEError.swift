/// An error of this module. Programs compare `code`, which is stable. `message` is for people and may change.
///
/// A message never contains key material or the text of a token.
public struct JOSEError: Error, Hashable, CustomStringConvertible {
    /// A stable, extensible name for a kind of failure.
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// The text of the code, such as `malformed_json`.
        public let rawValue: String
        /// A code with any text. The codes that this module throws are the constants below.
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The bytes are not a JSON text (RFC 8259), exceed a limit, or contain a duplicate member.
        public static let malformedJSON = Code(rawValue: "malformed_json")
        /// The text is not unpadded, canonical base64url (RFC 7515 §2).
        public static let malformedBase64URL = Code(rawValue: "malformed_base64url")
        /// The text is not a JWS in compact serialization (RFC 7515 §7.1).
        public static let malformedJWS = Code(rawValue: "malformed_jws")
        /// The header names an extension that this module does not implement (`crit`, `b64`, `zip`, `enc`).
        public static let unsupportedHeader = Code(rawValue: "unsupported_header")
        /// The algorithm is unknown, is `none`, or is not allowed by the key or the policy.
        public static let algorithmNotAllowed = Code(rawValue: "algorithm_not_allowed")
        /// No key of the set matches the `kid` and `alg` of the header.
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

    /// The kind of failure.
    public let code: Code
    /// The failure in words, for people and logs.
    public let message: String

    /// The message must not contain key material or the text of a token.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
