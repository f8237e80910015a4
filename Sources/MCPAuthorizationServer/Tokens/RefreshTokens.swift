import Crypto
import JOSE
import MCPAuth
import OAuth

/// The texts of refresh tokens: `GRANT.SECRET`, where the secret ends with an authentication code (mark) that only this
/// server can create.
///
/// A store keeps the hash of the latest token of a grant and of its predecessor. The mark proves that an older token
/// was issued here. So its reuse is detected at any time without a record of it, and a forged token changes nothing.
/// The first secret of a grant is random. Each further one is derived from the previous token with a key of this
/// server. So a repeated token gives the same successor, from every instance, and no successor is stored.
struct RefreshTokens: Sendable {
    private static let secretLength = 32
    private static let markLength = 16
    /// The longest accepted text, which is longer than any token of ours.
    private static let longestText = 200

    /// The keyed hash functions, before any input.
    private let marks, successors: HMAC<SHA256>

    init(_ master: MasterKey) {
        marks = HMAC(key: master.derivedKey(for: "refresh token marks"))
        successors = HMAC(key: master.derivedKey(for: "refresh token successors"))
    }

    /// The first token of a grant.
    func first(for grantID: String, _ random: RandomSource) -> String { text(grantID, random.bytes(Self.secretLength)) }

    /// The token that a token is exchanged for.
    func successor(of text: String, for grantID: String) -> String {
        var code = successors
        code.update(data: Array(text.utf8))
        return self.text(grantID, Array(code.finalize()))
    }

    /// The content of a token. Nil for a token that was not issued here.
    ///
    /// Before schema 4 of the store, tokens were 32 random bytes and did not name their grant. Only the store knows
    /// whether a text of that form was one.
    func reference(of text: String) -> RefreshTokenReference? {
        guard text.utf8.count <= Self.longestText else { return nil }
        guard let dot = text.utf8.lastIndex(of: UInt8(ascii: ".")) else {
            guard let bytes = try? Base64URL.decode(text), bytes.count == 32 else { return nil }
            return RefreshTokenReference(hash: SecretHash(of: text), grantID: nil)
        }
        let grantID = String(text[..<dot])
        guard let bytes = try? Base64URL.decode(String(text[text.utf8.index(after: dot)...])), bytes.count == Self.secretLength + Self.markLength,
            ConstantTime.areEqual(Array(bytes[Self.secretLength...]), mark(grantID, bytes[..<Self.secretLength]))
        else { return nil }
        return RefreshTokenReference(hash: SecretHash(of: text), grantID: grantID)
    }

    private func text(_ grantID: String, _ secret: [UInt8]) -> String { grantID + "." + Base64URL.encode(secret + mark(grantID, secret[...])) }

    private func mark(_ grantID: String, _ secret: ArraySlice<UInt8>) -> [UInt8] {
        var code = marks
        // The secret has one length, so no other grant and secret give the same bytes.
        code.update(data: secret + grantID.utf8)
        return Array(code.finalize().prefix(Self.markLength))
    }
}
