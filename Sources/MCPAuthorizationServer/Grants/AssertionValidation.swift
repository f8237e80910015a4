import JOSE
import Logging
import MCPAuth
import OAuth

/// The steps that the grants for assertions share (RFC 7523 §2.1 and §3): times, signature, and single use.
struct AssertionValidation: ServerComponent {
    let context: ServerContext
    let store: any GrantStore
    let keySets: AssertionKeySets
    let issuance: TokenIssuance

    /// The longest lifetime of an assertion in seconds.
    private static let maximumLife: Int64 = 3600

    /// The assertion of a token request. Nothing in it is verified yet. Throws `invalid_request` or `invalid_grant`.
    static func parse(_ form: Form) throws(OAuthError) -> (CompactJWS, JWTClaims) {
        guard let text = try form.single("assertion") else { throw OAuthError(.invalidRequest, "assertion is missing") }
        do throws(JOSEError) {
            let jws = try CompactJWS(parsing: text)
            return (jws, try JWTClaims(parsing: jws.payload))
        } catch { throw OAuthError(.invalidGrant, "the assertion is not a signed JWT: \(error.message)") }
    }

    /// The `jti` and the expiration. Throws the refusal of a time that is not allowed.
    func checkTimes(_ claims: JWTClaims, _ refuse: (String, String) -> OAuthError) throws(OAuthError) -> (String, NumericDate) {
        let now = clock.now
        guard let expiration = claims.expiration, expiration > now.advanced(by: -30) else {
            throw refuse("expired", "exp of the assertion is missing or past")
        }
        guard claims.issuedAt != nil else { throw refuse("no_issue_time", "iat of the assertion is missing") }
        guard expiration.seconds(since: now) <= Self.maximumLife, expiration.seconds(since: claims.issuedAt ?? now) <= Self.maximumLife else {
            throw refuse("lives_too_long", "the assertion lives longer than \(Self.maximumLife) seconds")
        }
        guard claims.issuedAt.map({ $0 <= now.advanced(by: 30) }) ?? true, claims.notBefore.map({ $0 <= now.advanced(by: 30) }) ?? true else {
            throw refuse("not_yet_valid", "the assertion is not valid yet")
        }
        guard let identifier = claims.identifier, (1...512).contains(identifier.utf8.count) else {
            throw refuse("no_identifier", "jti of the assertion is missing")
        }
        return (identifier, expiration)
    }

    func verify(
        _ jws: CompactJWS, with keys: AssertionKeys, of issuer: String, _ refuse: (String, String) -> OAuthError
    ) async throws(OAuthError) {
        do throws(OAuthError) {
            try await AssertionKeySets.verify(
                jws, with: try keySets.source(keys, issuer: issuer), algorithms: SigningAlgorithm.asymmetric, at: clock.now)
        } catch {
            if error.code == .temporarilyUnavailable { throw error }
            if error.code == .invalidConfiguration { logger.error("an assertion could not be verified", metadata: ["reason": "\(error.message)"]) }
            throw refuse("invalid_signature", "the signature of the assertion does not verify with a key of its issuer")
        }
    }

    func grant(
        _ clientID: ClientID, _ userID: String?, _ scopes: ScopeSet, _ resource: ProtectedResource, authenticatedAt: Int64?, at now: NumericDate
    ) -> Grant {
        let lifetime = resource.accessTokenLifetime ?? configuration.accessTokenLifetime
        return Grant(
            id: Grant.makeID(random), type: .jwtBearer, clientID: clientID, userID: userID, scopes: scopes, resource: resource.identifier.text,
            authenticatedAt: authenticatedAt.map { NumericDate(seconds: $0) }, createdAt: now, expiresAt: now.advanced(by: lifetime), lastUsedAt: now)
    }

    /// Consumes the assertion and stores the grant, in one step.
    func issue(
        _ grant: Grant, _ registry: ClientRegistry, _ resource: ProtectedResource, _ proof: DPoPProof?, consuming assertion: String,
        until expiration: NumericDate, reason: String, _ call: HTTPCall, _ refuse: (String, String) -> OAuthError
    ) async throws(OAuthError) -> TokenResponse {
        let access = try await issuance.accessToken(AccessTokenContents(grant, resource: resource, keyThumbprint: proof?.thumbprint), at: clock.now)
        let use = SingleUse(SecretHash(of: assertion), until: expiration.advanced(by: 60))
        guard try await stored({ try await store.add(grant, consuming: use, clientIn: registry) }) else {
            throw refuse("assertion_reused", "the assertion was used before, or its user or client is not let in")
        }
        record("token.issued", .allowed, call, reason: reason, subject: grant.subject, client: grant.clientID, scopes: grant.scopes)
        return TokenResponse(access: access, scopes: grant.scopes)
    }
}
