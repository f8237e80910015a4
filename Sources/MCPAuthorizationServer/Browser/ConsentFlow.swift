import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The last steps of an authorization: the question to the user, and the code.
struct ConsentFlow: ServerComponent {
    let context: ServerContext
    let store: any GrantStore & SessionStore
    let browser: BrowserFlow
    let permissions: UserPermissions

    /// The consent page.
    ///
    /// - Parameter ticked: The ticked permissions if the user chooses. Nil: all of them.
    func ask(
        _ request: AuthorizationRequest, _ client: Client, _ signedIn: SignedIn, _ transaction: Transaction, _ pages: Pages, isChoosing: Bool = false,
        ticked: ScopeSet? = nil, remembers: Bool = false, problem: String? = nil
    ) async throws(OAuthError) -> HTTPReply {
        // The metadata of the client may have changed since the request was checked (S-12).
        guard client.redirectURIs.contains(where: { $0.matches(request.redirectURI) }) else {
            throw OAuthError(.invalidRequest, "redirect_uri is no longer one that this client has registered")
        }
        let grants = try await stored { try await store.grants(ofUser: signedIn.user.id, at: clock.now) }
        let known = grants.filter { $0.clientID == client.id && $0.resource == request.resource }
            .reduce(into: ScopeSet()) { $0 = $0.union($1.scopes) }
        let question = Pages.Question(
            client: client, user: signedIn.user, scopes: request.scopes, known: known, resource: request.resource, redirectURI: request.redirectURI,
            action: "/consent", isChoosing: isChoosing || request.isChoiceNeeded, ticked: ticked ?? (request.isChoiceNeeded ? [] : request.scopes),
            remembers: remembers, problem: problem)
        return pages.consent(try browser.transactions.seal(transaction.shown(to: signedIn.session, asking: client)), question)
    }

    /// The consent page for a user who signs in at an identity provider afterwards.
    func ask(
        _ request: AuthorizationRequest, _ client: Client, before provider: String, _ transaction: Transaction, _ pages: Pages,
        isChoosing: Bool = false, ticked: ScopeSet? = nil, problem: String? = nil
    ) throws(OAuthError) -> HTTPReply {
        let question = Pages.Question(
            client: client, user: nil, provider: context.signIn.provider(provider)?.name, scopes: request.scopes, resource: request.resource,
            redirectURI: request.redirectURI, action: "/consent", isChoosing: isChoosing || request.isChoiceNeeded,
            ticked: ticked ?? (request.isChoiceNeeded ? [] : request.scopes), problem: problem)
        var asked = transaction
        asked.provider = provider
        asked.clientRevision = client.revision
        return pages.consent(try browser.transactions.seal(asked), question)
    }

    /// Returns to the client with `access_denied`. The user has just decided to return, so this redirect is their own.
    func deny(
        _ request: AuthorizationRequest, _ client: Client, _ call: HTTPCall, subject: String?,
        because error: OAuthError = OAuthError(.accessDenied, "the user did not allow it")
    ) -> HTTPReply {
        record("consent", .denied, call, reason: error.code.rawValue, subject: subject, client: client.id, scopes: request.scopes)
        return PageHeaders.redirect(
            to: AuthorizationResponse.error(error, issuer: issuer, redirectURI: request.redirectURI, state: request.state),
            isSecure: issuer.url.isSecure)
    }

    /// Ends a transaction with a code, once.
    func issueCode(
        for request: AuthorizationRequest, _ scopes: ScopeSet, transaction: Transaction, _ signedIn: SignedIn, _ call: HTTPCall
    ) async throws(OAuthError) -> HTTPReply {
        let user = signedIn.user
        // Groups and roles at the identity provider decide what a user can allow at all.
        let permitted: ScopeSet
        do throws(OAuthError) { permitted = try await permissions.permitted(scopes, ofUser: user.id) } catch {
            guard error.code == .accessDenied else { throw error }
            record("consent", .denied, call, reason: "not_permitted", subject: user.id, client: request.clientID, scopes: scopes)
            return browser.pages(call, request.locales).error(error, status: .forbidden)
        }
        let text = random.token()
        let code = AuthorizationCode(
            hash: SecretHash(of: text), clientID: request.clientID, userID: user.id, redirectURI: request.redirectURI, challenge: request.challenge,
            scopes: permitted, resource: request.resource, keyThumbprint: request.keyThumbprint, nonce: request.nonce,
            authenticatedAt: signedIn.session.authenticatedAt, expiresAt: clock.now.advanced(by: configuration.codeLifetime))
        let isFirst = try await stored { try await store.issue(code, consuming: transaction.hash, until: transaction.expiresAt.advanced(by: 60)) }
        guard isFirst else {
            record("consent", .denied, call, reason: "transaction_reused", subject: user.id, client: request.clientID)
            return browser.pages(call, request.locales).error(
                OAuthError(.invalidRequest, "this page was used already; begin again from the application"), status: .forbidden)
        }
        // If the session was ended meanwhile, the code is not sent.
        guard try await stored({ try await store.session(signedIn.session.hash, at: clock.now) }) != nil else { return browser.stale(call) }
        record("consent", .allowed, call, subject: user.id, client: request.clientID, scopes: permitted)
        let location = AuthorizationResponse.code(text, issuer: issuer, redirectURI: request.redirectURI, state: request.state)
        return PageHeaders.redirect(to: location, isSecure: issuer.url.isSecure)
    }
}
