public import OAuth

/// An operation that a request asks for. A `ScopePolicy` says which scopes it needs.
public struct Operation: Sendable, Hashable, CustomStringConvertible {
    /// `tool`, `resource`, `prompt`, or a kind that the application defines.
    public let kind: String
    /// The name of the tool or prompt, or the URI of the resource. Compared as bytes.
    public let name: String

    /// An operation of any kind. `kind` and `name` are not checked.
    public init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }

    /// A call of the tool with this name.
    public static func tool(_ name: String) -> Operation { Operation(kind: "tool", name: name) }
    /// A read of the resource with this URI. For a template, the URI template stands for every URI that it matches.
    public static func resource(_ uri: String) -> Operation { Operation(kind: "resource", name: uri) }
    /// A request for the prompt with this name.
    public static func prompt(_ name: String) -> Operation { Operation(kind: "prompt", name: name) }
    /// An operation without a name, for routes that have no rule of their own.
    public static let any = Operation(kind: "any", name: "")

    public var description: String { name.isEmpty ? kind : "\(kind) \(name)" }

    /// Compares bytes: an NFD spelling of a tool's name is another name.
    public static func == (left: Operation, right: Operation) -> Bool {
        left.kind.utf8.elementsEqual(right.kind.utf8) && left.name.utf8.elementsEqual(right.name.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var (kind, name) = (kind, name)
        kind.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

/// The requirements of an operation.
public struct Requirement: Sendable, Hashable, ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
    /// The token must grant all of these scopes.
    public var scopes: ScopeSet
    /// Whether the operation is also allowed without a token. A token that is sent must still be valid.
    public var allowsAnonymous: Bool

    /// By default a valid token is required, and no scope.
    public init(_ scopes: ScopeSet = [], allowsAnonymous: Bool = false) {
        self.scopes = scopes
        self.allowsAnonymous = allowsAnonymous
    }

    /// From scope tokens separated by spaces. A mistyped scope becomes `Scope.invalidLiteral`.
    public init(stringLiteral value: String) { self.init(ScopeSet(stringLiteral: value)) }
    /// All of the given scopes.
    public init(arrayLiteral elements: Scope...) { self.init(ScopeSet(elements)) }

    /// A valid token, whatever its scopes.
    public static let authenticated = Requirement(ScopeSet())
    /// No token is required. A token that is sent must still be valid.
    public static let anonymous = Requirement(ScopeSet(), allowsAnonymous: true)
}
