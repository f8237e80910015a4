import HTTPTypes
import JOSE
import Logging
import MCPAuth
import OAuth

/// Grants for assertions of another party about a user or a program (RFC 7523 §2.1): an enterprise's identity provider
/// (ID-JAG), or the platform of a workload.
extension AuthorizationServer {
    /// The longest lifetime of an assertion in seconds.
    private static let maximumLife: Int64 = 3600

    // MARK: Enterprise-managed authorization (requirements 86 to 101)

    /// A token for a user of a trusted identity provider. There is no refresh token, because the client can ask the
    /// provider again.
    func enterpriseAssertion(_ request: TokenRequest) async throws(OAuthError) -> HTTPReply {
        let (form, client, call, now) = (request.form, request.client, request.call, request.now)
        func refuse(_ reason: String, _ message: String) -> OAuthError {
            record("token.issued", .denied, call, reason: reason, detail: message, client: client.id)
            return OAuthError(.invalidGrant, message)
        }
        // Otherwise an attacker with a copy of the assertion could use it.
        guard client.authenticationMethod != .none else {
            record("token.issued", .denied, call, reason: "unauthorized_client", client: client.id)
            throw OAuthError(.unauthorizedClient, "only a client that proves who it is may use this grant")
        }
        let (jws, claims) = try assertion(form)
        guard jws.header.hasType("oauth-id-jag+jwt") else { throw refuse("wrong_type", "the typ of the assertion is not oauth-id-jag+jwt") }
        guard let provider = configuration.identityProviders.first(where: { $0.isEnabled && claims.isIssued(by: $0.issuer) }) else {
            throw refuse("unknown_issuer", "the assertion is not from an identity provider that is trusted here")
        }
        guard claims.audience.count == 1, claims.isMeant(for: issuer.text) else {
            throw refuse("wrong_audience", "aud of the assertion is not exactly this issuer, \(issuer)")
        }
        guard claims["client_id"]?.string?.utf8.elementsEqual(client.id.text.utf8) == true else {
            throw refuse("foreign_client", "client_id of the assertion is not the client that sent it")
        }
        guard let subject = claims.subject, (1...255).contains(subject.utf8.count) else { throw refuse("no_subject", "the assertion names no user") }
        let (identifier, expiration) = try checkTimes(claims, refuse)
        guard claims["authorization_details"] == nil else { throw refuse("authorization_details", "authorization_details are not supported") }
        if let confirmation = claims["cnf"] {
            guard let bound = confirmation["jkt"]?.string, confirmation.members?.count == 1, let proof = request.proof, proof.thumbprint == bound
            else {
                throw refuse("wrong_key", "the assertion is bound to a key that was not proven with DPoP")
            }
        }
        try await verify(jws, with: provider.keys, of: provider.issuer, refuse)

        let resource: ProtectedResource
        do throws(OAuthError) {
            let stated = claims["resource"]?.string.map { [$0] } ?? claims["resource"]?.strings ?? []
            guard claims["resource"] == nil || !stated.isEmpty else { throw OAuthError(.invalidTarget, "") }
            resource = try self.resource(named: stated)
            if let target = try target(form), !target.utf8.elementsEqual(resource.identifier.text.utf8) { throw OAuthError(.invalidTarget, "") }
        } catch { throw refuse("invalid_target", "the resource of the assertion is not one of this server, or not the one that was asked for") }
        guard claims["scope"] == nil || claims["scope"]?.string != nil else {
            throw refuse("malformed_scope", "scope of the assertion is not a string")
        }
        let granted = claims["scope"]?.string.map { ScopeSet(lenient: $0) } ?? resource.allScopes
        var scopes = granted.intersection(resource.allScopes).intersection(provider.scopes ?? resource.allScopes)
        if let limit = client.scopes { scopes = scopes.intersection(limit) }
        if let requested = try requestedScopes(form) { scopes = scopes.intersection(requested) }
        let user = try await user(for: ExternalIdentity(issuer: provider.issuer, subject: subject), provider, claims, refuse)
        let grant = assertionGrant(client.id, user.id, scopes, resource, authenticatedAt: claims["auth_time"]?.number?.int64, at: now)
        return try await issue(
            grant, registry(of: client), resource, request.proof, consuming: "id-jag \(provider.issuer) \(identifier)", until: expiration,
            reason: "id_jag", call, refuse)
    }

    /// The user by issuer and subject only. An e-mail address is not an identity.
    private func user(
        for identity: ExternalIdentity, _ provider: TrustedIdentityProvider, _ claims: JWTClaims, _ refuse: (String, String) -> OAuthError
    ) async throws(OAuthError) -> User {
        if let known = try await stored({ try await store.user(identity) }) {
            guard !known.isDisabled else { throw refuse("user_disabled", "this user is not let in") }
            return known
        }
        guard provider.admitsNewUsers else { throw refuse("unknown_user", "this user is not known here") }
        let display = claims["name"]?.string ?? claims["preferred_username"]?.string
        let person = SignedInPerson(
            issuer: identity.issuer, subject: identity.subject, displayName: display, email: claims["email"]?.string,
            isEmailVerified: claims["email_verified"]?.bool ?? false)
        guard let user = try await user(person, nil) else { throw refuse("user_disabled", "this user is not let in") }
        return user
    }

    // MARK: Workload identity federation (requirements 110 to 116)

