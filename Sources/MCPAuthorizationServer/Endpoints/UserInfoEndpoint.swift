import HTTPTypes
import JOSE
import MCPAuth
import OAuth

struct UserInfoEndpoint: ServerComponent {
    let context: ServerContext
    let pipeline: EndpointPipeline
    let limits: RateLimiters
    let store: any UserStore
    let tokens: AccessTokens
    let proofs: ProofValidation
    let activeGrants: ActiveGrants
    let uses: GrantUses

    /// The claims about the user of a token (OpenID Connect Core §5.3), for tokens with the scope `openid`.
    func reply(to call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get || call.request.method == .post else { return .methodNotAllowed("GET, POST") }
        func challenge(_ error: OAuthError?, _ status: HTTPResponse.Status, scheme: String = "Bearer") -> HTTPReply {
            let value = AuthenticationChallenge(
                scheme: scheme, [("error", error?.code.rawValue), ("error_description", error?.message), ("scope", "openid")]
            ).headerValue
            return (error.map { HTTPReply.error($0, status: status) } ?? HTTPReply(status, [.cacheControl: "no-store"])).with(.wwwAuthenticate, value)
        }
        let invalid = OAuthError(.invalidToken, "the access token is invalid, expired or revoked")
        if let reply = limits.tooMany(call, limits.token) { return reply }
        do throws(OAuthError) {
            let text: String
            let isProven: Bool
            switch Credential(call.request) {
            case .none: return challenge(nil, .unauthorized)
            case .unproven(let why): return proofs.withNonce(challenge(OAuthError(.invalidDPoPProof, why), .unauthorized, scheme: "DPoP"))
            case .malformed(let why): return challenge(OAuthError(.invalidRequest, why), .badRequest)
            case .bearer(let token): (text, isProven) = (token.text, false)
            case .proven(let token, _): (text, isProven) = (token.text, true)
            }
            guard let claims = tokens.claims(of: text, at: clock.now), let tokenID = claims.identifier,
                let grant = try await activeGrants.grant(of: tokenID, claims), let userID = grant.userID,
                let user = try await stored({ try await store.user(id: userID) })
            else { return challenge(invalid, .unauthorized) }
            let thumbprint = claims["cnf"]?["jkt"]?.string
            guard isProven == (thumbprint != nil) else { return challenge(invalid, .unauthorized, scheme: "DPoP") }
            if thumbprint != nil {
                // Consumed last, so that only the owner of a valid token causes a stored use.
                do throws(OAuthError) {
                    guard let proof = try proofs.checkedProof(call, at: "/userinfo", accessToken: text), proof.thumbprint == thumbprint else {
                        throw OAuthError(.invalidDPoPProof, "the proof was made with another key than the token's")
                    }
                    try await proofs.use(proof)
                } catch {
                    if error.code == .temporarilyUnavailable { throw error }
                    return proofs.withNonce(challenge(error, .unauthorized, scheme: "DPoP"))
                }
            }
            let scopes = ScopeSet(lenient: claims["scope"]?.string ?? "")
            guard scopes.contains("openid") else {
                return challenge(OAuthError(.insufficientScope, "the token has not the scope openid"), .forbidden)
            }
            uses.note(tokenID, Operation(kind: "userinfo", name: ""), issuedAt: claims.issuedAt, at: clock.now)
            return .json(.object(IDTokens.claims(about: user, scopes: scopes)))
        } catch { return pipeline.failure(error, call) }
    }
}
