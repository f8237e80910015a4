import Crypto
import Foundation
import JOSE
import OAuth

/// The texts of refresh tokens: `GRANT.SECRET`, where the secret ends with a mark that only this server can make.
///
/// A store keeps the latest token of a grant, by its hash, and the one before it. That an older one was issued here, its mark says: so its reuse is noticed
/// however long ago that was, without a record of it, and whoever makes one up reaches no store.
struct RefreshTokens: Sendable {
    private static let secretLength = 32
    private static let markLength = 16
    /// No identifier of a grant is longer.
    private static let longestText = 200

    private let key: SymmetricKey

    init(key: SymmetricKey) { self.key = key }

    func make(for grantID: String, _ random: RandomSource) -> String {
        let secret = random.bytes(Self.secretLength)
        return grantID + "." + Base64URL.encode(secret + mark(grantID, secret))
    }

    /// What a token is about. Nil for everything that was not made here.
    ///
    /// Before schema 4, tokens were 32 random bytes and did not name their grant; whether such a text was one, the store knows.
    func reference(of text: String) -> RefreshTokenReference? {
        guard text.utf8.count <= Self.longestText else { return nil }
        guard let dot = text.utf8.lastIndex(of: UInt8(ascii: ".")) else {
            guard let bytes = try? Base64URL.decode(text), bytes.count == 32 else { return nil }
            return RefreshTokenReference(hash: SecretHash(of: text), grantID: nil)
        }
        let grantID = String(text[..<dot])
        guard let bytes = try? Base64URL.decode(String(text[text.utf8.index(after: dot)...])), bytes.count == Self.secretLength + Self.markLength,
            ConstantTime.areEqual(Array(bytes.suffix(Self.markLength)), mark(grantID, Array(bytes.prefix(Self.secretLength))))
        else { return nil }
        return RefreshTokenReference(hash: SecretHash(of: text), grantID: grantID)
    }

    private func mark(_ grantID: String, _ secret: [UInt8]) -> [UInt8] {
        var code = HMAC<SHA256>(key: key)
        code.update(data: secret)
        code.update(data: Array(grantID.utf8))
        return Array(code.finalize().prefix(Self.markLength))
    }
}
