package import JOSE

/// One scope token (RFC 6749 §3.3): printable ASCII without space, quote and backslash.
public struct Scope: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let text: String

    public static let maximumBytes = 128

    /// Nil for a text that is not one scope token.
    public init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= Self.maximumBytes, text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        self.text = text
    }

    /// For literals in source code. A literal that is no scope token becomes `invalidLiteral`.
    public init(stringLiteral value: String) { self = Scope(value) ?? Self.invalidLiteral }

    /// What a mistyped literal stands for: a scope that no token can grant, since it holds a space. Servers refuse to start with it.
    public static let invalidLiteral = Scope(unchecked: "an invalid scope literal")

    fileprivate init(unchecked text: String) { self.text = text }

    public var description: String { text }

    static func isAllowed(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") }
}

/// Scopes in the order in which they were given, each once.
public struct ScopeSet: Sendable, Hashable, Sequence, CustomStringConvertible, ExpressibleByArrayLiteral, ExpressibleByStringLiteral {
    private var ordered: [Scope]

    public static let maximumCount = 256

    public init() { ordered = [] }

    public init(_ scopes: some Sequence<Scope>) {
        ordered = []
        for scope in scopes { insert(scope) }
    }

    public init(arrayLiteral elements: Scope...) { self.init(elements) }

    /// For literals in source code: scope tokens separated by spaces. What is no scope token becomes `Scope.invalidLiteral`: a typing error never
    /// opens a door.
    public init(stringLiteral value: String) {
        self.init(value.utf8.split(separator: UInt8(ascii: " ")).map { Scope(stringLiteral: String(decoding: $0, as: UTF8.self)) })
    }

    /// From a request parameter: tokens separated by single spaces (RFC 6749 §3.3). Nil when any token is not one, or there are too many.
    public init?(_ text: String) {
        ordered = []
        guard !text.isEmpty else { return }
        let parts = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count <= Self.maximumCount else { return nil }
        for part in parts {
            guard let scope = Scope(String(decoding: part, as: UTF8.self)) else { return nil }
            insert(scope)
        }
    }

    /// From a request parameter, as clients write it: spaces at the ends, and several in a row, count for nothing. Nil when any token is not one,
    /// or there are too many.
    public init?(request text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: " "))
        guard parts.count <= Self.maximumCount else { return nil }
        ordered = []
        for part in parts {
            guard let scope = Scope(String(decoding: part, as: UTF8.self)) else { return nil }
            insert(scope)
        }
    }

    /// From a token's claim: split on U+0020 and nothing else; what is no scope token grants nothing (RFC 9068 §2.2.3).
    public init(lenient text: String) {
        var text = text
        self = text.withUTF8 { ScopeSet(lenient: $0) }
    }

    /// The same for a string that stands in a document; nil for another value.
    package init?(lenient value: JSONView) {
        guard let scopes = value.withBytes({ ScopeSet(lenient: $0) }) else { return nil }
        self = scopes
    }

    private init(lenient bytes: UnsafeBufferPointer<UInt8>) {
        ordered = []
        ordered.reserveCapacity(Swift.min(8, bytes.count / 4 + 1))
        var start = 0
        while start < bytes.count, ordered.count < Self.maximumCount {
            var end = start
            var isScope = true
            while end < bytes.count, bytes[end] != UInt8(ascii: " ") {
                isScope = isScope && Scope.isAllowed(bytes[end])
                end += 1
            }
            if isScope, end > start, end - start <= Scope.maximumBytes {
                insert(Scope(unchecked: String(decoding: UnsafeBufferPointer(rebasing: bytes[start..<end]), as: UTF8.self)))
            }
            start = end + 1
        }
    }

    public mutating func insert(_ scope: Scope) { if !ordered.contains(scope) { ordered.append(scope) } }

    public var isEmpty: Bool { ordered.isEmpty }
    public var count: Int { ordered.count }
    public func contains(_ scope: Scope) -> Bool { ordered.contains(scope) }
    public func isSubset(of other: ScopeSet) -> Bool { ordered.allSatisfy(other.contains) }
    public func union(_ other: ScopeSet) -> ScopeSet { ScopeSet(ordered + other.ordered) }
    public func intersection(_ other: ScopeSet) -> ScopeSet { ScopeSet(ordered.filter(other.contains)) }
    public func subtracting(_ other: ScopeSet) -> ScopeSet { ScopeSet(ordered.filter { !other.contains($0) }) }
    public func makeIterator() -> IndexingIterator<[Scope]> { ordered.makeIterator() }

    /// The tokens separated by spaces.
    public var text: String { ordered.map(\.text).joined(separator: " ") }
    public var description: String { text }

    public static func == (left: ScopeSet, right: ScopeSet) -> Bool { left.count == right.count && left.isSubset(of: right) }
    public func hash(into hasher: inout Hasher) { for text in ordered.map(\.text).sorted() { hasher.combine(text) } }
}
