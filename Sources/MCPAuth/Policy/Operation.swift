public import OAuth

/// What a request wants to do, named so that a policy can say what it takes.
public struct Operation: Sendable, Hashable, CustomStringConvertible {
    /// `tool`, `resource`, `prompt`, or a word of the application's own.
    public let kind: String
    public let name: String

    public init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }

    public static func tool(_ name: String) -> Operation { Operation(kind: "tool", name: name) }
    public static func resource(_ uri: String) -> Operation { Operation(kind: "resource", name: uri) }
    public static func prompt(_ name: String) -> Operation { Operation(kind: "prompt", name: name) }
    /// Whatever needs no more than a valid token.
    public static let any = Operation(kind: "any", name: "")

    public var description: String { name.isEmpty ? kind : "\(kind) \(name)" }

    /// Bytewise: an NFD spelling of a tool's name is another name.
    public static func == (left: Operation, right: Operation) -> Bool {
        left.kind.utf8.elementsEqual(right.kind.utf8) && left.name.utf8.elementsEqual(right.name.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var (kind, name) = (kind, name)
        kind.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

/// What an operation takes.
public struct Requirement: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
    /// All of these.
    public var scopes: ScopeSet
    /// Whether it may also be done without any token. A token that is sent must still be good.
    public var allowsAnonymous: Bool

    public init(_ scopes: ScopeSet = [], allowsAnonymous: Bool = false) {
        self.scopes = scopes
        self.allowsAnonymous = allowsAnonymous
    }

    /// Scope tokens separated by spaces.
    public init(stringLiteral value: String) { self.init(ScopeSet(stringLiteral: value)) }
    public init(arrayLiteral elements: Scope...) { self.init(ScopeSet(elements)) }

    /// Nothing but a valid token.
    public static let authenticated = Requirement(ScopeSet())
    /// Not even a token.
    public static let anonymous = Requirement(ScopeSet(), allowsAnonymous: true)
}
