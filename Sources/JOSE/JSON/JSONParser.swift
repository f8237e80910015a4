/// Parses bytes into the flat list of nodes of a `JSONDocument`, in one pass. Indexing is checked. Recursion is bounded
/// by `JSONLimits.maximumDepth`.
struct JSONParser {
    let limits: JSONLimits
    var nodes: [JSONNode] = []
    /// The shapes of the names in the outermost object. All shapes while they are not known.
    private(set) var rootShapes = NameShapes.all
    private var position = 0

    init(limits: JSONLimits) { self.limits = limits }

    mutating func parse(_ text: Span<UInt8>) throws(JOSEError) {
        guard text.count <= limits.maximumBytes else {
            throw JOSEError(.malformedJSON, "the text has \(text.count) bytes, more than the \(limits.maximumBytes) allowed")
        }
        nodes.reserveCapacity(min(32, text.count / 4 + 1))
        skipSpace(text)
        try value(text, depth: 0)
        skipSpace(text)
        guard position == text.count else { throw error("nothing more is expected after the value") }
    }

    // MARK: Values

    private mutating func value(_ text: Span<UInt8>, depth: Int) throws(JOSEError) {
        guard position < text.count else { throw error("a value is missing") }
        switch text[position] {
        case UInt8(ascii: "\""): try string(text)
        case UInt8(ascii: "{"): try object(text, depth: depth + 1)
        case UInt8(ascii: "["): try array(text, depth: depth + 1)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try number(text)
        case UInt8(ascii: "t"): try literal("true", .bool, text)
        case UInt8(ascii: "f"): try literal("false", .bool, text)
        case UInt8(ascii: "n"): try literal("null", .null, text)
        default: throw error("no JSON value starts like this")
        }
    }

    private mutating func literal(_ word: StaticString, _ kind: JSONNode.Kind, _ text: Span<UInt8>) throws(JOSEError) {
        let start = position
        for offset in 0..<word.utf8CodeUnitCount {
            guard position < text.count, text[position] == word.utf8Start[offset] else { throw error("no JSON value starts like this") }
            position += 1
        }
        append(kind, start, position)
    }

    private mutating func number(_ text: Span<UInt8>) throws(JOSEError) {
        let start = position
        if text[position] == UInt8(ascii: "-") { position += 1 }
        guard position < text.count else { throw error("a digit is missing") }
        if text[position] == UInt8(ascii: "0") {
            position += 1
        } else {
            try digits(text)
        }
        if position < text.count, text[position] == UInt8(ascii: ".") {
            position += 1
            try digits(text)
        }
        if position < text.count, text[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < text.count, text[position] == UInt8(ascii: "+") || text[position] == UInt8(ascii: "-") { position += 1 }
            try digits(text)
        }
        guard position - start <= limits.maximumNumberLength else { throw error("the number is too long") }
        append(.number, start, position)
    }

    private mutating func digits(_ text: Span<UInt8>) throws(JOSEError) {
        let start = position
        while position < text.count, text[position] >= UInt8(ascii: "0"), text[position] <= UInt8(ascii: "9") { position += 1 }
        guard position > start else { throw error("a digit is missing") }
    }

    private mutating func array(_ text: Span<UInt8>, depth: Int) throws(JOSEError) {
        guard depth <= limits.maximumDepth else { throw error("nested more than \(limits.maximumDepth) levels deep") }
        let node = open(.array)
        skipSpace(text)
        if take(UInt8(ascii: "]"), text) { return close(node) }
        while true {
            skipSpace(text)
            try value(text, depth: depth)
            skipSpace(text)
            if take(UInt8(ascii: ","), text) { continue }
            guard take(UInt8(ascii: "]"), text) else { throw error("a comma or a closing bracket is missing") }
            return close(node)
        }
    }

