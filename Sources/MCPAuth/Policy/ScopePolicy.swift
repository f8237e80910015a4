public import OAuth

/// The scopes that operations need, and the scopes that imply others. A pure value: it decides and does nothing.
public struct ScopePolicy: Sendable {
    /// The requirement of every operation without a rule of its own.
    public var `default`: Requirement
    /// The requirements of single operations, instead of `default`.
    public var operations: [Operation: Requirement]
    /// The narrower scopes that each broader scope includes. Transitive.
    public var implications: [Scope: ScopeSet]
    /// The scopes that a client without a token is told to request, for operations that need no particular scope. Nil:
    /// all advertised scopes.
    public var initialScopes: ScopeSet?
    /// Scopes that the metadata lists beyond those of `operations`, such as the scopes of tools.
    public var advertised: ScopeSet = []

    /// By default every operation needs a valid token and no scope.
    public init(default: Requirement = .authenticated, operations: [Operation: Requirement] = [:], implications: [Scope: ScopeSet] = [:]) {
        self.default = `default`
        self.operations = operations
        self.implications = implications
    }

    /// The rule of an operation, or `default`.
    public func requirement(for operation: Operation) -> Requirement { operations[operation] ?? self.default }

    /// The granted scopes together with every scope that they imply.
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

    /// The required scopes that `granted` lacks, all at once (R10), after the implications (R11). Empty when nothing is
    /// missing.
    public func missing(_ granted: ScopeSet, for requirement: Requirement) -> ScopeSet {
        requirement.scopes.isSubset(of: granted) ? [] : requirement.scopes.subtracting(effective(granted))
    }

    /// Whether one of the scope literals was mistyped.
    var holdsInvalidLiteral: Bool {
        ([self.default.scopes, advertised, initialScopes ?? []] + operations.values.map(\.scopes) + implications.values
            + [ScopeSet(implications.keys)]).contains { $0.contains(.invalidLiteral) }
    }

    /// Every scope that some operation needs or that is advertised, without `offline_access`, which the client requests
    /// on its own account (R12).
    public var allScopes: ScopeSet {
        let sets = [self.default.scopes] + operations.sorted { $0.key.description < $1.key.description }.map(\.value.scopes) + [advertised]
        return ScopeSet(sets.flatMap(Array.init).filter { $0.text != "offline_access" })
    }
}
