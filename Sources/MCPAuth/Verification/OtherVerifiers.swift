public import JOSE
public import OAuth

/// Accepts fixed tokens, for tests and examples. Not for production: every reader of the source has the tokens.
public struct StaticTokenVerifier: TokenVerifier {
    private let principals: [TokenDigest: Principal]

    /// Accepts these tokens, until their principals expire.
    public init(_ principals: [String: Principal]) {
        self.principals = Dictionary(principals.map { (AccessToken($0.key).digest, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    /// 0: tokens are not cached.
    public var cacheLifetime: Int64 { 0 }

    /// Compares the SHA-256 of the token. Never waits.
    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        guard let principal = principals[token.digest] else { return .rejected(RejectionReason("unknown_token")) }
        return now < principal.expiration ? .accepted(principal) : .rejected(RejectionReason("expired"))
    }
}

/// A verifier that calls a closure. The closure has the duties of `TokenVerifier`, above all the check of the audience.
public struct ClosureVerifier: TokenVerifier {
    private let body: @Sendable (AccessToken) async throws -> Principal?
    /// The number of seconds for which an accepted token is cached.
    public let cacheLifetime: Int64

    /// A verifier with this closure. Nil from the closure rejects the token. A thrown error means that the decision
    /// cannot be made now, a 503.
    ///
    /// - Parameter cacheLifetime: The number of seconds for which an accepted token is cached. A revocation has no
    ///   effect for that long.
    public init(cacheLifetime: Int64 = 0, _ body: @escaping @Sendable (AccessToken) async throws -> Principal?) {
        self.cacheLifetime = cacheLifetime
        self.body = body
    }

    /// `.undecided`: the closure decides in `resolve`.
    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification { .undecided }

    /// Calls the closure. An expired principal is rejected.
    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification {
        do {
            guard let principal = try await body(token) else { return .rejected(RejectionReason("refused", "the custom verifier refused the token")) }
            return now < principal.expiration ? .accepted(principal) : .rejected(RejectionReason("expired"))
        } catch { return .unavailable("the custom verifier failed") }
    }
}

/// Several verifiers. The first one that accepts a token decides. The principal has the issuer of that verifier, so a
/// subject of one issuer never stands for a subject of another.
public struct AnyOfVerifier: TokenVerifier {
    private let verifiers: [any TokenVerifier]

    /// Asks the verifiers in this order.
    public init(_ verifiers: [any TokenVerifier]) { self.verifiers = verifiers }

    /// A number that changes when the epoch of any verifier changes.
    public var epoch: UInt64 { verifiers.reduce(0) { $0 &* 31 &+ $1.epoch } }
    /// The shortest lifetime of the verifiers.
    public var cacheLifetime: Int64 { verifiers.map(\.cacheLifetime).min() ?? 0 }
    /// Whether every verifier still accepts the principal.
    public func stillAccepts(_ principal: Principal) -> Bool { verifiers.allSatisfy { $0.stillAccepts(principal) } }
    /// Tells every verifier.
    public func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate) {
        for verifier in verifiers { verifier.noteUse(of: principal, for: operation, at: now) }
    }

    /// The first answer that is not nil.
    public func grantableScopes(to principal: Principal) async -> ScopeSet? {
        for verifier in verifiers { if let scopes = await verifier.grantableScopes(to: principal) { return scopes } }
        return nil
    }

    /// The first acceptance. `.undecided` if an earlier verifier needs I/O, because it must decide first.
    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        var isUndecided = false
        var reason = RejectionReason("unknown_token")
        for verifier in verifiers {
            switch verifier.verify(token, at: now) {
            case .accepted(let principal): return isUndecided ? .undecided : .accepted(principal)
            case .rejected(let other): reason = Self.better(reason, other)
            case .undecided, .unavailable: isUndecided = true
            }
        }
        return isUndecided ? .undecided : .rejected(reason)
    }

    /// The first acceptance, after I/O where a verifier needs it. `.unavailable` if none accepts and at least one
    /// cannot decide.
    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification {
        var reason = RejectionReason("unknown_token")
        var failure: String?
        for verifier in verifiers {
            var verification = verifier.verify(token, at: now)
            if case .undecided = verification { verification = await verifier.resolve(token, at: now) }
            switch verification {
            case .accepted: return verification
            case .rejected(let other): reason = Self.better(reason, other)
            case .unavailable(let why): failure = why
            case .undecided: break
            }
        }
        return failure.map { .unavailable($0) } ?? .rejected(reason)
    }

    /// The more informative reason. A token of another issuer is the least informative one.
    private static func better(_ one: RejectionReason, _ other: RejectionReason) -> RejectionReason {
        let dull: Set = ["unknown_token", "wrong_issuer", "malformed_jws", "inactive"]
        return dull.contains(one.code) || !dull.contains(other.code) ? other : one
    }
}
