import JOSE
import MCPAuth
import OAuth

/// Enterprise-managed authorization: assertions of an enterprise's identity provider about a user (ID-JAG, requirements
/// 86 to 101).
struct EnterpriseAssertionGrant: TokenGrant {
    let context: ServerContext
    let users: UserDirectory
    let clients: ClientDirectory
    let assertions: AssertionValidation

    /// A token for a user of a trusted identity provider. There is no refresh token, because the client can ask the
    /// provider again.
    func issue(_ request: TokenRequest) async throws(OAuthError) -> TokenResponse {
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
        let (jws, claims) = try AssertionValidation.parse(form)
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
        let (identifier, expiration) = try assertions.checkTimes(claims, refuse)
        guard claims["authorization_details"] == nil else { throw refuse("authorization_details", "authorization_details are not supported") }
        if let confirmation = claims["cnf"] {
            guard let bound = confirmation["jkt"]?.string, confirmation.members?.count == 1, let proof = request.proof, proof.thumbprint == bound
            else {
                throw refuse("wrong_key", "the assertion is bound to a key that was not proven with DPoP")
            }
        }
        try await assertions.verify(jws, with: provider.keys, of: provider.issuer, refuse)

        let resource: ProtectedResource
        do throws(OAuthError) {
            let stated = claims["resource"]?.string.map { [$0] } ?? claims["resource"]?.strings ?? []
            guard claims["resource"] == nil || !stated.isEmpty else { throw OAuthError(.invalidTarget, "") }
            resource = try configuration.resource(named: stated)
            if let target = try configuration.target(form), !target.utf8.elementsEqual(resource.identifier.text.utf8) {
                throw OAuthError(.invalidTarget, "")
            }
        } catch { throw refuse("invalid_target", "the resource of the assertion is not one of this server, or not the one that was asked for") }
        guard claims["scope"] == nil || claims["scope"]?.string != nil else {
            throw refuse("malformed_scope", "scope of the assertion is not a string")
        }
        let granted = claims["scope"]?.string.map { ScopeSet(lenient: $0) } ?? resource.allScopes
        var scopes = granted.intersection(resource.allScopes).intersection(provider.scopes ?? resource.allScopes)
        if let limit = client.scopes { scopes = scopes.intersection(limit) }
        if let requested = try RequestedScopes.named(in: form) { scopes = scopes.intersection(requested) }
        let user = try await user(for: ExternalIdentity(issuer: provider.issuer, subject: subject), provider, claims, refuse)
        let grant = assertions.grant(client.id, user.id, scopes, resource, authenticatedAt: claims["auth_time"]?.number?.int64, at: now)
        return try await assertions.issue(
            grant, clients.registry(of: client), resource, request.proof, consuming: "id-jag \(provider.issuer) \(identifier)", until: expiration,
            reason: "id_jag", call, refuse)
    }

    /// The user by issuer and subject only. An e-mail address is not an identity.
    private func user(
        for identity: ExternalIdentity, _ provider: TrustedIdentityProvider, _ claims: JWTClaims, _ refuse: (String, String) -> OAuthError
    ) async throws(OAuthError) -> User {
        if let known = try await stored({ try await users.store.user(identity) }) {
            guard !known.isDisabled else { throw refuse("user_disabled", "this user is not let in") }
            return known
        }
        guard provider.admitsNewUsers else { throw refuse("unknown_user", "this user is not known here") }
        let display = claims["name"]?.string ?? claims["preferred_username"]?.string
        let person = SignedInPerson(
            issuer: identity.issuer, subject: identity.subject, displayName: display, email: claims["email"]?.string,
            isEmailVerified: claims["email_verified"]?.bool ?? false)
        guard let user = try await users.user(person, nil) else { throw refuse("user_disabled", "this user is not let in") }
        return user
    }
}
