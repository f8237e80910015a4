import JOSE
import MCPAuth
import OAuth

/// Finds the grant of an access token, for the endpoints that take access tokens.
struct ActiveGrants: ServerComponent {
    let context: ServerContext
    let store: any GrantStore & UserStore
    let clients: ClientDirectory
    let revocations: RevocationList

    /// The grant of a token. Nil if the grant, the token, its user or its client has ended or is disabled.
    func grant(of tokenID: String, _ claims: JWTClaims) async throws(OAuthError) -> Grant? {
        guard let clientID = claims["client_id"]?.string.flatMap(ClientID.init),
            !revocations.contains(tokenID: tokenID, of: clientID.text, issuedAt: claims.issuedAt), try await clients.isStillAdmitted(clientID)
        else { return nil }
        let grant = try await stored { try await store.grant(TokenIdentifier.grantID(of: tokenID)) }
        guard let grant, grant.isLive(at: clock.now) else { return nil }
        guard let userID = grant.userID else { return grant }
        guard let user = try await stored({ try await store.user(id: userID) }), !user.isDisabled else { return nil }
        return grant
    }
}
