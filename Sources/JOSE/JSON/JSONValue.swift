/// A JSON value (RFC 8259) that stands on its own. Equality compares bytes: NFC and NFD spellings of a name are different.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)

    /// Parses a whole text strictly; see `JSONDocument` for what is refused.
    public init(parsing bytes: [UInt8], limits: JSONLimits = .default) throws(JOSEError) {
        self = try JSONDocument(parsing: bytes, limits: limits).root.value
    }

    /// Parses a whole text strictly; see `JSONDocument` for what is refused.
    public init(parsing text: String, limits: JSONLimits = .default) throws(JOSEError) {
        try self.init(parsing: Array(text.utf8), limits: limits)
    }

    public var isNull: Bool { self == .null }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var number: JSONNumber? { if case .number(let value) = self { value } else { nil } }
    public var int: Int? { number?.int64.flatMap { Int(exactly: $0) } }
    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
    public var strings: [String]? {
        guard let array else { return nil }
        let strings = array.compactMap(\.string)
        return strings.count == array.count ? strings : nil
    }

    /// The member of an object, nil for anything else.
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

/// The members of a JSON object, in order, each name at most once (bytewise).
public struct JSONObject: Sendable, Hashable, Sequence, ExpressibleByDictionaryLiteral {
    public private(set) var members: [(name: String, value: JSONValue)]

    public init() { members = [] }

    /// The last of several members of one name wins.
    public init(_ members: some Sequence<(String, JSONValue)>) {
        self.init()
        // Most objects that are written out in code get a member or two more.
        self.members.reserveCapacity(members.underestimatedCount + 2)
        for (name, value) in members { self[name] = value }
    }

    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }

    init(uniqueMembers: [(name: String, value: JSONValue)]) { members = uniqueMembers }

    public var isEmpty: Bool { members.isEmpty }
    public var count: Int { members.count }

    /// Reading finds the member whose name has these bytes. Writing replaces it in place, appends it, or removes it (nil).
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
        // Most names differ in length already.
        let count = name.utf8.count
        return members.firstIndex { $0.name.utf8.count == count && $0.name.utf8.elementsEqual(name.utf8) }
    }

    public func makeIterator() -> IndexingIterator<[(name: String, value: JSONValue)]> { members.makeIterator() }

    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.count == right.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(members.count) }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral,
    ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .number(JSONNumber(value)) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

    /// The last of several members of one name wins.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }

    public static func int(_ value: some BinaryInteger) -> JSONValue { .number(JSONNumber(Int64(clamping: value))) }
    public static func strings(_ values: some Sequence<String>) -> JSONValue { .array(values.map { .string($0) }) }
}

/// A JSON number, kept as it was written: nothing is rounded until somebody asks for a Swift type, and nothing traps then.
public struct JSONNumber: Sendable, Hashable, CustomStringConvertible {
    /// The text of the number.
    public let description: String

    init(validated text: String) { description = text }

    public init(_ value: Int64) { description = String(value) }

    /// Nil for infinities and NaN, which JSON cannot write.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        description = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    /// The exact integer, or nil: `1.0` and `1e3` are integers, `1.5`, `1e300` and `9223372036854775808` are not.
    public var int64: Int64? {
        if let plain = Int64(description) { return plain }
        guard let double, abs(double) <= 9_007_199_254_740_992 else { return nil }
        return Int64(exactly: double)
    }

    /// The nearest double, or nil when it would be infinite.
    public var double: Double? {
        guard let value = Double(description), value.isFinite else { return nil }
        return value
    }

    /// Numerically equal within the reach of exact integers and doubles.
    public static func == (left: JSONNumber, right: JSONNumber) -> Bool {
        if left.description == right.description { return true }
        if let left = left.int64, let right = right.int64 { return left == right }
        if let left = left.double, let right = right.double { return left == right && left != left.rounded() }
        return false
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(double ?? 0) }
}
