import Crypto
import OAuth

/// The SHA-256 of a secret with at least 128 bits of entropy. Stores keep it instead of codes, tokens, session cookies
/// and client secrets. Not for passwords; see `PasswordHash`.
public struct SecretHash: Sendable, Hashable {
    /// The 32 bytes of the hash.
    public let bytes: [UInt8]

    /// The hash of the secret's UTF-8.
    public init(of secret: String) { bytes = Array(SHA256.hash(data: Array(secret.utf8))) }

    /// A hash that a store has kept. Nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Whether this is the hash of `secret`. Compares in constant time.
    public func isHash(of secret: String) -> Bool { ConstantTime.areEqual(bytes, SecretHash(of: secret).bytes) }
}

extension SecretHash {
    /// Thirty-two hexadecimal digits of the hash, enough to distinguish hashes.
    var shortText: String {
        bytes.prefix(16).map { byte in
            let digits = Array("0123456789abcdef")
            return String([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }.joined()
    }
}
