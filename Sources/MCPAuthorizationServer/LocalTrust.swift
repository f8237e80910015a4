import JOSE
public import MCPAuth
import OAuth

extension Trust {
    /// The authorization server in this process. It needs no network, and a revoked token is rejected at once.
    /// Operations are recorded as the last use of the grant.
    public static func local(_ server: AuthorizationServer) -> Trust {
        var trust = Trust(authorizationServers: [server.issuer.text]) { context throws(OAuthError) in LocalVerifier(server, context.resource) }
        var local =
            LocalIssuer(
                issuer: server.issuer.text, audit: server.context.audit, resources: server.configuration.resources.map(\.identifier.text),
                scopes: { server.scopes(of: $0) }, isServed: { server.isServed })
        if !server.connections.providers.isEmpty { local.upstreamTokens = server.connections }
        trust.localIssuers = [local]
        return trust
    }
}

extension AuthorizationServer {
    /// Every scope that a token for a resource can have.
    fileprivate func scopes(of resource: String) -> ScopeSet {
        (configuration.resource(resource)?.allScopes ?? []).union(configuration.identityScopes)
    }

    /// The scopes that the client of a principal could be granted for a resource: the resource's scopes within the
    /// client's registration. For a client that acts for itself, the scopes that were set for it. Nil when this cannot
    /// be decided now.
    fileprivate func grantableScopes(to principal: Principal, of resource: String) async -> ScopeSet? {
        guard let all = configuration.resource(resource)?.allScopes, let id = principal.clientID.flatMap(ClientID.init) else { return nil }
        // A client with a metadata document has no scopes of its own, and a workload only those of its token.
        if ClientMetadataDocuments.isDocument(id) { return all }
        guard let client = try? await clients.client(id, nil) else { return principal.scopes }
        return (principal.isClient ? client.scopes ?? [] : client.scopes ?? all).intersection(all)
    }
}

/// Validates the tokens of the authorization server in this process, with its keys and its list of revocations.
private struct LocalVerifier: TokenVerifier {
    private let verifier: JWTVerifier
    private let requirements: JWTRequirements
    private let tokens: AccessTokens
    private let revocations: RevocationList
    private let uses: GrantUses
    private let server: AuthorizationServer
    private let resource: String

    init(_ server: AuthorizationServer, _ resource: ResourceIdentifier) {
        requirements = JWTRequirements(
            issuer: server.issuer.text, audiences: [resource.text], type: .oneOf(["at+jwt"]), leeway: 5, maximumLifetime: 86400)
        verifier = JWTVerifier(requirements, keys: server.keys)
        tokens = server.tokens
        revocations = server.revocation.list
        uses = server.uses
        self.server = server
        self.resource = resource.text
    }

    func grantableScopes(to principal: Principal) async -> ScopeSet? {
        guard principal.issuer.utf8.elementsEqual(server.issuer.text.utf8) else { return nil }
        return await server.grantableScopes(to: principal, of: resource)
    }

    var epoch: UInt64 { verifier.epoch }

    func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        let verification = token.looksLikeJWT ? verifier.verify(token, at: now) : opened(token, at: now)
        guard case .accepted(let principal) = verification else { return verification }
        return stillAccepts(principal) ? verification : .rejected(.revoked(principal))
    }

    /// Validates an opaque token. It is sealed by this server, which is as good as a signature.
    private func opened(_ token: AccessToken, at now: NumericDate) -> Verification {
        guard let claims = tokens.openedClaims(of: token.text) else {
            return .rejected(RejectionReason("unknown_token", "this server did not issue it, or it was issued before the keys were replaced"))
        }
        if let violation = requirements.violation(claims: claims, now: now) { return .rejected(RejectionReason(violation.rawValue)) }
        return verifier.principal(claims)
    }

    func stillAccepts(_ principal: Principal) -> Bool {
        guard let tokenID = principal.tokenID else { return true }
        return !revocations.contains(
            tokenID: tokenID, of: principal.clientID, issuedAt: principal.claims["iat"]?.number?.int64.map { NumericDate(seconds: $0) })
    }

    func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate) {
        guard let tokenID = principal.tokenID, principal.issuer.utf8.elementsEqual(requirements.issuer.utf8) else { return }
        uses.note(tokenID, operation, of: principal, at: now)
    }
}
