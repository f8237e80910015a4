public import OAuth

/// Which operations need which scopes, and which scopes imply others. Pure: it decides and does nothing.
public struct ScopePolicy: Sendable {
    /// Needed by every operation that has no rule of its own.
    public var `default`: Requirement
    /// What single operations need, instead of `default`.
    public var operations: [Operation: Requirement]
    /// A broader scope, and the narrower ones that come with it. Transitive.
    public var implications: [Scope: ScopeSet]
    /// What a client that has no token yet is told to ask for, where the operation itself needs nothing particular. Nil: everything advertised.
    public var initialScopes: ScopeSet?
    /// Scopes beyond those of `operations` that the metadata lists, such as those that tools name themselves.
    public var advertised: ScopeSet = []

    public init(default: Requirement = .authenticated, operations: [Operation: Requirement] = [:], implications: [Scope: ScopeSet] = [:]) {
        self.default = `default`
        self.operations = operations
        self.implications = implications
    }

    public func requirement(for operation: Operation) -> Requirement { operations[operation] ?? self.default }

    /// What `granted` amounts to once every implication is followed.
    public func effective(_ granted: ScopeSet) -> ScopeSet {
        guard !implications.isEmpty else { return granted }
        var effective = granted
        var pending = Array(granted)
        while let scope = pending.popLast() {
            for implied in implications[scope] ?? [] where !effective.contains(implied) {
                effective.insert(implied)
                pending.append(implied)
            }
        }
        return effective
    }

    /// What is missing: everything at once (R10), after the hierarchy (R11).
    public func missing(_ granted: ScopeSet, for requirement: Requirement) -> ScopeSet {
        requirement.scopes.isSubset(of: granted) ? [] : requirement.scopes.subtracting(effective(granted))
    }

    /// Whether a literal in it was mistyped.
    var holdsInvalidLiteral: Bool {
        ([self.default.scopes, advertised, initialScopes ?? []] + operations.values.map(\.scopes) + implications.values
            + [ScopeSet(implications.keys)]).contains { $0.contains(.invalidLiteral) }
    }

    /// Every scope that some operation needs, without `offline_access`, which is the client's business (R12).
    public var allScopes: ScopeSet {
        let sets = [self.default.scopes] + operations.sorted { $0.key.description < $1.key.description }.map(\.value.scopes) + [advertised]
        return ScopeSet(sets.flatMap(Array.init).filter { $0.text != "offline_access" })
    }
}
