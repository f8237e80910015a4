import IdentityProviders
import JOSE
import MCPAuth
import OAuth

extension Connections: UpstreamTokens {
    /// The provider's token for a tool that runs for a user of this server.
    func token(of principal: Principal, from provider: String, scopes: [String]) async throws(UpstreamTokenError) -> UpstreamToken {
        guard let client = client(provider) else { throw .unsupported("this server has no sign-in through \(provider)") }
        guard !principal.isClient, principal.issuer.utf8.elementsEqual(issuer.text.utf8) else {
            throw .unsupported("only a user who signed in here has a connection with \(client.provider.name)")
        }
        let name = client.provider.name
        let tokens: ProviderTokens
        do throws(ProviderFailure) {
            let connections: [Connection]
            do throws(StoreError) { connections = try await store.connections(ofUser: principal.subject) } catch {
                _ = unavailable(error)
                throw ProviderFailure.unavailable("the store failed")
            }
            guard let connection = connections.first(where: { $0.provider == provider }) else { throw ProviderFailure.rejected("not connected") }
            tokens = try await currentTokens(connection).tokens
        } catch {
            switch error {
            case .rejected: throw .notConnected(provider: name, url: link(principal, client, scopes), scope: ConnectionScope.scope(provider))
            case .unavailable, .misconfigured, .invalid: throw .unavailable(provider: name)
            }
        }
        let missing = scopes.filter { !tokens.scopes.contains($0) }
        guard missing.isEmpty else { throw .missingScopes(missing, provider: name, url: link(principal, client, scopes)) }
        return UpstreamToken(text: tokens.accessToken, expiresAt: tokens.expiresAt, scopes: tokens.scopes)
    }

    /// The link at which the user of a call connects the provider.
    private func link(_ principal: Principal, _ client: ProviderClient, _ scopes: [String]) -> String {
        let request = ConnectionRequest(
            userID: principal.subject, provider: client.provider.id, scopes: scopes.filter { !client.method.scopes(client.signIn).contains($0) },
            clientID: principal.clientID, expiresAt: clock.now.advanced(by: ConnectionRequest.lifetime))
        guard let sealed = try? requests.seal(request) else { return routes.url("/account") }
        return routes.url("/account/connect") + "?request=" + sealed
    }
}
