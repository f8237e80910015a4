import JOSE
public import MCPAuth
import OAuth

extension Trust {
    /// The authorization server in this process: no network, and a revoked token is refused at once.
    public static func local(_ server: AuthorizationServer) -> Trust {
        Trust(authorizationServers: [server.issuer.text]) { context throws(OAuthError) in LocalVerifier(server, context.resource) }
    }
}

/// Verifies what our own server issued, with its keys and its list of revocations.
private struct LocalVerifier: TokenVerifier {
    private let tokens: JWTVerifier
    private let revocations: RevocationList

    init(_ server: AuthorizationServer, _ resource: ResourceIdentifier) {
        let requirements = JWTRequirements(
            issuer: server.issuer.text, audiences: [resource.text], type: .oneOf(["at+jwt"]), leeway: 5, maximumLifetime: 86400)
        tokens = JWTVerifier(requirements, keys: FixedKeys(server.keys.published.keys))
        revocations = server.revocations
    }

    func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        let verification = tokens.verify(token, at: now)
        guard case .accepted(let principal) = verification else { return verification }
        return stillAccepts(principal) ? verification : .rejected(RejectionReason("revoked"))
    }

    func stillAccepts(_ principal: Principal) -> Bool { principal.tokenID.map { !revocations.contains(tokenID: $0) } ?? true }
}
