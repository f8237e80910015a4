import JOSE
import MCPAuth
import OAuth
import Synchronization

extension AuthorizationServer {
    private static let refusal = OAuthError(
        .invalidGrant, "the refresh token is unknown, expired, revoked, or belongs to another client or key; sign in again")

    /// Exchanges a refresh token for its successor (RFC 6749 §6, requirement 131).
    func refresh(_ request: TokenRequest) async throws(OAuthError) -> HTTPReply {
        let (form, client, call, now) = (request.form, request.client, request.call, request.now)
        guard let text = try form.single("refresh_token") else { throw OAuthError(.invalidRequest, "refresh_token is missing") }
        let target = try self.target(form)
        let requested = try requestedScopes(form)
        guard let token = refreshTokens.reference(of: text), let grantID = try await grantID(of: token) else {
            record("token.refreshed", .denied, call, reason: "unknown_refresh_token", client: client.id)
            throw Self.refusal
        }
        let successorText = refreshTokens.successor(of: text, for: grantID)
        let successor = Successor(hash: SecretHash(of: successorText), expiresAt: now.advanced(by: configuration.refreshTokenIdleLifetime))
        let signing = Signing()
        let outcome = try await stored {
            try await store.rotate(token, to: successor, grace: configuration.refreshGrace, at: now) { grant in
                if let objection = self.objection(to: grant, request, target: target, requested: requested) { return objection }
                signing.begin { () throws(OAuthError) in try self.access(for: grant, request, requested: requested) }
                return nil
            }
        }
        switch outcome {
        case .rotated(let grant), .repeated(let grant):
            // Should signing ever fail, the client's next attempt within the grace period gets the same successor.
            guard let access = try await signing.result else { throw OAuthError(.serverError, "the store did not ask") }
            let reason = if case .repeated = outcome { "repeated_within_grace" } else { nil as String? }
            record("token.refreshed", .allowed, call, reason: reason, subject: grant.userID, client: client.id, scopes: access.scopes)
            return tokenReply(access.token, successorText, access.scopes)
        case .reused(let grantID):
            revocations.insert(.grant(grantID), at: now)
            let subject = try? await store.grant(grantID)?.subject
            record("refresh_token.reused", .denied, call, reason: "grant_revoked", subject: subject, client: client.id)
            throw Self.refusal
        case .refused(let error):
            record("token.refreshed", .denied, call, reason: error.code.rawValue, client: client.id)
            throw error
        case .unknown:
            record("token.refreshed", .denied, call, reason: "unknown_refresh_token", client: client.id)
            throw Self.refusal
        }
    }

    /// Tokens name their grant, unless they are from before they did.
    private func grantID(of token: RefreshTokenReference) async throws(OAuthError) -> String? {
        if let grantID = token.grantID { return grantID }
        return try await stored { try await store.grant(of: token)?.id }
    }

    /// Why this request may not exchange a token of this grant. Whoever is not the client of the token, or has not its key, learns nothing and changes
    /// nothing: reuse handling must not be a weapon.
    private func objection(to grant: Grant, _ request: TokenRequest, target: String?, requested: ScopeSet?) -> OAuthError? {
        guard grant.clientID == request.client.id, grant.keyThumbprint == nil || grant.keyThumbprint == request.proof?.thumbprint else {
            return Self.refusal
        }
        if let target, !target.utf8.elementsEqual(grant.resource.utf8) {
            return OAuthError(.invalidTarget, "the user allowed access to \(grant.resource) only")
        }
        if let seconds = limitOfGrant(grant.id, request.call, at: request.now) {
            return OAuthError(.tooManyRequests, "this token is exchanged too often; wait \(seconds) seconds")
        }
        guard configuration.resource(grant.resource) != nil else {
            return OAuthError(.invalidTarget, "\(grant.resource) is no longer a resource of this server; sign in again for another")
        }
        if let requested, !requested.isSubset(of: grant.scopes) {
            return OAuthError(.invalidScope, "a refresh cannot get more than was granted: \(grant.scopes.text)")
        }
        return nil
    }

    private func access(for grant: Grant, _ request: TokenRequest, requested: ScopeSet?) throws(OAuthError) -> Signing.Token {
        let resource = try grantedResource(grant.resource)
        // What the operator has taken away since is not given again.
        var scopes = (requested ?? grant.scopes).intersection(resource.allScopes.union(identityScopes))
        if let limit = request.client.scopes { scopes = scopes.intersection(limit.union(identityScopes)) }
        let contents = AccessTokenContents(grant, scopes: scopes, resource: resource, keyThumbprint: request.proof?.thumbprint)
        return (try tokens.issue(contents, at: request.now), scopes)
    }
}

/// An access token that is made while the exchange that it belongs to becomes durable. It is handed out once that is done, or never.
private final class Signing: Sendable {
    typealias Token = (token: IssuedAccessToken, scopes: ScopeSet)
    private let task = Mutex<Task<Result<Token, OAuthError>, Never>?>(nil)

    func begin(_ make: @escaping @Sendable () throws(OAuthError) -> Token) {
        let task = Task { () -> Result<Token, OAuthError> in
            do throws(OAuthError) { return .success(try make()) } catch { return .failure(error) }
        }
        self.task.withLock { $0 = task }
    }

    /// Nil when it was never begun.
    var result: Token? {
        get async throws(OAuthError) { try await task.withLock { $0 }?.value.get() }
    }
}
