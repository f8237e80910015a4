import Crypto
import JOSE
import MCPAuth
import OAuth

/// The texts of refresh tokens: `GRANT.SECRET`, where the secret ends with a mark that only this server can make.
///
/// A store keeps the latest token of a grant, by its hash, and the one before it. That an older one was issued here,
/// its mark says: so its reuse is noticed however long ago that was, without a record of it, and whoever makes one up
/// changes nothing. The first secret of a grant is random; each further one follows from the token before it, for
/// whoever has this server's key: so a token that is sent again gets the very same successor, from every instance, and
/// none has to be kept.
struct RefreshTokens: Sendable {
    private static let secretLength = 32
    private static let markLength = 16
    /// No identifier of a grant is longer.
    private static let longestText = 200

    /// Have read their keys, and nothing else yet.
    private let marks, successors: HMAC<SHA256>

    init(_ master: MasterKey) {
        marks = HMAC(key: master.derivedKey(for: "refresh token marks"))
        successors = HMAC(key: master.derivedKey(for: "refresh token successors"))
    }

    /// The first token of a grant.
    func first(for grantID: String, _ random: RandomSource) -> String { text(grantID, random.bytes(Self.secretLength)) }

    /// What a token is exchanged for.
    func successor(of text: String, for grantID: String) -> String {
        var code = successors
        code.update(data: Array(text.utf8))
        return self.text(grantID, Array(code.finalize()))
    }

    /// What a token is about. Nil for what was not made here.
    ///
    /// Before schema 4 of the store, tokens were 32 random bytes and did not name their grant: whether a text of that
    /// form was one, only the store knows.
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
