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
    let store: any ConnectionStore & GrantStore & SessionStore & UserStore
    let providers: [ProviderClient]
    let sealer: Sealer
    let revocation: GrantRevocation

    /// The number of seconds after which a provider is asked again whether a user may still enter.
    static let checkInterval: Int64 = 3600
    /// The number of seconds for which one caller may refresh.
    private static let claimLifetime: Int64 = 30
    /// The number of seconds before its expiration at which a token is refreshed.
    private static let margin: Int64 = 60

    func client(_ id: String) -> ProviderClient? { providers.first { $0.provider.id == id } }

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
            sealedTokens: try seal(tokens, userID, identity), permissions: client.method.permissions?(person), checkedAt: clock.now,
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
    func currentTokens(_ connection: Connection) async throws(ProviderFailure) -> (connection: Connection, tokens: ProviderTokens) {
        guard let client = client(connection.provider) else { throw .misconfigured("the provider \(connection.provider) is not configured") }
        var connection = connection
        for _ in 0..<200 {
            guard let tokens = tokens(connection) else { throw .rejected("there are no tokens") }
            let now = clock.now
            guard let expiresAt = tokens.expiresAt, expiresAt <= now.advanced(by: Self.margin) else { return (connection, tokens) }
            guard tokens.refreshToken != nil else {
                if expiresAt > now { return (connection, tokens) }
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
                throw .rejected("the connection was changed meanwhile")
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

    /// Deletes the tokens of a connection. Who the user is, stays known.
    private func drop(_ connection: Connection) async throws(ProviderFailure) {
        var next = connection
        next.sealedTokens = nil
        next.revision += 1
        let dropped = next
        _ = try await reading { () async throws(StoreError) in try await store.replace(dropped, expecting: connection) }
        record("connection.dropped", .denied, nil, reason: "provider_rejected", detail: connection.provider, subject: connection.userID)
    }

    private func reading<Result>(_ body: () async throws(StoreError) -> Result) async throws(ProviderFailure) -> Result {
        do throws(StoreError) { return try await body() } catch {
            _ = unavailable(error)
            throw .unavailable("the store failed")
        }
    }

    // MARK: Users who may no longer enter

    /// Asks the providers of a user again whether the user may enter, at most hourly for each. False when the user may
    /// not: sessions and grants have then been ended. An outage of a provider, or its limits, decide nothing.
    func isStillAdmitted(_ userID: String) async throws(OAuthError) -> Bool {
        guard !providers.isEmpty else { return true }
        let connections = try await stored { try await store.connections(ofUser: userID) }
        guard !connections.isEmpty else {
            // No provider can be asked about a user who has ended the connection with it: the user has to sign in
            // again, so that disconnecting is no way around the rules.
            let user = try await stored { try await store.user(id: userID) }
            guard let user, user.passwordHash == nil, let identity = user.identity,
                providers.contains(where: { $0.provider.issuer.utf8.elementsEqual(identity.issuer.utf8) })
            else { return true }
            try await end(userID, because: "the connection was ended")
            return false
        }
        var refusals: [String] = []
        for connection in connections {
            if clock.now.seconds(since: connection.checkedAt) < Self.checkInterval {
                if connection.sealedTokens == nil { refusals.append("\(connection.provider): disconnected") }
                continue
            }
            if let refusal = await refusal(of: connection) { refusals.append("\(connection.provider): \(refusal)") }
        }
        // Another way in is enough.
        guard refusals.count == connections.count else { return true }
        if let user = try await stored({ try await store.user(id: userID) }), user.passwordHash != nil { return true }
        try await end(userID, because: refusals.joined(separator: "; "))
        return false
    }

    private func end(_ userID: String, because reason: String) async throws(OAuthError) {
        try await stored { try await store.deleteSessions(ofUser: userID) }
        try await revocation.endGrants(ofUser: userID)
        record("sessions.ended", .denied, nil, reason: "no_longer_admitted", detail: reason, subject: userID)
    }

    private func refusal(of connection: Connection) async -> String? {
        guard let client = client(connection.provider) else { return nil }
        do throws(ProviderFailure) {
            let (current, tokens) = try await currentTokens(connection)
            var permissions = current.permissions
            if let person = try await client.personAgain(tokens, subject: connection.identity.subject, at: clock.now) {
                guard person.subject.utf8.elementsEqual(connection.identity.subject.utf8) else { return "another user" }
                if let refusal = await client.method.admission.refusal(of: person, vouchesForDomains: client.signIn.vouchesForDomains) {
                    return refusal
                }
                permissions = client.method.permissions?(person)
            }
            var checked = current
            checked.checkedAt = clock.now
            checked.permissions = permissions
            checked.revision += 1
            let updated = checked
            _ = try? await store.replace(updated, expecting: current)
            return nil
        } catch {
            guard case .rejected = error else {
                logger.notice(
                    "a user could not be checked at the identity provider",
                    metadata: ["provider": "\(connection.provider)", "reason": "\(error.detail)"])
                return nil
            }
            // The token was rejected without a refresh: it is of no use any more.
            if let known = try? await store.connection(connection.identity), known.sealedTokens != nil { try? await drop(known) }
            return error.detail
        }
    }

    /// The scopes that a user may have. Nil: every scope.
    func permissions(ofUser id: String) async throws(OAuthError) -> ScopeSet? {
        guard providers.contains(where: { $0.method.permissions != nil }) else { return nil }
        let connections = try await stored { try await store.connections(ofUser: id) }
        guard !connections.isEmpty, try await stored({ try await store.user(id: id) })?.passwordHash == nil else { return nil }
        var all: ScopeSet = []
        for connection in connections {
            guard let permissions = connection.permissions else { return nil }
            all = all.union(permissions)
        }
        return all.union(configuration.identityScopes)
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

    private func revokeAtProvider(_ connection: Connection) async {
        guard let client = client(connection.provider), let tokens = tokens(connection) else { return }
        do throws(ProviderFailure) { try await client.revoke(tokens, at: clock.now) } catch {
            logger.warning(
                "tokens could not be revoked at the identity provider", metadata: ["provider": "\(connection.provider)", "reason": "\(error.detail)"])
        }
    }
}
