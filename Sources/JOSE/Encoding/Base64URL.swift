/// base64url without padding (RFC 7515 §2, RFC 4648 §5). Decoding is strict: each sequence of bytes has exactly one
/// text.
public enum Base64URL {
    /// Decodes a text.
    ///
    /// Throws `malformed_base64url` for padding, white space, characters of other alphabets, an impossible length, and
    /// trailing bits that are not zero.
    public static func decode(_ text: String) throws(JOSEError) -> [UInt8] {
        let bytes = Array(text.utf8)
        return try decode(bytes.span, bytes.startIndex..<bytes.endIndex)
    }

    /// Encodes bytes. The text has no padding and no line breaks.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var output: [UInt8] = []
        append(Array(bytes), to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    package static func append(_ bytes: [UInt8], to output: inout [UInt8]) {
        output.reserveCapacity(output.count + (bytes.count * 4 + 2) / 3)
        let alphabet = Self.alphabet
        var index = 0
        while index + 2 < bytes.count {
            let group = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
            output.append(alphabet[Int(group >> 18)])
            output.append(alphabet[Int(group >> 12 & 63)])
            output.append(alphabet[Int(group >> 6 & 63)])
            output.append(alphabet[Int(group & 63)])
            index += 3
        }
        switch bytes.count - index {
        case 1:
            output.append(alphabet[Int(bytes[index] >> 2)])
            output.append(alphabet[Int(bytes[index] & 3) << 4])
        case 2:
            let group = UInt32(bytes[index]) << 8 | UInt32(bytes[index + 1])
            output.append(alphabet[Int(group >> 10)])
            output.append(alphabet[Int(group >> 4 & 63)])
            output.append(alphabet[Int(group & 15) << 2])
        default: break
        }
    }

    package static func decode(_ text: Span<UInt8>, _ range: Range<Int>) throws(JOSEError) -> [UInt8] {
        let remainder = range.count % 4
        guard remainder != 1 else { throw malformed }
        let size = range.count / 4 * 3 + (remainder == 0 ? 0 : remainder - 1)
        // A byte outside the alphabet sets the high byte, so one test at the end finds all of them.
        var invalid: UInt32 = 0
        let output = text.withUnsafeBufferPointer { text in
            Self.contributions.withUnsafeBufferPointer { table in
                // No index leaves its buffer: `input + 3` is below the end of the range, the table has 1024 entries,
                // and at most `size` bytes are written.
                [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                    let target = UnsafeMutableRawPointer(buffer.baseAddress)
                    var input = range.lowerBound
                    var written = 0
                    func group(_ length: Int) -> UInt32 {
                        var bits: UInt32 = 0
                        for place in 0..<length { bits |= table[place << 8 | Int(text[input + place])] }
                        return bits
                    }
                    // Four bytes are stored for each three, as long as there is room for the fourth.
                    if let target, size >= 4, let first = table.baseAddress, let source = text.baseAddress {
                        let (second, third, fourth) = (first + 256, first + 512, first + 768)
                        let last = size &- 4
                        while written <= last {
                            let four = source + input
                            let bits = first[Int(four[0])] | second[Int(four[1])] | third[Int(four[2])] | fourth[Int(four[3])]
                            invalid |= bits
                            target.storeBytes(of: bits.littleEndian, toByteOffset: written, as: UInt32.self)
                            written &+= 3
                            input &+= 4
                        }
                    }
                    while input < range.upperBound {
                        let length = min(4, range.upperBound - input)
                        let bits = group(length)
                        invalid |= bits
                        for place in 0..<(length - 1) { buffer[written + place] = UInt8(truncatingIfNeeded: bits >> (8 * place)) }
                        // Bits that would belong to the next byte must be zero.
                        if length < 4, bits >> (8 * (length - 1)) & 0xFF != 0 { invalid |= Self.noCharacter }
                        written += length - 1
                        input += length
                    }
                    count = written
                }
            }
        }
        guard invalid & Self.noCharacter == 0 else { throw malformed }
        return output
    }

    private static var malformed: JOSEError {
        JOSEError(.malformedBase64URL, "not canonical base64url: use the letters A-Z a-z 0-9 - _ without padding or white space")
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static let noCharacter: UInt32 = 0xFF00_0000

    /// The bits that a character contributes to the three bytes of its group, for each of the four places in the group.
    /// The first byte is the lowest.
    private static let contributions: [UInt32] = {
        var table = [UInt32](repeating: noCharacter, count: 4 * 256)
        for (value, character) in alphabet.enumerated() {
            for place in 0..<4 {
                let bits = UInt32(value) << (18 - 6 * place)
                table[place << 8 | Int(character)] = bits >> 16 | bits & 0xFF00 | (bits & 0xFF) << 16
            }
        }
        return table
    }()
}
