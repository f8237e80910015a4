import IdentityProviders
import JOSE
import Logging
import MCPAuth
import OAuth
import Synchronization

/// Asks identity providers again whether their users may still enter.
struct Memberships: ServerComponent {
    let context: ServerContext
    let store: any ConnectionStore & SessionStore & UserStore
    let connections: Connections
    let revocation: GrantRevocation
    let checks = MembershipChecks()

    /// The number of seconds after which a provider is asked again.
    static let checkInterval: Int64 = 3600

    /// Whether there are providers to ask.
    var areChecked: Bool { !connections.providers.isEmpty }

    /// Whether a user may still enter. Each provider is asked at most hourly. When the answer is no, sessions and
    /// grants have been ended. An outage of a provider, or its limits, decide nothing.
    func isStillAdmitted(_ userID: String) async throws(OAuthError) -> Bool {
        guard areChecked else { return true }
        let known = try await stored { try await store.connections(ofUser: userID) }
        let user = try await stored { try await store.user(id: userID) }
        // A password is a way in of its own.
        guard let user, user.passwordHash == nil else { return true }
        guard !known.isEmpty else {
            // No provider can be asked about a user who has ended the connection with it: the user has to sign in
            // again, so that disconnecting is no way around the rules.
            guard connections.isFromProvider(user) else { return true }
            return try await end(userID, because: "the connection was ended")
        }
        var refusals: [String] = []
        for connection in known {
            if let refusal = await refusal(of: connection) { refusals.append("\(connection.provider): \(refusal)") }
        }
        // Another provider that admits the user is enough.
        guard refusals.count == known.count else { return true }
        return try await end(userID, because: refusals.joined(separator: "; "))
    }

    /// The signed-in user, or nil when the user has to sign in at an identity provider again before a new grant: the
    /// provider is the only way in, and its tokens were revoked with the last grant.
    func current(_ signedIn: SignedIn?) async throws(OAuthError) -> SignedIn? {
        guard let signedIn, areChecked, signedIn.user.passwordHash == nil, connections.isFromProvider(signedIn.user) else { return signedIn }
        let known = try await stored { try await store.connections(ofUser: signedIn.user.id) }
        return known.contains { $0.sealedTokens != nil } ? signedIn : nil
    }

    /// A provider that a request needs, and that the user has not connected.
    struct MissingConnection {
        let provider: String
        /// Whether its connection would be a new way into the account.
        let isNew: Bool
    }

    /// The first provider that one of the scopes asks for (`ConnectionScope`), and whose tokens are not there.
    func missingConnection(for scopes: ScopeSet, of userID: String) async throws(OAuthError) -> MissingConnection? {
        let wanted = connections.providers.map(\.provider.id).filter { ConnectionScope.scope($0).map(scopes.contains) ?? false }
        guard !wanted.isEmpty else { return nil }
        let known = try await stored { try await store.connections(ofUser: userID) }
        for id in wanted where !known.contains(where: { $0.provider == id && $0.sealedTokens != nil }) {
            return MissingConnection(provider: id, isNew: !known.contains { $0.provider == id })
        }
        return nil
    }

    private func end(_ userID: String, because reason: String) async throws(OAuthError) -> Bool {
        try await stored { try await store.deleteSessions(ofUser: userID) }
        try await revocation.endGrants(ofUser: userID)
        record("sessions.ended", .denied, nil, reason: "no_longer_admitted", detail: reason, subject: userID)
        return false
    }

    /// The reason why the provider of a connection does not admit its user. Nil: it does, or it cannot be asked now.
    private func refusal(of connection: Connection) async -> String? {
        if clock.now.seconds(since: connection.checkedAt) < Self.checkInterval {
            return connection.sealedTokens == nil ? "disconnected" : nil
        }
        guard let client = connections.client(connection.provider), checks.begin(connection, at: clock.now) else { return nil }
        let outcome = await ask(client, connection)
        checks.end(connection, isProviderAway: outcome.isProviderAway, at: clock.now)
        return outcome.refusal
    }

    private func ask(_ client: ProviderClient, _ connection: Connection) async -> (refusal: String?, isProviderAway: Bool) {
        var used = connection
        do throws(ProviderFailure) {
            // Where the provider has nothing to ask, a refresh proves that the account is still there.
            let (current, tokens) = try await connections.currentTokens(connection, mustRefresh: !client.canAskAgain)
            used = current
            var checked = current
            if let person = try await client.personAgain(tokens, at: clock.now) {
                guard person.subject.utf8.elementsEqual(connection.identity.subject.utf8) else { return ("another user", false) }
                if let refusal = await client.method.admission.refusal(of: person, vouchesForDomains: client.signIn.vouchesForDomains) {
                    return (refusal, false)
                }
                checked.permissions = client.method.permissions?(person)
                checked.roles = client.method.roles(of: person)
            }
            checked.checkedAt = clock.now
            checked.revision += 1
            let updated = checked
            // If the user signed in again meanwhile, that is newer.
            _ = try? await store.replace(updated, expecting: current)
            return (nil, false)
        } catch {
            guard case .rejected = error else {
                logger.notice(
                    "a user could not be checked at the identity provider",
                    metadata: ["provider": "\(connection.provider)", "reason": "\(error.detail)"])
                return (nil, true)
            }
            // The provider rejected these tokens. Those of a sign-in that came meanwhile are others.
            try? await connections.drop(used)
            guard let now = try? await store.connection(connection.identity), now.sealedTokens == nil else { return (nil, false) }
            return (error.detail, false)
        }
    }
}

/// The checks that are running in this process, and the providers that are left alone for a moment because they did not
/// answer. So an outage slows no refresh down, and many refreshes at once ask once.
final class MembershipChecks: Sendable {
    private struct State {
        var running: Set<ExternalIdentity> = []
        var pausedUntil: [String: NumericDate] = [:]
    }

    private let state = Mutex(State())

    /// The number of seconds for which a provider that did not answer is not asked again.
    static let pause: Int64 = 60

    /// Whether the caller should ask now.
    func begin(_ connection: Connection, at now: NumericDate) -> Bool {
        state.withLock { state in
            // A time further ahead was written before the clock was set back.
            if let until = state.pausedUntil[connection.provider], (1...Self.pause).contains(until.seconds(since: now)) { return false }
            return state.running.insert(connection.identity).inserted
        }
    }

    func end(_ connection: Connection, isProviderAway: Bool, at now: NumericDate) {
        state.withLock { state in
            state.running.remove(connection.identity)
            state.pausedUntil[connection.provider] = isProviderAway ? now.advanced(by: Self.pause) : nil
        }
    }
}
