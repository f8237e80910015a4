import Crypto
import JOSE
import MCPAuth
import OAuth

/// Time-based one-time passwords (RFC 6238) as authenticator apps make them: HMAC-SHA-1, six digits, thirty seconds.
enum OneTimePasswords {
    static let step: Int64 = 30

    /// Seals the secrets of users in the store.
    static func sealer(_ master: MasterKey) -> Sealer { master.sealer(for: "one-time secrets") }

    /// The six digits of a time step.
    static func code(_ secret: [UInt8], step: Int64) -> String {
        let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> (56 - 8 * $0)) }
        let mac = Array(HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: secret)))
        let offset = Int(mac[19] & 0x0F)
        let number = (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(mac[offset + $1]) } & 0x7FFF_FFFF
        let digits = String(number % 1_000_000)
        return String(repeating: "0", count: 6 - digits.utf8.count) + digits
    }

    /// The time step of a code: the present one or a neighbour. Nil for any other text.
    static func step(of text: String, _ secret: [UInt8], at now: NumericDate) -> Int64? {
        let digits = text.utf8.filter { $0 != 0x20 }
        guard digits.count == 6, digits.allSatisfy(URLBytes.isDigit), now.seconds >= 0 else { return nil }
        let present = now.seconds / step
        return [present, present - 1, present + 1].first { ConstantTime.areEqual(Array(code(secret, step: $0).utf8), digits) }
    }

    /// The URI that an authenticator app reads, usually from a QR code.
    static func uri(_ secret: [UInt8], account: String, issuer: String) -> String {
        let label = Form.encode(issuer) + ":" + Form.encode(account)
        return "otpauth://totp/\(label)?secret=\(Base32.encode(secret))&issuer=\(Form.encode(issuer))"
    }
}

/// RFC 4648 §6, without padding.
enum Base32 {
    static func encode(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
        var output: [UInt8] = []
        var (buffer, bits) = (0, 0)
        for byte in bytes {
            buffer = (buffer << 8 | Int(byte)) & 0xFFF
            bits += 8
            while bits >= 5 {
                bits -= 5
                output.append(alphabet[buffer >> bits & 31])
            }
        }
        if bits > 0 { output.append(alphabet[buffer << (5 - bits) & 31]) }
        return String(decoding: output, as: UTF8.self)
    }
}
