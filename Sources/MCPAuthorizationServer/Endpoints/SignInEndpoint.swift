import HTTPTypes
import JOSE
import Logging
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// Checks a user name and a password, or the one-time code of the second step, and continues the transaction.
    func signIn(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { form, transaction, pages throws(OAuthError) in
            if let half = transaction.halfSignedIn { return try await secondStep(half, form, transaction, pages, call) }
            let name = try form.single("username") ?? ""
            let password = try form.single("password") ?? ""
            let client = try await self.client(of: transaction, call)
            func again(_ problem: String, _ status: HTTPResponse.Status) throws(OAuthError) -> HTTPReply {
                pages.signIn(
                    try transactions.seal(transaction), client: client, name: DisplayText.clean(name, limit: 64), problem: problem, status: status)
            }
            // Names of other tables of users may have any form. Each counts by itself.
            let normalized = User.normalizedName(name) ?? "?" + SecretHash(of: name).shortText
            if let seconds = throttled(normalized, call) {
                record("sign_in", .denied, call, reason: "throttled")
                return try again(pages.language.words.tooManyAttempts.with("\(seconds)"), .tooManyRequests).with(.retryAfter, "\(seconds)")
            }
            guard let user = try await authenticated(name, password, call) else {
                record("sign_in", .denied, call, reason: "wrong_password")
                return try again(pages.language.words.wrongPassword, .unauthorized)
            }
            if user.sealedOneTimeSecret != nil {
                var next = transaction
                next.halfSignedIn = Transaction.Half(userID: user.id, name: normalized, credential: Self.fingerprint(user))
                return pages.oneTimeCode(try transactions.seal(next), user: user)
            }
            forgiveAttempts(normalized, call)
            return try await enter(user, normalized, transaction, call)
        }
    }

    /// The password was correct before. The one-time code must be of the present moment, and is valid once (RFC 6238
    /// §5.2).
    private func secondStep(
        _ half: Transaction.Half, _ form: Form, _ transaction: Transaction, _ pages: Pages, _ call: HTTPCall
    ) async throws(OAuthError) -> HTTPReply {
        let user = try await stored { try await store.user(id: half.userID) }
        guard let user, !user.isDisabled, let sealed = user.sealedOneTimeSecret, Self.fingerprint(user) == half.credential else { return stale(call) }
        if let seconds = throttled(half.name, call) {
            record("sign_in", .denied, call, reason: "throttled")
            return pages.oneTimeCode(
                try transactions.seal(transaction), user: user, problem: pages.language.words.tooManyAttempts.with("\(seconds)"),
                status: .tooManyRequests
            ).with(.retryAfter, "\(seconds)")
        }
        guard let secret = secrets.oneTimeSecrets.open(sealed, owner: user.id) else {
            throw OAuthError(.serverError, "the one-time password of this user cannot be read; the operator can set it up anew")
        }
        let recovery = try form.single("recovery") ?? ""
        if !recovery.isEmpty {
            guard try await useRecoveryCode(recovery, of: user) else {
                record("sign_in", .denied, call, reason: "wrong_recovery_code", subject: user.id)
                return pages.oneTimeCode(
                    try transactions.seal(transaction), user: user, problem: pages.language.words.wrongRecoveryCode, status: .unauthorized)
            }
            record("user.recovery_code_used", .allowed, call, subject: user.id)
            forgiveAttempts(half.name, call)
            return try await enter(user, half.name, transaction, call)
        }
        let text = try form.single("code") ?? ""
        if let step = OneTimePasswords.step(of: text, secret, at: clock.now),
            try await stored({ try await store.useOneTimeStep(step, ofUser: user.id) })
        {
            forgiveAttempts(half.name, call)
            return try await enter(user, half.name, transaction, call)
        }
        record("sign_in", .denied, call, reason: "wrong_one_time_code", subject: user.id)
        return pages.oneTimeCode(
            try transactions.seal(transaction), user: user, problem: pages.language.words.wrongOneTimeCode, status: .unauthorized)
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

    /// Changes with the password and with the secret of one-time codes. A sign-in that was begun with the old values
    /// does not continue with the new ones.
    private static func fingerprint(_ user: User) -> String {
        SecretHash(of: (user.passwordHash?.text ?? "") + " " + Base64URL.encode(user.sealedOneTimeSecret ?? [])).shortText
    }

    // MARK: Attempts

    /// Counts an attempt. Every attempt counts until it has succeeded. An address that is throttled does not count
    /// against the account, so it cannot keep blocking users. A browser in which the owner of the account signed in
    /// before has its own count, so attempts elsewhere do not block it.
    func throttled(_ name: String, _ call: HTTPCall) -> Int64? {
        let now = clock.now
        if let seconds = limits.signInByAddress.wait(for: limitKey(call), at: now) { return seconds }
        return attempts(name, call).limiter.wait(for: attempts(name, call).key, at: now)
    }

    private func attempts(_ name: String, _ call: HTTPCall) -> (limiter: RateLimiter, key: String) {
        if let browser = cookies.value(.browser, in: call.request), let mark = cookies.value(.known, in: call.request),
            ConstantTime.areEqual(Array(mark.utf8), Array(secrets.mark(of: name, in: browser).utf8))
        {
            return (limits.signInByBrowser, mark)
        }
        return (limits.signInByAccount, name)
    }

    func forgiveAttempts(_ name: String, _ call: HTTPCall) {
        limits.signInByAddress.giveBack(limitKey(call))
        let attempts = attempts(name, call)
        attempts.limiter.reset(attempts.key)
    }

    // MARK: Authentication

    /// Takes the same time for a user who does not exist as for one who does.
    private func authenticated(_ name: String, _ password: String, _ call: HTTPCall) async throws(OAuthError) -> User? {
        guard password.utf8.count <= PasswordHash.maximumPasswordBytes else { return nil }
        switch signInMethod {
        case .password:
            var user: User?
            if let name = User.normalizedName(name) {
                user = try await stored { try await store.user(named: name) }
            }
            guard try await hasher.verify(password, user?.passwordHash), var user, !user.isDisabled else { return nil }
            // The hash was made with another cost. Now the password is available to hash it again.
            if let hash = user.passwordHash, hasher.isOutdated(hash), let fresh = try? await hasher.rehash(password) {
                let previous = user
                user.passwordHash = fresh
                let updated = user
                // If the user was changed meanwhile, that change wins.
                guard try await stored({ try await store.update(updated, expecting: previous) }) else { return nil }
            }
            return user
        case .custom(let check):
            let person: SignedInPerson?
            do { person = try await check(name, password) } catch {
                logger.error("the custom sign-in failed", metadata: ["error": "\(type(of: error))"])
                throw OAuthError(.temporarilyUnavailable, "signing in is not possible at the moment; try again")
            }
            guard let person else { return nil }
            return try await user(person, call)
        }
    }

    /// The user for a person of another table, created at the first sign-in. Nil for a disabled user.
    func user(_ person: SignedInPerson, _ call: HTTPCall?) async throws(OAuthError) -> User? {
        let identity = person.identity
        if let known = try await stored({ try await store.user(identity) }) { return known.isDisabled ? nil : known }
        let user = User(
            id: "user-" + random.token(bytes: 12), name: "external." + SecretHash(of: identity.issuer + "\n" + identity.subject).shortText,
            displayName: person.displayName.map { DisplayText.clean($0) }, email: person.email.flatMap(User.validEmail),
            isEmailVerified: person.isEmailVerified, passwordHash: nil, identity: identity, createdAt: clock.now)
        do throws(StoreError) { try await store.add(user) } catch {
            // A concurrent request created the user.
            guard error.kind == .conflict, let known = try await stored({ try await store.user(identity) }) else { throw unavailable(error) }
            return known.isDisabled ? nil : known
        }
        record("user.added", .allowed, call, reason: "first_visit", subject: user.id)
        return user
    }

    // MARK: Sign-in and sign-out

    /// Creates a new session under a new cookie, to which the transaction is bound from now on. Nothing that was set
    /// before sign-in remains valid (B-05). The browser keeps its own cookie, so transactions in other tabs continue
    /// (B-07).
    private func enter(_ user: User, _ name: String, _ transaction: Transaction, _ call: HTTPCall) async throws(OAuthError) -> HTTPReply {
        // The user may have been disabled, or the password changed, during the check.
        let current = try await stored { try await store.user(id: user.id) }
        guard let current, !current.isDisabled, Self.fingerprint(current) == Self.fingerprint(user) else { return stale(call) }
        let value = random.token()
        let session = session(value, of: user, call)
        do throws(StoreError) {
            if let old = cookies.value(.session, in: call.request) { try await store.deleteSession(SecretHash(of: old)) }
            try await store.add(session)
            // A change of the password in between ended all sessions, but could not know this one.
            guard let latest = try await store.user(id: user.id), !latest.isDisabled, Self.fingerprint(latest) == Self.fingerprint(user) else {
                try await store.deleteSession(session.hash)
                return stale(call)
            }
        } catch { throw unavailable(error) }
        record("sign_in", .allowed, call, subject: user.id)
        let sealed = try transactions.seal(transaction.shown(to: session))
        let location: String
        switch transaction.purpose {
        case .account: location = routes.path("/account")
        case .authorize: location = routes.path("/consent") + "?transaction=" + sealed
        case .device(let userCode): location = routes.path("/device") + (userCode.map { "?user_code=" + Form.encode($0) } ?? "")
        }
        var reply = PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure)
        var headers = [cookies.set(.session, value, maximumAge: configuration.sessionLifetime)]
        if let browser = cookies.value(.browser, in: call.request) {
            headers.append(cookies.set(.known, secrets.mark(of: name, in: browser), maximumAge: BrowserCookie.lifetime))
        }
        for header in headers { reply.response.headerFields.append(HTTPField(name: .setCookie, value: header)) }
        return reply
    }

    /// A session that begins now.
    func session(_ value: String, of user: User, _ call: HTTPCall, authenticatedAt: NumericDate? = nil) -> Session {
        Session(
            hash: SecretHash(of: value), userID: user.id, authenticatedAt: authenticatedAt ?? clock.now,
            expiresAt: clock.now.advanced(by: configuration.sessionLifetime), browser: BrowserName.name(call.request.headerFields[.userAgent]))
    }

    func signOut(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { _, transaction, pages throws(OAuthError) in
            do throws(StoreError) {
                if let value = cookies.value(.session, in: call.request) { try await store.deleteSession(SecretHash(of: value)) }
            } catch { throw unavailable(error) }
            record("sign_out", .allowed, call)
            let reply: HTTPReply
            switch transaction.purpose {
            case .account where transaction.halfSignedIn == nil: reply = pages.signedOut()
            case .account, .authorize, .device:
                let again = Transaction(
                    id: transaction.id, purpose: transaction.purpose, browser: transaction.browser, expiresAt: transaction.expiresAt)
                reply = pages.signIn(try transactions.seal(again), client: try await client(of: transaction, call))
            }
            return withoutSession(reply)
        }
    }

    func withoutSession(_ reply: HTTPReply) -> HTTPReply {
        var reply = reply
        reply.response.headerFields.append(HTTPField(name: .setCookie, value: cookies.clear(.session)))
        return reply
    }
}
