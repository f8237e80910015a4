import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Changes of the user's own password and one-time codes. Each change asks for the password again, and ends every other
/// session.
struct CredentialEndpoint: ServerComponent {
    let context: ServerContext
    let store: any SessionStore & UserStore
    let limits: RateLimiters
    let attempts: SignInAttempts
    let hasher: PasswordHasher
    let secrets: Sealer
    let browser: BrowserFlow
    let revocation: GrantRevocation

    func changePassword(_ call: HTTPCall) async -> HTTPReply {
        if call.request.method == .get {
            return await browser.ownPage(call) { signedIn, transaction, pages throws(OAuthError) in
                guard signedIn.user.passwordHash != nil else { return noPassword(pages) }
                return pages.changePassword(try browser.transactions.seal(transaction), user: signedIn.user)
            }
        }
        return await browser.ownForm(call) { form, signedIn, transaction, pages throws(OAuthError) in
            let words = pages.language.words
            func again(_ problem: String, _ status: HTTPResponse.Status = .badRequest) throws(OAuthError) -> HTTPReply {
                pages.changePassword(try browser.transactions.seal(transaction), user: signedIn.user, problem: problem, status: status)
            }
            if let refusal = try await refusal(of: try form.single("password") ?? "", signedIn.user, words, call) {
                return try again(refusal.problem, refusal.status)
            }
            let password = try form.single("new_password") ?? ""
            guard try form.single("repeated") == password else { return try again(words.notTheSame) }
            guard password.unicodeScalars.count >= PasswordHash.minimumPasswordCharacters else { return try again(words.passwordTooShort) }
            do throws(OAuthError) { try PasswordRules.check(password, name: signedIn.user.name) } catch { return try again(words.passwordTooCommon) }
            let hash = try await hasher.hash(password, name: signedIn.user.name)
            // Sign-in may need a one-time code, so knowing the password does not count as signing in again.
            guard let cookie = try await commit(signedIn, authenticatedAt: signedIn.session.authenticatedAt, call, { $0.passwordHash = hash })
            else { return browser.stale(call) }
            record("user.password_changed", .allowed, call, reason: "by_user", subject: signedIn.user.id)
            if try form.single("disconnect") == "yes" { try await revocation.endGrants(ofUser: signedIn.user.id) }
            return browser.toAccount(.password).adding(cookie)
        }
    }

    /// Enrolment: GET shows the secret, POST proves that the app has it. If one-time codes are on, the page that
    /// manages them.
    func oneTimeCodes(_ call: HTTPCall) async -> HTTPReply {
        if call.request.method == .get {
            return await browser.ownPage(call) { signedIn, transaction, pages throws(OAuthError) in
                guard signedIn.user.passwordHash != nil else { return noPassword(pages) }
                if signedIn.user.sealedOneTimeSecret != nil {
                    return pages.manageCodes(try browser.transactions.seal(transaction), user: signedIn.user)
                }
                if let reply = limits.tooMany(call, limits.begin) { return reply }
                var transaction = transaction
                transaction.newOneTimeSecret = random.bytes(20)
                return try enrolment(transaction, signedIn.user, pages)
            }
        }
        return await browser.ownForm(call) { form, signedIn, transaction, pages throws(OAuthError) in
            let words = pages.language.words
            guard let secret = transaction.newOneTimeSecret, signedIn.user.sealedOneTimeSecret == nil else { return browser.stale(call) }
            if let refusal = try await refusal(of: try form.single("password") ?? "", signedIn.user, words, call) {
                return try enrolment(transaction, signedIn.user, pages, problem: refusal.problem, status: refusal.status)
            }
            guard let step = OneTimePasswords.step(of: try form.single("code") ?? "", secret, at: clock.now) else {
                return try enrolment(transaction, signedIn.user, pages, problem: words.wrongOneTimeCode, status: .badRequest)
            }
            let sealed = try secrets.seal(secret, owner: signedIn.user.id)
            let codes = RecoveryCode.make(random)
            guard
                let cookie = try await commit(
                    signedIn, authenticatedAt: clock.now, call,
                    { user in
                        user.sealedOneTimeSecret = sealed
                        user.recoveryCodes = codes.map(RecoveryCode.hash)
                    })
            else { return browser.stale(call) }
            // The code that proved the app is consumed.
            _ = try await stored { try await store.useOneTimeStep(step, ofUser: signedIn.user.id) }
            record("user.one_time_passwords_required", .allowed, call, reason: "by_user", subject: signedIn.user.id)
            return pages.recoveryCodes(codes).adding(cookie)
        }
    }

