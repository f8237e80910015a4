import HTTPTypes
import JOSE
import OAuth

/// The device authorization grant (RFC 8628).
struct DeviceGrant: Sendable {
    let endpoint: TokenEndpointClient
    let server: DiscoveredServer
    let sleep: @Sendable (Int64) async throws -> Void

    /// Asks for a code, shows it, and waits until the user has decided.
    ///
    /// Throws `access_denied`, `expired_token`, `invalid_response`, and what the server answers.
    func token(
        _ authentication: ClientAuthentication, scopes: ScopeSet, resource: String, proof: DPoPKey?,
        show: @Sendable (DevicePrompt) async -> Void
    ) async throws(OAuthError) -> TokenResponse {
        let url = try server.endpoint("device_authorization_endpoint", server.authorizationServer.deviceAuthorizationEndpoint)
        let tokenURL = try server.endpoint("token_endpoint", server.authorizationServer.tokenEndpoint)
        var form = Form([("resource", resource)])
        if !scopes.isEmpty { form.append("scope", scopes.text) }
        let begun = endpoint.clock.now
        let reply = try await endpoint.post(form, to: url, authentication: authentication)
        guard reply.response.status == .ok else { throw TokenEndpointClient.failure(reply, of: url) }
        let json = try? JSONValue(parsing: reply.body)
        guard let code = json?["device_code"]?.string, TokenResponse.isToken(code), let userCode = json?["user_code"]?.string,
            !userCode.isEmpty, DisplayText.clean(userCode, limit: 64) == userCode,
            let verification = (json?["verification_uri"]?.string ?? json?["verification_url"]?.string).flatMap(WebURL.init)
        else { throw OAuthError(.invalidResponse, "the device authorization of \(server.issuer) lacks a code or an address") }
        try SystemBrowser.check(verification)
        let complete = json?["verification_uri_complete"]?.string.flatMap(WebURL.init)
        if let complete { try SystemBrowser.check(complete) }
        let lifetime = Int64(min(max(json?["expires_in"]?.int ?? 600, 30), 3600))
        let prompt = DevicePrompt(
            userCode: userCode, verificationURL: verification, completeURL: complete, expiresAt: begun.advanced(by: lifetime))
        await show(prompt)
        var interval = Int64(min(max(json?["interval"]?.int ?? 5, 1), 60))
        while endpoint.clock.now < prompt.expiresAt {
            do { try await sleep(interval) } catch { throw OAuthError(.accessDenied, "the sign-in was cancelled") }
            do throws(OAuthError) {
                return try await endpoint.request(
                    Form([("grant_type", GrantType.deviceCode.rawValue), ("device_code", code), ("resource", resource)]), to: tokenURL,
                    authentication: authentication, proof: proof)
            } catch {
                switch error.code {
                case .authorizationPending: continue
                case .slowDown: interval += 5
                // A lost connection is no decision (RFC 8628 §3.5).
                case .fetchFailed, .temporarilyUnavailable: interval = min(interval * 2, 60)
                default: throw error
                }
            }
        }
        throw OAuthError(.expiredToken, "the code has expired; begin again")
    }
}
