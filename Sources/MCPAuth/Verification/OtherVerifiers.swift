public import JOSE
public import OAuth

/// Fixed tokens for tests and examples. Never for production: whoever reads the source has the token.
public struct StaticTokenVerifier: TokenVerifier {
    private let principals: [TokenDigest: Principal]

    public init(_ principals: [String: Principal]) {
        self.principals = Dictionary(principals.map { (AccessToken($0.key).digest, $0.value) }, uniquingKeysWith: { first, _ in first })
    }

    public var cacheLifetime: Int64 { 0 }

    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        guard let principal = principals[token.digest] else { return .rejected(RejectionReason("unknown_token")) }
        return now < principal.expiration ? .accepted(principal) : .rejected(RejectionReason("expired"))
    }
}

/// A verifier that is a closure over somebody's own way of checking tokens. The closure owes what `TokenVerifier` asks,
/// the audience above all.
public struct ClosureVerifier: TokenVerifier {
    private let body: @Sendable (AccessToken) async throws -> Principal?
    public let cacheLifetime: Int64

    /// Nil rejects the token; an error that is thrown means that the answer could not be had, a 503.
    public init(cacheLifetime: Int64 = 0, _ body: @escaping @Sendable (AccessToken) async throws -> Principal?) {
        self.cacheLifetime = cacheLifetime
        self.body = body
    }

    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification { .undecided }

    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification {
        do {
            guard let principal = try await body(token) else { return .rejected(RejectionReason("refused", "the custom verifier refused the token")) }
            return now < principal.expiration ? .accepted(principal) : .rejected(RejectionReason("expired"))
        } catch { return .unavailable("the custom verifier failed") }
    }
}

/// Several verifiers: the first that accepts a token decides, and its issuer is the principal's, so a subject of one
/// never stands for another's.
public struct AnyOfVerifier: TokenVerifier {
    private let verifiers: [any TokenVerifier]

    public init(_ verifiers: [any TokenVerifier]) { self.verifiers = verifiers }

    public var epoch: UInt64 { verifiers.reduce(0) { $0 &* 31 &+ $1.epoch } }
    public var cacheLifetime: Int64 { verifiers.map(\.cacheLifetime).min() ?? 0 }
    public func stillAccepts(_ principal: Principal) -> Bool { verifiers.allSatisfy { $0.stillAccepts(principal) } }
    public func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate) {
        for verifier in verifiers { verifier.noteUse(of: principal, for: operation, at: now) }
    }

    public func grantableScopes(to principal: Principal) async -> ScopeSet? {
        for verifier in verifiers { if let scopes = await verifier.grantableScopes(to: principal) { return scopes } }
        return nil
    }

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

    /// The reason that says most: another issuer's token is the least of them.
    private static func better(_ one: RejectionReason, _ other: RejectionReason) -> RejectionReason {
        let dull: Set = ["unknown_token", "wrong_issuer", "malformed_jws", "inactive"]
        return dull.contains(one.code) || !dull.contains(other.code) ? other : one
    }
}