    /// Creates new recovery codes, or turns one-time codes off.
    func changeCodes(_ call: HTTPCall) async -> HTTPReply {
        await browser.ownForm(call) { form, signedIn, transaction, pages throws(OAuthError) in
            guard let sealed = signedIn.user.sealedOneTimeSecret else { return browser.stale(call) }
            let words = pages.language.words
            func again(_ problem: String, _ status: HTTPResponse.Status) throws(OAuthError) -> HTTPReply {
                pages.manageCodes(try browser.transactions.seal(transaction), user: signedIn.user, problem: problem, status: status)
            }
            if let refusal = try await refusal(of: try form.single("password") ?? "", signedIn.user, words, call) {
                return try again(refusal.problem, refusal.status)
            }
            // The second factor must protect against an attacker with a stolen session and the password.
            let recovery = RecoveryCode.hash(try form.single("recovery") ?? "")
            if !signedIn.user.recoveryCodes.contains(recovery) {
                guard let secret = secrets.open(sealed, owner: signedIn.user.id),
                    let step = OneTimePasswords.step(of: try form.single("code") ?? "", secret, at: clock.now),
                    try await stored({ try await store.useOneTimeStep(step, ofUser: signedIn.user.id) })
                else {
                    if let seconds = attempts.throttled(signedIn.user.name, call) {
                        return try again(words.tooManyAttempts.with("\(seconds)"), .tooManyRequests)
                    }
                    record("sign_in", .denied, call, reason: "wrong_one_time_code", subject: signedIn.user.id)
                    return try again(words.wrongOneTimeCode, .unauthorized)
                }
            }
            let change = try form.single("change")
            guard change == "renew" || change == "remove" else {
                return pages.error(OAuthError(.invalidRequest, "change is renew or remove"))
            }
            let codes = change == "renew" ? RecoveryCode.make(random) : []
            guard
                let cookie = try await commit(
                    signedIn, authenticatedAt: clock.now, call,
                    { user in
                        if change == "remove" { user.sealedOneTimeSecret = nil }
                        user.recoveryCodes = codes.map(RecoveryCode.hash)
                    })
            else { return browser.stale(call) }
            let action = change == "renew" ? "user.recovery_codes_replaced" : "user.one_time_passwords_dropped"
            record(action, .allowed, call, reason: "by_user", subject: signedIn.user.id)
            return (change == "renew" ? pages.recoveryCodes(codes) : browser.toAccount(.noCodes)).adding(cookie)
        }
    }

    private func noPassword(_ pages: Pages) -> HTTPReply {
        pages.error(OAuthError(.invalidRequest, "this account signs in elsewhere; its password and codes are changed there"), status: .notFound)
    }

    private func enrolment(
        _ transaction: Transaction, _ user: User, _ pages: Pages, problem: String? = nil, status: HTTPResponse.Status = .ok
    ) throws(OAuthError) -> HTTPReply {
        let secret = transaction.newOneTimeSecret ?? []
        return pages.enrolment(
            try browser.transactions.seal(transaction), user: user,
            uri: OneTimePasswords.uri(secret, account: user.name, issuer: configuration.siteName(issuer)),
            secret: Base32.encode(secret), problem: problem, status: status)
    }

    /// The problem with a password that is asked for again, or nil. Attempts count as at sign-in, because a stolen
    /// session must not help to guess the password.
    private func refusal(
        of password: String, _ user: User, _ words: PageWords, _ call: HTTPCall
    ) async throws(OAuthError) -> (problem: String, status: HTTPResponse.Status)? {
        if let seconds = attempts.throttled(user.name, call) {
            record("sign_in", .denied, call, reason: "throttled", subject: user.id)
            return (words.tooManyAttempts.with("\(seconds)"), .tooManyRequests)
        }
        guard password.utf8.count <= PasswordHash.maximumPasswordBytes, let hash = user.passwordHash, try await hasher.verify(password, hash) else {
            record("sign_in", .denied, call, reason: "wrong_password", subject: user.id)
            return (words.wrongCurrentPassword, .unauthorized)
        }
        attempts.forgive(user.name, call)
        return nil
    }

    /// Changes the signed-in user and replaces every session of the user by a new one in this browser, in one step of
    /// the store. Returns the cookie of the new session. Nil, and nothing is changed, when the session was ended or the
    /// user was changed while the password was checked.
    private func commit(
        _ signedIn: SignedIn, authenticatedAt: NumericDate, _ call: HTTPCall, _ body: (inout User) -> Void
    ) async throws(OAuthError) -> String? {
        var changed = signedIn.user
        body(&changed)
        let (updated, value) = (changed, random.token())
        let session = browser.session(
            value, of: updated, call, authenticatedAt: authenticatedAt, providerSession: signedIn.session.providerSession)
        let isDone = try await stored {
            try await store.update(updated, expecting: signedIn.user, replacing: signedIn.session.hash, with: session, at: clock.now)
        }
        return isDone ? browser.cookies.set(.session, value, maximumAge: configuration.sessionLifetime) : nil
    }
}

extension HTTPReply {
    /// The same with a cookie.
    fileprivate func adding(_ cookie: String) -> HTTPReply {
        var copy = self
        copy.response.headerFields.append(HTTPField(name: .setCookie, value: cookie))
        return copy
    }
}
