public import JOSE
public import OAuth

/// Lists for operators.
extension AuthorizationServer {
    /// Every user, ordered by name. Throws `temporarily_unavailable`.
    public func allUsers() async throws(OAuthError) -> [User] {
        var users: [User] = []
        while true {
            let page = try await stored { try await store.users(after: users.last?.name ?? "", limit: 500) }
            users += page
            if page.count < 500 { return users }
        }
    }

    /// Every stored client, ordered by identifier, without those of the configuration. Throws
    /// `temporarily_unavailable`.
    public func allClients() async throws(OAuthError) -> [Client] {
        var clients: [Client] = []
        while true {
            let page = try await stored { try await store.clients(after: clients.last?.id.text ?? "", limit: 500) }
            clients += page
            if page.count < 500 { return clients }
        }
    }

    /// The client with this identifier, of the configuration or of the store. Metadata documents are not fetched. Nil
    /// when there is none. Throws `temporarily_unavailable`.
    public func client(_ id: ClientID) async throws(OAuthError) -> Client? { try await clients.client(id, nil) }

    /// Grants that are neither revoked nor expired, newest first, at most `limit`. With a name, those of one user, at
    /// most 500. Throws `invalid_request` or `temporarily_unavailable`.
    public func liveGrants(ofUser name: String? = nil, limit: Int = 1000) async throws(OAuthError) -> [Grant] {
        guard let name else { return try await stored { try await store.grants(limit: limit, at: clock.now) } }
        guard let user = try await user(named: name) else {
            throw OAuthError(.invalidRequest, "there is no user \(name.prefix(64)); see mcp-auth users list")
        }
        return try await stored { try await store.grants(ofUser: user.id, at: clock.now) }
    }

    /// The signing keys, without their secrets, oldest first. Throws `temporarily_unavailable`.
    public func signingKeys() async throws(OAuthError) -> [(
        keyID: String, algorithm: String, createdAt: NumericDate, activeFrom: NumericDate, signs: Bool
    )] {
        let now = clock.now
        return try await stored { try await store.signingKeys() }.map { key in
            let algorithm = SigningAlgorithm(rawValue: key.algorithm)
            let signs = algorithm.map { keys.signer($0, at: now)?.keyID == key.keyID } ?? false
            return (key.keyID, key.algorithm, key.createdAt, key.activeFrom, signs)
        }
    }
}
