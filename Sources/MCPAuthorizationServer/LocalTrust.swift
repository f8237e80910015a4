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
    private let verifier: JWTVerifier
    private let requirements: JWTRequirements
    private let tokens: AccessTokens
    private let revocations: RevocationList
    private let uses: GrantUses

    init(_ server: AuthorizationServer, _ resource: ResourceIdentifier) {
        requirements = JWTRequirements(
            issuer: server.issuer.text, audiences: [resource.text], type: .oneOf(["at+jwt"]), leeway: 5, maximumLifetime: 86400)
        verifier = JWTVerifier(requirements, keys: server.keys)
        tokens = server.tokens
        revocations = server.revocations
        uses = server.uses
    }

    var epoch: UInt64 { verifier.epoch }

    func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        let verification = token.looksLikeJWT ? verifier.verify(token, at: now) : opened(token, at: now)
        guard case .accepted(let principal) = verification else { return verification }
        return stillAccepts(principal) ? verification : .rejected(RejectionReason("revoked"))
    }

    /// A token that only our server can read: what it says is as good as signed.
    private func opened(_ token: AccessToken, at now: NumericDate) -> Verification {
        guard let claims = tokens.openedClaims(of: token.text) else { return .rejected(RejectionReason("unknown_token")) }
        if let violation = requirements.violation(claims: claims, now: now) { return .rejected(RejectionReason(violation.rawValue)) }
        return verifier.principal(claims)
    }

    func stillAccepts(_ principal: Principal) -> Bool {
        guard let tokenID = principal.tokenID else { return true }
        return !revocations.contains(
            tokenID: tokenID, of: principal.clientID, issuedAt: principal.claims.root["iat"]?.number?.int64.map { NumericDate(seconds: $0) })
    }

    func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate) {
        guard let tokenID = principal.tokenID, principal.issuer.utf8.elementsEqual(requirements.issuer.utf8) else { return }
        uses.note(tokenID, operation, at: now)
    }
}
