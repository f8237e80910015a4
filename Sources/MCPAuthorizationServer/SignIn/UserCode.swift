import JOSE
import MCPAuth
import OAuth

/// The code that the user types: eight letters of twenty that are hard to confuse and do not form words (RFC 8628
/// §6.1).
enum UserCode {
    private static let alphabet = Array("BCDFGHJKLMNPQRSTVWXZ".utf8)

    static func make(_ random: RandomSource) -> String {
        var letters: [UInt8] = []
        while letters.count < 8 {
            // Bytes from 240 on would make some letters more frequent than others.
            for byte in random.bytes(16) where byte < 240 && letters.count < 8 { letters.append(alphabet[Int(byte) % alphabet.count]) }
        }
        return String(decoding: letters, as: UTF8.self)
    }

    /// Without dashes and spaces, in upper case. Nil for a text that cannot be a code.
    static func normalized(_ text: String) -> String? {
        let letters = text.utf8.filter { $0 != 0x2D && $0 != 0x20 }.map { URLBytes.isLetter($0) ? $0 & 0xDF : $0 }
        guard letters.count == 8, letters.allSatisfy(alphabet.contains) else { return nil }
        return String(decoding: letters, as: UTF8.self)
    }

    static func shown(_ code: String) -> String { code.prefix(4) + "-" + code.dropFirst(4) }
}

/// Hashes user codes. The hash is keyed, because a user code is so short that a plain hash would reveal it.
struct UserCodeHash: Sendable {
    private let key: String

    init(_ master: MasterKey) { key = master.derivedText(for: "user codes") }

    func hash(of code: String) -> SecretHash { SecretHash(of: key + code) }
}
