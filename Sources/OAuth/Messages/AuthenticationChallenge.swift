/// A `WWW-Authenticate` challenge (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).
public struct AuthenticationChallenge: Sendable, Hashable {
    /// The authentication scheme, such as `Bearer` or `DPoP`.
    public let scheme: String
    /// The parameters in order, with unquoted values.
    public private(set) var parameters: [(name: String, value: String)]

    /// Parameters whose value is nil are left out. Scheme and names are not checked.
    public init(scheme: String = "Bearer", _ parameters: [(String, String?)] = []) {
        self.scheme = scheme
        self.parameters = parameters.compactMap { name, value in value.map { (name: name, value: $0) } }
    }

    /// The value of the header, on one line. Quotation marks and backslashes in values are escaped. Everything outside
    /// printable ASCII becomes a question mark, so that no value can end its quotes or the line.
    public var headerValue: String {
        guard !parameters.isEmpty else { return scheme }
        return scheme + " " + parameters.map { "\($0.name)=\"\(Self.quoted($0.value))\"" }.joined(separator: ", ")
    }

    /// The value of a parameter, by name in any case of letters. Nil when it is absent, and when it occurs more than
    /// once, because two readers could take different ones.
    public subscript(name: String) -> String? {
        let found = parameters.filter { URLBytes.equalIgnoringCase($0.name, name) }
        return found.count == 1 ? found[0].value : nil
    }

    /// The longest header value that is parsed, in bytes.
    public static let maximumBytes = 16 * 1024

    /// Parses the value of one `WWW-Authenticate` header (RFC 9110 §11.6.1), which may contain several challenges.
    ///
    /// A part that is no challenge ends the parsing, and what was read before is returned. A value of more than
    /// `maximumBytes` bytes has no challenges. Schemes, names and values are not interpreted.
    public static func parse(_ header: String) -> [AuthenticationChallenge] {
        let bytes = Array(header.utf8)
        guard bytes.count <= maximumBytes else { return [] }
        var parser = Parser(bytes: bytes)
        return parser.challenges()
    }

    private struct Parser {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

        private static func isToken(_ byte: UInt8) -> Bool {
            URLBytes.isLetter(byte) || URLBytes.isDigit(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }

        private mutating func skipSpaces() { while current == 0x20 || current == 0x09 { index += 1 } }

        private mutating func skipSeparators() {
            while current == 0x20 || current == 0x09 || current == UInt8(ascii: ",") { index += 1 }
        }

        private mutating func token() -> String? {
            let start = index
            while let byte = current, Self.isToken(byte) { index += 1 }
            return index > start ? String(decoding: bytes[start..<index], as: UTF8.self) : nil
        }

        /// Skips the form of a credential that the Negotiate and Basic schemes use in place of parameters.
        private mutating func skipToken68() {
            let start = index
            while let byte = current, Self.isToken(byte) || byte == UInt8(ascii: "/") { index += 1 }
            while current == UInt8(ascii: "=") { index += 1 }
            let end = index
            skipSpaces()
            // Otherwise it was the name of a parameter.
            if let byte = current, byte != UInt8(ascii: ",") { index = start } else if end == start { index = start }
        }

        private mutating func quotedString() -> String? {
            guard current == UInt8(ascii: "\"") else { return nil }
            index += 1
            var value: [UInt8] = []
            while let byte = current {
                index += 1
                switch byte {
                case UInt8(ascii: "\""): return String(validating: value, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    guard let next = current else { return nil }
                    value.append(next)
                    index += 1
                default: value.append(byte)
                }
            }
            return nil
        }

        /// One `name=value`. Nil, with the position unchanged, when the next word is not a parameter.
        private mutating func parameter() -> (String, String)? {
            let start = index
            if let name = token() {
                skipSpaces()
                if current == UInt8(ascii: "=") {
                    index += 1
                    skipSpaces()
                    if let value = current == UInt8(ascii: "\"") ? quotedString() : token() { return (name, value) }
                }
            }
            index = start
            return nil
        }

        mutating func challenges() -> [AuthenticationChallenge] {
            var found: [AuthenticationChallenge] = []
            while true {
                skipSeparators()
                guard found.count < 16, let scheme = token(), current == nil || current == 0x20 || current == UInt8(ascii: ",") else { return found }
                skipSpaces()
                var parameters: [(String, String?)] = []
                let beforeCredential = index
                if let first = parameter() { parameters.append(first) } else if current != UInt8(ascii: ",") { skipToken68() }
                while !parameters.isEmpty, parameters.count < 64 {
                    let end = index
                    skipSeparators()
                    guard let next = parameter() else {
                        index = end
                        break
                    }
                    parameters.append(next)
                }
                found.append(AuthenticationChallenge(scheme: scheme, parameters))
                // Nothing could be read, so nothing after it can.
                if index == beforeCredential, current != nil, current != UInt8(ascii: ",") { return found }
            }
        }
    }

    private static func quoted(_ value: String) -> String {
        var output: [UInt8] = []
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
            case 0x20..<0x7F: output.append(byte)
            default: output.append(UInt8(ascii: "?"))
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    public static func == (left: AuthenticationChallenge, right: AuthenticationChallenge) -> Bool { left.headerValue == right.headerValue }
    public func hash(into hasher: inout Hasher) { hasher.combine(headerValue) }
}
