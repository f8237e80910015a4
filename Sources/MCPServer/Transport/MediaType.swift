import OAuth

/// The part of media types that two headers need.
enum MediaType {
    static func isJSON(_ value: String?) -> Bool { value.map { essence(of: $0.utf8[...], is: "application/json") } ?? false }

    /// Whether `Accept` names this type, or a range that contains it. Without the header, every type is accepted
    /// (RFC 9110 §12.5.1).
    static func accepts(_ values: [String], _ type: StaticString) -> Bool {
        guard !values.isEmpty else { return true }
        return values.contains { value in
            var rest = value.utf8[...]
            while true {
                let part = rest.prefix { $0 != UInt8(ascii: ",") }
                if essence(of: part, is: type) || isRange(part, of: type) { return true }
                guard part.endIndex < rest.endIndex else { return false }
                rest = rest[rest.index(after: part.endIndex)...]
            }
        }
    }

    /// Whether type and subtype, ignoring parameters, spaces and case, are these.
    private static func essence(of text: Substring.UTF8View, is type: StaticString) -> Bool {
        var position = 0
        for byte in text {
            if byte == UInt8(ascii: ";") { break }
            if byte == 0x20 || byte == 0x09 { continue }
            guard position < type.utf8CodeUnitCount, URLBytes.lowercased(byte) == type.utf8Start[position] else { return false }
            position += 1
        }
        return position == type.utf8CodeUnitCount
    }

    private static func isRange(_ text: Substring.UTF8View, of type: StaticString) -> Bool {
        if essence(of: text, is: "*/*") { return true }
        let bytes = UnsafeBufferPointer(start: type.utf8Start, count: type.utf8CodeUnitCount)
        let major = bytes.prefix { $0 != UInt8(ascii: "/") }
        return text.lazy.filter { $0 != 0x20 && $0 != 0x09 }.prefix { $0 != UInt8(ascii: ";") }.map(URLBytes.lowercased)
            .elementsEqual(Array(major) + Array("/*".utf8))
    }
}
