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
