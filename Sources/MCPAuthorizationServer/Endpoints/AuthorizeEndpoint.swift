import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    var cookies: Cookies { Cookies(issuer) }

    /// The pages in the language of the request.
    func pages(_ call: HTTPCall?, _ locales: [String] = []) -> Pages {
        Pages(configuration: configuration, routes: routes, language: configuration.language(locales, call?.request))
    }

    /// The authorization endpoint (RFC 6749 §3.1): checks the request, then shows the next page.
    func authorize(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get || call.request.method == .post else { return methodNotAllowed("GET, POST") }
        if let seconds = throttledPages(call) {
            return pages(call).error(OAuthError(.tooManyRequests, "too many sign-ins were begun; wait \(seconds) seconds"), status: .tooManyRequests)
                .with(.retryAfter, "\(seconds)")
        }
        let form: Form
        do throws(OAuthError) {
            form = call.request.method == .get ? try Form(queryOf: call.request.path ?? "") : try postedForm(call)
        } catch { return pages(call).error(error) }
        do throws(AuthorizationRequestError) {
            if let (pushed, client) = try await pushedRequest(form, call) {
                return await begin(pushed.request, client, identifier: pushed.id, call)
            }
            let (request, client) = try await authorizationRequest(form, call)
            guard !configuration.requiresPushedRequests, !client.requiresPushedRequests else {
                throw AuthorizationRequestError.redirectable(
                    OAuthError(.invalidRequest, "this request has to be pushed (RFC 9126)"), client: client, redirectURI: request.redirectURI,
                    state: request.state)
            }
            return await begin(request, client, identifier: random.token(), call)
        } catch { return await refuse(error, call) }
    }

    private func throttledPages(_ call: HTTPCall) -> Int64? {
        if isUncounted(call) { return nil }
        return limits.authorize.wait(for: limitKey(call), at: clock.now)
    }

    /// The request that the client pushed before, if it did. Other parameters from the browser are ignored.
    private func pushedRequest(_ form: Form, _ call: HTTPCall) async throws(AuthorizationRequestError) -> (PushedRequest, Client)? {
        do throws(OAuthError) {
            guard let uri = try form.single("request_uri"), uri.utf8.starts(with: PushedRequest.prefix.utf8) else { return nil }
            guard let clientID = try form.single("client_id").flatMap(ClientID.init) else {
                throw OAuthError(.invalidRequest, "client_id is missing")
            }
            let pushed = try await pushed(uri, by: clientID)
            guard let client = try await client(clientID, call), !client.isDisabled else {
                throw OAuthError(.invalidClient, "this client is not registered here")
            }
            return (pushed, client)
        } catch { throw .local(error, []) }
    }

    private func refuse(_ error: AuthorizationRequestError, _ call: HTTPCall) async -> HTTPReply {
        switch error {
        case .local(let error, let facts):
            record("authorization.request", .denied, call, reason: error.code.rawValue, detail: error.message)
            return pages(call).error(error, status: pageStatus(error), facts: facts)
        case .redirectable(let error, let client, let redirectURI, let state):
            record("authorization.request", .denied, call, reason: error.code.rawValue, detail: error.message, client: client.id)
            return await answer(error, client: client, redirectURI: redirectURI, state: state, call)
        }
    }

    func pageStatus(_ error: OAuthError) -> HTTPResponse.Status {
        switch error.code {
        case .temporarilyUnavailable: .serviceUnavailable
        case .tooManyRequests: .tooManyRequests
        case .serverError: .internalServerError
        default: .badRequest
        }
    }

    /// Sends an error to the client (RFC 6749 §4.1.2.1). If that would make this server an open redirector, the user
    /// stays here and sees a page with a link (RFC 9700 §4.11.2, Z-08).
    private func answer(_ error: OAuthError, client: Client, redirectURI: String, state: String?, _ call: HTTPCall) async -> HTTPReply {
        let location = AuthorizationResponse.error(error, issuer: issuer, redirectURI: redirectURI, state: state)
        let uri = try? RedirectURI(redirectURI)
        if await mayBeSent(errorsTo: client, uri, call) { return PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure) }
        return pages(call).error(error, returnTo: (location, uri?.displayHost ?? "the application"))
    }

    /// Whether a browser may be redirected to a client without the user's decision: to a program on the user's own
    /// machine, to a client that the operator registered or whose document is on a listed host, or to a client that
    /// this signed-in user has approved before.
    private func mayBeSent(errorsTo client: Client, _ uri: RedirectURI?, _ call: HTTPCall) async -> Bool {
        guard let uri else { return false }
        if uri.kind != .web || client.origin == .configured || documents?.isTrusted(client.id) == true { return true }
        // A store that fails answers with the page.
        guard let signedIn = try? await signedIn(call),
            let grants = try? await stored({ try await store.grants(ofUser: signedIn.user.id, at: clock.now) })
        else { return false }
        return grants.contains { $0.clientID == client.id }
    }

    /// Sign-in, consent, or a code at once: the next step that is still missing.
    private func begin(_ request: AuthorizationRequest, _ client: Client, identifier: String, _ call: HTTPCall) async -> HTTPReply {
        let pages = pages(call, request.locales)
        do throws(OAuthError) {
            let now = clock.now
            let signedIn = try await self.signedIn(call)
            let isTooLongAgo =
                request.maximumAge.map { limit in signedIn.map { now.seconds(since: $0.session.authenticatedAt) > limit || limit == 0 } ?? true }
                ?? false
            if request.prompt.contains("none") {
                guard let signedIn, !isTooLongAgo else { return await silent(.loginRequired, "nobody is signed in", request, client, call) }
                guard try await isAgreed(request, client, signedIn.user, call) else {
                    return await silent(.consentRequired, "the user has to be asked", request, client, call)
                }
                let transaction = newTransaction(.authorize(request), identifier: identifier, browser: SecretHash(of: random.token()))
                return try await issueCode(for: request, request.scopes, transaction: transaction, signedIn, call)
            }
            let browser = browser(call)
            let transaction = newTransaction(.authorize(request), identifier: identifier, browser: SecretHash(of: browser.value))
            let mustSignInAgain =
                request.prompt.contains("login") || request.prompt.contains("select_account") || isTooLongAgo
            guard let signedIn, !mustSignInAgain else {
                return browser.set(
                    on: pages.signIn(try transactions.seal(transaction), client: client, name: User.normalizedName(request.loginHint ?? "") ?? ""))
            }
            if !request.prompt.contains("consent"), try await isAgreed(request, client, signedIn.user, call) {
                return try await issueCode(for: request, request.scopes, transaction: transaction, signedIn, call)
            }
            return browser.set(on: try ask(request, client, signedIn, transaction, pages))
        } catch { return pages.error(error, status: pageStatus(error)) }
    }

    /// The consent page.
    ///
    /// - Parameter ticked: The ticked permissions if the user chooses. Nil: all of them.
    func ask(
        _ request: AuthorizationRequest, _ client: Client, _ signedIn: SignedIn, _ transaction: Transaction, _ pages: Pages, isChoosing: Bool = false,
        ticked: ScopeSet? = nil, remembers: Bool = false, problem: String? = nil
    ) throws(OAuthError) -> HTTPReply {
        // The metadata of the client may have changed since the request was checked (S-12).
        guard client.redirectURIs.contains(where: { $0.matches(request.redirectURI) }) else {
            throw OAuthError(.invalidRequest, "redirect_uri is no longer one that this client has registered")
        }
        let question = Pages.Question(
            client: client, user: signedIn.user, scopes: request.scopes, resource: request.resource, redirectURI: request.redirectURI,
            action: "/consent", isChoosing: isChoosing || request.isChoiceNeeded, ticked: ticked ?? (request.isChoiceNeeded ? [] : request.scopes),
            remembers: remembers, problem: problem)
        return pages.consent(try transactions.seal(transaction.shown(to: signedIn.session, asking: client)), question)
    }

    private func silent(
        _ code: OAuthError.Code, _ message: String, _ request: AuthorizationRequest, _ client: Client, _ call: HTTPCall
    ) async -> HTTPReply {
        await answer(OAuthError(code, message), client: client, redirectURI: request.redirectURI, state: request.state, call)
    }

    /// Whether the user has consented to exactly this request before, to a client that no other party can impersonate,
    /// and no other site sent the user (B-08).
    private func isAgreed(_ request: AuthorizationRequest, _ client: Client, _ user: User, _ call: HTTPCall) async throws(OAuthError) -> Bool {
        guard client.isConfidential, !request.isChoiceNeeded, let site = call.request.headerFields[.secFetchSite],
            ["none", "same-origin"].contains(site)
        else { return false }
        return try await stored {
            try await store.isRemembered(
                RememberedConsent(
                    userID: user.id, clientID: client.id, resource: request.resource, redirectURI: request.redirectURI, scopes: request.scopes))
        }
    }

    /// Ends a transaction with a code, once.
    func issueCode(
        for request: AuthorizationRequest, _ scopes: ScopeSet, transaction: Transaction, _ signedIn: SignedIn, _ call: HTTPCall
    ) async throws(OAuthError) -> HTTPReply {
        let text = random.token()
        let user = signedIn.user
        let code = AuthorizationCode(
            hash: SecretHash(of: text), clientID: request.clientID, userID: user.id, redirectURI: request.redirectURI, challenge: request.challenge,
            scopes: scopes, resource: request.resource, keyThumbprint: request.keyThumbprint, nonce: request.nonce,
            authenticatedAt: signedIn.session.authenticatedAt, expiresAt: clock.now.advanced(by: configuration.codeLifetime))
        let isFirst = try await stored { try await store.issue(code, consuming: transaction.hash, until: transaction.expiresAt.advanced(by: 60)) }
        guard isFirst else {
            record("consent", .denied, call, reason: "transaction_reused", subject: user.id, client: request.clientID)
            return pages(call, request.locales).error(
                OAuthError(.invalidRequest, "this page was used already; begin again from the application"), status: .forbidden)
        }
        // If the session was ended meanwhile, the code is not sent.
        guard try await stored({ try await store.session(signedIn.session.hash, at: clock.now) }) != nil else { return stale(call) }
        record("consent", .allowed, call, subject: user.id, client: request.clientID, scopes: scopes)
        let location = AuthorizationResponse.code(text, issuer: issuer, redirectURI: request.redirectURI, state: request.state)
        return PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure)
    }

    // MARK: The signed-in user

    struct SignedIn: Sendable {
        let session: Session
        let user: User
    }

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
    func browser(_ call: HTTPCall) -> BrowserCookie {
        if let value = cookies.value(.browser, in: call.request) { return BrowserCookie(value: value, header: nil) }
        let value = random.token()
        return BrowserCookie(value: value, header: cookies.set(.browser, value, maximumAge: BrowserCookie.lifetime))
    }

    func newTransaction(_ purpose: Transaction.Purpose, identifier: String? = nil, browser: SecretHash) -> Transaction {
        Transaction(
            id: identifier ?? random.token(), purpose: purpose, browser: browser, expiresAt: clock.now.advanced(by: Transaction.lifetime))
    }

    func methodNotAllowed(_ allowed: String) -> HTTPReply {
        HTTPReply.error(OAuthError(.invalidRequest, "use \(allowed) here"), status: .methodNotAllowed).with(.allow, allowed)
    }

    /// The fields of a form body. Throws `invalid_request` for any other content.
    func postedForm(_ call: HTTPCall) throws(OAuthError) -> Form {
        let type = call.request.headerFields[.contentType]?.prefix { $0 != ";" }.lowercased().trimmingSpaces ?? ""
        guard type == "application/x-www-form-urlencoded" else {
            throw OAuthError(.invalidRequest, "send Content-Type: application/x-www-form-urlencoded")
        }
        guard call.body.count <= 65536 else { throw OAuthError(.invalidRequest, "the body is longer than 64 KiB") }
        return try Form(parsing: call.body)
    }
}

