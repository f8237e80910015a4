/// One value inside a `JSONDocument`, read in place.
///
/// Every accessor returns nil when the value has another type. Nothing is converted: `true` is not 1, `"1"` is not 1,
/// and `null` is not absent.
public struct JSONView: Sendable {
    let document: JSONDocument
    let index: Int

    package var node: JSONNode { document.nodes[index] }

    /// Whether this is the literal `null`.
    public var isNull: Bool { node.kind == .null }
    /// Whether this is an object.
    public var isObject: Bool { node.kind == .object }
    /// Whether this is an array.
    public var isArray: Bool { node.kind == .array }

    /// The value of a Boolean. Nil for every other type.
    public var bool: Bool? { node.kind == .bool ? document.bytes[Int(node.start)] == UInt8(ascii: "t") : nil }

    /// The value of a string, unescaped. Nil for every other type.
    public var string: String? { node.kind == .string ? text : nil }

    /// The value of a number, with its text. Nil for every other type.
    public var number: JSONNumber? { node.kind == .number ? JSONNumber(validated: text) : nil }

    /// The elements of an array, in order. Nil for every other type.
    public var array: [JSONView]? {
        guard node.kind == .array else { return nil }
        var elements: [JSONView] = []
        var child = index + 1
        while child < Int(node.next) {
            elements.append(JSONView(document: document, index: child))
            child = Int(document.nodes[child].next)
        }
        return elements
    }

    /// The elements of an array of strings. Nil for every other type, and when an element is not a string.
    public var strings: [String]? {
        guard let array else { return nil }
        let strings = array.compactMap(\.string)
        return strings.count == array.count ? strings : nil
    }

    /// The members of an object, in the order of the text. Nil for every other type.
    public var members: [(name: String, value: JSONView)]? {
        guard node.kind == .object else { return nil }
        var members: [(String, JSONView)] = []
        forEachMember { name, value in
            members.append((JSONView(document: document, index: name).text, JSONView(document: document, index: value)))
        }
        return members
    }

    /// The member of an object whose name has exactly these bytes. Nil when it is absent, or this is not an object.
    public subscript(name: String) -> JSONView? {
        document.member(name, of: index).map { JSONView(document: document, index: $0) }
    }

    /// A copy that does not refer to the document.
    public var value: JSONValue {
        switch node.kind {
        case .null: return .null
        case .bool: return .bool(bool == true)
        case .number: return .number(JSONNumber(validated: text))
        case .string: return .string(text)
        case .array:
            var elements: [JSONValue] = []
            elements.reserveCapacity(childCount)
            var child = index + 1
            while child < Int(node.next) {
                elements.append(JSONView(document: document, index: child).value)
                child = Int(document.nodes[child].next)
            }
            return .array(elements)
        case .object:
            var members: [(name: String, value: JSONValue)] = []
            members.reserveCapacity(childCount / 2)
            forEachMember { name, value in
                members.append((JSONView(document: document, index: name).text, JSONView(document: document, index: value).value))
            }
            return .object(JSONObject(uniqueMembers: members))
        }
    }

    /// The number of direct children: elements, or names and values.
    private var childCount: Int {
        var (child, count) = (index + 1, 0)
        while child < Int(node.next) {
            child = Int(document.nodes[child].next)
            count += 1
        }
        return count
    }

    // MARK: Inside the package

    package func forEachMember(_ body: (_ name: Int, _ value: Int) -> Void) {
        var child = index + 1
        let end = Int(node.next)
        while child < end {
            body(child, child + 1)
            child = Int(document.nodes[child + 1].next)
        }
    }

    /// Whether this string has exactly the bytes of `other`.
    package func hasText(_ other: String) -> Bool { document.hasText(other, index) }

    /// Calls `body` with the unescaped bytes of a string, which are valid during the call only. Nil for every other
    /// type.
    package func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result? {
        guard node.kind == .string else { return nil }
        if node.isEscaped {
            var unescaped = text
            return unescaped.withUTF8(body)
        }
        return document.bytes.withUnsafeBufferPointer { body(UnsafeBufferPointer(rebasing: $0[Int(node.start)..<Int(node.end)])) }
    }

    private var text: String {
        if node.isEscaped { return JSONEscape.string(node, in: document.bytes.span) }
        return String(decoding: document.bytes[Int(node.start)..<Int(node.end)], as: UTF8.self)
    }
}
