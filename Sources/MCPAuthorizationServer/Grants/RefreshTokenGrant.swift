import JOSE
import MCPAuth
import OAuth
import Synchronization

/// Refresh tokens (RFC 6749 §6), which rotate with every use (requirement 131).
struct RefreshTokenGrant: TokenGrant {
    let context: ServerContext
    let store: any GrantStore & UserStore
    let limits: RateLimiters
    let issuance: TokenIssuance
    let revocation: GrantRevocation
    let uses: GrantUses
    let memberships: Memberships
    let permissions: UserPermissions

    private static let refusal = OAuthError(
        .invalidGrant, "the refresh token is unknown, expired, revoked, or belongs to another client or key; sign in again")

    /// Exchanges a refresh token for its successor.
    func issue(_ request: TokenRequest) async throws(OAuthError) -> TokenResponse {
        let (form, client, call, now) = (request.form, request.client, request.call, request.now)
        guard let text = try form.single("refresh_token") else { throw OAuthError(.invalidRequest, "refresh_token is missing") }
        let target = try configuration.target(form)
        let requested = try RequestedScopes.named(in: form)
        guard let token = issuance.refreshTokens.reference(of: text), let grantID = try await grantID(of: token) else {
            record("token.refreshed", .denied, call, reason: "unknown_refresh_token", client: client.id)
            throw Self.refusal
        }
        if memberships.areChecked { try await checkMembership(of: grantID, request) }
        let successorText = issuance.refreshTokens.successor(of: text, for: grantID)
        let successor = Successor(hash: SecretHash(of: successorText), expiresAt: now.advanced(by: configuration.refreshTokenIdleLifetime))
        let signing = Signing()
        let outcome = try await stored {
            let rules = RefreshRules(grace: configuration.refreshGrace, recovery: configuration.refreshRecovery)
            return try await store.rotate(token, to: successor, rules: rules, at: now) { grant in
                if let objection = self.objection(to: grant, request, target: target, requested: requested) { return objection }
                signing.begin { () async throws(OAuthError) in try await self.access(for: grant, request, requested: requested) }
                return nil
            }
        }
        switch outcome {
        case .rotated(let grant): return try await answer(grant, signing, successorText, request, reason: nil)
        case .repeated(let grant): return try await answer(grant, signing, successorText, request, reason: "repeated_within_grace")
        case .recovered(let grant, let rotatedAt):
            // Uses that the resource server of this process saw in the last seconds may not be stored yet.
            if let used = uses.pending(grant.id)?.tokenIssuedAt, used >= rotatedAt {
                try await revocation.end(grant: grant.id)
                throw reuse(of: grant.id, subject: grant.subject, request)
            }
            return try await answer(grant, signing, successorText, request, reason: "recovered")
        case .reused(let grantID):
            revocation.list.insert(.grant(grantID), at: now)
            throw reuse(of: grantID, subject: try? await store.grant(grantID)?.subject, request)
        case .refused(let error):
            record("token.refreshed", .denied, call, reason: error.code.rawValue, client: client.id)
            throw error
        case .unknown:
            record("token.refreshed", .denied, call, reason: "unknown_refresh_token", client: client.id)
            throw Self.refusal
        }
    }

    /// A user who left the organization, or closed the account at the identity provider, loses the grants. A user whom
    /// the groups there permit none of the scopes gets no token.
    private func checkMembership(of grantID: String, _ request: TokenRequest) async throws(OAuthError) {
        guard let grant = try await stored({ try await store.grant(grantID) }), let userID = grant.userID else { return }
        func refuse(_ reason: String) -> OAuthError {
            record("token.refreshed", .denied, request.call, reason: reason, subject: userID, client: request.client.id)
            return Self.refusal
        }
        guard try await memberships.isStillAdmitted(userID) else { throw refuse("no_longer_admitted") }
        do throws(OAuthError) { _ = try await permissions.permitted(grant.scopes, ofUser: userID) } catch {
            throw error.code == .accessDenied ? refuse("not_permitted") : error
        }
    }

