/// A JSON value (RFC 8259) that refers to no document. Equality compares bytes: NFC and NFD spellings of a name are
/// different.
public enum JSONValue: Sendable, Hashable {
    /// The literal `null`. A member that is absent is nil instead.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number, kept as the text that was parsed.
    case number(JSONNumber)
    /// A string, without its quotes and escapes.
    case string(String)
    /// The elements, in order.
    case array([JSONValue])
    /// The members, in order.
    case object(JSONObject)

    /// Parses a whole text strictly; see `JSONDocument` for what is rejected. Throws `malformed_json`.
    public init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(JOSEError) {
        self = try JSONDocument(parsing: bytes, limits: limits).root.value
    }

    /// Parses a whole text strictly; see `JSONDocument` for what is rejected. Throws `malformed_json`.
    public init(parsing text: String, limits: JSONLimits = .default) throws(JOSEError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    /// Whether this is the literal `null`.
    public var isNull: Bool { self == .null }
    /// The value of a Boolean. Nil for every other type; nothing is converted.
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The value of a number. Nil for every other type: the string `"1"` is not a number.
    public var number: JSONNumber? { if case .number(let value) = self { value } else { nil } }
    /// The number as an exact integer. Nil for every other type, for fractions, and for numbers outside `Int`. `1.0` is
    /// an integer.
    public var int: Int? { number?.int64.flatMap { Int(exactly: $0) } }
    /// The value of a string. Nil for every other type.
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    /// The elements of an array. Nil for every other type.
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    /// The members of an object. Nil for every other type.
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    /// The elements of an array of strings. Nil for every other type, and when an element is not a string.
    public var strings: [String]? {
        guard let array else { return nil }
        let strings = array.compactMap(\.string)
        return strings.count == array.count ? strings : nil
    }

    /// The member of an object with exactly these bytes as its name. Nil when it is absent, or this is not an object.
    public subscript(name: String) -> JSONValue? { object?[name] }

    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): for byte in value.utf8 { hasher.combine(byte) }
        case .array(let value): hasher.combine(value)
        case .object(let value): hasher.combine(value)
        }
    }
}

/// The members of a JSON object, in order. Each name occurs at most once, compared as bytes.
///
/// Two objects are equal when they have equal members, in any order.
public struct JSONObject: Sendable, Hashable, Sequence, ExpressibleByDictionaryLiteral {
    /// The names and values, in order.
    public private(set) var members: [(name: String, value: JSONValue)]

    /// An object without members.
    public init() { members = [] }

    /// When a name occurs more than once, its last value replaces the earlier one, at the earlier position.
    public init(_ members: some Sequence<(String, JSONValue)>) {
        self.init()
        // Most objects that are written out in code get another member or two.
        self.members.reserveCapacity(members.underestimatedCount + 2)
        for (name, value) in members { self[name] = value }
    }

    /// When a name occurs more than once, its last value replaces the earlier one.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }

    init(uniqueMembers: [(name: String, value: JSONValue)]) { members = uniqueMembers }

    /// Whether the object has no members.
    public var isEmpty: Bool { members.isEmpty }
    /// The number of members.
    public var count: Int { members.count }

    /// Reading finds the member whose name has exactly these bytes; nil when it is absent. Writing replaces the value
    /// in place, appends a new member, or removes the member when the value is nil.
    public subscript(name: String) -> JSONValue? {
        get { index(of: name).map { members[$0].value } }
        set {
            let index = index(of: name)
            switch (index, newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append((name, value))
            case (nil, nil): break
            }
        }
    }

    private func index(of name: String) -> Int? {
        // Most names already differ in length.
        let count = name.utf8.count
        return members.firstIndex { $0.name.utf8.count == count && $0.name.utf8.elementsEqual(name.utf8) }
    }

    /// Iterates over the members in order.
    public func makeIterator() -> IndexingIterator<[(name: String, value: JSONValue)]> { members.makeIterator() }

    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(members.count) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    /// A string, from a literal.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A number, from a literal that fits `Int64`.
    public init(integerLiteral value: Int64) { self = .number(JSONNumber(value)) }
    /// A Boolean, from a literal.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// `null`, from the literal `nil`.
    public init(nilLiteral: ()) { self = .null }
    /// An array, from a literal.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

    /// An object, from a literal. When a name occurs more than once, its last value replaces the earlier one.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }

    /// A number from any integer. An integer outside `Int64` becomes the nearest `Int64`.
    public static func int(_ value: some BinaryInteger) -> JSONValue { .number(JSONNumber(Int64(clamping: value))) }
    /// An array of strings, in the order given.
    public static func strings(_ values: some Sequence<String>) -> JSONValue { .array(values.map { .string($0) }) }
}

/// A JSON number, kept as the text that was parsed. Conversions to Swift types happen on access and never trap.
public struct JSONNumber: Sendable, Hashable, CustomStringConvertible {
    /// The text of the number, such as `1e3`.
    public let description: String

    init(validated text: String) { description = text }

    /// The number in decimal.
    public init(_ value: Int64) { description = String(value) }

    /// Nil for infinities and NaN, which JSON cannot represent. Whole numbers below 10^15 are written without a
    /// fraction.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        description = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    /// The exact integer. `1.0` and `1e3` are integers; `1.5`, `1e300` and `9223372036854775808` are not and give nil.
    /// With a fraction or an exponent, the number must lie within 2^53 of zero.
    public var int64: Int64? {
        if let plain = Int64(description) { return plain }
        guard let double, abs(double) <= 9_007_199_254_740_992 else { return nil }
        return Int64(exactly: double)
    }

    /// The nearest double. Nil when it would be infinite.
    public var double: Double? {
        guard let value = Double(description), value.isFinite else { return nil }
        return value
    }

    /// Compares exact integers as integers and fractions as doubles. Numbers with the same text are always equal.
    public static func == (left: JSONNumber, right: JSONNumber) -> Bool {
        if left.description == right.description { return true }
        if let left = left.int64, let right = right.int64 { return left == right }
        if let left = left.double, let right = right.double { return left == right && left != left.rounded() }
        return false
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(double ?? 0) }
}
