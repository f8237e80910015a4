import JOSE

/// Recovery codes for a user who has lost the authenticator app. Each replaces a one-time code, once. A code has 80
/// random bits, so a fast hash is enough to store it.
enum RecoveryCode {
    static let count = 10

    static func make(_ random: RandomSource) -> [String] {
        (0..<count).map { _ in
            let text = Base32.encode(random.bytes(10)).lowercased()
            return stride(from: 0, to: 16, by: 4).map { String(text.dropFirst($0).prefix(4)) }.joined(separator: "-")
        }
    }

    /// The hash of a code as the user types it. Case, spaces and dashes are ignored.
    static func hash(_ code: String) -> SecretHash {
        SecretHash(of: String(decoding: code.lowercased().utf8.filter { $0 != 0x20 && $0 != 0x2D }.prefix(64), as: UTF8.self))
    }
}