    /// Whether this request has no client: it names none, and workloads are configured.
    func isWorkloadRequest(_ form: Form, _ call: HTTPCall) throws(OAuthError) -> Bool {
        guard !configuration.workloads.isEmpty, !call.request.headerFields.contains(.authorization) else { return false }
        for name in ["client_id", "client_secret", "client_assertion"] where try form.single(name) != nil { return false }
        return true
    }

    /// A token for a program that its platform identifies.
    func workload(_ form: Form, _ proof: DPoPProof?, _ call: HTTPCall) async throws(OAuthError) -> HTTPReply {
        func refuse(_ reason: String, _ message: String) -> OAuthError {
            record("token.issued", .denied, call, reason: reason, detail: message)
            return OAuthError(.invalidGrant, message)
        }
        let now = clock.now
        let (jws, claims) = try assertion(form)
        guard jws.header.type == nil || jws.header.hasType("JWT") || jws.header.hasType("wit+jwt") else {
            throw refuse("wrong_type", "a JWT of this typ is meant for something else")
        }
        let candidates = configuration.workloads.filter {
            claims.isIssued(by: $0.issuer) && claims.subject?.utf8.elementsEqual($0.subject.utf8) == true
        }
        guard !candidates.isEmpty else { throw refuse("unknown_issuer", "no workload of this issuer and subject is trusted here") }
        let target = try target(form)
        guard
            let trust = candidates.first(where: { trust in
                claims.audience.count == 1 && claims.isMeant(for: trust.audience ?? issuer.text)
                    && trust.claims.allSatisfy { name, text in claims[name]?.string?.utf8.elementsEqual(text.utf8) == true }
                    && (target.map { $0.utf8.elementsEqual(trust.resource.utf8) } ?? true)
            })
        else { throw refuse("wrong_claims", "aud, resource or another claim of the assertion is not what is trusted of this workload") }
        let (identifier, expiration) = try checkTimes(claims, refuse)
        try await verify(jws, with: trust.keys, of: trust.issuer, refuse)
        if let proof { try await use(proof) }
        let resource = try grantedResource(trust.resource)
        var scopes = trust.scopes.intersection(resource.allScopes)
        if let requested = try requestedScopes(form) { scopes = scopes.intersection(requested) }
        guard let clientID = ClientID("workload:" + trust.name) else { throw OAuthError(.serverError, "no client identifier") }
        let grant = assertionGrant(clientID, nil, scopes, resource, authenticatedAt: nil, at: now)
        return try await issue(
            grant, .elsewhere, resource, proof, consuming: "workload \(trust.issuer) \(identifier)", until: expiration, reason: "workload", call,
            refuse)
    }

    // MARK: Shared

    private func assertion(_ form: Form) throws(OAuthError) -> (CompactJWS, JWTClaims) {
        guard let text = try form.single("assertion") else { throw OAuthError(.invalidRequest, "assertion is missing") }
        do throws(JOSEError) {
            let jws = try CompactJWS(parsing: text)
            return (jws, try JWTClaims(parsing: jws.payload))
        } catch { throw OAuthError(.invalidGrant, "the assertion is not a signed JWT: \(error.message)") }
    }

    private func checkTimes(_ claims: JWTClaims, _ refuse: (String, String) -> OAuthError) throws(OAuthError) -> (String, NumericDate) {
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

    private func verify(
        _ jws: CompactJWS, with keys: AssertionKeys, of issuer: String, _ refuse: (String, String) -> OAuthError
    ) async throws(OAuthError) {
        do throws(OAuthError) {
            try await AssertionKeySets.verify(
                jws, with: try assertionKeys.source(keys, issuer: issuer), algorithms: SigningAlgorithm.asymmetric, at: clock.now)
        } catch {
            if error.code == .temporarilyUnavailable { throw error }
            if error.code == .invalidConfiguration { logger.error("an assertion could not be verified", metadata: ["reason": "\(error.message)"]) }
            throw refuse("invalid_signature", "the signature of the assertion does not verify with a key of its issuer")
        }
    }

    private func assertionGrant(
        _ clientID: ClientID, _ userID: String?, _ scopes: ScopeSet, _ resource: ProtectedResource, authenticatedAt: Int64?, at now: NumericDate
    ) -> Grant {
        let lifetime = resource.accessTokenLifetime ?? configuration.accessTokenLifetime
        return Grant(
            id: Grant.makeID(random), type: .jwtBearer, clientID: clientID, userID: userID, scopes: scopes, resource: resource.identifier.text,
            authenticatedAt: authenticatedAt.map { NumericDate(seconds: $0) }, createdAt: now, expiresAt: now.advanced(by: lifetime), lastUsedAt: now)
    }

    /// Consumes the assertion and stores the grant, in one step.
    private func issue(
        _ grant: Grant, _ registry: ClientRegistry, _ resource: ProtectedResource, _ proof: DPoPProof?, consuming assertion: String,
        until expiration: NumericDate, reason: String, _ call: HTTPCall, _ refuse: (String, String) -> OAuthError
    ) async throws(OAuthError) -> HTTPReply {
        let access = try tokens.issue(AccessTokenContents(grant, resource: resource, keyThumbprint: proof?.thumbprint), at: clock.now)
        let use = SingleUse(SecretHash(of: assertion), until: expiration.advanced(by: 60))
        guard try await stored({ try await store.add(grant, consuming: use, clientIn: registry) }) else {
            throw refuse("assertion_reused", "the assertion was used before, or its user or client is not let in")
        }
        record("token.issued", .allowed, call, reason: reason, subject: grant.subject, client: grant.clientID, scopes: grant.scopes)
        return tokenReply(access, nil, grant.scopes)
    }
}