    private mutating func object(_ text: Span<UInt8>, depth: Int) throws(JOSEError) {
        guard depth <= limits.maximumDepth else { throw error("nested more than \(limits.maximumDepth) levels deep") }
        let node = open(.object)
        skipSpace(text)
        if take(UInt8(ascii: "}"), text) {
            if node == 0 { rootShapes = .none }
            return close(node)
        }
        var names = MemberNames(firstNode: nodes.count)
        while true {
            skipSpace(text)
            guard position < text.count, text[position] == UInt8(ascii: "\"") else { throw error("a member name is missing") }
            let name = nodes.count
            try string(text)
            guard names.insert(name, nodes: nodes, text: text) else { throw error("an object has two members of the same name") }
            skipSpace(text)
            guard take(UInt8(ascii: ":"), text) else { throw error("a colon is missing after a member name") }
            skipSpace(text)
            try value(text, depth: depth)
            skipSpace(text)
            if take(UInt8(ascii: ","), text) { continue }
            guard take(UInt8(ascii: "}"), text) else { throw error("a comma or a closing brace is missing") }
            if node == 0 { rootShapes = names.shapes }
            return close(node)
        }
    }

    // MARK: Strings

    private mutating func string(_ text: Span<UInt8>) throws(JOSEError) {
        position += 1
        let start = position
        var isEscaped = false
        var isNonASCII = false
        while true {
            position = Self.endOfPlainRun(from: position, in: text)
            guard position < text.count else { throw error("a string is not closed") }
            let byte = text[position]
            if byte == UInt8(ascii: "\"") { break }
            if byte == UInt8(ascii: "\\") {
                isEscaped = true
                if try escape(text) > 0x7F { isNonASCII = true }
            } else if byte < 0x20 {
                throw error("a control character stands unescaped in a string")
            } else if byte < 0x80 {
                position += 1
            } else {
                isNonASCII = true
                guard let length = UTF8Sequence.length(at: position, in: text) else { throw error("the text is not valid UTF-8") }
                position += length
            }
        }
        nodes.append(
            JSONNode(
                kind: .string, isEscaped: isEscaped, isNonASCII: isNonASCII, start: UInt32(start), end: UInt32(position),
                next: UInt32(nodes.count + 1)))
        position += 1
    }

    /// The first position that does not hold a plain ASCII character of a string. Reads eight bytes at a time.
    private static func endOfPlainRun(from start: Int, in text: Span<UInt8>) -> Int {
        text.withUnsafeBufferPointer { bytes in
            var position = start
            let (ones, highs) = (ByteScan.ones, ByteScan.highs)
            while position + 8 <= bytes.count {
                let word = UInt64(littleEndian: UnsafeRawPointer(bytes.baseAddress! + position).loadUnaligned(as: UInt64.self))
                let quote = word ^ (ones &* UInt64(UInt8(ascii: "\"")))
                let backslash = word ^ (ones &* UInt64(UInt8(ascii: "\\")))
                // A byte's high bit is set where it is a quote, a backslash, below 0x20 or above 0x7F. It may also be
                // set above such a byte, never below.
                let found = ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | (word &- ones &* 0x20) | word
                guard found & highs == 0 else { return position + (found & highs).trailingZeroBitCount / 8 }
                position += 8
            }
            while position < bytes.count {
                let byte = bytes[position]
                guard byte >= 0x20, byte < 0x80, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") else { break }
                position += 1
            }
            return position
        }
    }

    /// Steps over one escape and returns the scalar that it stands for.
    private mutating func escape(_ text: Span<UInt8>) throws(JOSEError) -> UInt32 {
        guard let (scalar, length) = JSONEscape.decode(at: position, in: text) else {
            throw error("the escape is unknown, incomplete, or a lone surrogate")
        }
        position += length
        return scalar
    }

    // MARK: Helpers

    private mutating func skipSpace(_ text: Span<UInt8>) {
        while position < text.count {
            switch text[position] {
            case 0x20, 0x0A, 0x0D, 0x09: position += 1
            default: return
            }
        }
    }

