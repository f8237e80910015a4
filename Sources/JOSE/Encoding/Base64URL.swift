/// base64url without padding (RFC 7515 §2, RFC 4648 §5). Decoding is strict: exactly one text stands for a sequence of bytes.
public enum Base64URL {
    /// The bytes of a text without padding, white space, characters of other alphabets, or trailing bits that are not zero.
    /// Throws `malformed_base64url`.
    public static func decode(_ text: String) throws(JOSEError) -> [UInt8] {
        let bytes = Array(text.utf8)
        return try decode(bytes.span, bytes.startIndex..<bytes.endIndex)
    }

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
        // Every invalid character has the high bit set in `values`, so one test at the end finds any of them.
        var invalid: UInt8 = 0
        let output = text.withUnsafeBufferPointer { text in
            Self.values.withUnsafeBufferPointer { values in
                // No index leaves its buffer: `input + 3` is below the range's end, `values` has 256 entries, and `size` bytes are written.
                [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                    var input = range.lowerBound
                    var written = 0
                    while input + 3 < range.upperBound {
                        let (first, second) = (values[Int(text[input])], values[Int(text[input + 1])])
                        let (third, fourth) = (values[Int(text[input + 2])], values[Int(text[input + 3])])
                        invalid |= first | second | third | fourth
                        buffer[written] = first << 2 | (second & 63) >> 4
                        buffer[written + 1] = second << 4 | (third & 63) >> 2
                        buffer[written + 2] = third << 6 | (fourth & 63)
                        written += 3
                        input += 4
                    }
                    if remainder >= 2 {
                        let (first, second) = (values[Int(text[input])], values[Int(text[input + 1])])
                        invalid |= first | second
                        buffer[written] = first << 2 | (second & 63) >> 4
                        written += 1
                        if remainder == 3 {
                            let third = values[Int(text[input + 2])]
                            invalid |= third | (third & 3 == 0 ? 0 : 0x80)
                            buffer[written] = second << 4 | (third & 63) >> 2
                            written += 1
                        } else if second & 15 != 0 {
                            invalid |= 0x80
                        }
                    }
                    count = written
                }
            }
        }
        guard invalid & 0x80 == 0 else { throw malformed }
        return output
    }

    private static var malformed: JOSEError {
        JOSEError(.malformedBase64URL, "not canonical base64url: use the letters A-Z a-z 0-9 - _ without padding or white space")
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0x80, count: 256)
        for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()
}
