import JOSE
import OAuth

/// Authentication of clients with a private key (RFC 7523 §2.2, `private_key_jwt`).
extension ClientAuthentication {
    static let assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    /// The maximum age and lifetime of an assertion in seconds (requirement 127).
    private static let maximumAge: Int64 = 300

    /// Verifies an assertion of a client that is registered for this method. Each is valid once, in every process and
    /// after every restart.
    ///
    /// Throws `invalid_client` with the mistake, or `temporarily_unavailable`.
    func verifyAssertion(_ text: String, of client: Client) async throws(OAuthError) {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidClient, "client_assertion: \(message)") }
        let jws: CompactJWS
        let claims: JWTClaims
        do throws(JOSEError) {
            jws = try CompactJWS(parsing: text)
            claims = try JWTClaims(parsing: jws.payload)
        } catch { throw fail(error.message) }
        let now = clock.now
        guard jws.header.type == nil || jws.header.hasType("JWT") || jws.header.hasType("client-authentication+jwt") else {
            throw fail("a JWT of this typ is meant for something else")
        }
        guard claims.isIssued(by: client.id.text), claims.subject?.utf8.elementsEqual(client.id.text.utf8) == true else {
            throw fail("iss and sub are both the client_id")
        }
        guard isOwnAudience(claims) else { throw fail("aud is exactly the issuer, \(issuer), and nothing else") }
        guard let expiration = claims.expiration, expiration > now.advanced(by: -30) else { throw fail("exp is missing or past") }
        guard expiration.seconds(since: claims.issuedAt ?? now) <= Self.maximumAge + 30, expiration.seconds(since: now) <= Self.maximumAge + 30 else {
            throw fail("it lives longer than \(Self.maximumAge) seconds")
        }
        if let issuedAt = claims.issuedAt { guard issuedAt <= now.advanced(by: 30) else { throw fail("iat is in the future") } }
        if let notBefore = claims.notBefore { guard notBefore <= now.advanced(by: 30) else { throw fail("nbf is in the future") } }
        guard let identifier = claims.identifier, (1...512).contains(identifier.utf8.count) else { throw fail("jti is missing") }
        guard !jws.header.algorithm.isSymmetric, client.assertionAlgorithm.map({ $0 == jws.header.algorithm }) ?? true else {
            throw fail("alg is not the one that the client registered")
        }
        guard let keys = client.keys else { throw fail("the client has no keys") }
        do throws(OAuthError) {
            try await AssertionKeySets.verify(jws, with: try assertionKeys.source(keys), algorithms: SigningAlgorithm.asymmetric, at: now)
        } catch { throw fail("the signature does not verify with a key of the client, or its keys cannot be had") }
        let use = SingleUse(SecretHash(of: "assertion \(client.id) \(identifier)"), until: expiration.advanced(by: 60))
        guard try await stored({ try await store.consume(use) }) else { throw fail("it was used before; make a new one for each request") }
    }

    /// Whether the audience is this server alone: its issuer, or its token endpoint if that is allowed.
    func isOwnAudience(_ claims: JWTClaims) -> Bool {
        guard claims.audience.count == 1 else { return false }
        if claims.isMeant(for: issuer.text) { return true }
        return configuration.insecureAllowTokenEndpointAudience && claims.isMeant(for: routes.url("/token"))
    }
}