    private mutating func take(_ byte: UInt8, _ text: Span<UInt8>) -> Bool {
        guard position < text.count, text[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func append(_ kind: JSONNode.Kind, _ start: Int, _ end: Int) {
        nodes.append(JSONNode(kind: kind, start: UInt32(start), end: UInt32(end), next: UInt32(nodes.count + 1)))
    }

    private mutating func open(_ kind: JSONNode.Kind) -> Int {
        append(kind, position, position)
        position += 1
        return nodes.count - 1
    }

    private mutating func close(_ node: Int) {
        nodes[node].end = UInt32(position)
        nodes[node].next = UInt32(nodes.count)
    }

    private func error(_ what: String) -> JOSEError { JOSEError(.malformedJSON, "byte \(position): \(what)") }
}

/// One bit for the shape (length, first and last byte) of each name in a set. If the bit of a shape is missing, the set
/// has no such name.
struct NameShapes {
    private var bits: UInt64

    static let none = NameShapes(bits: 0)
    static let all = NameShapes(bits: .max)

    private init(bits: UInt64) { self.bits = bits }

    private init(_ first: UInt8, _ last: UInt8, _ length: Int) {
        bits = 1 << ((UInt64(first) &* 7 &+ UInt64(last) &* 3 &+ UInt64(length) &* 13) & 63)
    }

    /// The shape of a name without escapes.
    init(of name: JSONNode, in text: Span<UInt8>) {
        let length = Int(name.end - name.start)
        if length > 0 { self.init(text[Int(name.start)], text[Int(name.end) - 1], length) } else { self.init(0, 0, 0) }
    }

    init(of name: String) { self.init(name.utf8.first ?? 0, name.utf8.last ?? 0, name.utf8.count) }

    mutating func insert(_ other: NameShapes) { bits |= other.bits }

    func mayContain(_ other: NameShapes) -> Bool { bits & other.bits != 0 }
}

/// The member names of one object. The parser compares few names in pairs and hashes many, so that no document costs
/// quadratic time.
private struct MemberNames {
    let firstNode: Int
    private var count = 0
    /// The shapes of the names so far. A name whose shape is missing is new.
    private(set) var shapes = NameShapes.none
    private var many: Set<String>?

    init(firstNode: Int) { self.firstNode = firstNode }

    /// False when the object already has a name equal to the one at `node`.
    mutating func insert(_ node: Int, nodes: [JSONNode], text: Span<UInt8>) -> Bool {
        count += 1
        let name = nodes[node]
        if name.isEscaped || name.isNonASCII {
            // The name may be equal to names of other shapes.
            shapes = .all
        } else if count > 16 {
            shapes = .all
        } else {
            let shape = NameShapes(of: name, in: text)
            if !shapes.mayContain(shape) {
                shapes.insert(shape)
                return true
            }
        }
        if many != nil { return many!.insert(JSONEscape.string(nodes[node], in: text)).inserted }
        var other = firstNode
        while other < node {
            if Self.same(nodes[other], nodes[node], text) { return false }
            other = Int(nodes[other + 1].next)
        }
        if count > 16 {
            var all: Set<String> = []
            var other = firstNode
            while other <= node {
                all.insert(JSONEscape.string(nodes[other], in: text))
                guard other < node else { break }
                other = Int(nodes[other + 1].next)
            }
            many = all
        }
        return true
    }

    private static func same(_ first: JSONNode, _ second: JSONNode, _ text: Span<UInt8>) -> Bool {
        if first.isEscaped || second.isEscaped || first.isNonASCII || second.isNonASCII {
            // Swift's equality also catches names that differ only in normalization.
            return JSONEscape.string(first, in: text) == JSONEscape.string(second, in: text)
        }
        guard first.end - first.start == second.end - second.start else { return false }
        return text.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return true }
            return ByteScan.areEqual(base + Int(first.start), base + Int(second.start), count: Int(first.end - first.start))
        }
    }
}
