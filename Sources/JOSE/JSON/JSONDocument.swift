/// A parsed JSON text (RFC 8259), read strictly and kept as bytes.
///
/// The parser rejects everything outside the grammar, invalid UTF-8, a byte order mark, lone surrogates, and texts that
/// exceed `JSONLimits`. It also rejects two members with the same name, compared after unescaping and Unicode
/// normalization. Two readers of one document can therefore never see two values.
///
/// The parser does not convert numbers; see `JSONNumber`.
public struct JSONDocument: Sendable {
    package let bytes: [UInt8]
    package let nodes: [JSONNode]
    private let rootShapes: NameShapes

    /// Parses a whole text. Throws `malformed_json`; the message names the byte offset of the first syntax error.
    public init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(JOSEError) {
        var parser = JSONParser(limits: limits)
        try parser.parse(bytes.span)
        self.bytes = bytes
        nodes = parser.nodes
        rootShapes = parser.rootShapes
    }

    /// Parses a whole text given as a string. Throws `malformed_json`, like `init(parsing:limits:)` for bytes.
    public init(parsing text: String, limits: JSONLimits = .default) throws(JOSEError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    /// The member of the outermost object with exactly this name. Nil when it is absent, or the text is not an object.
    public subscript(name: String) -> JSONView? { member(name, of: 0).map { JSONView(document: self, index: $0) } }

    /// The outermost value, of any type.
    public var root: JSONView { JSONView(document: self, index: 0) }

    // MARK: Inside the package: reading without copying

    /// The index of the value of the member with exactly this name.
    package func member(_ name: String, of object: Int) -> Int? {
        // Most requested names do not occur.
        guard object != 0 || rootShapes.mayContain(NameShapes(of: name)), nodes[object].kind == .object else { return nil }
        let count = name.utf8.count
        var child = object + 1
        let end = Int(nodes[object].next)
        while child < end {
            let node = nodes[child]
            // Most names already differ in length.
            if node.isEscaped || Int(node.end - node.start) == count, hasText(name, child) { return child + 1 }
            child = Int(nodes[child + 1].next)
        }
        return nil
    }

    /// Whether the string at this index has exactly the bytes of `other`.
    package func hasText(_ other: String, _ index: Int) -> Bool {
        let node = nodes[index]
        guard node.kind == .string else { return false }
        if node.isEscaped { return JSONEscape.string(node, in: bytes.span).utf8.elementsEqual(other.utf8) }
        let (start, count) = (Int(node.start), Int(node.end - node.start))
        guard other.utf8.count == count else { return false }
        let isEqual = other.utf8.withContiguousStorageIfAvailable { other in
            bytes.withUnsafeBufferPointer { bytes in
                guard let one = bytes.baseAddress, let two = other.baseAddress else { return count == 0 }
                return ByteScan.areEqual(one + start, two, count: count)
            }
        }
        return isEqual ?? bytes[start..<(start + count)].elementsEqual(other.utf8)
    }

    /// A number that is a plain integer of at most fifteen digits, read without a copy of its text. Nil for every other
    /// node.
    package func smallInteger(_ index: Int) -> Int64? {
        let node = nodes[index]
        guard node.kind == .number, node.end - node.start <= 15 else { return nil }
        var value: Int64 = 0
        for position in Int(node.start)..<Int(node.end) {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value &* 10 &+ Int64(digit)
        }
        return value
    }

    /// A string of at most seven bytes as a number, so that a switch can compare the short names of JOSE. Nil for other
    /// nodes.
    package func shortName(_ index: Int) -> ShortName? {
        let node = nodes[index]
        guard node.kind == .string else { return nil }
        if node.isEscaped { return ShortName(JSONEscape.string(node, in: bytes.span).utf8) }
        return ShortName(bytes[Int(node.start)..<Int(node.end)])
    }
}

/// The bounds beyond which the parser rejects a JSON text.
public struct JSONLimits: Sendable, Hashable {
    /// The longest text, in bytes. The initializer limits it to 2^32 - 1.
    public var maximumBytes: Int
    /// The deepest nesting of arrays and objects, in levels.
    public var maximumDepth: Int
    /// The longest number, in bytes.
    public var maximumNumberLength: Int

    /// The defaults are one MiB, 64 levels, and 400 bytes for a number.
    public init(maximumBytes: Int = 1 << 20, maximumDepth: Int = 64, maximumNumberLength: Int = 400) {
        self.maximumBytes = min(maximumBytes, Int(UInt32.max))
        self.maximumDepth = maximumDepth
        self.maximumNumberLength = maximumNumberLength
    }

    /// One MiB, 64 levels, and 400 bytes for a number.
    public static let `default` = JSONLimits()
}

/// One value, or one member name, in the order of the text. Children follow their parent. `next` is the node after the
/// whole subtree.
package struct JSONNode: Sendable {
    package enum Kind: UInt8, Sendable { case null, bool, number, string, array, object }

    package var kind: Kind
    /// A string that contains a backslash and must be unescaped before use.
    package var isEscaped = false
    /// A string that contains a byte above 0x7F, or an escape that may stand for one.
    package var isNonASCII = false
    /// Strings: between the quotes. Everything else: the whole text of the value.
    package var start: UInt32
    package var end: UInt32
    package var next: UInt32 = 0
}

/// A name of up to seven bytes, for a switch over the members of a header or a claims set. The length is part of it, so
/// that a leading NUL makes another name.
package struct ShortName: Equatable, ExpressibleByStringLiteral, Sendable {
    private let number: UInt64

    init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count <= 7 else { return nil }
        number = bytes.reduce(UInt64(bytes.count)) { $0 << 8 | UInt64($1) }
    }

    package init(stringLiteral value: StaticString) {
        var number = UInt64(value.utf8CodeUnitCount)
        for offset in 0..<value.utf8CodeUnitCount { number = number << 8 | UInt64(value.utf8Start[offset]) }
        self.number = number
    }
}
