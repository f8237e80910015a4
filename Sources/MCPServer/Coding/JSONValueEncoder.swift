import JOSE

/// Encodes Swift types to JSON values.
struct JSONValueEncoder {
    static func encode(_ value: some Encodable) throws -> JSONValue {
        if let value = value as? JSONValue { return value }
        let encoder = Node(codingPath: [])
        try value.encode(to: encoder)
        return encoder.value
    }
}

/// One place in the tree that is being built. A class, because containers write into it after they were returned.
private final class Node: Encoder {
    enum Content {
        case empty
        case value(JSONValue)
        case object([(String, Node)])
        case array([Node])
    }

    let codingPath: [any CodingKey]
    var content = Content.empty
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(codingPath: [any CodingKey]) { self.codingPath = codingPath }

    var value: JSONValue {
        switch content {
        case .empty: .object([:])
        case .value(let value): value
        case .object(let members): .object(JSONObject(members.map { ($0.0, $0.1.value) }))
        case .array(let elements): .array(elements.map(\.value))
        }
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .object = content {} else { content = .object([]) }
        return KeyedEncodingContainer(KeyedContainer(node: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .array = content {} else { content = .array([]) }
        return UnkeyedContainer(node: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleContainer(node: self) }

    func member(_ key: any CodingKey) -> Node {
        let child = Node(codingPath: codingPath + [key])
        if case .object(var members) = content {
            members.append((key.stringValue, child))
            content = .object(members)
        }
        return child
    }

    func element() -> Node {
        let child = Node(codingPath: codingPath)
        if case .array(var elements) = content {
            elements.append(child)
            content = .array(elements)
        }
        return child
    }

    var count: Int { if case .array(let elements) = content { elements.count } else { 0 } }

    func put<Value: Encodable>(_ value: Value) throws {
        switch value {
        case let value as JSONValue: content = .value(value)
        case let value as Bool: content = .value(.bool(value))
        case let value as String: content = .value(.string(value))
        case let value as Double: try put(number: value)
        case let value as Float: try put(number: Double(value))
        case let value as any BinaryInteger:
            guard let exact = Int64(exactly: value) else {
                throw EncodingError.invalidValue(
                    value, .init(codingPath: codingPath, debugDescription: "the integer has more than 64 bits with sign"))
            }
            content = .value(.int(exact))
        default: try value.encode(to: self)
        }
    }

    private func put(number: Double) throws {
        guard let number = JSONNumber(number) else {
            throw EncodingError.invalidValue(number, .init(codingPath: codingPath, debugDescription: "JSON has no infinities and no NaN"))
        }
        content = .value(.number(number))
    }
}

private struct KeyedContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: Node
    var codingPath: [any CodingKey] { node.codingPath }
    func encodeNil(forKey key: Key) { node.member(key).content = .value(.null) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws { try node.member(key).put(value) }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
        node.member(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { node.member(key).unkeyedContainer() }
    func superEncoder() -> any Encoder { node }
    func superEncoder(forKey key: Key) -> any Encoder { node.member(key) }
}

private struct UnkeyedContainer: UnkeyedEncodingContainer {
    let node: Node
    var codingPath: [any CodingKey] { node.codingPath }
    var count: Int { node.count }
    func encodeNil() { node.element().content = .value(.null) }
    func encode<Value: Encodable>(_ value: Value) throws { try node.element().put(value) }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> { node.element().container(keyedBy: type) }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { node.element().unkeyedContainer() }
    func superEncoder() -> any Encoder { node.element() }
}

private struct SingleContainer: SingleValueEncodingContainer {
    let node: Node
    var codingPath: [any CodingKey] { node.codingPath }
    func encodeNil() { node.content = .value(.null) }
    func encode<Value: Encodable>(_ value: Value) throws { try node.put(value) }
}