    private func answer(
        _ grant: Grant, _ signing: Signing, _ successor: String, _ request: TokenRequest, reason: String?
    ) async throws(OAuthError) -> TokenResponse {
        // If signing fails, the client's next attempt receives the same successor.
        guard let access = try await signing.result else { throw OAuthError(.serverError, "the store did not ask") }
        record(
            "token.refreshed", .allowed, request.call, reason: reason, subject: grant.userID, client: request.client.id, scopes: access.scopes)
        return TokenResponse(access: access.token, refreshToken: successor, scopes: access.scopes)
    }

    private func reuse(of grantID: String, subject: String?, _ request: TokenRequest) -> OAuthError {
        record("refresh_token.reused", .denied, request.call, reason: "grant_revoked", subject: subject, client: request.client.id)
        return Self.refusal
    }

    /// The grant of a token. Tokens name it, except those of earlier versions.
    private func grantID(of token: RefreshTokenReference) async throws(OAuthError) -> String? {
        if let grantID = token.grantID { return grantID }
        return try await stored { try await store.grant(of: token)?.id }
    }

    /// The reason why this request may not exchange a token of this grant. Another client, or a client without the key,
    /// learns nothing and changes nothing: reuse handling must not be a weapon.
    private func objection(to grant: Grant, _ request: TokenRequest, target: String?, requested: ScopeSet?) -> OAuthError? {
        guard grant.clientID == request.client.id, grant.keyThumbprint == nil || grant.keyThumbprint == request.proof?.thumbprint else {
            return Self.refusal
        }
        if let target, !target.utf8.elementsEqual(grant.resource.utf8) {
            return OAuthError(.invalidTarget, "the user allowed access to \(grant.resource) only")
        }
        if let seconds = limits.seconds(forGrant: grant.id, request.call, at: request.now) {
            return OAuthError(.tooManyRequests, "this token is exchanged too often; wait \(seconds) seconds")
        }
        guard configuration.resource(grant.resource) != nil else {
            return OAuthError(.invalidTarget, "\(grant.resource) is no longer a resource of this server; sign in again for another")
        }
        if let requested, !requested.isEmpty {
            do throws(OAuthError) { _ = try configuration.narrowed(requested, to: grant.scopes) } catch { return error }
        }
        return nil
    }

    private func access(for grant: Grant, _ request: TokenRequest, requested: ScopeSet?) async throws(OAuthError) -> Signing.Token {
        let resource = try configuration.grantedResource(grant.resource)
        // Scopes that the operator has removed since are not granted again.
        let wanted = requested.flatMap { $0.isEmpty ? nil : $0 } ?? grant.scopes
        var scopes = grant.scopes.intersection(wanted).intersection(resource.allScopes.union(sharedScopes))
        if let limit = request.client.scopes { scopes = scopes.intersection(limit.union(sharedScopes)) }
        if let userID = grant.userID, let limit = try await permissions.limit(ofUser: userID) { scopes = scopes.intersection(limit) }
        var user: User?
        if IdentityScope.isPersonal(scopes), let userID = grant.userID { user = try await stored { try await store.user(id: userID) } }
        let contents = AccessTokenContents(grant, scopes: scopes, resource: resource, user: user, keyThumbprint: request.proof?.thumbprint)
        return (try await issuance.accessToken(contents, at: request.now), scopes)
    }
}

/// An access token that is signed while the exchange becomes durable. It is sent afterwards, or never.
private final class Signing: Sendable {
    typealias Token = (token: IssuedAccessToken, scopes: ScopeSet)
    private let task = Mutex<Task<Result<Token, OAuthError>, Never>?>(nil)

    func begin(_ make: @escaping @Sendable () async throws(OAuthError) -> Token) {
        let task = Task { () -> Result<Token, OAuthError> in
            do throws(OAuthError) { return .success(try await make()) } catch { return .failure(error) }
        }
        self.task.withLock { $0 = task }
    }

    /// Nil when signing was never begun.
    var result: Token? {
        get async throws(OAuthError) { try await task.withLock { $0 }?.value.get() }
    }
}
