import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The authorization endpoint (RFC 6749 §3.1): checks the request, then shows the next page.
struct AuthorizeEndpoint: ServerComponent {
    let context: ServerContext
    let store: any ConsentStore & GrantStore
    let limits: RateLimiters
    let clients: ClientDirectory
    let validation: AuthorizationRequestValidation
    let requests: PushedRequests
    let browser: BrowserFlow
    let consent: ConsentFlow
    let memberships: Memberships

    func reply(to call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get || call.request.method == .post else { return .methodNotAllowed("GET, POST") }
        if let seconds = limits.seconds(call, limits.authorize) {
            return browser.pages(call).error(
                OAuthError(.tooManyRequests, "too many sign-ins were begun; wait \(seconds) seconds"), status: .tooManyRequests
            )
            .with(.retryAfter, "\(seconds)")
        }
        let form: Form
        do throws(OAuthError) {
            form = call.request.method == .get ? try Form(queryOf: call.request.path ?? "") : try call.postedForm()
        } catch { return browser.pages(call).error(error) }
        do throws(AuthorizationRequestError) {
            if let (pushed, client) = try await pushedRequest(form, call) {
                return await begin(pushed.request, client, identifier: pushed.id, call)
            }
            let (request, client) = try await validation.request(form, call)
            guard !configuration.requiresPushedRequests, !client.requiresPushedRequests else {
                throw AuthorizationRequestError.redirectable(
                    OAuthError(.invalidRequest, "this request has to be pushed (RFC 9126)"), client: client, redirectURI: request.redirectURI,
                    state: request.state)
            }
            return await begin(request, client, identifier: random.token(), call)
        } catch { return await refuse(error, call) }
    }

    /// The request that the client pushed before, if it did. Other parameters from the browser are ignored.
    private func pushedRequest(_ form: Form, _ call: HTTPCall) async throws(AuthorizationRequestError) -> (PushedRequest, Client)? {
        do throws(OAuthError) {
            guard let uri = try form.single("request_uri"), uri.utf8.starts(with: PushedRequest.prefix.utf8) else { return nil }
            guard let clientID = try form.single("client_id").flatMap(ClientID.init) else {
                throw OAuthError(.invalidRequest, "client_id is missing")
            }
            let pushed = try await requests.open(uri, by: clientID)
            guard let client = try await clients.client(clientID, call), !client.isDisabled else {
                throw OAuthError(.invalidClient, "this client is not registered here")
            }
            return (pushed, client)
        } catch { throw .local(error, []) }
    }

    private func refuse(_ error: AuthorizationRequestError, _ call: HTTPCall) async -> HTTPReply {
        switch error {
        case .local(let error, let facts):
            record("authorization.request", .denied, call, reason: error.code.rawValue, detail: error.message)
            return browser.pages(call).error(error, status: browser.pageStatus(error), facts: facts)
        case .redirectable(let error, let client, let redirectURI, let state):
            record("authorization.request", .denied, call, reason: error.code.rawValue, detail: error.message, client: client.id)
            return await answer(error, client: client, redirectURI: redirectURI, state: state, call)
        }
    }

    /// Sends an error to the client (RFC 6749 §4.1.2.1). If that would make this server an open redirector, the user
    /// stays here and sees a page with a link (RFC 9700 §4.11.2, Z-08).
    private func answer(_ error: OAuthError, client: Client, redirectURI: String, state: String?, _ call: HTTPCall) async -> HTTPReply {
        let location = AuthorizationResponse.error(error, issuer: issuer, redirectURI: redirectURI, state: state)
        let uri = try? RedirectURI(redirectURI)
        if await mayBeSent(errorsTo: client, uri, call) { return PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure) }
        return browser.pages(call).error(error, returnTo: (location, uri?.displayHost ?? "the application"))
    }

    /// Whether a browser may be redirected to a client without the user's decision: to a program on the user's own
    /// machine, to a client that the operator registered or whose document is on a listed host, or to a client that
    /// this signed-in user has approved before.
    private func mayBeSent(errorsTo client: Client, _ uri: RedirectURI?, _ call: HTTPCall) async -> Bool {
        guard let uri else { return false }
        if uri.kind != .web || client.origin == .configured || clients.documents?.isTrusted(client.id) == true { return true }
        // A store that fails answers with the page.
        guard let signedIn = try? await browser.signedIn(call),
            let grants = try? await stored({ try await store.grants(ofUser: signedIn.user.id, at: clock.now) })
        else { return false }
        return grants.contains { $0.clientID == client.id }
    }

    /// Sign-in, consent, or a code at once: the next step that is still missing.
    private func begin(_ request: AuthorizationRequest, _ client: Client, identifier: String, _ call: HTTPCall) async -> HTTPReply {
        let pages = browser.pages(call, request.locales)
        do throws(OAuthError) {
            let now = clock.now
            let signedIn = try await memberships.current(try await browser.signedIn(call))
            let isTooLongAgo =
                request.maximumAge.map { limit in signedIn.map { now.seconds(since: $0.session.authenticatedAt) > limit || limit == 0 } ?? true }
                ?? false
            if request.prompt.contains("none") {
                guard let signedIn, !isTooLongAgo else { return await silent(.loginRequired, "nobody is signed in", request, client, call) }
                guard try await isAgreed(request, client, signedIn.user, call) else {
                    return await silent(.consentRequired, "the user has to be asked", request, client, call)
                }
                let transaction = browser.newTransaction(.authorize(request), identifier: identifier, browser: SecretHash(of: random.token()))
                return try await consent.issueCode(for: request, request.scopes, transaction: transaction, signedIn, call)
            }
            let cookie = browser.cookie(call)
            let transaction = browser.newTransaction(.authorize(request), identifier: identifier, browser: SecretHash(of: cookie.value))
            let mustSignInAgain =
                request.prompt.contains("login") || request.prompt.contains("select_account") || isTooLongAgo
            guard let signedIn, !mustSignInAgain else {
                var transaction = transaction
                transaction.mustSignInAgain = mustSignInAgain
                if let only = context.signIn.onlyProvider {
                    return cookie.set(on: try consent.ask(request, client, before: only.id, transaction, pages))
                }
                return cookie.set(
                    on: pages.signIn(
                        try browser.transactions.seal(transaction), client: client, name: User.normalizedName(request.loginHint ?? "") ?? ""))
            }
            if !request.prompt.contains("consent"), try await isAgreed(request, client, signedIn.user, call) {
                return try await consent.issueCode(for: request, request.scopes, transaction: transaction, signedIn, call)
            }
            return cookie.set(on: try await consent.ask(request, client, signedIn, transaction, pages))
        } catch { return pages.error(error, status: browser.pageStatus(error)) }
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
            ["none", "same-origin"].contains(site), try await memberships.missingConnection(for: request.scopes, of: user.id) == nil
        else { return false }
        return try await stored {
            try await store.isRemembered(
                RememberedConsent(
                    userID: user.id, clientID: client.id, resource: request.resource, redirectURI: request.redirectURI, scopes: request.scopes))
        }
    }
}
