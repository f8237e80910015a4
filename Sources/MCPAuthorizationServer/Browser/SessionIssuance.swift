import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Begins the session of a user who has signed in.
struct SessionIssuance: ServerComponent {
    let context: ServerContext
    let store: any SessionStore & UserStore
    let browser: BrowserFlow
    let browsers: KnownBrowsers
    let connectionRequests: ConnectionRequestSealer

    /// Creates a new session under a new cookie, to which the transaction is bound from now on. Nothing that was set
    /// before sign-in remains valid (B-05). The browser keeps its own cookie, so transactions in other tabs continue
    /// (B-07).
    ///
    /// - Parameter providerSession: The session at the identity provider through which the user signed in.
    func enter(
        _ user: User, _ name: String, _ transaction: Transaction, _ call: HTTPCall, providerSession: SecretHash? = nil
    ) async throws(OAuthError) -> HTTPReply {
        // The user may have been disabled, or the password changed, during the check.
        let current = try await stored { try await store.user(id: user.id) }
        guard let current, !current.isDisabled, current.credentialFingerprint == user.credentialFingerprint else { return browser.stale(call) }
        let value = random.token()
        let session = browser.session(value, of: user, call, providerSession: providerSession)
        do throws(StoreError) {
            if let old = browser.cookies.value(.session, in: call.request) { try await store.deleteSession(SecretHash(of: old)) }
            try await store.add(session)
            // A change of the password in between ended all sessions, but could not know this one.
            guard let latest = try await store.user(id: user.id), !latest.isDisabled, latest.credentialFingerprint == user.credentialFingerprint
            else {
                try await store.deleteSession(session.hash)
                return browser.stale(call)
            }
        } catch { throw unavailable(error) }
        record("sign_in", .allowed, call, subject: user.id)
        let sealed = try browser.transactions.seal(transaction.shown(to: session))
        let location: String
        switch transaction.purpose {
        case .account: location = routes.path("/account")
        case .authorize: location = routes.path("/consent") + "?transaction=" + sealed
        case .connection(let request): location = routes.path("/account/connect") + "?request=" + (try connectionRequests.seal(request))
        case .device(let userCode): location = routes.path("/device") + (userCode.map { "?user_code=" + Form.encode($0) } ?? "")
        }
        var reply = PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure)
        var headers = [browser.cookies.set(.session, value, maximumAge: configuration.sessionLifetime)]
        if let known = browser.cookies.value(.browser, in: call.request) {
            headers.append(browser.cookies.set(.known, browsers.mark(of: name, in: known), maximumAge: BrowserCookie.lifetime))
        }
        for header in headers { reply.response.headerFields.append(HTTPField(name: .setCookie, value: header)) }
        return reply
    }
}

extension User {
    /// Changes with the password and with the secret of one-time codes. A sign-in that was begun with the old values
    /// does not continue with the new ones.
    var credentialFingerprint: String {
        SecretHash(of: (passwordHash?.text ?? "") + " " + Base64URL.encode(sealedOneTimeSecret ?? [])).shortText
    }
}
