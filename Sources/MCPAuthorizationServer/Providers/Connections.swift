import HTTPTypes
import IdentityProviders
import JOSE
import Logging
import MCPAuth
import OAuth

/// The connections of users with identity providers, and the providers' tokens. The tokens are stored sealed for their
/// user and provider, and no client ever receives one (P-06).
struct Connections: ServerComponent {
    let context: ServerContext
    let store: any ConnectionStore & GrantStore
    let providers: [ProviderClient]
    let sealer: Sealer
    let requests: ConnectionRequestSealer

    /// The number of seconds for which one caller may refresh.
    private static let claimLifetime: Int64 = 30
    /// The number of seconds before its expiration at which a token is refreshed.
    private static let margin: Int64 = 60

    func client(_ id: String) -> ProviderClient? { providers.first { $0.provider.id == id } }

    /// Whether a user was created by a sign-in at one of these providers.
    func isFromProvider(_ user: User) -> Bool {
        guard let identity = user.identity else { return false }
        return providers.contains { $0.provider.issuer.utf8.elementsEqual(identity.issuer.utf8) }
    }

    // MARK: Tokens

    private static func owner(_ userID: String, _ identity: ExternalIdentity) -> String { "\(userID) \(identity.issuer) \(identity.subject)" }

    private func seal(_ tokens: ProviderTokens, _ userID: String, _ identity: ExternalIdentity) throws(OAuthError) -> [UInt8] {
        try sealer.seal(tokens.json.serialized, owner: Self.owner(userID, identity))
    }

    private func tokens(_ connection: Connection) -> ProviderTokens? {
        connection.sealedTokens.flatMap { sealer.open($0, owner: Self.owner(connection.userID, connection.identity)) }
            .flatMap { try? JSONValue(parsing: $0) }.flatMap(ProviderTokens.init(json:))
    }

    /// Stores what a user brought back from a provider. False when the account belongs to another user.
    func save(_ person: ProviderPerson, _ tokens: ProviderTokens, of client: ProviderClient, userID: String) async throws(OAuthError) -> Bool {
        let identity = ExternalIdentity(issuer: client.provider.issuer, subject: person.subject)
        let known = try await stored { try await store.connection(identity) }
        var tokens = tokens
        // A provider that gives a refresh token at the first time only has not withdrawn it.
        if tokens.refreshToken == nil, let known, known.userID == userID { tokens.refreshToken = self.tokens(known)?.refreshToken }
        let connection = Connection(
            identity: identity, userID: userID, provider: client.provider.id,
            accountName: (person.userName ?? person.email ?? person.name).map { DisplayText.clean($0, limit: 100) },
            sealedTokens: try seal(tokens, userID, identity), permissions: client.method.permissions?(person),
            roles: client.method.roles(of: person), checkedAt: clock.now,
            revision: (known?.revision ?? 0) + 1)
        do throws(StoreError) { try await store.save(connection) } catch {
            if error.kind == .conflict { return false }
            throw unavailable(error)
        }
        return true
    }

    /// A valid access token of a connection. It is refreshed when necessary, by one caller of all processes.
    ///
    /// Throws `rejected` when the user has to connect again; the tokens are then deleted. Throws `unavailable` when it
    /// is worth trying again, and `misconfigured`; the tokens are then kept (P-11).
    ///
    /// - Parameter mustRefresh: Whether a token that has not expired is refreshed too, which proves that the account is
    ///   still there. Without a refresh token it is returned as it is.
    func currentTokens(
        _ original: Connection, mustRefresh: Bool = false
    ) async throws(ProviderFailure) -> (connection: Connection, tokens: ProviderTokens) {
        guard let client = client(original.provider) else { throw .misconfigured("the provider \(original.provider) is not configured") }
        var connection = original
        for _ in 0..<200 {
            guard let tokens = tokens(connection) else { throw .rejected("there are no tokens") }
            let now = clock.now
            let isOld = tokens.expiresAt.map { $0 <= now.advanced(by: Self.margin) } ?? false
            // Another caller may have refreshed meanwhile, which is as good.
            guard isOld || (mustRefresh && connection.revision == original.revision) else { return (connection, tokens) }
            guard tokens.refreshToken != nil else {
                if tokens.expiresAt.map({ $0 > now }) ?? true { return (connection, tokens) }
                try await drop(connection)
                throw .rejected("the token has expired, and there is no refresh token")
            }
            let current = connection
            if try await reading({ () async throws(StoreError) in
                try await store.claim(current, until: now.advanced(by: Self.claimLifetime), at: now)
            }) {
                return try await refreshed(connection, tokens, client)
            }
            // Another caller refreshes.
            try? await Task.sleep(for: .milliseconds(100))
            guard let next = try await reading({ () async throws(StoreError) in try await store.connection(current.identity) }) else {
                throw .rejected("the connection was ended")
            }
            connection = next
        }
        throw .unavailable("another process has been refreshing for too long")
    }

