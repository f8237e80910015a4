import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// What every form of our own pages goes through.
extension AuthorizationServer {
    /// Checks that the form comes from one of our own pages, shown to this browser, and hands it on.
    func posted(_ call: HTTPCall, _ body: (Form, Transaction, Pages) async throws(OAuthError) -> HTTPReply) async -> HTTPReply {
        // Whoever opens such an address by hand, or goes back to it, gets to where they can begin.
        if call.request.method == .get { return PageHeaders.redirect(to: routes.path("/account"), isSecure: issuer.url.isSecure) }
        guard call.request.method == .post else { return methodNotAllowed("POST") }
        if let site = call.request.headerFields[.secFetchSite], site != "same-origin" {
            if let reply = tooMany(call, limits.begin) { return reply }
            record("form", .denied, call, reason: "cross_site")
            return pages(call).error(OAuthError(.invalidRequest, "this form was sent from another site"), status: .forbidden)
        }
        var pages = pages(call)
        do throws(OAuthError) {
            let form = try postedForm(call)
            guard let transaction = try transaction(form, call) else { return stale(call) }
            if case .authorize(let request) = transaction.purpose { pages = self.pages(call, request.locales) }
            return try await body(form, transaction, pages)
        } catch { return pages.error(error, status: pageStatus(error)) }
    }

    /// What a page of ours carries, if it was made for this browser and is not too old.
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
        guard let client = try await client(request.clientID, call), !client.isDisabled else { return nil }
        return client
    }

    /// What is ticked in a form that offers a choice. Nil for one that offers none.
    func tickedScopes(_ form: Form) throws(OAuthError) -> ScopeSet? {
        guard try form.single("choice") != nil else { return nil }
        return ScopeSet(form.all("scope").compactMap { Scope($0) })
    }

    /// What the user left ticked. A form that offered no choice takes everything, unless a choice had to be made. Nil
    /// when something was to be chosen and nothing was. The scope `openid` is no permission: it only says which kind of
    /// answer the client wants.
    func chosenScopes(_ form: Form, of scopes: ScopeSet, isChoiceNeeded: Bool = false) throws(OAuthError) -> ScopeSet? {
        guard let ticked = try tickedScopes(form) else { return isChoiceNeeded ? nil : scopes }
        let chosen = ScopeSet(scopes.filter { ticked.contains($0) || $0 == IdentityScope.openID })
        return chosen.subtracting([IdentityScope.openID]).isEmpty ? nil : chosen
    }
}
