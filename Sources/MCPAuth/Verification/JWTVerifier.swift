public import JOSE
import OAuth

/// Validates access tokens that are JWTs (RFC 9068) of one issuer.
public final class JWTVerifier: TokenVerifier {
    private let requirements: JWTRequirements
    private let keys: any KeySource
    private let algorithms: AlgorithmSet
    /// Whether claims decide the kind of a token, because `typ` does not.
    private let knowsTokensByClaims: Bool
    private let refusesIDTokens: Bool
    private let headers = HeaderMemory()

    /// A verifier for one issuer.
    ///
    /// - Parameters:
    ///   - requirements: The issuer, audience, `typ` and times.
    ///   - keys: Fixed keys, or a `RemoteKeySet`.
    ///   - algorithms: The accepted algorithms. A key restricts them further. Symmetric ones work only with a
    ///     `FixedKeys` that contains a secret.
    ///   - insecureAllowIDTokens: Whether tokens with the claims of ID tokens are accepted, for an issuer that has no
    ///     other access tokens (`Trust.TokenProfile`).
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

    /// The epoch of the keys.
    public var epoch: UInt64 { keys.epoch }

    /// Checks claims and signature with the keys in memory. `.undecided` when there are no keys yet, or the key is
    /// unknown and the keys may be refreshed.
    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification { decide(token, now, mayRefresh: true) }

    /// Refreshes the keys, then decides. `.unavailable` when there are no keys.
    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification {
        if let failure = await keys.refresh(at: now) { return .unavailable(failure) }
        return decide(token, now, mayRefresh: false)
    }

    private func decide(_ token: AccessToken, _ now: NumericDate, mayRefresh: Bool) -> Verification {
        do throws(JOSEError) {
            let jws = try CompactJWS(parsing: token.bytes, headers: headers)
            let claims = try JWTClaims(parsing: jws.payload)
            // The cheap checks come first: a rejected token must not cost a signature, and never a fetch.
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

    /// The decision for claims that were found to be valid.
    package func principal(_ claims: JWTClaims) -> Verification {
        guard Principal.isBindingKnown(claims) else {
            return .rejected(RejectionReason("sender_constrained", "the token is bound in a way that cannot be proven here"))
        }
        guard let expiration = claims.expiration,
            let principal = Principal(issuer: requirements.issuer, claims: claims, expiration: expiration.advanced(by: requirements.leeway))
        else { return .rejected(RejectionReason("no_subject", "the token names neither a user nor a client")) }
        return .accepted(principal)
    }

    /// Whether the claims are those of a logout token (OpenID Connect Back-Channel Logout §2.4), or of another token of
    /// Keycloak, as its claim `typ` says.
    private static func isOtherToken(_ claims: JWTClaims) -> Bool {
        claims["events"] != nil || claims["typ"]?.string.map { ["Refresh", "Offline", "Logout"].contains($0) } ?? false
    }

    /// Whether the claims are those of an ID token. OpenID Connect puts these claims into ID tokens, and no issuer puts
    /// them into access tokens. Cognito's `token_use` and Keycloak's `typ` name the kind. Keycloak's access tokens
    /// repeat a `nonce` and have the type `Bearer`.
    private static func isIDToken(_ claims: JWTClaims) -> Bool {
        let kind = claims["typ"]?.string
        return kind == "ID" || (claims["nonce"] != nil && kind != "Bearer") || claims["at_hash"] != nil || claims["c_hash"] != nil
            || claims["token_use"].map { $0.string != "access" } ?? false
    }
}
