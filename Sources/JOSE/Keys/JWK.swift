import Crypto
import CryptoExtras

extension VerificationKey {
    /// A public key from a JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
    ///
    /// Throws `unusable_key` when the key is malformed, weak or symmetric, or when `use`, `key_ops` or `alg` exclude
    /// signatures. Certificates (`x5c`, `x5u`) are not read. A private part is ignored. A member that is `null` counts
    /// as absent.
    public init(jwk: JSONView) throws(JOSEError) {
        guard let kty = jwk["kty"]?.string else { throw JOSEError(.unusableKey, "a JWK needs the member kty") }
        if let use = jwk.optional("use"), !use.hasText("sig") { throw JOSEError(.unusableKey, "the key's use is not sig") }
        if let operations = jwk.optional("key_ops") {
            guard let operations = operations.strings, operations.contains("verify") || operations.contains("sign") else {
                throw JOSEError(.unusableKey, "the key's key_ops do not allow to verify")
            }
        }
        let keyID = try jwk.optional("kid").map { value throws(JOSEError) in
            guard let keyID = value.string else { throw JOSEError(.unusableKey, "kid is not a string") }
            return keyID
        }
        let material: Material
        var algorithms: Set<SigningAlgorithm>
        switch kty {
        case "RSA":
            material = .rsa(try RSAKeyRules.publicKey(modulus: try jwk.bytes("n"), exponent: try jwk.bytes("e")))
            algorithms = SigningAlgorithm.rsa
        case "EC":
            let curve = jwk["crv"]?.string ?? ""
            guard let size = ["P-256": 32, "P-384": 48, "P-521": 66][curve] else {
                throw JOSEError(.unusableKey, "crv is none of P-256, P-384, P-521")
            }
            let x = try jwk.bytes("x")
            let y = try jwk.bytes("y")
            guard x.count == size, y.count == size else { throw JOSEError(.unusableKey, "the coordinates of a \(curve) key have \(size) bytes each") }
            do {
                switch curve {
                case "P-256": (material, algorithms) = (.p256(try P256.Signing.PublicKey(x963Representation: [4] + x + y)), [.es256])
                case "P-384": (material, algorithms) = (.p384(try P384.Signing.PublicKey(x963Representation: [4] + x + y)), [.es384])
                default: (material, algorithms) = (.p521(try P521.Signing.PublicKey(x963Representation: [4] + x + y)), [.es512])
                }
            } catch { throw JOSEError(.unusableKey, "the point is not on the curve \(curve)") }
        case "OKP":
            guard jwk["crv"]?.hasText("Ed25519") == true else { throw JOSEError(.unusableKey, "crv is not Ed25519") }
            let x = try jwk.bytes("x")
            guard x.count == 32, let key = try? Curve25519.Signing.PublicKey(rawRepresentation: x) else {
                throw JOSEError(.unusableKey, "an Ed25519 key has 32 bytes")
            }
            (material, algorithms) = (.ed25519(key), SigningAlgorithm.edwards)
        case "oct":
            throw JOSEError(.unusableKey, "a symmetric key is only usable where its owner configures it as one")
        default:
            throw JOSEError(.unusableKey, "kty is none of RSA, EC, OKP")
        }
        if let name = jwk.optional("alg") {
            guard let algorithm = SigningAlgorithm(name: name), algorithms.contains(algorithm) else {
                throw JOSEError(.unusableKey, "alg does not fit the key")
            }
            algorithms = algorithm == .edDSA || algorithm == .ed25519 ? SigningAlgorithm.edwards : [algorithm]
        }
        self.init(material, keyID: keyID, algorithms: algorithms)
    }

    /// A symmetric key from a JWK of type `oct`. Use it only for a JWK from your own configuration.
    ///
    /// Throws `unusable_key` unless `alg` is HS256, HS384 or HS512, `use` is absent or `sig`, and `k` is as long as
    /// `hmac(secret:algorithm:keyID:)` requires. `key_ops` is not checked.
    public init(symmetricJWK jwk: JSONView) throws(JOSEError) {
        guard jwk["kty"]?.hasText("oct") == true, let name = jwk["alg"], let algorithm = SigningAlgorithm(name: name), algorithm.isSymmetric else {
            throw JOSEError(.unusableKey, "a symmetric JWK has kty oct and alg HS256, HS384 or HS512")
        }
        if let use = jwk.optional("use"), !use.hasText("sig") { throw JOSEError(.unusableKey, "the key's use is not sig") }
        self = try VerificationKey.hmac(secret: try jwk.bytes("k"), algorithm: algorithm, keyID: jwk["kid"]?.string)
    }

    /// The public JWK (RFC 7517) with `use`, and with `kid` if the key has one. `alg` is present when the key has one
    /// algorithm; an Ed25519 key says `EdDSA`. Nil for a symmetric key, which has no public form.
    public var publicJWK: JSONValue? {
        guard var members = requiredMembers?.object else { return nil }
        members["kid"] = keyID.map { .string($0) }
        members["use"] = "sig"
        if algorithms.count == 1, let only = algorithms.first { members["alg"] = .string(only.rawValue) }
        if algorithms == SigningAlgorithm.edwards { members["alg"] = "EdDSA" }
        return .object(members)
    }

    /// The SHA-256 thumbprint of the public key, 43 characters of base64url (RFC 7638). Nil for a symmetric key.
    public var thumbprint: String? {
        guard let requiredMembers else { return nil }
        return Base64URL.encode(SHA256.hash(data: requiredMembers.serialized))
    }

    /// The members that a thumbprint is made of, in lexicographic order (RFC 7638 §3.2).
    private var requiredMembers: JSONValue? {
        func ec(_ curve: String, _ point: some Sequence<UInt8>) -> JSONValue {
            let bytes = Array(point)
            let half = bytes.count / 2
            return [
                "crv": .string(curve), "kty": "EC", "x": .string(Base64URL.encode(bytes[..<half])), "y": .string(Base64URL.encode(bytes[half...])),
            ]
        }
        switch material {
        case .rsa(let key):
            guard let primitives = try? key.getKeyPrimitives() else { return nil }
            return [
                "e": .string(Base64URL.encode(primitives.publicExponent)), "kty": "RSA", "n": .string(Base64URL.encode(primitives.modulus)),
            ]
        case .p256(let key): return ec("P-256", key.rawRepresentation)
        case .p384(let key): return ec("P-384", key.rawRepresentation)
        case .p521(let key): return ec("P-521", key.rawRepresentation)
        case .ed25519(let key): return ["crv": "Ed25519", "kty": "OKP", "x": .string(Base64URL.encode(key.rawRepresentation))]
        case .hmac: return nil
        }
    }
}

extension JSONView {
    /// A member. Nil when it is absent or `null`: clients and issuers that serialize a typed model write absent members
    /// as `null`.
    package func optional(_ name: String) -> JSONView? {
        guard let value = self[name], !value.isNull else { return nil }
        return value
    }

    /// The bytes of a base64url member of a JWK. Throws `unusable_key`.
    func bytes(_ name: String) throws(JOSEError) -> [UInt8] {
        guard let text = self[name]?.string, let bytes = try? Base64URL.decode(text) else {
            throw JOSEError(.unusableKey, "the member \(name) is missing or not base64url")
        }
        return bytes
    }
}
