import Crypto
public import JOSE

/// The `S256` code challenge of an authorization request (RFC 7636 §4.2). The method `plain` is not supported.
public struct CodeChallenge: Sendable, Hashable {
    /// The challenge, 43 characters of base64url.
    public let text: String

    /// Nil for a text that is not the base64url of 32 bytes.
    public init?(_ text: String) {
        guard text.utf8.count == 43, let bytes = try? Base64URL.decode(text), bytes.count == 32 else { return nil }
        self.text = text
    }

    /// The base64url of the SHA-256 of the verifier.
    public init(of verifier: CodeVerifier) { text = Base64URL.encode(SHA256.hash(data: Array(verifier.text.utf8))) }

    /// Whether this is the challenge of `verifier`. Compares in constant time.
    public func isMet(by verifier: CodeVerifier) -> Bool { ConstantTime.areEqual(Array(text.utf8), Array(CodeChallenge(of: verifier).text.utf8)) }
}

/// The code verifier (RFC 7636 §4.1): 43 to 128 unreserved characters. It is a secret.
public struct CodeVerifier: Sendable, Hashable {
    /// The verifier as it was given.
    public let text: String

    /// Nil for a text of another length, and for other characters than `A-Z a-z 0-9 - . _ ~`.
    public init?(_ text: String) {
        guard (43...128).contains(text.utf8.count),
            text.utf8.allSatisfy({ Array("-._~".utf8).contains($0) || URLBytes.isLetter($0) || URLBytes.isDigit($0) })
        else { return nil }
        self.text = text
    }

    /// A new verifier with 256 random bits.
    public init(random: RandomSource) { text = random.token() }
}

/// Comparison in a time that depends on the lengths only.
public enum ConstantTime {
    /// Whether two sequences of bytes are equal. Returns at once when their lengths differ.
    public static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        var difference: UInt8 = 0
        for index in left.indices { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}
