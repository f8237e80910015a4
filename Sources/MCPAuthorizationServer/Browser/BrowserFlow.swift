import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The user of a browser, and the session.
struct SignedIn: Sendable {
    let session: Session
    let user: User
}

/// The steps that all pages share: cookies, the signed-in user, transactions, and the checks of every form.
struct BrowserFlow: ServerComponent {
    let context: ServerContext
    let store: any SessionStore & UserStore
    let transactions: TransactionSealer
    let clients: ClientDirectory
    let limits: RateLimiters

    var cookies: Cookies { Cookies(issuer) }

    /// The pages in the language of the request.
    func pages(_ call: HTTPCall?, _ locales: [String] = []) -> Pages {
        Pages(configuration: configuration, routes: routes, choices: context.signIn, language: configuration.language(locales, call?.request))
    }

    func pageStatus(_ error: OAuthError) -> HTTPResponse.Status {
        switch error.code {
        case .temporarilyUnavailable: .serviceUnavailable
        case .tooManyRequests: .tooManyRequests
        case .serverError: .internalServerError
        default: .badRequest
        }
    }

    // MARK: The signed-in user

    /// The session and user of a request's cookie. Nil without a session, and for a disabled user.
    func signedIn(_ call: HTTPCall) async throws(OAuthError) -> SignedIn? {
        guard let value = cookies.value(.session, in: call.request) else { return nil }
        do throws(StoreError) {
            guard let session = try await store.session(SecretHash(of: value), at: clock.now), let user = try await store.user(id: session.userID),
                !user.isDisabled
            else { return nil }
            return SignedIn(session: session, user: user)
        } catch { throw unavailable(error) }
    }

    /// The browser's own cookie, created at the first request.
    func cookie(_ call: HTTPCall) -> BrowserCookie {
        if let value = cookies.value(.browser, in: call.request) { return BrowserCookie(value: value, header: nil) }
        let value = random.token()
        return BrowserCookie(value: value, header: cookies.set(.browser, value, maximumAge: BrowserCookie.lifetime))
    }

    func newTransaction(_ purpose: Transaction.Purpose, identifier: String? = nil, browser: SecretHash) -> Transaction {
        Transaction(
            id: identifier ?? random.token(), purpose: purpose, browser: browser, expiresAt: clock.now.advanced(by: Transaction.lifetime))
    }

    /// A session that begins now.
    func session(
        _ value: String, of user: User, _ call: HTTPCall, authenticatedAt: NumericDate? = nil, providerSession: SecretHash? = nil
    ) -> Session {
        Session(
            hash: SecretHash(of: value), userID: user.id, authenticatedAt: authenticatedAt ?? clock.now,
            expiresAt: clock.now.advanced(by: configuration.sessionLifetime), browser: BrowserName.name(call.request.headerFields[.userAgent]),
            providerSession: providerSession)
    }

    /// The number of seconds after a sign-in in which an account of a provider may be added.
    private static let freshness: Int64 = 900

    /// Whether the user of a session has signed in a short time ago.
    func isFresh(_ session: Session) -> Bool { clock.now.seconds(since: session.authenticatedAt) <= Self.freshness }

    func withoutSession(_ reply: HTTPReply) -> HTTPReply {
        var reply = reply
        reply.response.headerFields.append(HTTPField(name: .setCookie, value: cookies.clear(.session)))
        return reply
    }

    // MARK: Forms

    /// Checks that the form comes from one of these pages, shown to this browser, and passes it on.
    func posted(_ call: HTTPCall, _ body: (Form, Transaction, Pages) async throws(OAuthError) -> HTTPReply) async -> HTTPReply {
        // A user who opens such a URL directly is redirected to the account page.
        if call.request.method == .get { return PageHeaders.redirect(to: routes.path("/account"), isSecure: issuer.url.isSecure) }
        guard call.request.method == .post else { return .methodNotAllowed("POST") }
        if let site = call.request.headerFields[.secFetchSite], site != "same-origin" {
            if let reply = limits.tooMany(call, limits.begin) { return reply }
            record("form", .denied, call, reason: "cross_site")
            return pages(call).error(OAuthError(.invalidRequest, "this form was sent from another site"), status: .forbidden)
        }
        var pages = pages(call)
        do throws(OAuthError) {
            let form = try call.postedForm()
            guard let transaction = try transaction(form, call) else { return stale(call) }
            if case .authorize(let request) = transaction.purpose { pages = self.pages(call, request.locales) }
            return try await body(form, transaction, pages)
        } catch { return pages.error(error, status: pageStatus(error)) }
    }

    /// The transaction of a page, if it belongs to this browser and has not expired.
    func transaction(_ form: Form, _ call: HTTPCall) throws(OAuthError) -> Transaction? {
        transactions.open(
            try form.single("transaction") ?? "", browser: cookies.value(.browser, in: call.request).map { SecretHash(of: $0) }, at: clock.now)
    }

    func stale(_ call: HTTPCall) -> HTTPReply {
        record("form", .denied, call, reason: "stale_or_foreign_transaction")
        return pages(call).error(
            OAuthError(
                .expiredToken, "this page is too old, or was opened in another browser, or cookies are off; begin again from the application"),
            status: .forbidden)
    }

    func client(of transaction: Transaction, _ call: HTTPCall) async throws(OAuthError) -> Client? {
        guard case .authorize(let request) = transaction.purpose else { return nil }
        guard let client = try await clients.client(request.clientID, call), !client.isDisabled else { return nil }
        return client
    }

    // MARK: The user's own account

    /// A page of the user's own account, or the sign-in page if no user is signed in.
    func ownPage(
        _ call: HTTPCall, _ body: (SignedIn, Transaction, Pages) async throws(OAuthError) -> HTTPReply
    ) async -> HTTPReply {
        let pages = pages(call)
        do throws(OAuthError) {
            let cookie = cookie(call)
            let transaction = newTransaction(.account, browser: SecretHash(of: cookie.value))
            guard let signedIn = try await signedIn(call) else {
                return cookie.set(on: pages.signIn(try transactions.seal(transaction), client: nil))
            }
            return cookie.set(on: try await body(signedIn, transaction.shown(to: signedIn.session), pages))
        } catch { return pages.error(error, status: pageStatus(error)) }
    }

    /// A form of the user's own account, sent from a page that was shown to the session that is signed in now.
    func ownForm(
        _ call: HTTPCall, _ body: (Form, SignedIn, Transaction, Pages) async throws(OAuthError) -> HTTPReply
    ) async -> HTTPReply {
        await posted(call) { form, transaction, pages throws(OAuthError) in
            guard case .account = transaction.purpose, let signedIn = try await signedIn(call), transaction.isShown(to: signedIn.session) else {
                return stale(call)
            }
            return try await body(form, signedIn, transaction, pages)
        }
    }

    func toAccount(_ done: Pages.Done) -> HTTPReply {
        PageHeaders.redirect(to: routes.path("/account?done=\(done.rawValue)"), isSecure: issuer.url.isSecure)
    }
}
