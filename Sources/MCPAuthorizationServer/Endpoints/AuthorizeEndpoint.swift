import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    var cookies: Cookies { Cookies(issuer) }

    /// The authorization endpoint (RFC 6749 §3.1): checks the request, then shows what comes next.
    func authorize(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get || call.request.method == .post else { return methodNotAllowed("GET, POST") }
        let form: Form
        do throws(OAuthError) {
            form = call.request.method == .get ? try Form(queryOf: call.request.path ?? "") : try postedForm(call)
        } catch { return errorPage(error) }
        do throws(AuthorizationRequestError) {
            let (request, client) = try await authorizationRequest(form)
            return await begin(request, client, call)
        } catch { return refuse(error, call) }
    }

    private func refuse(_ error: AuthorizationRequestError, _ call: HTTPCall) -> HTTPReply {
        switch error {
        case .local(let error):
            record("authorization.request", .denied, call, reason: error.code.rawValue, detail: error.message)
            return errorPage(error, status: error.code == .temporarilyUnavailable ? .serviceUnavailable : .badRequest)
        case .redirectable(let error, let client, let redirectURI, let state):
            record("authorization.request", .denied, call, reason: error.code.rawValue, detail: error.message, client: client.id)
            return answer(error, client: client, redirectURI: redirectURI, state: state)
        }
    }

    /// An error for the client. Only a client that the operator registered gets it by itself; the browser of somebody who met any other client stays here
    /// until they decide to go (RFC 9700 §4.11.2, Z-08).
    private func answer(_ error: OAuthError, client: Client, redirectURI: String, state: String?) -> HTTPReply {
        let location = AuthorizationResponse.error(error, issuer: issuer, redirectURI: redirectURI, state: state)
        if client.origin == .configured { return PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure) }
        let host = (try? RedirectURI(redirectURI))?.displayHost ?? "the application"
        return errorPage(error, returnTo: (location, host))
    }

    /// Sign-in, consent, or at once a code: whatever is still missing.
    private func begin(_ request: AuthorizationRequest, _ client: Client, _ call: HTTPCall) async -> HTTPReply {
        do throws(OAuthError) {
            let now = clock.now
            let signedIn = try await self.signedIn(call)
            let isTooLongAgo =
                request.maximumAge.map { limit in signedIn.map { now.seconds(since: $0.session.authenticatedAt) > limit || limit == 0 } ?? true }
                ?? false
            if request.prompt.contains("none") {
                guard let signedIn, !isTooLongAgo else { return silent(.loginRequired, "nobody is signed in", request, client) }
                guard try await isAgreed(request, client, signedIn.user, call) else {
                    return silent(.consentRequired, "the user has to be asked", request, client)
                }
                let transaction = newTransaction(.authorize(request), browser: SecretHash(of: random.token()))
                return try await issueCode(for: request, transaction: transaction, user: signedIn.user, call)
            }
            let browser = browser(call)
            let transaction = newTransaction(.authorize(request), browser: SecretHash(of: browser.value))
            let mustSignInAgain =
                request.prompt.contains("login") || request.prompt.contains("select_account") || isTooLongAgo
            guard let signedIn, !mustSignInAgain else {
                return browser.set(
                    on: signInPage(try transactions.seal(transaction), client: client, name: User.normalizedName(request.loginHint ?? "") ?? ""))
            }
            if !request.prompt.contains("consent"), try await isAgreed(request, client, signedIn.user, call) {
                return try await issueCode(for: request, transaction: transaction, user: signedIn.user, call)
            }
            let sealed = try transactions.seal(transaction.shown(to: signedIn.session))
            return browser.set(on: consentPage(sealed, request, client: client, user: signedIn.user))
        } catch { return errorPage(error, status: .serviceUnavailable) }
    }

    private func silent(_ code: OAuthError.Code, _ message: String, _ request: AuthorizationRequest, _ client: Client) -> HTTPReply {
        answer(OAuthError(code, message), client: client, redirectURI: request.redirectURI, state: request.state)
    }

    /// Whether the user has agreed to exactly this before, to a client that nobody else can pose as, and came here by their own choice (B-08).
    private func isAgreed(_ request: AuthorizationRequest, _ client: Client, _ user: User, _ call: HTTPCall) async throws(OAuthError) -> Bool {
        guard client.isConfidential, let site = call.request.headerFields[.secFetchSite], ["none", "same-origin"].contains(site) else { return false }
        return try await stored {
            try await store.isRemembered(
                RememberedConsent(
                    userID: user.id, clientID: client.id, resource: request.resource, redirectURI: request.redirectURI, scopes: request.scopes))
        }
    }

    /// Ends a transaction with a code, once.
    func issueCode(for request: AuthorizationRequest, transaction: Transaction, user: User, _ call: HTTPCall) async throws(OAuthError) -> HTTPReply {
        let text = random.token()
        let code = AuthorizationCode(
            hash: SecretHash(of: text), clientID: request.clientID, userID: user.id, redirectURI: request.redirectURI, challenge: request.challenge,
            scopes: request.scopes, resource: request.resource, expiresAt: clock.now.advanced(by: configuration.codeLifetime))
        let isFirst = try await stored { try await store.issue(code, consuming: transaction.hash, until: transaction.expiresAt.advanced(by: 60)) }
        guard isFirst else {
            record("consent", .denied, call, reason: "transaction_reused", subject: user.id, client: request.clientID)
            return errorPage(OAuthError(.invalidRequest, "this page was used already; begin again from the application"), status: .forbidden)
        }
        record("consent", .allowed, call, subject: user.id, client: request.clientID, scopes: request.scopes)
        let location = AuthorizationResponse.code(text, issuer: issuer, redirectURI: request.redirectURI, state: request.state)
        return PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure)
    }

    // MARK: Who sits in front of the browser

    /// The session and user of a request's cookie. Nil for nobody, and for a user who may not sign in any more.
    func signedIn(_ call: HTTPCall) async throws(OAuthError) -> (session: Session, user: User)? {
        guard let value = cookies.value(.session, in: call.request) else { return nil }
        do throws(StoreError) {
            guard let session = try await store.session(SecretHash(of: value), at: clock.now), let user = try await store.user(id: session.userID),
                !user.isDisabled
            else { return nil }
            return (session, user)
        } catch { throw unavailable(error) }
    }

    /// The browser's own cookie, made on first sight.
    func browser(_ call: HTTPCall) -> BrowserCookie {
        if let value = cookies.value(.browser, in: call.request) { return BrowserCookie(value: value, header: nil) }
        let value = random.token()
        return BrowserCookie(value: value, header: cookies.set(.browser, value, maximumAge: 86400))
    }

    func newTransaction(_ purpose: Transaction.Purpose, browser: SecretHash) -> Transaction {
        Transaction(id: random.token(), purpose: purpose, browser: browser, session: nil, expiresAt: clock.now.advanced(by: Transaction.lifetime))
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

/// The cookie that tells browsers apart, and the header that sets it where it is new.
struct BrowserCookie: Sendable {
    let value: String
    let header: String?

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
