import CryptoExtras

/// The requirements for an RSA public key (RFC 7518 §3.3), including a check for the ROCA weakness (CVE-2017-15361).
enum RSAKeyRules {
    /// The accepted lengths of the modulus. Verification with a key of 16384 bits would be a denial of service.
    static let bits = 2048...8192

    static func publicKey(modulus: [UInt8], exponent: [UInt8]) throws(JOSEError) -> _RSA.Signing.PublicKey {
        let modulus = [UInt8](modulus.drop { $0 == 0 })
        let exponent = [UInt8](exponent.drop { $0 == 0 })
        try check(modulus: modulus, exponent: exponent)
        do { return try _RSA.Signing.PublicKey(n: modulus, e: exponent) } catch { throw JOSEError(.unusableKey, "not an RSA public key") }
    }

    static func check(_ key: _RSA.Signing.PublicKey) throws(JOSEError) {
        let primitives: _RSA.Signing.PublicKey.Primitives
        do { primitives = try key.getKeyPrimitives() } catch { throw JOSEError(.unusableKey, "not an RSA public key") }
        try check(modulus: [UInt8](primitives.modulus), exponent: [UInt8](primitives.publicExponent))
    }

    private static func check(modulus: [UInt8], exponent: [UInt8]) throws(JOSEError) {
        let size = modulus.first.map { modulus.count * 8 - $0.leadingZeroBitCount } ?? 0
        guard bits.contains(size) else {
            throw JOSEError(.unusableKey, "an RSA key has \(bits.lowerBound) to \(bits.upperBound) bits, this one has \(size)")
        }
        guard let last = exponent.last, last & 1 == 1, exponent.count <= 4, exponent != [1] else {
            throw JOSEError(.unusableKey, "an RSA public exponent is odd, at least 3 and at most 32 bits long")
        }
        guard !hasROCAFingerprint(modulus) else {
            throw JOSEError(.unusableKey, "the RSA key was made by a generator with the ROCA weakness (CVE-2017-15361); make a new one")
        }
    }

    /// Whether the modulus is a power of 65537 modulo each of these primes. This holds for ROCA moduli and almost no
    /// others.
    private static func hasROCAFingerprint(_ modulus: [UInt8]) -> Bool {
        for prime: UInt32 in [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157] {
            let residue = modulus.reduce(UInt32(0)) { ($0 << 8 | UInt32($1)) % prime }
            var power: UInt32 = 1
            var isPower = false
            repeat {
                if power == residue { isPower = true }
                power = power * (65537 % prime) % prime
            } while power != 1 && !isPower
            if !isPower { return false }
        }
        return true
    }
}
