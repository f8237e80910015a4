import JOSE
import MCPAuth
import OAuth

/// Device codes (RFC 8628).
struct DeviceCodeGrant: TokenGrant {
    let context: ServerContext
    let store: any DeviceStore
    let users: UserDirectory
    let clients: ClientDirectory
    let issuance: TokenIssuance

    /// Exchanges a device code (RFC 8628 §3.4), once the user has approved it.
    func issue(_ request: TokenRequest) async throws(OAuthError) -> TokenResponse {
        let (form, client, call, now) = (request.form, request.client, request.call, request.now)
        let refusal = OAuthError(.invalidGrant, "the device code is unknown, used, or belongs to another client")
        guard let text = try form.single("device_code") else { throw OAuthError(.invalidRequest, "device_code is missing") }
        let hash = SecretHash(of: text)
        switch try await stored({ try await store.poll(hash, by: client.id, at: now) }) {
        case .pending: throw OAuthError(.authorizationPending, "nobody has decided yet; ask again after the interval")
        case .slowDown: throw OAuthError(.slowDown, "ask less often: the interval is five seconds longer now")
        case .expired: throw OAuthError(.expiredToken, "nobody decided in time; begin again")
        case .denied:
            record("token.issued", .denied, call, reason: "access_denied", client: client.id)
            throw OAuthError(.accessDenied, "the user did not allow it")
        case .unknown:
            record("token.issued", .denied, call, reason: "unknown_device_code", client: client.id)
            throw refusal
        case .approved(let device):
            guard case .approved(let userID, let scopes, let authenticatedAt) = device.state else { throw refusal }
            if let target = try configuration.target(form), !target.utf8.elementsEqual(device.resource.utf8) {
                throw OAuthError(.invalidTarget, "the user allowed access to \(device.resource) only")
            }
            _ = try configuration.narrowed(form, to: scopes)
            let resource = try configuration.grantedResource(device.resource)
            let user = try await users.activeUser(userID, else: refusal)
            let grant = Grant(
                id: Grant.makeID(random), type: .deviceCode, clientID: client.id, userID: userID, scopes: scopes, resource: device.resource,
                keyThumbprint: client.authenticationMethod == .none ? request.proof?.thumbprint : nil, authenticatedAt: authenticatedAt,
                createdAt: now, expiresAt: now.advanced(by: configuration.grantLifetime), lastUsedAt: now)
            let refreshToken = issuance.refreshToken(for: grant, client, at: now)
            let access = try await issuance.accessToken(
                AccessTokenContents(grant, resource: resource, user: user, keyThumbprint: request.proof?.thumbprint), at: now)
            let idToken = try issuance.idToken(for: user, grant, nonce: nil, accessToken: access.text, at: now)
            let isFirst = try await stored {
                try await store.redeemDevice(hash, for: grant, refreshToken: refreshToken?.record, clientIn: clients.registry(of: client), at: now)
            }
            guard isFirst else {
                record("token.issued", .denied, call, reason: "device_code_reused", client: client.id)
                throw refusal
            }
            record("token.issued", .allowed, call, reason: "device_code", subject: userID, client: client.id, scopes: scopes)
            return TokenResponse(access: access, refreshToken: refreshToken?.text, scopes: scopes, idToken: idToken)
        }
    }
}
