public import JOSE

/// A type that describes its properties to the model: `descriptions["text"] = "What to look for"`.
public protocol DescribedProperties {
    /// The description of each property, by its name. Names that the type does not have are ignored.
    static var descriptions: [String: String] { get }
}

/// Derives JSON Schemas from Swift types. It runs the initializer of the type with an empty decoder, and records the
/// keys and types that are requested.
public enum JSONSchema {
    /// The schema of a `Decodable` type.
    ///
    /// Optional properties are not required. Enums of strings or numbers list their cases; they must be `CaseIterable`.
    /// A type with its own `init(from:)` gets a schema of what the initializer requests. Throws `type_mismatch`; the
    /// message names the type whose schema cannot be derived.
    public static func derive<Value: Decodable>(_ type: Value.Type) throws(JOSEError) -> JSONValue { try schema(of: type, depth: 0) }

    fileprivate static let maximumDepth = 16

    fileprivate static func schema<Value: Decodable>(of type: Value.Type, depth: Int) throws(JOSEError) -> JSONValue {
        guard depth < maximumDepth else {
            throw JOSEError(.typeMismatch, "\(type) is nested too deeply, or in itself; give its tool an inputSchema")
        }
        if let known = primitive(type) { return known }
        if let cases = enumeration(type) { return cases }
        let probe = Probe(depth: depth)
        do { _ = try Value(from: probe) } catch let error as JOSEError { throw error } catch {
            // The keys that were requested before the initializer threw still describe the type. Without any, nothing
            // is known.
            guard probe.shape != nil else {
                throw JOSEError(
                    .typeMismatch, "no schema can be derived for \(type); if it is an enum, make it CaseIterable, else give its tool an inputSchema"
                )
            }
        }
        var schema = probe.shape?.json.object ?? ["type": "object"]
        if let described = type as? any DescribedProperties.Type { annotate(&schema, "description", described.descriptions) }
        if let mirrored = type as? any MirroredProperties.Type { annotate(&schema, MirroredArgument.keyword, mirrored.mirroredHeaders) }
        return .object(schema)
    }

    private static func annotate(_ schema: inout JSONObject, _ keyword: String, _ texts: [String: String]) {
        guard var properties = schema["properties"]?.object else { return }
        for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
            guard var property = properties[name]?.object else { continue }
            property[keyword] = .string(text)
            properties[name] = .object(property)
        }
        schema["properties"] = .object(properties)
    }

    static func primitive(_ type: Any.Type) -> JSONValue? {
        switch type {
        case is String.Type: ["type": "string"]
        case is Bool.Type: ["type": "boolean"]
        case is Double.Type, is Float.Type: ["type": "number"]
        case is any FixedWidthInteger.Type: ["type": "integer"]
        case is JSONValue.Type: [:]
        default: nil
        }
    }

    private static func enumeration(_ type: Any.Type) -> JSONValue? {
        guard let type = type as? any CaseIterable.Type, let first = firstCase(type), first is any RawRepresentable else { return nil }
        let raw = rawValues(type)
        let isText = raw.allSatisfy { $0.string != nil }
        return ["type": isText ? "string" : "integer", "enum": .array(raw)]
    }

    fileprivate static func firstCase<Cases: CaseIterable>(_ type: Cases.Type) -> Any? { type.allCases.first }

    private static func rawValues<Cases: CaseIterable>(_ type: Cases.Type) -> [JSONValue] {
        type.allCases.compactMap { value in
            guard let raw = (value as? any RawRepresentable)?.rawValue else { return nil }
            return (raw as? String).map { .string($0) } ?? (raw as? any BinaryInteger).map { .int(Int64(clamping: $0)) }
        }
    }
}

/// The part of a type that a probe has seen.
private enum Shape {
    case object(properties: [(String, JSONValue)], required: [String])
    case array(JSONValue)
    case value(JSONValue)

    var json: JSONValue {
        switch self {
        case .object(let properties, let required):
            var json: JSONObject = ["type": "object", "properties": .object(JSONObject(properties))]
            if !required.isEmpty { json["required"] = .strings(required) }
            return .object(json)
        case .array(let element): return ["type": "array", "items": element]
        case .value(let schema): return schema
        }
    }
}

