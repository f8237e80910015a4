import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import OAuth

/// Sign-in through an identity provider: the departure, and the return.
struct ProviderSignInEndpoint: ServerComponent {
    let context: ServerContext
    let limits: RateLimiters
    let connections: Connections
    let users: UserDirectory
    let browser: BrowserFlow
    let sessions: SessionIssuance
    let flow: ProviderFlow
    let consent: ConsentFlow

    /// The button of a provider. An application is shown and allowed first; only then does the browser leave (P-02).
    func start(_ call: HTTPCall) async -> HTTPReply {
        await browser.posted(call) { form, transaction, pages throws(OAuthError) in
            if let seconds = limits.seconds(call, limits.authorize) {
                throw OAuthError(.tooManyRequests, "too many sign-ins were begun; wait \(seconds) seconds")
            }
            guard let id = try form.single("provider"), connections.client(id) != nil else {
                return pages.error(OAuthError(.invalidRequest, "there is no such way to sign in"))
            }
            if case .authorize(let request) = transaction.purpose {
                guard let client = try await browser.client(of: transaction, call) else {
                    return pages.error(OAuthError(.invalidClient, "this client is not registered here"))
                }
                return try consent.ask(request, client, before: id, transaction, pages)
            }
            // A new way into an account is added only shortly after its user has signed in (B-10).
            if transaction.session != nil {
                guard let signedIn = try await browser.signedIn(call), transaction.isShown(to: signedIn.session),
                    try await isFresh(signedIn, id, transaction)
                else {
                    let again = browser.newTransaction(transaction.purpose, browser: transaction.browser)
                    return pages.signIn(
                        try browser.transactions.seal(again), client: nil, problem: pages.language.words.signInAgain, status: .forbidden)
                }
            }
            return await flow.begin(id, transaction, pages, call)
        }
    }

    /// Whether the user may connect a provider now. An account that is connected already is no new way in.
    private func isFresh(_ signedIn: SignedIn, _ id: String, _ transaction: Transaction) async throws(OAuthError) -> Bool {
        if browser.isFresh(signedIn.session) { return true }
        guard case .connection = transaction.purpose else { return false }
        return try await stored { try await connections.store.connections(ofUser: signedIn.user.id) }.contains { $0.provider == id }
    }

