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
    private let rootShapes: NameShapes

    /// Parses a whole text. Throws `malformed_json` naming the offset of the first error.
    public init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(JOSEError) {
        var parser = JSONParser(limits: limits)
        try parser.parse(bytes.span)
        self.bytes = bytes
        nodes = parser.nodes
        rootShapes = parser.rootShapes
    }

    /// Parses a whole text given as a string. Throws `malformed_json`.
    public init(parsing text: String, limits: JSONLimits = .default) throws(JOSEError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    /// The member of the outermost object with exactly this name; nil when there is none, or the text is no object.
    public subscript(name: String) -> JSONView? { member(name, of: 0).map { JSONView(document: self, index: $0) } }

    /// The outermost value.
    public var root: JSONView { JSONView(document: self, index: 0) }

    // MARK: Inside the package: looking without copying

    /// The index of the value of the member with exactly this name.
    package func member(_ name: String, of object: Int) -> Int? {
        // Most names that are asked for are not there.
        guard object != 0 || rootShapes.mayContain(NameShapes(of: name)), nodes[object].kind == .object else { return nil }
        let count = name.utf8.count
        var child = object + 1
        let end = Int(nodes[object].next)
        while child < end {
            let node = nodes[child]
            // Most names differ in length already.
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

    /// A number that is a plain integer of at most fifteen digits, without a detour through its text.
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

    /// A string of at most seven bytes as a number, so that the short names of JOSE can be told apart by a switch. Nil for other nodes.
    package func shortName(_ index: Int) -> ShortName? {
        let node = nodes[index]
        guard node.kind == .string else { return nil }
        if node.isEscaped { return ShortName(JSONEscape.string(node, in: bytes.span).utf8) }
        return ShortName(bytes[Int(node.start)..<Int(node.end)])
    }
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

/// A name of up to seven bytes, for a switch over the members of a header or a claims set. Its length is part of it, so that a leading NUL makes
/// another name.
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
