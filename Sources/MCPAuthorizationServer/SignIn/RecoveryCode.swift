import JOSE

/// Codes that stand in for a one-time code, once each, for a person who has lost the authenticator app. 80 random bits
/// each, so that a fast hash is enough to keep them.
enum RecoveryCode {
    static let count = 10

    static func make(_ random: RandomSource) -> [String] {
        (0..<count).map { _ in
            let text = Base32.encode(random.bytes(10)).lowercased()
            return stride(from: 0, to: 16, by: 4).map { String(text.dropFirst($0).prefix(4)) }.joined(separator: "-")
        }
    }

    /// Of a code as a person types it: case, spaces and dashes make no difference.
    static func hash(_ code: String) -> SecretHash {
        SecretHash(of: String(decoding: code.lowercased().utf8.filter { $0 != 0x20 && $0 != 0x2D }.prefix(64), as: UTF8.self))
    }
}
