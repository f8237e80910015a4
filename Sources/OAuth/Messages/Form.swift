import JOSE

/// The parameters of an `application/x-www-form-urlencoded` body or of a query (RFC 6749 appendix B), decoded on bytes.
/// Names may occur more than once.
public struct Form: Sendable, Hashable {
    /// The decoded parameters, in order.
    public private(set) var fields: [(name: String, value: String)]

    /// The most parameters that are parsed.
    public static let maximumFields = 200

    /// A form without parameters.
    public init() { fields = [] }

    /// The given parameters, decoded. Nothing is checked.
    public init(_ fields: [(String, String)]) { self.fields = fields.map { (name: $0.0, value: $0.1) } }

    /// Parses a body or a query without its question mark.
    ///
    /// Throws `invalid_request` for invalid percent encodings, for bytes that are not UTF-8 after decoding, for NUL
    /// characters, and for more than `maximumFields` parameters.
    public init(parsing bytes: some Collection<UInt8>) throws(OAuthError) {
        fields = []
        guard !bytes.isEmpty else { return }
        for part in Array(bytes).split(separator: UInt8(ascii: "&")) {
            guard fields.count < Self.maximumFields else { throw OAuthError(.invalidRequest, "more than \(Self.maximumFields) parameters") }
            let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
            let name = try Self.decode(part[..<equals])
            let value = equals == part.endIndex ? "" : try Self.decode(part[(equals + 1)...])
            fields.append((name, value))
        }
    }

    /// Parses the query of a request target. Empty when there is none. Throws like `init(parsing:)`.
    public init(queryOf target: String) throws(OAuthError) {
        let query = target.utf8.drop { $0 != UInt8(ascii: "?") }.dropFirst()
        try self.init(parsing: query)
    }

    /// The value of a parameter. Nil when it is absent or empty (RFC 6749 §3.1). Throws `invalid_request` when it
    /// occurs more than once.
    public func single(_ name: String) throws(OAuthError) -> String? {
        let values = all(name)
        guard values.count <= 1 else { throw OAuthError(.invalidRequest, "the parameter \(name) is there more than once") }
        return values.first.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Every value of a parameter, by the exact bytes of its name. Empty when it is absent.
    public func all(_ name: String) -> [String] { fields.filter { $0.name.utf8.elementsEqual(name.utf8) }.map(\.value) }

    /// Appends a parameter, unless the value is nil.
    public mutating func append(_ name: String, _ value: String?) { if let value { fields.append((name, value)) } }

    /// The encoded text. Everything except unreserved characters is percent-encoded, including spaces, so that it is
    /// valid in queries and in bodies.
    public var encoded: String { fields.map { Self.encode($0.name) + "=" + Self.encode($0.value) }.joined(separator: "&") }

    /// One name or value, percent-encoded.
    public static func encode(_ text: String) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if URLBytes.isLetter(byte) || URLBytes.isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
                || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: "~")
            {
                output.append(byte)
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// One name or value, decoded. `+` is a space. Throws `invalid_request` for invalid percent encodings, NUL, and
    /// bytes that are not UTF-8.
    public static func decode(_ bytes: ArraySlice<UInt8>) throws(OAuthError) -> String {
        let invalid = OAuthError(.invalidRequest, "a parameter is not valid UTF-8")
        guard bytes.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "%") }) else {
            guard !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else { throw invalid }
            return text
        }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            switch bytes[index] {
            case UInt8(ascii: "+"):
                output.append(0x20)
                index += 1
            case UInt8(ascii: "%"):
                guard index + 2 < bytes.endIndex, let high = URLBytes.hexValue(bytes[index + 1]), let low = URLBytes.hexValue(bytes[index + 2]) else {
                    throw OAuthError(.invalidRequest, "a parameter has a broken percent encoding")
                }
                output.append(high << 4 | low)
                index += 3
            case let byte:
                output.append(byte)
                index += 1
            }
        }
        guard !output.contains(0), let text = String(validating: output, as: UTF8.self) else { throw invalid }
        return text
    }

    public static func == (left: Form, right: Form) -> Bool { left.encoded == right.encoded }
    public func hash(into hasher: inout Hasher) { hasher.combine(encoded) }
}
