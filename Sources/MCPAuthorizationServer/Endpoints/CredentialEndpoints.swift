import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Where people change their own password and one-time codes. Each change asks for the password again, and ends every
/// other session.
extension AuthorizationServer {
    func changePassword(_ call: HTTPCall) async -> HTTPReply {
        if call.request.method == .get {
            return await ownPage(call) { signedIn, transaction, pages throws(OAuthError) in
                guard signedIn.user.passwordHash != nil else { return noPassword(pages) }
                return pages.changePassword(try transactions.seal(transaction), user: signedIn.user)
            }
        }
        return await ownForm(call) { form, signedIn, transaction, pages throws(OAuthError) in
            let words = pages.language.words
            func again(_ problem: String, _ status: HTTPResponse.Status = .badRequest) throws(OAuthError) -> HTTPReply {
                pages.changePassword(try transactions.seal(transaction), user: signedIn.user, problem: problem, status: status)
            }
            if let refusal = try await refusal(of: try form.single("password") ?? "", signedIn.user, words, call) {
                return try again(refusal.problem, refusal.status)
            }
            let password = try form.single("new_password") ?? ""
            guard try form.single("repeated") == password else { return try again(words.notTheSame) }
            guard password.unicodeScalars.count >= PasswordHash.minimumPasswordCharacters else { return try again(words.passwordTooShort) }
            do throws(OAuthError) { try PasswordRules.check(password, name: signedIn.user.name) } catch { return try again(words.passwordTooCommon) }
            let hash = try await hasher.hash(password, name: signedIn.user.name)
            guard let user = try await change(signedIn.user, { $0.passwordHash = hash }) else { return stale(call) }
            record("user.password_changed", .allowed, call, reason: "by_user", subject: user.id)
            return try await startOver(user, toAccount(.password), call)
        }
    }

    /// Enrolment (GET shows the secret, POST proves that the app has it), or what can be done with codes that are on.
    func oneTimeCodes(_ call: HTTPCall) async -> HTTPReply {
        if call.request.method == .get {
            return await ownPage(call) { signedIn, transaction, pages throws(OAuthError) in
                guard signedIn.user.passwordHash != nil else { return noPassword(pages) }
                if signedIn.user.sealedOneTimeSecret != nil { return pages.manageCodes(try transactions.seal(transaction), user: signedIn.user) }
                var transaction = transaction
                transaction.newOneTimeSecret = random.bytes(20)
                return try enrolment(transaction, signedIn.user, pages)
            }
        }
        return await ownForm(call) { form, signedIn, transaction, pages throws(OAuthError) in
            let words = pages.language.words
            guard let secret = transaction.newOneTimeSecret, signedIn.user.sealedOneTimeSecret == nil else { return stale(call) }
            if let refusal = try await refusal(of: try form.single("password") ?? "", signedIn.user, words, call) {
                return try enrolment(transaction, signedIn.user, pages, problem: refusal.problem, status: refusal.status)
            }
            guard let step = OneTimePasswords.step(of: try form.single("code") ?? "", secret, at: clock.now) else {
                return try enrolment(transaction, signedIn.user, pages, problem: words.wrongOneTimeCode, status: .badRequest)
            }
            let sealed = try secrets.oneTimeSecrets.seal(secret, owner: signedIn.user.id)
            let codes = RecoveryCode.make(random)
            guard
                let user = try await change(
                    signedIn.user,
                    { user in
                        user.sealedOneTimeSecret = sealed
                        user.recoveryCodes = codes.map(RecoveryCode.hash)
                    })
            else { return stale(call) }
            // The code that proved the app is used up with it.
            _ = try await stored { try await store.useOneTimeStep(step, ofUser: user.id) }
            record("user.one_time_passwords_required", .allowed, call, reason: "by_user", subject: user.id)
            return try await startOver(user, pages.recoveryCodes(codes), call)
        }
    }

    /// New recovery codes, or no one-time codes any more.
    func changeCodes(_ call: HTTPCall) async -> HTTPReply {
        await ownForm(call) { form, signedIn, transaction, pages throws(OAuthError) in
            guard signedIn.user.sealedOneTimeSecret != nil else { return stale(call) }
            if let refusal = try await refusal(of: try form.single("password") ?? "", signedIn.user, pages.language.words, call) {
                return pages.manageCodes(
                    try transactions.seal(transaction), user: signedIn.user, problem: refusal.problem, status: refusal.status)
            }
            switch try form.single("change") {
            case "renew":
                let codes = RecoveryCode.make(random)
                guard let user = try await change(signedIn.user, { $0.recoveryCodes = codes.map(RecoveryCode.hash) }) else { return stale(call) }
                record("user.recovery_codes_replaced", .allowed, call, reason: "by_user", subject: user.id)
                return try await startOver(user, pages.recoveryCodes(codes), call)
            case "remove":
                guard
                    let user = try await change(
                        signedIn.user,
                        { user in
                            user.sealedOneTimeSecret = nil
                            user.recoveryCodes = []
                        })
                else { return stale(call) }
                record("user.one_time_passwords_dropped", .allowed, call, reason: "by_user", subject: user.id)
                return try await startOver(user, toAccount(.noCodes), call)
            default: return pages.error(OAuthError(.invalidRequest, "change is renew or remove"))
            }
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
            try transactions.seal(transaction), user: user, uri: OneTimePasswords.uri(secret, account: user.name, issuer: siteName),
            secret: Base32.encode(secret), problem: problem, status: status)
    }

    /// Why a password that is asked for again does not count, or nil. Attempts count as they do at sign-in: a stolen
    /// session must not be a way to guess the password.
    private func refusal(
        of password: String, _ user: User, _ words: PageWords, _ call: HTTPCall
    ) async throws(OAuthError) -> (problem: String, status: HTTPResponse.Status)? {
        if let seconds = throttled(user.name, call) {
            record("sign_in", .denied, call, reason: "throttled", subject: user.id)
            return (words.tooManyAttempts.with("\(seconds)"), .tooManyRequests)
        }
        guard password.utf8.count <= PasswordHash.maximumPasswordBytes, let hash = user.passwordHash, try await hasher.verify(password, hash) else {
            record("sign_in", .denied, call, reason: "wrong_password", subject: user.id)
            return (words.wrongCurrentPassword, .unauthorized)
        }
        forgiveAttempts(user.name, call)
        return nil
    }

    /// The user with a change, or nil when somebody else changed them since.
    private func change(_ user: User, _ body: (inout User) -> Void) async throws(OAuthError) -> User? {
        var changed = user
        body(&changed)
        let updated = changed
        return try await stored { try await store.update(updated, expecting: user) } ? updated : nil
    }

    /// Ends every session of a user, and begins a new one in this browser, under a new cookie.
    private func startOver(_ user: User, _ reply: HTTPReply, _ call: HTTPCall) async throws(OAuthError) -> HTTPReply {
        try await stored { try await store.deleteSessions(ofUser: user.id) }
        let value = random.token()
        let session = session(value, of: user, call)
        try await stored { try await store.add(session) }
        var reply = reply
        reply.response.headerFields.append(
            HTTPField(name: .setCookie, value: cookies.set(.session, value, maximumAge: configuration.sessionLifetime)))
        return reply
    }
}
