import IdentityProviders
import MCPAuth
import OAuth

/// What users may do, as groups and roles at their identity providers decide: the scopes that they may have at all, and
/// their roles here.
struct UserPermissions: ServerComponent {
    let context: ServerContext
    let store: any ConnectionStore & UserStore
    let connections: Connections

    /// The limit of a user. Nil: every scope.
    ///
    /// A provider with a rule whose verdict about the user is not known gives no scope, so that a rule that was added
    /// later applies at once.
    func limit(ofUser id: String) async throws(OAuthError) -> ScopeSet? {
        guard connections.providers.contains(where: { $0.method.permissions != nil }) else { return nil }
        guard let user = try await stored({ try await store.user(id: id) }), user.passwordHash == nil else { return nil }
        let known = try await stored { try await store.connections(ofUser: id) }
        guard !known.isEmpty || connections.isFromProvider(user) else { return nil }
        var all = sharedScopes
        for connection in known {
            guard let client = connections.client(connection.provider) else { continue }
            guard client.method.permissions != nil else { return nil }
            all = all.union(connection.permissions ?? [])
        }
        return all
    }

    /// The roles of a user at all connected providers.
    func roles(ofUser id: String) async throws(OAuthError) -> [String] {
        guard connections.providers.contains(where: { $0.method.roles != nil }) else { return [] }
        var roles: [String] = []
        for connection in try await stored({ try await store.connections(ofUser: id) }) {
            guard connections.client(connection.provider)?.method.roles != nil else { continue }
            roles += connection.roles.filter { !roles.contains($0) }
        }
        return roles
    }

    /// The scopes that a user can allow of those that were chosen. Throws `access_denied` when none is left.
    func permitted(_ scopes: ScopeSet, ofUser id: String) async throws(OAuthError) -> ScopeSet {
        guard let limit = try await limit(ofUser: id) else { return scopes }
        let permitted = scopes.intersection(limit)
        let identity = sharedScopes
        guard !permitted.subtracting(identity).isEmpty || scopes.subtracting(identity).isEmpty else {
            throw OAuthError(.accessDenied, "your account may use none of these permissions; ask the operator of this server")
        }
        return permitted
    }
}
