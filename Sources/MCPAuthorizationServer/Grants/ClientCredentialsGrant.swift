import JOSE
import MCPAuth
import OAuth

struct ClientCredentialsGrant: TokenGrant {
    let context: ServerContext
    let store: any GrantStore
    let clients: ClientDirectory
    let issuance: TokenIssuance

    /// A token for a client that acts for itself (RFC 6749 §4.4). Only authenticated clients that the operator
    /// registered for this grant receive one, within the scopes that were set for them. There is no refresh token,
    /// because the client can ask again.
    func issue(_ request: TokenRequest) async throws(OAuthError) -> TokenResponse {
        let (client, call, now) = (request.client, request.call, request.now)
        guard client.origin == .configured, client.authenticationMethod != .none else {
            record("token.issued", .denied, call, reason: "unauthorized_client", client: client.id)
            throw OAuthError(.unauthorizedClient, "only a client that the operator registered, and that proves who it is, may act for itself")
        }
        let resource = try configuration.resource(named: request.form.all("resource"))
        // A client without scopes of its own receives none: the scopes that users may allow are not for machines.
        let allowed = (client.scopes ?? []).intersection(resource.allScopes)
        // Libraries request all scopes of a resource. The client receives those that it has, and the response says so
        // (RFC 6749 §3.3).
        let requested = try RequestedScopes.named(in: request.form)
        let scopes = requested.map(allowed.intersection) ?? allowed
        guard !scopes.isEmpty || requested?.isEmpty ?? true else {
            throw OAuthError(.invalidScope, "this client may ask for: \(allowed.isEmpty ? "no scope" : allowed.text)")
        }
        let lifetime = resource.accessTokenLifetime ?? configuration.accessTokenLifetime
        let grant = Grant(
            id: Grant.makeID(random), type: .clientCredentials, clientID: client.id, userID: nil, scopes: scopes,
            resource: resource.identifier.text, createdAt: now, expiresAt: now.advanced(by: lifetime), lastUsedAt: now)
        let access = try await issuance.accessToken(AccessTokenContents(grant, resource: resource, keyThumbprint: request.proof?.thumbprint), at: now)
        guard try await stored({ try await store.add(grant, consuming: nil, clientIn: clients.registry(of: client)) }) else {
            record("token.issued", .denied, call, reason: "client_disabled", client: client.id)
            throw OAuthError(.invalidClient, "the client is not let in")
        }
        record("token.issued", .allowed, call, reason: "client_credentials", subject: client.id.text, client: client.id, scopes: scopes)
        return TokenResponse(access: access, scopes: scopes)
    }
}
