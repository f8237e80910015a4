import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// Who the user of a token is (OpenID Connect Core §5.3), for tokens with the scope `openid`.
    func userInfo(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get || call.request.method == .post else { return methodNotAllowed("GET, POST") }
        func challenge(_ error: OAuthError?, _ status: HTTPResponse.Status, scheme: String = "Bearer") -> HTTPReply {
            let value = AuthenticationChallenge(
                scheme: scheme, [("error", error?.code.rawValue), ("error_description", error?.message), ("scope", "openid")]
            ).headerValue
            return (error.map { HTTPReply.error($0, status: status) } ?? HTTPReply(status, [.cacheControl: "no-store"])).with(.wwwAuthenticate, value)
        }
        let invalid = OAuthError(.invalidToken, "the access token is invalid, expired or revoked")
        do throws(OAuthError) {
            let text: String
            var thumbprint: String?
            switch Credential(call.request) {
            case .none: return challenge(nil, .unauthorized)
            case .malformed(let why): return challenge(OAuthError(.invalidRequest, why), .badRequest)
            case .bearer(let token): text = token.text
            case .proven(let token, let proofText):
                text = token.text
                guard let url = WebURL(routes.url("/userinfo")) else { throw OAuthError(.serverError, "no URL") }
                do throws(OAuthError) {
                    let proof = try DPoPProof(
                        parsing: proofText, method: call.request.method.rawValue, url: url, accessToken: text, at: clock.now)
                    guard try await isFirstUse(proof, at: clock.now) else { throw OAuthError(.invalidDPoPProof, "the proof was used before") }
                    thumbprint = proof.thumbprint
                } catch {
                    if error.code == .temporarilyUnavailable { throw error }
                    return challenge(error, .unauthorized, scheme: "DPoP")
                }
            }
            guard let claims = tokens.claims(of: text, at: clock.now), let tokenID = claims.identifier, let grant = try await liveGrant(of: tokenID),
                let userID = grant.userID, let user = try await stored({ try await store.user(id: userID) })
            else { return challenge(invalid, .unauthorized) }
            guard claims["cnf"]?["jkt"]?.string == thumbprint else { return challenge(invalid, .unauthorized, scheme: "DPoP") }
            let scopes = ScopeSet(lenient: claims["scope"]?.string ?? "")
            guard scopes.contains("openid") else {
                return challenge(OAuthError(.insufficientScope, "the token has not the scope openid"), .forbidden)
            }
            return .json(.object(IDTokens.claims(about: user, scopes: scopes)))
        } catch { return failure(error, call) }
    }
}
