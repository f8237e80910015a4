import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    // MARK: Sign-in

    /// Takes a user name and a password, and goes on with what was begun.
    func signIn(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { form, transaction throws(OAuthError) in
            let name = try form.single("username") ?? ""
            let password = try form.single("password") ?? ""
            let client = try await self.client(of: transaction)
            func again(_ problem: String, _ status: HTTPResponse.Status) throws(OAuthError) -> HTTPReply {
                signInPage(
                    try transactions.seal(transaction), client: client, name: DisplayText.clean(name, limit: 64), problem: problem, status: status)
            }
            if let seconds = throttled(name, call) {
                record("sign_in", .denied, call, reason: "throttled")
                return try again("Too many attempts. Wait \(seconds) seconds, then try again.", .tooManyRequests).with(.retryAfter, "\(seconds)")
            }
            guard let user = try await authenticated(name, password) else {
                record("sign_in", .denied, call, reason: "wrong_password")
                return try again("The user name or the password is wrong.", .unauthorized)
            }
            limits.signInByAddress.giveBack(limitKey(call))
            limits.signInByAccount.reset(user.name)
            return try await enter(user, transaction, call)
        }
    }

    /// Every attempt counts until it has succeeded. An address that is throttled does not count against the account, so that it cannot go on locking people out.
    private func throttled(_ name: String, _ call: HTTPCall) -> Int64? {
        let now = clock.now
        return limits.signInByAddress.wait(for: limitKey(call), at: now)
            ?? limits.signInByAccount.wait(for: User.normalizedName(name) ?? "", at: now)
    }

    /// Takes as long for a user who does not exist as for one who does.
    private func authenticated(_ name: String, _ password: String) async throws(OAuthError) -> User? {
        guard password.utf8.count <= PasswordHash.maximumPasswordBytes else { return nil }
        var user: User?
        if let name = User.normalizedName(name) {
            user = try await stored { try await store.user(named: name) }
        }
        guard try await hasher.verify(password, user?.passwordHash), let user, !user.isDisabled else { return nil }
        return user
    }

    /// A new session under a new cookie, to which what was begun is bound from now on: nothing that was set before sign-in means anything after it (B-05).
    /// The browser keeps its own cookie, so that what it began in another tab goes on there (B-07).
    private func enter(_ user: User, _ transaction: Transaction, _ call: HTTPCall) async throws(OAuthError) -> HTTPReply {
        let now = clock.now
        let value = random.token()
        let session = Session(
            hash: SecretHash(of: value), userID: user.id, authenticatedAt: now, expiresAt: now.advanced(by: configuration.sessionLifetime))
        do throws(StoreError) {
            if let old = cookies.value(.session, in: call.request) { try await store.deleteSession(SecretHash(of: old)) }
            try await store.add(session)
        } catch { throw unavailable(error) }
        record("sign_in", .allowed, call, subject: user.id)
        let next = Transaction(
            id: transaction.id, purpose: transaction.purpose, browser: transaction.browser, session: session.hash, expiresAt: transaction.expiresAt)
        let sealed = try transactions.seal(next)
        let location: String
        switch transaction.purpose {
        case .account: location = routes.path("/account")
        case .authorize: location = routes.path("/consent") + "?transaction=" + sealed
        }
        var reply = PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure)
        reply.response.headerFields.append(
            HTTPField(name: .setCookie, value: cookies.set(.session, value, maximumAge: configuration.sessionLifetime)))
        return reply
    }

    // MARK: Consent

    /// Shows the question (GET, after sign-in) or takes the answer (POST).
    func consent(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .post else { return await showConsent(call) }
        return await posted(call) { form, transaction throws(OAuthError) in
            guard case .authorize(let request) = transaction.purpose, let client = try await self.client(of: transaction) else {
                return errorPage(OAuthError(.invalidRequest, "this page belongs to something else"))
            }
            guard let signedIn = try await signedIn(call), transaction.session == signedIn.session.hash else {
                // Somebody else signed in meanwhile, or nobody is: whoever sits here has to say who they are (B-07).
                return signInPage(try transactions.seal(transaction), client: client, problem: "Sign in again to go on.", status: .forbidden)
            }
            switch try form.single("decision") {
            case "allow":
                if try form.single("remember") == "yes", client.isConfidential { try await remember(request, client, signedIn.user) }
                return try await issueCode(for: request, transaction: transaction, user: signedIn.user, call)
            case "deny":
                record("consent", .denied, call, reason: "access_denied", subject: signedIn.user.id, client: client.id, scopes: request.scopes)
                let error = OAuthError(.accessDenied, "the user did not allow it")
                // The person has just decided to go back, so this redirect is theirs.
                return PageHeaders.redirect(
                    to: AuthorizationResponse.error(error, issuer: issuer, redirectURI: request.redirectURI, state: request.state),
                    isSecure: issuer.url.isSecure)
            default: return errorPage(OAuthError(.invalidRequest, "decision is allow or deny"))
            }
        }
    }

    private func showConsent(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return methodNotAllowed("GET, POST") }
        do throws(OAuthError) {
            let form = try Form(queryOf: call.request.path ?? "")
            guard let transaction = try transaction(form, call), case .authorize(let request) = transaction.purpose else { return stale(call) }
            guard let client = try await client(of: transaction) else {
                return errorPage(OAuthError(.invalidClient, "this client is not registered here"))
            }
            guard let signedIn = try await signedIn(call), transaction.session == signedIn.session.hash else {
                return signInPage(try transactions.seal(transaction), client: client)
            }
            return consentPage(try transactions.seal(transaction), request, client: client, user: signedIn.user)
        } catch { return errorPage(error, status: error.code == .temporarilyUnavailable ? .serviceUnavailable : .badRequest) }
    }

    private func remember(_ request: AuthorizationRequest, _ client: Client, _ user: User) async throws(OAuthError) {
        try await stored {
            try await store.remember(
                RememberedConsent(
                    userID: user.id, clientID: client.id, resource: request.resource, redirectURI: request.redirectURI, scopes: request.scopes))
        }
    }

    // MARK: The person's own page

    /// Lists what can use this account.
    func account(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return methodNotAllowed("GET") }
        do throws(OAuthError) {
            let browser = browser(call)
            let transaction = newTransaction(.account, browser: SecretHash(of: browser.value))
            guard let signedIn = try await signedIn(call) else { return browser.set(on: signInPage(try transactions.seal(transaction), client: nil)) }
            var connections: [(Grant, Client?)] = []
            for grant in try await stored({ try await store.grants(ofUser: signedIn.user.id, at: clock.now) }) {
                connections.append((grant, try await client(grant.clientID)))
            }
            return browser.set(
                on: accountPage(try transactions.seal(transaction.shown(to: signedIn.session)), user: signedIn.user, connections: connections))
        } catch { return errorPage(error, status: .serviceUnavailable) }
    }

    /// Ends one connection, at once.
    func disconnect(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { form, transaction throws(OAuthError) in
            guard let signedIn = try await signedIn(call), transaction.session == signedIn.session.hash else { return stale(call) }
            let id = try form.single("grant") ?? ""
            let grant = try await stored { try await store.grant(id) }
            guard let grant, grant.userID == signedIn.user.id else {
                return errorPage(OAuthError(.invalidRequest, "there is no such connection"), status: .notFound)
            }
            try await end(grant: grant.id)
            try await stored { try await store.forget(userID: signedIn.user.id, clientID: grant.clientID) }
            record("grant.revoked", .allowed, call, reason: "disconnected", subject: signedIn.user.id, client: grant.clientID)
            return PageHeaders.redirect(to: routes.path("/account"), isSecure: issuer.url.isSecure)
        }
    }

    func signOut(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { _, transaction throws(OAuthError) in
            do throws(StoreError) {
                if let value = cookies.value(.session, in: call.request) { try await store.deleteSession(SecretHash(of: value)) }
            } catch { throw unavailable(error) }
            record("sign_out", .allowed, call)
            var reply: HTTPReply
            if case .authorize = transaction.purpose {
                reply = signInPage(try transactions.seal(transaction), client: try await client(of: transaction))
            } else {
                reply = signedOutPage()
            }
            reply.response.headerFields.append(HTTPField(name: .setCookie, value: cookies.clear(.session)))
            return reply
        }
    }

    // MARK: What every form of ours goes through

    /// Checks that the form comes from one of our own pages, shown to this browser, and hands it on.
    private func posted(_ call: HTTPCall, _ body: (Form, Transaction) async throws(OAuthError) -> HTTPReply) async -> HTTPReply {
        // Whoever opens such an address by hand, or goes back to it, gets to where they can begin.
        if call.request.method == .get { return PageHeaders.redirect(to: routes.path("/account"), isSecure: issuer.url.isSecure) }
        guard call.request.method == .post else { return methodNotAllowed("POST") }
        if let site = call.request.headerFields[.secFetchSite], site != "same-origin" {
            record("form", .denied, call, reason: "cross_site")
            return errorPage(OAuthError(.invalidRequest, "this form was sent from another site"), status: .forbidden)
        }
        do throws(OAuthError) {
            let form = try postedForm(call)
            guard let transaction = try transaction(form, call) else { return stale(call) }
            return try await body(form, transaction)
        } catch { return errorPage(error, status: error.code == .temporarilyUnavailable ? .serviceUnavailable : .badRequest) }
    }

    private func transaction(_ form: Form, _ call: HTTPCall) throws(OAuthError) -> Transaction? {
        transactions.open(
            try form.single("transaction") ?? "", browser: cookies.value(.browser, in: call.request).map { SecretHash(of: $0) }, at: clock.now)
    }

    private func stale(_ call: HTTPCall) -> HTTPReply {
        record("form", .denied, call, reason: "stale_or_foreign_transaction")
        return errorPage(
            OAuthError(
                .invalidRequest, "this page is too old, or was opened in another browser, or cookies are off; begin again from the application"),
            status: .forbidden)
    }

    private func client(of transaction: Transaction) async throws(OAuthError) -> Client? {
        guard case .authorize(let request) = transaction.purpose else { return nil }
        return try await client(request.clientID)
    }
}
