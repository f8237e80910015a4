/// A `WWW-Authenticate` challenge (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1).
public struct AuthenticationChallenge: Sendable, Hashable {
    public let scheme: String
    public private(set) var parameters: [(name: String, value: String)]

    public init(scheme: String = "Bearer", _ parameters: [(String, String?)] = []) {
        self.scheme = scheme
        self.parameters = parameters.compactMap { name, value in value.map { (name: name, value: $0) } }
    }

    /// One line. Values are quoted; quotes and backslashes are escaped, and whatever is not printable ASCII becomes a question mark, so that
    /// nothing can end the value or the line.
    public var headerValue: String {
        guard !parameters.isEmpty else { return scheme }
        return scheme + " " + parameters.map { "\($0.name)=\"\(Self.quoted($0.value))\"" }.joined(separator: ", ")
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