    private func refreshed(
        _ connection: Connection, _ tokens: ProviderTokens, _ client: ProviderClient
    ) async throws(ProviderFailure) -> (connection: Connection, tokens: ProviderTokens) {
        var next = connection
        next.revision += 1
        do throws(ProviderFailure) {
            let fresh = try await client.refresh(tokens, at: clock.now)
            do throws(OAuthError) { next.sealedTokens = try seal(fresh, connection.userID, connection.identity) } catch {
                throw .invalid(error.message)
            }
            let updated = next
            guard try await reading({ () async throws(StoreError) in try await store.replace(updated, expecting: connection) }) else {
                // The user signed in again, or ended the connection. This answer says nothing about what is there now.
                throw .unavailable("the connection was changed meanwhile")
            }
            return (next, fresh)
        } catch {
            if case .rejected = error {
                try await drop(connection)
            } else {
                // Releases the claim. The tokens are kept.
                let released = next
                _ = try? await store.replace(released, expecting: connection)
            }
            throw error
        }
    }

    /// Deletes the tokens of a connection, unless it was changed meanwhile. Who the user is, stays known.
    func drop(_ connection: Connection) async throws(ProviderFailure) {
        var next = connection
        next.sealedTokens = nil
        next.revision += 1
        let dropped = next
        guard try await reading({ () async throws(StoreError) in try await store.replace(dropped, expecting: connection) }) else { return }
        record("connection.dropped", .denied, nil, reason: "provider_rejected", detail: connection.provider, subject: connection.userID)
    }

    private func reading<Result>(_ body: () async throws(StoreError) -> Result) async throws(ProviderFailure) -> Result {
        do throws(StoreError) { return try await body() } catch {
            _ = unavailable(error)
            throw .unavailable("the store failed")
        }
    }

    // MARK: Leaving

    /// Ends a connection of a user, here and at the provider.
    func disconnect(_ connection: Connection, _ call: HTTPCall?) async throws(OAuthError) {
        try await stored { try await store.deleteConnection(connection.identity, ofUser: connection.userID) }
        record("connection.ended", .allowed, call, detail: connection.provider, subject: connection.userID)
        await revokeAtProvider(connection)
    }

    /// Revokes the tokens of a user at the providers when the user has no grant left. The user stays connected by name
    /// and gets new tokens at the next sign-in.
    func endIfUnused(_ userID: String?) async {
        guard !providers.isEmpty, let userID, let grants = try? await store.grants(ofUser: userID, at: clock.now), grants.isEmpty,
            let connections = try? await store.connections(ofUser: userID)
        else { return }
        for connection in connections where connection.sealedTokens != nil {
            var next = connection
            next.sealedTokens = nil
            next.revision += 1
            let dropped = next
            guard (try? await store.replace(dropped, expecting: connection)) == true else { continue }
            await revokeAtProvider(connection)
        }
    }

    /// Takes the tokens that no grant needs any more, at most a hundred, for `revokeAtProvider`. Other processes can
    /// end grants and delete users, but do not know the credentials of this server at the providers.
    func takeUnused() async throws(OAuthError) -> [Connection] {
        guard !providers.isEmpty else { return [] }
        let ids = providers.map(\.provider.id)
        let unused = try await stored { try await store.takeUnusedTokens(ofProviders: ids, at: clock.now, limit: 100) }
        for connection in unused {
            record("connection.ended", .allowed, nil, reason: "no_grant", detail: connection.provider, subject: connection.userID)
        }
        return unused
    }

    func revokeAtProvider(_ connection: Connection) async {
        guard let client = client(connection.provider), let tokens = tokens(connection) else { return }
        do throws(ProviderFailure) { try await client.revoke(tokens, at: clock.now) } catch {
            logger.warning(
                "tokens could not be revoked at the identity provider", metadata: ["provider": "\(connection.provider)", "reason": "\(error.detail)"])
        }
    }
}
