import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import OAuth

/// Sign-in with a name and a password, with a one-time code as the second step, and sign-out.
struct SignInEndpoint: ServerComponent {
    let context: ServerContext
    let store: any SessionStore & UserStore
    /// Nil if users sign in through identity providers only.
    let passwords: (any PasswordAuthenticator)?
    let attempts: SignInAttempts
    let secrets: Sealer
    let browser: BrowserFlow
    let sessions: SessionIssuance
    let connections: Connections

    /// Checks a user name and a password, or the one-time code of the second step, and continues the transaction.
    func reply(to call: HTTPCall) async -> HTTPReply {
        await browser.posted(call) { form, transaction, pages throws(OAuthError) in
            if let half = transaction.halfSignedIn { return try await secondStep(half, form, transaction, pages, call) }
            let name = try form.single("username") ?? ""
            let password = try form.single("password") ?? ""
            let client = try await browser.client(of: transaction, call)
            func again(_ problem: String, _ status: HTTPResponse.Status) throws(OAuthError) -> HTTPReply {
                pages.signIn(
                    try browser.transactions.seal(transaction), client: client, name: DisplayText.clean(name, limit: 64), problem: problem,
                    status: status)
            }
            // Names of other tables of users may have any form. Each counts by itself.
            let normalized = User.normalizedName(name) ?? "?" + SecretHash(of: name).shortText
            if let seconds = attempts.throttled(normalized, call) {
                record("sign_in", .denied, call, reason: "throttled")
                return try again(pages.language.words.tooManyAttempts.with("\(seconds)"), .tooManyRequests).with(.retryAfter, "\(seconds)")
            }
            guard let passwords, let user = try await passwords.user(named: name, password: password, call) else {
                // Names that no user has are not recorded: people type passwords there.
                let attacked = passwords == nil ? nil : try? await store.user(named: normalized)
                record("sign_in", .denied, call, reason: attacked?.isDisabled == true ? "user_disabled" : "wrong_password", subject: attacked?.id)
                return try again(pages.language.words.wrongPassword, .unauthorized)
            }
            if user.sealedOneTimeSecret != nil {
                var next = transaction
                next.halfSignedIn = Transaction.Half(userID: user.id, name: normalized, credential: user.credentialFingerprint)
                return pages.oneTimeCode(try browser.transactions.seal(next), user: user)
            }
            attempts.forgive(normalized, call)
            return try await sessions.enter(user, normalized, transaction, call)
        }
    }

    /// The password was correct before. The one-time code must be of the present moment, and is valid once (RFC 6238
    /// §5.2).
    private func secondStep(
        _ half: Transaction.Half, _ form: Form, _ transaction: Transaction, _ pages: Pages, _ call: HTTPCall
    ) async throws(OAuthError) -> HTTPReply {
        let user = try await stored { try await store.user(id: half.userID) }
        guard let user, !user.isDisabled, let sealed = user.sealedOneTimeSecret, user.credentialFingerprint == half.credential else {
            return browser.stale(call)
        }
        if let seconds = attempts.throttled(half.name, call) {
            record("sign_in", .denied, call, reason: "throttled")
            return pages.oneTimeCode(
                try browser.transactions.seal(transaction), user: user, problem: pages.language.words.tooManyAttempts.with("\(seconds)"),
                status: .tooManyRequests
            ).with(.retryAfter, "\(seconds)")
        }
        guard let secret = secrets.open(sealed, owner: user.id) else {
            throw OAuthError(.serverError, "the one-time password of this user cannot be read; the operator can set it up anew")
        }
        let recovery = try form.single("recovery") ?? ""
        if !recovery.isEmpty {
            guard try await useRecoveryCode(recovery, of: user) else {
                record("sign_in", .denied, call, reason: "wrong_recovery_code", subject: user.id)
                return pages.oneTimeCode(
                    try browser.transactions.seal(transaction), user: user, problem: pages.language.words.wrongRecoveryCode, status: .unauthorized)
            }
            record("user.recovery_code_used", .allowed, call, subject: user.id)
            attempts.forgive(half.name, call)
            return try await sessions.enter(user, half.name, transaction, call)
        }
        let text = try form.single("code") ?? ""
        if let step = OneTimePasswords.step(of: text, secret, at: clock.now),
            try await stored({ try await store.useOneTimeStep(step, ofUser: user.id) })
        {
            attempts.forgive(half.name, call)
            return try await sessions.enter(user, half.name, transaction, call)
        }
        record("sign_in", .denied, call, reason: "wrong_one_time_code", subject: user.id)
        return pages.oneTimeCode(
            try browser.transactions.seal(transaction), user: user, problem: pages.language.words.wrongOneTimeCode, status: .unauthorized)
    }

    /// Consumes a recovery code. True once for each, also for two concurrent requests.
    private func useRecoveryCode(_ code: String, of user: User) async throws(OAuthError) -> Bool {
        let hash = RecoveryCode.hash(code)
        guard user.recoveryCodes.contains(hash) else { return false }
        var changed = user
        changed.recoveryCodes.removeAll { $0 == hash }
        let updated = changed
        return try await stored { try await store.update(updated, expecting: user) }
    }

    /// The identity providers of a user where the user may still be signed in, with their pages to sign out.
    private func logoutPages(of user: User?) async -> [(name: String, url: String)] {
        guard let user, let known = try? await connections.store.connections(ofUser: user.id) else { return [] }
        var pages: [(String, String)] = []
        for client in known.compactMap({ connections.client($0.provider) }) {
            if let url = await client.logoutPage(at: clock.now) { pages.append((client.provider.name, url)) }
        }
        return pages
    }

    /// Ends the session of this browser.
    func signOut(_ call: HTTPCall) async -> HTTPReply {
        await browser.posted(call) { _, transaction, pages throws(OAuthError) in
            let signedIn = try? await browser.signedIn(call)
            do throws(StoreError) {
                if let value = browser.cookies.value(.session, in: call.request) { try await store.deleteSession(SecretHash(of: value)) }
            } catch { throw unavailable(error) }
            record("sign_out", .allowed, call, subject: signedIn?.user.id)
            let reply: HTTPReply
            switch transaction.purpose {
            case .account where transaction.halfSignedIn == nil: reply = pages.signedOut(elsewhere: await logoutPages(of: signedIn?.user))
            case .account, .authorize, .device, .connection:
                let again = Transaction(
                    id: transaction.id, purpose: transaction.purpose, browser: transaction.browser, expiresAt: transaction.expiresAt)
                reply = pages.signIn(try browser.transactions.seal(again), client: try await browser.client(of: transaction, call))
            }
            return browser.withoutSession(reply)
        }
    }
}
