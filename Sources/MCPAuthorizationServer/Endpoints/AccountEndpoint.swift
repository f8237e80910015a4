import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The page where people see what can use their account, and end it.
extension AuthorizationServer {
    func account(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return methodNotAllowed("GET") }
        let pages = pages(call)
        do throws(OAuthError) {
            let browser = browser(call)
            let transaction = newTransaction(.account, browser: SecretHash(of: browser.value))
            guard let signedIn = try await signedIn(call) else {
                return browser.set(on: pages.signIn(try transactions.seal(transaction), client: nil))
            }
            var connections: [Pages.Connection] = []
            for var grant in try await stored({ try await store.grants(ofUser: signedIn.user.id, at: clock.now) }) {
                if let use = uses.pending(grant.id) { (grant.lastUsedAt, grant.lastOperation) = (use.time, use.operation) }
                connections.append(Pages.Connection(grant: grant, client: try? await client(grant.clientID, nil)))
            }
            return browser.set(
                on: pages.account(
                    try transactions.seal(transaction.shown(to: signedIn.session)), user: signedIn.user, connections: connections))
        } catch { return pages.error(error, status: pageStatus(error)) }
    }

    /// Ends one connection, at once.
    func disconnect(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { form, transaction, pages throws(OAuthError) in
            guard let signedIn = try await signedIn(call), transaction.isShown(to: signedIn.session) else { return stale(call) }
            let id = try form.single("grant") ?? ""
            let grant = try await stored { try await store.grant(id) }
            guard let grant, grant.userID == signedIn.user.id else {
                return pages.error(OAuthError(.invalidRequest, "there is no such connection"), status: .notFound)
            }
            try await end(grant: grant.id)
            try await stored { try await store.forget(userID: signedIn.user.id, clientID: grant.clientID) }
            record("grant.revoked", .allowed, call, reason: "disconnected", subject: signedIn.user.id, client: grant.clientID)
            return PageHeaders.redirect(to: routes.path("/account"), isSecure: issuer.url.isSecure)
        }
    }

    /// Ends every session and every connection of whoever sits here.
    func endSessions(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { _, transaction, pages throws(OAuthError) in
            guard let signedIn = try await signedIn(call), transaction.isShown(to: signedIn.session) else { return stale(call) }
            try await endSessions(ofUser: signedIn.user.id)
            record("sessions.ended", .allowed, call, reason: "by_user", subject: signedIn.user.id)
            return withoutSession(pages.signedOut(pages.language.words.everythingEnded))
        }
    }
}
