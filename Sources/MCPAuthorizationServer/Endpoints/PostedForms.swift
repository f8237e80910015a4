import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The checks of every form of these pages.
extension AuthorizationServer {
    /// Checks that the form comes from one of these pages, shown to this browser, and passes it on.
    func posted(_ call: HTTPCall, _ body: (Form, Transaction, Pages) async throws(OAuthError) -> HTTPReply) async -> HTTPReply {
        // A user who opens such a URL directly is redirected to the account page.
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
        guard let client = try await client(request.clientID, call), !client.isDisabled else { return nil }
        return client
    }

    /// The ticked scopes of a form with checkboxes. Nil for a form without.
    func tickedScopes(_ form: Form) throws(OAuthError) -> ScopeSet? {
        guard try form.single("choice") != nil else { return nil }
        return ScopeSet(form.all("scope").compactMap { Scope($0) })
    }

    /// The scopes that the user left ticked. A form without checkboxes grants everything, unless a choice is required.
    /// Nil when a choice was required and nothing was ticked. The scope `openid` is not a permission. It only selects
    /// the kind of response.
    func chosenScopes(_ form: Form, of scopes: ScopeSet, isChoiceNeeded: Bool = false) throws(OAuthError) -> ScopeSet? {
        guard let ticked = try tickedScopes(form) else { return isChoiceNeeded ? nil : scopes }
        let chosen = ScopeSet(scopes.filter { ticked.contains($0) || $0 == IdentityScope.openID })
        return chosen.subtracting([IdentityScope.openID]).isEmpty ? nil : chosen
    }
}
