/// A set of keys (RFC 7517 §5), read tolerantly: a key that cannot be used is left out and named in `ignored`, the others work.
public struct JWKSet: Sendable {
    /// The usable keys.
    public let keys: [VerificationKey]
    /// Why other keys of the document are not among `keys`.
    public let ignored: [JOSEError]

    /// More keys than this are not a key set, they are an attack.
    public static let maximumKeys = 256

    /// Two different keys under one `kid` are ambiguous: both are left out.
    public init(_ keys: [VerificationKey]) { self.init(keys, ignored: []) }

    private init(_ keys: [VerificationKey], ignored: [JOSEError]) {
        var byKeyID: [[UInt8]: VerificationKey] = [:]
        var ambiguous: Set<[UInt8]> = []
        for key in keys {
            guard let keyID = key.keyID.map({ Array($0.utf8) }) else { continue }
            if let other = byKeyID[keyID], other.thumbprint == nil || other.thumbprint != key.thumbprint { ambiguous.insert(keyID) }
            byKeyID[keyID] = key
        }
        self.keys = keys.filter { key in key.keyID.map { !ambiguous.contains(Array($0.utf8)) } ?? true }
        self.ignored = ignored + ambiguous.map { _ in JOSEError(.unusableKey, "several keys of the set have the same kid") }
    }

    /// Parses a JWK set document. Symmetric keys in it are never used. Throws `malformed_json`, or `unusable_key` when there is no `keys` array or it
    /// holds more than `maximumKeys`; a set without any usable key is not an error.
    public init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(JOSEError) {
        let root = try JSONDocument(parsing: bytes, limits: limits).root
        guard let elements = root["keys"]?.array else { throw JOSEError(.unusableKey, "a JWK set is an object with an array named keys") }
        guard elements.count <= Self.maximumKeys else { throw JOSEError(.unusableKey, "the set has more than \(Self.maximumKeys) keys") }
        var keys: [VerificationKey] = []
        var ignored: [JOSEError] = []
        for element in elements {
            do throws(JOSEError) { keys.append(try VerificationKey(jwk: element)) } catch { ignored.append(error) }
        }
        self.init(keys, ignored: ignored)
    }

    /// The public document, as a `jwks_uri` serves it.
    public var publicDocument: JSONValue { ["keys": .array(keys.compactMap(\.publicJWK))] }

    /// No header is worth trying more keys than this.
    package static let maximumCandidates = 4
}
