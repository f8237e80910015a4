import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The consent page and its decision.
struct ConsentEndpoint: ServerComponent {
    let context: ServerContext
    let store: any ConsentStore
    let browser: BrowserFlow
    let flow: ConsentFlow
    let providers: ProviderFlow
    let memberships: Memberships

    /// Shows the consent page (GET, after sign-in) or handles the decision (POST).
    func reply(to call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .post else { return await showConsent(call) }
        return await browser.posted(call) { form, transaction, pages throws(OAuthError) in
            guard case .authorize(let request) = transaction.purpose, let client = try await browser.client(of: transaction, call) else {
                return pages.error(OAuthError(.invalidRequest, "this page belongs to something else"))
            }
            if transaction.isBeforeSignIn { return try await approve(form, transaction, request, client, pages, call) }
            guard let signedIn = try await memberships.current(try await browser.signedIn(call)), transaction.isShown(to: signedIn.session) else {
                // Another user signed in meanwhile, or no user is signed in: the user has to sign in again (B-07).
                var kept = transaction
                kept.chosen = try form.tickedScopes()
                return pages.signIn(
                    try browser.transactions.seal(kept), client: client, problem: pages.language.words.signInAgain, status: .forbidden)
            }
            switch try form.single("decision") {
            case "allow":
                // The client's metadata differs from the question (S-12), so the user is asked again.
                let ticked = try form.tickedScopes()
                let remembers = try form.single("remember") == "yes"
                guard transaction.clientRevision == client.revision else {
                    return try await flow.ask(
                        request, client, signedIn, transaction, pages, isChoosing: ticked != nil, ticked: ticked, remembers: remembers)
                }
                guard let scopes = try form.chosenScopes(of: request.scopes, isChoiceNeeded: request.isChoiceNeeded) else {
                    return try await flow.ask(
                        request, client, signedIn, transaction, pages, isChoosing: true, ticked: [], remembers: remembers,
                        problem: pages.language.words.chooseOne)
                }
                if let missing = try await memberships.missingConnection(for: scopes, of: signedIn.user.id) {
                    let approval = Transaction.Approval(
                        scopes: scopes, clientRevision: client.revision, userID: signedIn.user.id, remembers: remembers && client.isConfidential)
                    return try await connect(missing, approval, transaction, signedIn, client, pages, call)
                }
                if remembers, client.isConfidential { try await remember(request, scopes, client, signedIn.user) }
                return try await flow.issueCode(for: request, scopes, transaction: transaction, signedIn, call)
            case "choose":
                return try await flow.ask(
                    request, client, signedIn, transaction, pages, isChoosing: true, remembers: try form.single("remember") == "yes")
            case "deny": return flow.deny(request, client, call, subject: signedIn.user.id)
            default: return pages.error(OAuthError(.invalidRequest, "decision is allow, choose or deny"))
            }
        }
    }

    /// Handles the decision of a user who has not signed in yet: what is allowed is remembered in the transaction, and
    /// only then does the browser go to the identity provider (P-02).
    private func approve(
        _ form: Form, _ transaction: Transaction, _ request: AuthorizationRequest, _ client: Client, _ pages: Pages, _ call: HTTPCall
    ) async throws(OAuthError) -> HTTPReply {
        guard let id = transaction.provider else { return browser.stale(call) }
        func again(isChoosing: Bool, ticked: ScopeSet?, problem: String? = nil) throws(OAuthError) -> HTTPReply {
            try flow.ask(request, client, before: id, transaction, pages, isChoosing: isChoosing, ticked: ticked, problem: problem)
        }
        switch try form.single("decision") {
        case "allow":
            let ticked = try form.tickedScopes()
            guard transaction.clientRevision == client.revision else { return try again(isChoosing: ticked != nil, ticked: ticked) }
            guard let scopes = try form.chosenScopes(of: request.scopes, isChoiceNeeded: request.isChoiceNeeded) else {
                return try again(isChoosing: true, ticked: [], problem: pages.language.words.chooseOne)
            }
            var approved = transaction
            approved.approval = Transaction.Approval(
                scopes: scopes, clientRevision: client.revision, userID: try await browser.signedIn(call)?.user.id,
                remembers: try form.single("remember") == "yes" && client.isConfidential)
            return await providers.begin(id, approved, pages, call)
        case "choose": return try again(isChoosing: true, ticked: nil)
        case "deny": return flow.deny(request, client, call, subject: nil)
        default: return pages.error(OAuthError(.invalidRequest, "decision is allow, choose or deny"))
        }
    }

    /// Leads through a provider that the user has not connected, before the code is issued. What was allowed is
    /// remembered in the transaction, which belongs to the session from here on.
    private func connect(
        _ missing: Memberships.MissingConnection, _ approval: Transaction.Approval, _ transaction: Transaction, _ signedIn: SignedIn,
        _ client: Client, _ pages: Pages, _ call: HTTPCall
    ) async throws(OAuthError) -> HTTPReply {
        // A new way into the account is added only shortly after its user has signed in (B-10).
        guard !missing.isNew || browser.isFresh(signedIn.session) else {
            let again = browser.newTransaction(transaction.purpose, identifier: transaction.id, browser: transaction.browser)
            return pages.signIn(
                try browser.transactions.seal(again), client: client, problem: pages.language.words.signInAgain, status: .forbidden)
        }
        var approved = transaction.shown(to: signedIn.session)
        approved.approval = approval
        return await providers.begin(missing.provider, approved, pages, call)
    }

    private func showConsent(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return .methodNotAllowed("GET, POST") }
        do throws(OAuthError) {
            let form = try Form(queryOf: call.request.path ?? "")
            guard let transaction = try browser.transaction(form, call), case .authorize(let request) = transaction.purpose else {
                return browser.stale(call)
            }
            let pages = browser.pages(call, request.locales)
            guard let client = try await browser.client(of: transaction, call) else {
                return pages.error(OAuthError(.invalidClient, "this client is not registered here"))
            }
            guard let signedIn = try await browser.signedIn(call), transaction.isShown(to: signedIn.session) else {
                return pages.signIn(try browser.transactions.seal(transaction), client: client)
            }
            // Allowed before the sign-in, to this client as it still is. Another account than before is asked again.
            if let approval = transaction.approval, approval.clientRevision == client.revision, approval.scopes.isSubset(of: request.scopes),
                approval.userID == nil || approval.userID == signedIn.user.id
            {
                if let missing = try await memberships.missingConnection(for: approval.scopes, of: signedIn.user.id) {
                    return try await connect(missing, approval, transaction, signedIn, client, pages, call)
                }
                if approval.remembers { try await remember(request, approval.scopes, client, signedIn.user) }
                return try await flow.issueCode(for: request, approval.scopes, transaction: transaction, signedIn, call)
            }
            return try await flow.ask(
                request, client, signedIn, transaction, pages, isChoosing: transaction.chosen != nil, ticked: transaction.chosen)
        } catch { return browser.pages(call).error(error, status: browser.pageStatus(error)) }
    }

    private func remember(_ request: AuthorizationRequest, _ scopes: ScopeSet, _ client: Client, _ user: User) async throws(OAuthError) {
        try await stored {
            try await store.remember(
                RememberedConsent(
                    userID: user.id, clientID: client.id, resource: request.resource, redirectURI: request.redirectURI, scopes: scopes))
        }
    }
}
