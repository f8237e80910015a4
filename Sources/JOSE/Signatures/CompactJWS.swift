/// A JWS in compact serialization (RFC 7515 §7.1), parsed and not yet verified.
public struct CompactJWS: Sendable {
    /// The protected header. Do not trust it before `verify` has returned.
    public let header: JWSHeader
    /// The decoded payload. Do not trust it before `verify` has returned.
    public let payload: [UInt8]
    private let token: [UInt8]
    private let headerLength: Int
    private let signedLength: Int
    private let signature: [UInt8]
    /// Whether the header came from the memory and was not parsed.
    let isHeaderRemembered: Bool

    /// The longest token that is parsed, in bytes: 16 KiB.
    public static let maximumBytes = 16 * 1024

    /// Parses three segments of canonical base64url. Only the payload may be empty.
    ///
    /// Throws `malformed_jws`, `malformed_base64url` or `malformed_json` for a malformed token, and
    /// `algorithm_not_allowed` for `none` and unknown algorithms. Throws `unsupported_header` for `crit`, `b64`, `zip`
    /// and `enc`: this module implements no extension, so it rejects every critical header (RFC 7515 §4.1.11). Keys
    /// inside the header (`jwk`, `jku`, `x5c`, `x5u`) are never used.
    public init(parsing token: [UInt8]) throws(JOSEError) { try self.init(parsing: token, headers: nil) }

    /// Like `init(parsing:)`. A header that is in the memory is not parsed again.
    package init(parsing token: [UInt8], headers: HeaderMemory?) throws(JOSEError) {
        guard token.count <= Self.maximumBytes else { throw JOSEError(.malformedJWS, "the token is longer than \(Self.maximumBytes) bytes") }
        let text = token.span
        let (first, second, third) = token.withUnsafeBufferPointer { bytes in
            func dot(after index: Int?) -> Int? { index.flatMap { ByteScan.firstIndex(of: UInt8(ascii: "."), in: bytes, from: $0 + 1) } }
            let first = dot(after: -1)
            let second = dot(after: first)
            return (first, second, dot(after: second))
        }
        guard third == nil else { throw JOSEError(.malformedJWS, "a compact JWS has three segments, this has more") }
        guard let first, let second, first > 0, second + 1 < text.count else {
            throw JOSEError(.malformedJWS, "a compact JWS has three segments, and neither header nor signature is empty")
        }
        let remembered = headers?.header(for: token[..<first])
        isHeaderRemembered = remembered != nil
        if let remembered { header = remembered } else { header = try JWSHeader(parsing: try Base64URL.decode(text, 0..<first)) }
        headerLength = first
        payload = try Base64URL.decode(text, first + 1..<second)
        signature = try Base64URL.decode(text, second + 1..<text.count)
        signedLength = second
        self.token = token
    }

    var headerText: ArraySlice<UInt8> { token[..<headerLength] }

    /// Parses the text of a token. Throws like `init(parsing:)` for bytes.
    public init(parsing token: String) throws(JOSEError) { try self.init(parsing: Array(token.utf8)) }

    /// Verifies the signature with the keys of a set, and returns the key that matched. At most four keys are tried.
    ///
    /// Throws `algorithm_not_allowed`, `unknown_key` or `invalid_signature`. The claims are not checked; see
    /// `JWTRequirements`.
    @discardableResult
    public func verify(
        using keys: JWKSet, allowing algorithms: Set<SigningAlgorithm> = SigningAlgorithm.asymmetric
    ) throws(JOSEError) -> VerificationKey {
        try verify(using: keys, allowing: AlgorithmSet(algorithms))
    }

    /// The same with a set that needs no hashing.
    @discardableResult
    package func verify(using keys: JWKSet, allowing algorithms: AlgorithmSet) throws(JOSEError) -> VerificationKey {
        guard algorithms.contains(header.algorithm) else {
            throw JOSEError(.algorithmNotAllowed, "\(header.algorithm.rawValue) is not among the allowed algorithms")
        }
        var tried = 0
        for key in keys.keys where tried < JWKSet.maximumCandidates && key.mayVerify(keyID: header.keyID, algorithm: header.algorithm) {
            if key.isValidSignature(signature, for: token[..<signedLength], algorithm: header.algorithm) { return key }
            tried += 1
        }
        guard tried > 0 else { throw JOSEError(.unknownKey, "no key of the set fits the header's kid and alg") }
        throw JOSEError(.invalidSignature, "the signature does not verify")
    }

