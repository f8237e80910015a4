public import JOSE
import OAuth

/// Verifies access tokens that are JWTs (RFC 9068) of one issuer.
public final class JWTVerifier: TokenVerifier {
    private let requirements: JWTRequirements
    private let keys: any KeySource
    private let algorithms: AlgorithmSet
    /// Where `typ` does not say what a token is, its claims have to.
    private let knowsTokensByClaims: Bool
    private let refusesIDTokens: Bool
    private let headers = HeaderMemory()

    /// - Parameters:
    ///   - requirements: issuer, audience, `typ` and times.
    ///   - keys: fixed keys, or a `RemoteKeySet`.
    ///   - algorithms: an allow-list; a key narrows it further. Symmetric ones work only with a `FixedKeys` that holds
    ///     a secret.
    ///   - insecureAllowIDTokens: takes tokens that have the claims of ID tokens, for an issuer that has no other
    ///     access tokens (`Trust.TokenProfile`).
    public init(
        _ requirements: JWTRequirements, keys: any KeySource, algorithms: Set<SigningAlgorithm> = SigningAlgorithm.asymmetric,
        insecureAllowIDTokens: Bool = false
    ) {
        self.requirements = requirements
        self.keys = keys
        self.algorithms = AlgorithmSet(algorithms)
        if case .absentOrJWT = requirements.type { knowsTokensByClaims = true } else { knowsTokensByClaims = false }
        refusesIDTokens = !insecureAllowIDTokens
    }

    public var epoch: UInt64 { keys.epoch }

    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification { decide(token, now, mayRefresh: true) }

    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification {
        if let failure = await keys.refresh(at: now) { return .unavailable(failure) }
        return decide(token, now, mayRefresh: false)
    }

    private func decide(_ token: AccessToken, _ now: NumericDate, mayRefresh: Bool) -> Verification {
        do throws(JOSEError) {
            let jws = try CompactJWS(parsing: token.bytes, headers: headers)
            let claims = try JWTClaims(parsing: jws.payload)
            // The cheap checks first: a token that is refused anyway must not cost a signature, and never a fetch.
            if let violation = requirements.violation(header: jws.header, claims: claims, now: now) {
                return .rejected(RejectionAdvice(requirements, jws.header, claims).reason(violation, at: now))
            }
            func rejected(_ code: String, _ detail: String) -> Verification {
                .rejected(RejectionReason(code, detail, issuer: requirements.issuer) { detail })
            }
            if knowsTokensByClaims, Self.isOtherToken(claims) || (refusesIDTokens && Self.isIDToken(claims)) {
                return rejected("wrong_type", "this is no access token but an ID, refresh or logout token; the client has to send the access token")
            }
            guard algorithms.contains(jws.header.algorithm) else {
                return rejected(
                    JOSEError.Code.algorithmNotAllowed.rawValue, "the signature algorithm is not one of those that are trusted (algorithms:)")
            }
            guard let snapshot = keys.snapshot(at: now) else { return mayRefresh ? .undecided : .unavailable("no keys of \(requirements.issuer)") }
            do throws(JOSEError) {
                try jws.verify(using: snapshot, allowing: algorithms)
            } catch {
                if error.code == .unknownKey, mayRefresh, keys.mayRefresh(at: now) { return .undecided }
                return rejected(error.code.rawValue, error.message)
            }
            headers.remember(jws)
            return principal(claims)
        } catch {
            return .rejected(
                error.code == .malformedJWS
                    ? RejectionAdvice.notJWT(token, requirements, error) : RejectionReason(error.code.rawValue, error.message))
        }
    }

    /// Whom claims name that were found to be good.
    package func principal(_ claims: JWTClaims) -> Verification {
        guard Principal.isBindingKnown(claims) else {
            return .rejected(RejectionReason("sender_constrained", "the token is bound in a way that cannot be proven here"))
        }
        guard let expiration = claims.expiration,
            let principal = Principal(issuer: requirements.issuer, claims: claims, expiration: expiration.advanced(by: requirements.leeway))
        else { return .rejected(RejectionReason("no_subject", "the token names neither a user nor a client")) }
        return .accepted(principal)
    }

    /// Logout tokens (OpenID Connect Back-Channel Logout §2.4), and what Keycloak calls its other tokens in `typ`.
    private static func isOtherToken(_ claims: JWTClaims) -> Bool {
        claims["events"] != nil || claims["typ"]?.string.map { ["Refresh", "Offline", "Logout"].contains($0) } ?? false
    }

    /// What OpenID Connect puts into ID tokens and nobody into access tokens; `token_use` is Cognito's word for it,
    /// `typ` Keycloak's, whose access tokens repeat a `nonce` and say `Bearer`.
    private static func isIDToken(_ claims: JWTClaims) -> Bool {
        let kind = claims["typ"]?.string
        return kind == "ID" || (claims["nonce"] != nil && kind != "Bearer") || claims["at_hash"] != nil || claims["c_hash"] != nil
            || claims["token_use"].map { $0.string != "access" } ?? false
    }
}
