/// The identifier of a client (RFC 6749 §2.2): 1 to 512 printable ASCII characters, compared byte for byte.
public struct ClientID: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    /// Nil for anything else.
    public init?(_ text: String) {
        guard (1...512).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        self.text = text
    }

    public var description: String { text }
}
