/// A parsed JSON text (RFC 8259), read strictly and kept as bytes.
///
/// Refused are: anything outside the grammar, invalid UTF-8, a byte order mark, lone surrogates, members whose names are the same (also
/// after unescaping, and also when they differ only in Unicode normalization), and whatever exceeds `JSONLimits`. So two readers of one document
/// can never see two values.
///
/// Numbers are not converted while parsing; see `JSONNumber`.
public struct JSONDocument: Sendable {
    package let bytes: [UInt8]
    package let nodes: [JSONNode]

    /// Parses a whole text. Throws `malformed_json` naming the offset of the first error.
    public init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(JOSEError) {
        var parser = JSONParser(limits: limits)
        try parser.parse(bytes.span)
        self.bytes = bytes
        nodes = parser.nodes
    }

    /// Parses a whole text given as a string. Throws `malformed_json`.
    public init(parsing text: String, limits: JSONLimits = .default) throws(JOSEError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    /// The outermost value.
    public var root: JSONView { JSONView(document: self, index: 0) }
}

/// How much of a JSON text is read before it is refused.
public struct JSONLimits: Sendable, Hashable {
    /// The longest text, in bytes.
    public var maximumBytes: Int
    /// The deepest nesting of arrays and objects.
    public var maximumDepth: Int
    /// The longest number, in bytes.
    public var maximumNumberLength: Int

    public init(maximumBytes: Int = 1 << 20, maximumDepth: Int = 64, maximumNumberLength: Int = 400) {
        self.maximumBytes = min(maximumBytes, Int(UInt32.max))
        self.maximumDepth = maximumDepth
        self.maximumNumberLength = maximumNumberLength
    }

    /// One MiB, 64 levels.
    public static let `default` = JSONLimits()
}

/// One value, or one member name, in the order of the text. Children follow their parent; `next` is the node after the whole subtree.
package struct JSONNode: Sendable {
    package enum Kind: UInt8, Sendable { case null, bool, number, string, array, object }

    package var kind: Kind
    /// A string that holds a backslash and must be unescaped before use.
    package var isEscaped = false
    /// A string that holds a byte above 0x7F or an escape that may stand for one.
    package var isNonASCII = false
    /// Strings: between the quotes. Everything else: the whole text of the value.
    package var start: UInt32
    package var end: UInt32
    package var next: UInt32 = 0
}
