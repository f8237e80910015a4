import Crypto
import OAuth

/// SHA-256 of a secret with at least 128 bits of entropy: what a store keeps of codes, tokens, session cookies and client secrets.
public struct SecretHash: Sendable, Hashable {
    public let bytes: [UInt8]

    public init(of secret: String) { bytes = Array(SHA256.hash(data: Array(secret.utf8))) }

    /// From a store. Nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// In constant time.
    public func isHash(of secret: String) -> Bool { ConstantTime.areEqual(bytes, SecretHash(of: secret).bytes) }
}

extension SecretHash {
    /// Thirty-two letters and digits: enough to tell two apart, and a name that nobody types.
    var shortText: String {
        bytes.prefix(16).map { byte in
            let digits = Array("0123456789abcdef")
            return String([digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        }.joined()
    }
}