/// The cookie that identifies a browser, and the header that sets it if it is new.
struct BrowserCookie: Sendable {
    let value: String
    let header: String?

    /// The longest lifetime of a cookie in browsers, in seconds.
    static let lifetime: Int64 = 400 * 86400

    func set(on reply: HTTPReply) -> HTTPReply {
        guard let header else { return reply }
        var reply = reply
        reply.response.headerFields.append(HTTPField(name: .setCookie, value: header))
        return reply
    }
}

/// The redirect back to a client (RFC 6749 §4.1.2), always with `iss` (RFC 9207).
enum AuthorizationResponse {
    static func code(_ code: String, issuer: Issuer, redirectURI: String, state: String?) -> String {
        location(redirectURI, [("code", code), ("state", state), ("iss", issuer.text)])
    }

    static func error(_ error: OAuthError, issuer: Issuer, redirectURI: String, state: String?) -> String {
        location(
            redirectURI,
            [("error", error.code.rawValue), ("error_description", HTTPReply.printable(error.message)), ("state", state), ("iss", issuer.text)])
    }

    private static func location(_ redirectURI: String, _ parameters: [(String, String?)]) -> String {
        var form = Form()
        for (name, value) in parameters { form.append(name, value) }
        return redirectURI + (redirectURI.utf8.contains(UInt8(ascii: "?")) ? "&" : "?") + form.encoded
    }
}

extension HTTPField.Name {
    static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")!
}

extension String {
    /// Without ASCII spaces and tabs at its ends.
    var trimmingSpaces: String {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        let bytes = Array(utf8)
        guard let first = bytes.firstIndex(where: { !isSpace($0) }), let last = bytes.lastIndex(where: { !isSpace($0) }) else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }
}