/// A decoder without data. It records each request and answers with a harmless value.
private final class Probe: Decoder {
    let depth: Int
    var shape: Shape?
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(depth: Int) { self.depth = depth }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        if shape == nil { shape = .object(properties: [], required: []) }
        return KeyedDecodingContainer(ProbeKeyed<Key>(probe: self))
    }

    func unkeyedContainer() -> any UnkeyedDecodingContainer {
        if shape == nil { shape = .array([:]) }
        return ProbeUnkeyed(probe: self)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { ProbeSingle(probe: self) }

    func note(_ name: String, _ schema: JSONValue, isRequired: Bool) {
        guard case .object(var properties, var required) = shape else { return }
        if !properties.contains(where: { $0.0 == name }) { properties.append((name, schema)) }
        if isRequired, !required.contains(name) { required.append(name) }
        shape = .object(properties: properties, required: required)
    }

    /// A value of any decodable type, and its schema.
    func make<Value: Decodable>(_ type: Value.Type) throws -> (Value, JSONValue) {
        let schema = try JSONSchema.schema(of: type, depth: depth + 1)
        if let primitive = Self.primitive(type) { return (primitive, schema) }
        if let cases = type as? any CaseIterable.Type, let first = JSONSchema.firstCase(cases) as? Value { return (first, schema) }
        return (try Value(from: Probe(depth: depth + 1)), schema)
    }

    static func primitive<Value>(_ type: Value.Type) -> Value? {
        if type == JSONValue.self { return JSONValue.null as? Value }
        if type == Bool.self { return false as? Value }
        if type == String.self { return "" as? Value }
        if type == Double.self { return 0.0 as? Value }
        if type == Float.self { return Float(0) as? Value }
        if let integer = type as? any FixedWidthInteger.Type { return zero(integer) as? Value }
        return nil
    }

    private static func zero<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Any { Integer.zero }
}

private struct ProbeKeyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let probe: Probe
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { [] }
    func contains(_ key: Key) -> Bool { true }
    func decodeNil(forKey key: Key) -> Bool { false }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        let (value, schema) = try probe.make(type)
        probe.note(key.stringValue, schema, isRequired: true)
        return value
    }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        probe.note(key.stringValue, try JSONSchema.schema(of: type, depth: probe.depth + 1), isRequired: false)
        return nil
    }

    // The standard library has an overload for each primitive type. Without these it would call `decode`, and the
    // property would count as required.
    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { optional(type, key) }
    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { optional(type, key) }
    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { optional(type, key) }
    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? { optional(type, key) }
    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { optional(type, key) }
    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? { optional(type, key) }
    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? { optional(type, key) }
    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { optional(type, key) }
    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { optional(type, key) }
    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? { optional(type, key) }
    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? { optional(type, key) }
    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? { optional(type, key) }
    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? { optional(type, key) }
    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { optional(type, key) }

    private func optional<Value>(_ type: Value.Type, _ key: Key) -> Value? {
        probe.note(key.stringValue, JSONSchema.primitive(type) ?? [:], isRequired: false)
        return nil
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedDecodingContainer<Nested> {
        probe.note(key.stringValue, ["type": "object"], isRequired: true)
        return Probe(depth: probe.depth + 1).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedDecodingContainer {
        probe.note(key.stringValue, ["type": "array"], isRequired: true)
        return Probe(depth: probe.depth + 1).unkeyedContainer()
    }
    func superDecoder() -> any Decoder { probe }
    func superDecoder(forKey key: Key) -> any Decoder { Probe(depth: probe.depth + 1) }
}

private struct ProbeUnkeyed: UnkeyedDecodingContainer {
    let probe: Probe
    var codingPath: [any CodingKey] { [] }
    var count: Int? { 1 }
    /// One element is enough to learn its type.
    var currentIndex = 0
    var isAtEnd: Bool { currentIndex > 0 }

    init(probe: Probe) { self.probe = probe }

    mutating func decodeNil() -> Bool { false }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let (value, schema) = try probe.make(type)
        if currentIndex == 0 { probe.shape = .array(schema) }
        currentIndex += 1
        return value
    }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedDecodingContainer<Nested> {
        currentIndex += 1
        return Probe(depth: probe.depth + 1).container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedDecodingContainer {
        currentIndex += 1
        return Probe(depth: probe.depth + 1).unkeyedContainer()
    }
    mutating func superDecoder() -> any Decoder {
        currentIndex += 1
        return Probe(depth: probe.depth + 1)
    }
}

private struct ProbeSingle: SingleValueDecodingContainer {
    let probe: Probe
    var codingPath: [any CodingKey] { [] }
    func decodeNil() -> Bool { false }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        let (value, schema) = try probe.make(type)
        if probe.shape == nil { probe.shape = .value(schema) }
        return value
    }
}
