/// The identifier of a client (RFC 6749 §2.2): 1 to 512 printable ASCII characters, compared byte for byte.
public struct ClientID: Sendable, Hashable, CustomStringConvertible {
    /// The identifier as it was given.
    public let text: String

    /// Nil for an empty text, a text of more than 512 bytes, and a text with spaces, control characters or non-ASCII
    /// characters.
    public init?(_ text: String) {
        guard (1...512).contains(text.utf8.count), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        self.text = text
    }

    public var description: String { text }
}
