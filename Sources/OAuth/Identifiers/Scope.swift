package import JOSE

/// One scope token (RFC 6749 §3.3): printable ASCII without space, quotation mark and backslash.
public struct Scope: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// The token, compared byte for byte.
    public let text: String

    /// The longest scope token, in bytes.
    public static let maximumBytes = 128

    /// Nil for an empty text, a text of more than `maximumBytes` bytes, and a text with characters that a scope cannot
    /// contain.
    public init?(_ text: String) {
        guard !text.isEmpty, text.utf8.count <= Self.maximumBytes, text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        self.text = text
    }

    /// For literals in source code. A literal that is not a scope token becomes `invalidLiteral`.
    public init(stringLiteral value: String) { self = Scope(value) ?? Self.invalidLiteral }

    /// The value of a mistyped literal. It contains spaces, so that no token can grant it. Servers refuse to start with
    /// it.
    public static let invalidLiteral = Scope(unchecked: "an invalid scope literal")

    fileprivate init(unchecked text: String) { self.text = text }

    public var description: String { text }

    static func isAllowed(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\") }
}

/// Scopes in the order in which they were given, each once. Two sets with the same scopes are equal in any order.
public struct ScopeSet: Sendable, Hashable, Sequence, CustomStringConvertible, ExpressibleByArrayLiteral, ExpressibleByStringLiteral {
    private var ordered: [Scope]

    /// The most scopes that are read from a request or a token.
    public static let maximumCount = 256

    /// An empty set.
    public init() { ordered = [] }

    /// The given scopes, in order, without repetitions.
    public init(_ scopes: some Sequence<Scope>) {
        ordered = []
        for scope in scopes { insert(scope) }
    }

    /// The given scopes, in order, without repetitions.
    public init(arrayLiteral elements: Scope...) { self.init(elements) }

    /// For literals in source code: scope tokens separated by spaces. Every part that is not a scope token becomes
    /// `Scope.invalidLiteral`, so that a typing error grants nothing.
    public init(stringLiteral value: String) {
        self.init(value.utf8.split(separator: UInt8(ascii: " ")).map { Scope(stringLiteral: String(decoding: $0, as: UTF8.self)) })
    }

    /// From a request parameter: tokens separated by single spaces (RFC 6749 §3.3). Nil when a part is not a scope
    /// token, or there are more than `maximumCount` parts. An empty text is the empty set.
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

    /// From a request parameter as clients write it: leading, trailing and repeated spaces are ignored. Nil when a part
    /// is not a scope token, or there are more than `maximumCount` parts.
    public init?(request text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: " "))
        guard parts.count <= Self.maximumCount else { return nil }
        ordered = []
        for part in parts {
            guard let scope = Scope(String(decoding: part, as: UTF8.self)) else { return nil }
            insert(scope)
        }
    }

    /// From the claim of a token, split at U+0020 only. Parts that are not scope tokens are ignored (RFC 9068 §2.2.3),
    /// as is everything after `maximumCount` scopes.
    public init(lenient text: String) {
        var text = text
        self = text.withUTF8 { ScopeSet(lenient: $0) }
    }

    /// The same for a string in a document. Nil for another type.
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

    /// Appends a scope, unless the set already contains it.
    public mutating func insert(_ scope: Scope) { if !ordered.contains(scope) { ordered.append(scope) } }

    /// Whether there are no scopes.
    public var isEmpty: Bool { ordered.isEmpty }
    /// The number of scopes.
    public var count: Int { ordered.count }
    /// Whether the set contains a scope. Scopes that imply others are not considered; see `ScopePolicy`.
    public func contains(_ scope: Scope) -> Bool { ordered.contains(scope) }
    /// Whether `other` contains every scope of this set.
    public func isSubset(of other: ScopeSet) -> Bool { ordered.allSatisfy(other.contains) }
    /// The scopes of this set, then those that only `other` contains.
    public func union(_ other: ScopeSet) -> ScopeSet { ScopeSet(ordered + other.ordered) }
    /// The scopes that both sets contain, in the order of this set.
    public func intersection(_ other: ScopeSet) -> ScopeSet { ScopeSet(ordered.filter(other.contains)) }
    /// The scopes that `other` does not contain, in the order of this set.
    public func subtracting(_ other: ScopeSet) -> ScopeSet { ScopeSet(ordered.filter { !other.contains($0) }) }
    /// Iterates over the scopes in order.
    public func makeIterator() -> IndexingIterator<[Scope]> { ordered.makeIterator() }

    /// The tokens separated by single spaces, as in a `scope` parameter.
    public var text: String { ordered.map(\.text).joined(separator: " ") }
    public var description: String { text }

    public static func == (left: ScopeSet, right: ScopeSet) -> Bool { left.count == right.count && left.isSubset(of: right) }
    public func hash(into hasher: inout Hasher) { for text in ordered.map(\.text).sorted() { hasher.combine(text) } }
}