    /// Whether this key made the signature with the header's algorithm. For keys that the header itself contains:
    /// success does not say who holds them.
    package func isSigned(by key: VerificationKey) -> Bool {
        key.isValidSignature(signature, for: token[..<signedLength], algorithm: header.algorithm)
    }

    /// Signs a payload and returns the compact serialization. The header has `alg`, `typ` if it is given, and `kid` if
    /// the key has one. Throws like `SigningKey.sign`.
    public static func sign(_ payload: [UInt8], type: String? = nil, with key: SigningKey) throws(JOSEError) -> String {
        var header = JSONObject()
        header["alg"] = .string(key.algorithm.rawValue)
        header["typ"] = type.map { .string($0) }
        header["kid"] = key.keyID.map { .string($0) }
        return try sign(payload, header: header, with: key)
    }

    package static func sign(_ payload: [UInt8], header: JSONObject, with key: SigningKey) throws(JOSEError) -> String {
        var token: [UInt8] = []
        token.reserveCapacity(payload.count * 2 + 256)
        Base64URL.append(JSONValue.object(header).serialized, to: &token)
        token.append(UInt8(ascii: "."))
        Base64URL.append(payload, to: &token)
        let signature = try key.sign(token)
        token.append(UInt8(ascii: "."))
        Base64URL.append(signature, to: &token)
        return String(decoding: token, as: UTF8.self)
    }
}

/// The protected header of a JWS (RFC 7515 §4).
public struct JWSHeader: Sendable {
    /// `alg`, which is always one of the known algorithms.
    public let algorithm: SigningAlgorithm
    /// `kid`, at most 1024 bytes. Nil when it is absent.
    public let keyID: String?
    /// `typ` as it was written, at most 1024 bytes. Nil when it is absent.
    public let type: String?
    private let document: JSONDocument

    init(parsing bytes: [UInt8]) throws(JOSEError) {
        document = try JSONDocument(parsing: bytes, limits: JSONLimits(maximumBytes: 8192, maximumDepth: 8))
        let root = document.root
        guard root.isObject else { throw JOSEError(.malformedJWS, "the header is not an object") }
        var algorithm: JSONView?
        var keyID: JSONView?
        var type: JSONView?
        var refused = false
        let document = document
        root.forEachMember { nameIndex, valueIndex in
            guard let name = document.shortName(nameIndex) else { return }
            switch name {
            case "alg": algorithm = JSONView(document: document, index: valueIndex)
            case "kid": keyID = JSONView(document: document, index: valueIndex)
            case "typ": type = JSONView(document: document, index: valueIndex)
            case "crit", "b64", "zip", "enc": refused = true
            default: break
            }
        }
        guard !refused else { throw JOSEError(.unsupportedHeader, "the header asks for an extension (crit, b64, zip or enc)") }
        guard let algorithm, let known = SigningAlgorithm(name: algorithm) else {
            throw JOSEError(.algorithmNotAllowed, "alg is missing or none of the algorithms known here")
        }
        self.algorithm = known
        self.keyID = try Self.string(keyID)
        self.type = try Self.string(type)
    }

    /// Any member of the header, including those that have a property here. Nil when it is absent.
    public subscript(name: String) -> JSONView? { document.root[name] }

    /// Whether `typ` is this media type, ignoring case and the prefix `application/` (RFC 7515 §4.1.9). False when
    /// `typ` is absent.
    public func hasType(_ mediaType: String) -> Bool {
        guard let type else { return false }
        if ByteScan.areSame(type, mediaType) { return true }
        return Self.short(type).elementsEqual(Self.short(mediaType)) { Self.lowercased($0) == Self.lowercased($1) }
    }

    private static func short(_ mediaType: String) -> Substring.UTF8View {
        let bytes = mediaType[...].utf8
        let prefix = "application/".utf8
        return bytes.starts(with: prefix) { lowercased($0) == $1 } ? bytes.dropFirst(prefix.count) : bytes
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte }

    private static func string(_ view: JSONView?) throws(JOSEError) -> String? {
        guard let view else { return nil }
        guard let string = view.string, string.utf8.count <= 1024 else {
            throw JOSEError(.malformedJWS, "kid and typ are strings of at most 1024 bytes")
        }
        return string
    }
}
