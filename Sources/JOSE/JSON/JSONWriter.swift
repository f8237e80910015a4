extension JSONValue {
    /// The compact JSON text of this value, in UTF-8. Control characters, U+2028, U+2029 and U+007F to U+009F are
    /// escaped, so that the text is always one line.
    public var serialized: [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(256)
        JSONWriter.write(self, to: &output)
        return output
    }

    /// `serialized` as a string.
    public var text: String { String(decoding: serialized, as: UTF8.self) }
}

package enum JSONWriter {
    package static func write(_ value: JSONValue, to output: inout [UInt8]) {
        switch value {
        case .null: output += "null".utf8
        case .bool(let value): output += (value ? "true" : "false").utf8
        case .number(let number): output += number.description.utf8
        case .string(let string): write(string, to: &output)
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                write(element, to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let object):
            output.append(UInt8(ascii: "{"))
            for (index, member) in object.members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                write(member.name, to: &output)
                output.append(UInt8(ascii: ":"))
                write(member.value, to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    package static func write(_ string: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        let isPlain =
            string.utf8.withContiguousStorageIfAvailable { bytes in
                guard ByteScan.isPlainText(bytes) else { return false }
                output.append(contentsOf: bytes)
                return true
            } ?? false
        if !isPlain { writeEscaped(string, to: &output) }
        output.append(UInt8(ascii: "\""))
    }

    private static func writeEscaped(_ string: String, to output: inout [UInt8]) {
        for scalar in string.unicodeScalars {
            switch scalar.value {
            case 0x22: output += #"\""#.utf8
            case 0x5C: output += #"\\"#.utf8
            case 0x0A: output += #"\n"#.utf8
            case 0x0D: output += #"\r"#.utf8
            case 0x09: output += #"\t"#.utf8
            case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029: writeEscape(scalar.value, to: &output)
            case 0..<0x80: output.append(UInt8(truncatingIfNeeded: scalar.value))
            default: output.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
    }

    private static func writeEscape(_ value: UInt32, to output: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        output += #"\u"#.utf8
        for shift in stride(from: 12, through: 0, by: -4) { output.append(digits[Int(value >> UInt32(shift)) & 15]) }
    }
}
