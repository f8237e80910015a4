import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The page on which users see connected applications and their sessions, and end them.
struct AccountEndpoint: ServerComponent {
    let context: ServerContext
    let store: any ConsentStore & GrantStore & SessionStore
    let clients: ClientDirectory
    let browser: BrowserFlow
    let revocation: GrantRevocation
    let uses: GrantUses
    let providers: Connections
    let memberships: Memberships

    func account(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return .methodNotAllowed("GET") }
        return await browser.ownPage(call) { signedIn, transaction, pages throws(OAuthError) in
            var connections: [Pages.Connection] = []
            for var grant in try await stored({ try await store.grants(ofUser: signedIn.user.id, at: clock.now) }) {
                if let use = uses.pending(grant.id) { (grant.lastUsedAt, grant.lastOperation) = (use.time, use.operation) }
                connections.append(Pages.Connection(grant: grant, client: try? await clients.client(grant.clientID, nil)))
            }
            // A link from another site must not claim that something happened.
            let isOwn = call.request.headerFields[.secFetchSite] == "same-origin"
            let done = isOwn ? try Form(queryOf: call.request.path ?? "").single("done").flatMap(Pages.Done.init) : nil
            return pages.account(
                try browser.transactions.seal(transaction),
                Pages.Account(
                    user: signedIn.user, connections: connections,
                    sessions: try await stored { try await store.sessions(ofUser: signedIn.user.id, at: clock.now) },
                    accounts: try await accounts(of: signedIn.user),
                    current: signedIn.session.hash, now: clock.now, done: done))
        }
    }

    /// Revokes one grant, at once.
    func disconnect(_ call: HTTPCall) async -> HTTPReply {
        await browser.ownForm(call) { form, signedIn, _, pages throws(OAuthError) in
            let id = try form.single("grant") ?? ""
            let grant = try await stored { try await store.grant(id) }
            guard let grant, grant.userID == signedIn.user.id else {
                return pages.error(OAuthError(.invalidRequest, "there is no such connection"), status: .notFound)
            }
            try await revocation.end(grant: grant.id)
            try await stored { try await store.forget(userID: signedIn.user.id, clientID: grant.clientID) }
            await providers.endIfUnused(signedIn.user.id)
            record("grant.revoked", .allowed, call, reason: "disconnected", subject: signedIn.user.id, client: grant.clientID)
            return browser.toAccount(.disconnected)
        }
    }

    private func accounts(of user: User) async throws(OAuthError) -> [Pages.ConnectedAccount] {
        guard !providers.providers.isEmpty else { return [] }
        return try await stored { try await providers.store.connections(ofUser: user.id) }.map { connection in
            Pages.ConnectedAccount(
                provider: connection.provider, accountName: connection.accountName, hasTokens: connection.sealedTokens != nil,
                identifier: Self.identifier(of: connection))
        }
    }

    private static func identifier(of connection: Connection) -> String {
        SecretHash(of: connection.identity.issuer + "\n" + connection.identity.subject).shortText
    }

    /// Ends a connection with an identity provider, here and there.
    func disconnectProvider(_ call: HTTPCall) async -> HTTPReply {
        await browser.ownForm(call) { form, signedIn, _, pages throws(OAuthError) in
            let identifier = try form.single("connection") ?? ""
            let connections = try await stored { try await providers.store.connections(ofUser: signedIn.user.id) }
            guard let connection = connections.first(where: { Self.identifier(of: $0) == identifier }) else {
                return pages.error(OAuthError(.invalidRequest, "there is no such connection"), status: .notFound)
            }
            try await providers.disconnect(connection, call)
            // The last way in ends what was let in by it.
            guard try await memberships.isStillAdmitted(signedIn.user.id) else {
                return browser.withoutSession(pages.signedOut(pages.language.words.everythingEnded))
            }
            return browser.toAccount(.unlinked)
        }
    }

    /// Ends a session in another browser.
    func endSession(_ call: HTTPCall) async -> HTTPReply {
        await browser.ownForm(call) { form, signedIn, _, pages throws(OAuthError) in
            let hash = try form.single("session").flatMap { try? Base64URL.decode($0) }.flatMap(SecretHash.init(bytes:))
            let sessions = try await stored { try await store.sessions(ofUser: signedIn.user.id, at: clock.now) }
            guard let hash, sessions.contains(where: { $0.hash == hash }) else {
                return pages.error(OAuthError(.invalidRequest, "there is no such session"), status: .notFound)
            }
            try await stored { try await store.deleteSession(hash) }
            record("session.ended", .allowed, call, reason: "by_user", subject: signedIn.user.id)
            return browser.toAccount(.session)
        }
    }

    /// Asks for confirmation (GET), then ends every session and every grant of the signed-in user (POST).
    func endSessions(_ call: HTTPCall) async -> HTTPReply {
        if call.request.method == .get {
            return await browser.ownPage(call) { signedIn, transaction, pages throws(OAuthError) in
                pages.confirmEverywhere(try browser.transactions.seal(transaction), user: signedIn.user)
            }
        }
        return await browser.ownForm(call) { _, signedIn, _, pages throws(OAuthError) in
            try await stored { try await store.deleteSessions(ofUser: signedIn.user.id) }
            try await revocation.endGrants(ofUser: signedIn.user.id)
            record("sessions.ended", .allowed, call, reason: "by_user", subject: signedIn.user.id)
            return browser.withoutSession(pages.signedOut(pages.language.words.everythingEnded))
        }
    }
}
