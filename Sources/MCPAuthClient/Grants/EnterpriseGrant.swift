import HTTPTypes
import JOSE
import OAuth

/// Enterprise-managed authorization: the identity provider exchanges the ID token of the user for an assertion
/// (ID-JAG), which the authorization server exchanges for an access token.
struct EnterpriseGrant: Sendable {
    let endpoint: TokenEndpointClient
    let server: DiscoveredServer
    let fetcher: any HTTPFetcher

    static let assertionType = "urn:ietf:params:oauth:token-type:id-jag"

    /// Throws what the two servers answer. Nothing is tried again after a rejection.
    func token(
        _ identity: EnterpriseIdentity, client: ClientAuthentication, scopes: ScopeSet, resource: String, proof: DPoPKey?
    ) async throws(OAuthError) -> TokenResponse {
        let assertion = try await self.assertion(identity, scopes: scopes, resource: resource)
        let url = try server.endpoint("token_endpoint", server.authorizationServer.tokenEndpoint)
        var form = Form([("grant_type", GrantType.jwtBearer.rawValue), ("assertion", assertion), ("resource", resource)])
        if !scopes.isEmpty { form.append("scope", scopes.text) }
        return try await endpoint.request(form, to: url, authentication: client, proof: proof)
    }

    /// The first leg (RFC 8693), at the identity provider.
    private func assertion(_ identity: EnterpriseIdentity, scopes: ScopeSet, resource: String) async throws(OAuthError) -> String {
        var url = identity.tokenEndpoint
        if url == nil { url = try await AuthorizationServerMetadata.discover(identity.identityProvider, with: fetcher).tokenEndpoint }
        guard let url, url.isSecure || url.isLoopback else {
            throw OAuthError(.invalidMetadata, "the identity provider \(identity.identityProvider) has no token endpoint with https")
        }
        var form = Form([
            ("grant_type", GrantType.tokenExchange.rawValue), ("requested_token_type", Self.assertionType), ("audience", server.issuer.text),
            ("resource", resource), ("subject_token", try await identity.idToken()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
        ])
        if !scopes.isEmpty { form.append("scope", scopes.text) }
        let reply = try await endpoint.post(form, to: url, authentication: identity.authentication)
        guard reply.response.status == .ok else { throw TokenEndpointClient.failure(reply, of: url) }
        guard let json = try? JSONValue(parsing: reply.body), json["issued_token_type"]?.string == Self.assertionType,
            let assertion = json["access_token"]?.string, TokenResponse.isToken(assertion)
        else { throw OAuthError(.invalidResponse, "the identity provider did not answer with an assertion (ID-JAG)") }
        return assertion
    }
}