    /// The redirect URI of a provider.
    func answer(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get || call.request.method == .post else { return .methodNotAllowed("GET, POST") }
        var pages = browser.pages(call)
        if let seconds = limits.seconds(call, limits.authorize) {
            return pages.error(OAuthError(.tooManyRequests, "too many requests; wait \(seconds) seconds"), status: .tooManyRequests)
                .with(.retryAfter, "\(seconds)")
        }
        let id = call.path.split(separator: "/").last.map(String.init) ?? ""
        guard let client = connections.client(id) else { return pages.error(OAuthError(.invalidRequest, "there is no such way to sign in")) }
        func unknown() -> HTTPReply {
            record("sign_in", .denied, call, reason: "unknown_state", detail: id)
            return pages.problem(pages.language.words.otherBrowser, .expiredToken, status: .badRequest)
        }
        do throws(OAuthError) {
            if call.request.method == .post {
                guard client.signIn.responseMode == .formPost else { return .methodNotAllowed("GET") }
                let form = try call.postedForm()
                guard let state = try form.single("state"), let waiting = try await flow.take(state, provider: id), waiting.answer == nil else {
                    return unknown()
                }
                let location = try await flow.keep(try Self.answer(in: form), of: waiting)
                return PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure)
            }
            let form = try Form(queryOf: call.request.path ?? "")
            let handle = try form.single("handle")
            let stated = client.signIn.responseMode == .formPost ? handle : try form.single("state")
            guard let stated, let waiting = try await flow.take(stated, provider: id),
                (client.signIn.responseMode == .formPost) == (waiting.answer != nil)
            else { return unknown() }
            let answer: WaitingSignIn.Answer
            if let posted = waiting.answer { answer = posted } else { answer = try Self.answer(in: form) }
            // Nothing is asked of the provider before it is certain that this browser began the sign-in.
            let cookie = browser.cookies.value(.browser, in: call.request).map { SecretHash(of: $0) }
            guard let transaction = browser.transactions.open(waiting.transaction, browser: cookie, at: clock.now) else {
                record("sign_in", .denied, call, reason: "other_browser", detail: id)
                return pages.problem(pages.language.words.otherBrowser, .expiredToken, status: .forbidden)
            }
            if case .authorize(let request) = transaction.purpose { pages = browser.pages(call, request.locales) }
            return await signIn(answer, waiting, transaction, client, pages, call)
        } catch { return pages.error(error, status: browser.pageStatus(error)) }
    }

    private static func answer(in form: Form) throws(OAuthError) -> WaitingSignIn.Answer {
        let code = try form.single("code")
        guard (code?.utf8.count ?? 0) <= 4096 else { throw OAuthError(.invalidRequest, "code is too long") }
        return WaitingSignIn.Answer(code: code, error: try form.single("error"), issuer: try form.single("iss"))
    }

    private func signIn(
        _ answer: WaitingSignIn.Answer, _ waiting: WaitingSignIn, _ transaction: Transaction, _ client: ProviderClient, _ pages: Pages,
        _ call: HTTPCall
    ) async -> HTTPReply {
        let now = clock.now
        do throws(ProviderFailure) {
            try await client.checkIssuer(answer.issuer, at: now)
            if let error = answer.error { return try await declined(error, transaction, client, pages, call) }
            guard let code = answer.code else { throw .invalid("the answer has neither code nor error") }
            let (tokens, idToken) = try await client.exchange(
                code: code, verifier: waiting.verifier, redirectURI: flow.redirectURI(client.provider.id),
                furtherScopes: transaction.furtherScopes, at: now)
            let person = try await client.person(tokens, idToken: idToken, nonce: waiting.nonce, at: now)
            if let refusal = await client.method.admission.refusal(of: person, vouchesForDomains: client.signIn.vouchesForDomains) {
                record(
                    "sign_in", .denied, call, reason: "not_admitted",
                    detail: "\(client.provider.id) \(DisplayText.clean(person.userName ?? person.subject, limit: 100)): \(refusal)")
                try? await client.revoke(tokens, at: now)
                return pages.problem(pages.language.words.accountNotAdmitted.with(client.provider.name), .accessDenied, status: .forbidden)
            }
            if case .authorize(let request) = transaction.purpose, isTooOld(person, request, transaction) {
                record("sign_in", .denied, call, reason: "not_signed_in_again", detail: client.provider.id)
                guard let application = try? await browser.client(of: transaction, call) else { return browser.stale(call) }
                return consent.deny(
                    request, application, call, subject: nil,
                    because: OAuthError(.loginRequired, "\(client.provider.name) did not ask the user to sign in again"))
            }
            do throws(OAuthError) {
                return try await enter(person, tokens, transaction, client, pages, call)
            } catch { return pages.error(error, status: browser.pageStatus(error)) }
        } catch { return flow.failed(error, client, pages, call) }
    }

    /// Whether the provider says that it authenticated the user longer ago than the application accepts (OpenID Connect
    /// Core §3.1.2.1, `prompt=login` and `max_age`). A provider that says nothing is believed to have asked.
    private func isTooOld(_ person: ProviderPerson, _ request: AuthorizationRequest, _ transaction: Transaction) -> Bool {
        // Within a transaction that is bound to a session, a further account is connected, and no user signs in.
        guard transaction.session == nil, let authenticatedAt = person.authenticatedAt else { return false }
        let began = transaction.expiresAt.advanced(by: -Transaction.lifetime)
        var earliest: NumericDate?
        if let limit = request.maximumAge { earliest = began.advanced(by: -Int64(limit)) }
        if request.prompt.contains("login") { earliest = began }
        return earliest.map { authenticatedAt < $0.advanced(by: -Self.clockDifference) } ?? false
    }

    /// The number of seconds that the clock of a provider may be behind.
    private static let clockDifference: Int64 = 60

    /// The user, or the provider, said no. An application learns it in the standard way (P-12).
    private func declined(
        _ error: String, _ transaction: Transaction, _ client: ProviderClient, _ pages: Pages, _ call: HTTPCall
    ) async throws(ProviderFailure) -> HTTPReply {
        switch error {
        case "access_denied", "user_cancelled_login", "user_cancelled_authorize", "user_cancelled_authorization", "login_required",
            "consent_required", "interaction_required":
            record("sign_in", .denied, call, reason: "declined_at_provider", detail: client.provider.id)
            if case .authorize(let request) = transaction.purpose, let application = try? await browser.client(of: transaction, call) {
                return consent.deny(request, application, call, subject: nil)
            }
            return pages.problem(pages.language.words.providerRefused.with(client.provider.name), .accessDenied, status: .forbidden)
        case "temporarily_unavailable", "server_error":
            throw .unavailable("\(client.provider.name) answers \(error)")
        default: throw .misconfigured("\(client.provider.name) answers \(DisplayText.clean(error, limit: 80))")
        }
    }

    private func enter(
        _ person: ProviderPerson, _ tokens: ProviderTokens, _ transaction: Transaction, _ client: ProviderClient, _ pages: Pages, _ call: HTTPCall
    ) async throws(OAuthError) -> HTTPReply {
        let identity = ExternalIdentity(issuer: client.provider.issuer, subject: person.subject)
        // A page of the account that the user is signed in to: the provider is added to it.
        let isAddition =
            switch transaction.purpose {
            case .account, .connection: transaction.session != nil
            case .authorize: transaction.session != nil && transaction.approval != nil
            case .device: false
            }
        if isAddition {
            guard let signedIn = try await browser.signedIn(call), transaction.isShown(to: signedIn.session) else { return browser.stale(call) }
            if case .account = transaction.purpose {
            } else {
                // Otherwise two accounts of one provider would be connected, and tools would use either.
                let others = try await stored { try await connections.store.connections(ofUser: signedIn.user.id) }
                    .filter { $0.provider == client.provider.id }
                guard others.allSatisfy({ $0.identity == identity }) else {
                    try? await client.revoke(tokens, at: clock.now)
                    return pages.problem(pages.language.words.connectOtherAccount.with(client.provider.name), .accessDenied, status: .forbidden)
                }
            }
            guard try await connections.save(person, tokens, of: client, userID: signedIn.user.id) else {
                record("connection.added", .denied, call, reason: "belongs_to_another_user", detail: client.provider.id, subject: signedIn.user.id)
                return pages.error(
                    OAuthError(.accessDenied, "this \(client.provider.name) account belongs to another user here"), status: .forbidden)
            }
            record("connection.added", .allowed, call, detail: client.provider.id, subject: signedIn.user.id)
            if case .connection = transaction.purpose, let provider = context.signIn.provider(client.provider.id) {
                return pages.connectionDone(provider)
            }
            if case .authorize = transaction.purpose {
                let sealed = try browser.transactions.seal(transaction.shown(to: signedIn.session))
                return PageHeaders.redirect(to: routes.path("/consent") + "?transaction=" + sealed, isSecure: issuer.url.isSecure)
            }
            return browser.toAccount(.connected)
        }
        let user: User?
        if let known = try await stored({ try await connections.store.connection(identity) }) {
            user = try await stored { try await users.store.user(id: known.userID) }.flatMap { $0.isDisabled ? nil : $0 }
        } else {
            user = try await users.user(
                SignedInPerson(
                    issuer: identity.issuer, subject: identity.subject, displayName: person.name ?? person.userName, email: person.email,
                    isEmailVerified: person.isEmailVerified),
                label: (person.userName ?? person.email).map { $0 + "@" + client.provider.id }, call)
        }
        guard let user, try await connections.save(person, tokens, of: client, userID: user.id) else {
            record("sign_in", .denied, call, reason: "user_disabled", detail: client.provider.id)
            return pages.problem(pages.language.words.accountNotAdmitted.with(client.provider.name), .accessDenied, status: .forbidden)
        }
        return try await sessions.enter(
            user, user.name, transaction, call,
            providerSession: person.sessionID.map { ProviderClient.sessionHash($0, of: client.provider.issuer) })
    }
}
