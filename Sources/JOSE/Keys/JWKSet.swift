/// A set of keys (RFC 7517 §5), read tolerantly: unusable keys are left out and named in `ignored`, and the other keys
/// work.
public struct JWKSet: Sendable {
    /// The usable keys, in their original order.
    public let keys: [VerificationKey]
    /// Why keys of the document were left out of `keys`.
    public let ignored: [JOSEError]

    /// The most keys that a document may contain. A longer document is treated as an attack.
    public static let maximumKeys = 256

    /// A set of the given keys. If different keys have the same `kid`, all of them are left out, because the `kid` is
    /// ambiguous.
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

    /// Parses a JWK set document. Symmetric keys in it are never used. A set without any usable key is not an error.
    ///
    /// Throws `malformed_json`, or `unusable_key` when there is no `keys` array or it has more than `maximumKeys`
    /// elements.
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

    /// The public document that a `jwks_uri` serves. Symmetric keys are left out.
    public var publicDocument: JSONValue { ["keys": .array(keys.compactMap(\.publicJWK))] }

    /// The most keys that are tried for one header.
    package static let maximumCandidates = 4
}
