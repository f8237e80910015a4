/// The escapes of a JSON string (RFC 8259 §7).
enum JSONEscape {
    /// The scalar that the escape at `position` stands for, and the length of the escape in bytes. Nil for unknown
    /// escapes and lone surrogates.
    static func decode(at position: Int, in text: Span<UInt8>) -> (scalar: UInt32, length: Int)? {
        guard position + 1 < text.count else { return nil }
        switch text[position + 1] {
        case UInt8(ascii: "\""): return (0x22, 2)
        case UInt8(ascii: "\\"): return (0x5C, 2)
        case UInt8(ascii: "/"): return (0x2F, 2)
        case UInt8(ascii: "b"): return (0x08, 2)
        case UInt8(ascii: "f"): return (0x0C, 2)
        case UInt8(ascii: "n"): return (0x0A, 2)
        case UInt8(ascii: "r"): return (0x0D, 2)
        case UInt8(ascii: "t"): return (0x09, 2)
        case UInt8(ascii: "u"):
            guard let high = fourHexDigits(at: position + 2, in: text) else { return nil }
            switch high {
            case 0xD800...0xDBFF:
                guard position + 7 < text.count, text[position + 6] == UInt8(ascii: "\\"), text[position + 7] == UInt8(ascii: "u"),
                    let low = fourHexDigits(at: position + 8, in: text), (0xDC00...0xDFFF).contains(low)
                else { return nil }
                return (0x10000 + (high - 0xD800) << 10 + (low - 0xDC00), 12)
            case 0xDC00...0xDFFF: return nil
            default: return (high, 6)
            }
        default: return nil
        }
    }

    /// The content of a string node that the parser has already checked.
    static func string(_ node: JSONNode, in text: Span<UInt8>) -> String {
        var position = Int(node.start)
        let end = Int(node.end)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(end - position)
        while position < end {
            if text[position] == UInt8(ascii: "\\"), let (value, length) = decode(at: position, in: text), let scalar = Unicode.Scalar(value) {
                bytes.append(contentsOf: UTF8.encode(scalar)!)
                position += length
            } else {
                bytes.append(text[position])
                position += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func fourHexDigits(at position: Int, in text: Span<UInt8>) -> UInt32? {
        guard position + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for offset in 0..<4 {
            let byte = text[position + offset]
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
            default: return nil
            }
        }
        return value
    }
}

/// Well-formed UTF-8 (Unicode table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
package enum UTF8Sequence {
    /// The length of the well-formed sequence that starts at `position`, or nil.
    package static func length(at position: Int, in text: Span<UInt8>) -> Int? {
        let first = text[position]
        switch first {
        case 0x00...0x7F: return 1
        case 0xC2...0xDF: return continues(1, position, text, 0x80...0xBF) ? 2 : nil
        case 0xE0: return continues(2, position, text, 0xA0...0xBF) ? 3 : nil
        case 0xE1...0xEC, 0xEE...0xEF: return continues(2, position, text, 0x80...0xBF) ? 3 : nil
        case 0xED: return continues(2, position, text, 0x80...0x9F) ? 3 : nil
        case 0xF0: return continues(3, position, text, 0x90...0xBF) ? 4 : nil
        case 0xF1...0xF3: return continues(3, position, text, 0x80...0xBF) ? 4 : nil
        case 0xF4: return continues(3, position, text, 0x80...0x8F) ? 4 : nil
        default: return nil
        }
    }

    /// Whether the whole text is well-formed.
    package static func isValid(_ text: Span<UInt8>) -> Bool {
        var position = 0
        while position < text.count {
            guard let length = length(at: position, in: text) else { return false }
            position += length
        }
        return true
    }

    private static func continues(_ count: Int, _ position: Int, _ text: Span<UInt8>, _ second: ClosedRange<UInt8>) -> Bool {
        guard position + count < text.count, second.contains(text[position + 1]) else { return false }
        for offset in 2..<(count + 1) where text[position + offset] & 0xC0 != 0x80 { return false }
        return true
    }
}
