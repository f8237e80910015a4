import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import OAuth

/// The pages for users. They need no JavaScript.
struct Pages: Sendable {
    let configuration: AuthorizationServerConfiguration
    let routes: Routes
    let choices: SignInChoices
    let language: PageLanguage

    var words: PageWords { language.words }

    func page(_ title: String) -> Page {
        Page(
            title, siteName: configuration.siteName(routes.issuer), assets: routes.path("/assets"), isSecure: routes.issuer.url.isSecure,
            language: language, logo: configuration.branding.logo)
    }

    // MARK: Sign-in

    func signIn(_ transaction: String, client: Client?, name: String = "", problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.signIn)
        return page.reply(status, leadsAway: !choices.providers.isEmpty) {
            HTML.tag("h1") { words.signIn }
            if let client { HTML.tag("p") { page.words(words.toContinueTo, displayName(client)) } }
            page.problem(problem)
            providerButtons(transaction, page)
            if choices.hasPasswords {
                if !choices.providers.isEmpty { HTML.tag("p", ["class": "or"]) { words.orWithPassword } }
                HTML.tag("form", ["method": "post", "action": routes.path("/sign-in")]) {
                    page.hidden("transaction", transaction)
                    HTML.tag("label", ["for": "username"]) { words.userName }
                    page.input(
                        "username", isFocused: name.isEmpty && choices.providers.isEmpty, isWrong: problem != nil,
                        [
                            "autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "required": "", "maxlength": "64",
                            "value": name,
                        ])
                    page.password("password", words.password, autocomplete: "current-password", isFocused: !name.isEmpty, isWrong: problem != nil)
                    HTML.tag("button", ["type": "submit", "class": "primary"]) { words.signIn }
                }
            }
            help()
        }
    }

    /// A button for each identity provider.
    private func providerButtons(_ transaction: String, _ page: Page) -> HTML {
        guard !choices.providers.isEmpty else { return .empty }
        return .tag("form", ["method": "post", "action": routes.path("/sign-in/provider"), "class": "providers"]) {
            page.hidden("transaction", transaction)
            for provider in choices.providers {
                providerButton(provider, words.continueWith.with(provider.name))
            }
        }
    }

    func providerButton(_ provider: SignInChoices.Provider, _ text: String) -> HTML {
        .tag("button", ["type": "submit", "name": "provider", "value": provider.id, "class": "provider"]) {
            mark(provider.mark)
            HTML.tag("span") { text }
        }
    }

    /// The mark of a provider, drawn here.
    private func mark(_ mark: ProviderMark) -> HTML {
        .tag("svg", ["class": "mark", "viewBox": "0 0 32 32", "width": "24", "height": "24", "aria-hidden": "true"]) {
            HTML.tag("rect", ["width": "32", "height": "32", "rx": "7", "fill": mark.colour]) { HTML.empty }
            HTML.tag(
                "text",
                [
                    "x": "16", "y": "21.5", "font-family": "system-ui, sans-serif", "font-size": mark.letters.count > 1 ? "14" : "17",
                    "font-weight": "700", "text-anchor": "middle", "fill": "#ffffff",
                ]
            ) { mark.letters }
        }
    }

    /// Links for a user who cannot sign in.
    private func help() -> HTML {
        let links = [(words.forgotPassword, configuration.help.forgottenPasswordPage), (words.contact, configuration.help.contact)]
        guard links.contains(where: { $0.1 != nil }) else { return .empty }
        return .tag("p", ["class": "quiet links"]) {
            for (text, address) in links { if let address { HTML.tag("a", ["href": address, "rel": "noreferrer"]) { text } } }
        }
    }

    func oneTimeCode(_ transaction: String, user: User, problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.signIn)
        return page.reply(status) {
            HTML.tag("h1") { words.oneTimeTitle }
            HTML.tag("p") { page.words(words.signingInAs, displayName(user)) }
            page.problem(problem)
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-in")]) {
                page.hidden("transaction", transaction)
                oneTimeField(page, isFocused: true, isWrong: problem != nil, isRequired: user.recoveryCodes.isEmpty)
                if !user.recoveryCodes.isEmpty {
                    recoveryField(page)
                }
                HTML.tag("button", ["type": "submit", "class": "primary"]) { words.goOn }
            }
            anotherAccount(page, transaction, words.useAnotherAccount.with(displayName(user)))
        }
    }

    /// Goes on with the same request as another user.
    func anotherAccount(_ page: Page, _ transaction: String, _ text: String) -> HTML {
        .tag("form", ["method": "post", "action": routes.path("/sign-out"), "class": "aside"]) {
            page.hidden("transaction", transaction)
            HTML.tag("button", ["type": "submit", "class": "link"]) { text }
        }
    }

    func recoveryField(_ page: Page) -> HTML {
        .tag("details") {
            HTML.tag("summary") { words.useRecoveryCode }
            HTML.tag("label", ["for": "recovery"]) { words.recoveryCode }
            page.input(
                "recovery", ["autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "maxlength": "32", "class": "code-input"])
        }
    }

    func oneTimeField(_ page: Page, isFocused: Bool = false, isWrong: Bool = false, isRequired: Bool = true) -> HTML {
        let attributes: [(StaticString, String)] = [
            ("inputmode", "numeric"), ("autocomplete", "one-time-code"), ("pattern", "[0-9 ]*"), ("maxlength", "9"),
        ]
        return .joined([
            .tag("label", ["for": "code"]) { words.oneTimeCode },
            page.input("code", isFocused: isFocused, isWrong: isWrong, attributes + (isRequired ? [("required", "")] : [])),
        ])
    }

    // MARK: Errors

    /// Tells the user what happened and what to do, and a developer the error. It never redirects automatically (Z-08).
    ///
    /// - Parameter facts: Values of the request, and the registered values.
    func error(
        _ error: OAuthError, status: HTTPResponse.Status = .badRequest, facts: [ErrorFact] = [],
        returnTo location: (url: String, host: String)? = nil
    ) -> HTTPReply {
        page(words.errorTitle).reply(status) {
            HTML.tag("h1") { explanation(error) }
            HTML.tag("p") { advice(error) }
            HTML.tag("dl", ["class": "developer"]) {
                HTML.tag("dt") { words.forDevelopers }
                HTML.tag("dd") { HTML.tag("code") { error.code.rawValue } }
                HTML.tag("dt") { words.reason }
                HTML.tag("dd") { DisplayText.clean(error.message, limit: 300) }
                for fact in facts {
                    HTML.tag("dt") { fact.isRegistered ? words.registered : words.sent }
                    HTML.tag("dd") {
                        HTML.tag("code") { fact.name }; " "
                        HTML.tag("span", ["class": "value"]) { DisplayText.clean(fact.value, limit: 300) }
                    }
                }
            }
            if let location {
                HTML.tag("p") {
                    HTML.tag("a", ["class": "button", "href": location.url, "rel": "noreferrer"]) { words.returnTo.with(location.host) }
                }
            }
            wayOut
        }
    }

    /// The same with a sentence of its own, which says what to do.
    func problem(_ text: String, _ code: OAuthError.Code, status: HTTPResponse.Status) -> HTTPReply {
        page(words.errorTitle).reply(status) {
            HTML.tag("h1") { explanation(OAuthError(code, text)) }
            HTML.tag("p") { text }
            HTML.tag("dl", ["class": "developer"]) {
                HTML.tag("dt") { words.forDevelopers }
                HTML.tag("dd") { HTML.tag("code") { code.rawValue } }
            }
            wayOut
        }
    }

    /// The link that a page about an error ends with.
    private var wayOut: HTML {
        .tag("p", ["class": "quiet links"]) { HTML.tag("a", ["href": routes.path("/account")]) { words.toYourAccount } }
    }

    private func explanation(_ error: OAuthError) -> String {
        switch error.code {
        case .temporarilyUnavailable, .serverError, .tooManyRequests: words.notWorking
        case .accessDenied: words.notAllowed
        case .invalidClient, .unauthorizedClient: words.unknownApplication
        case .expiredToken: words.tooLate
        default: words.badRequest
        }
    }

    /// The one action that helps.
    private func advice(_ error: OAuthError) -> String {
        switch error.code {
        case .temporarilyUnavailable, .serverError, .tooManyRequests: words.adviceWait
        case .invalidClient, .unauthorizedClient: words.adviceRegister
        default: words.nothingShared
        }
    }

    // MARK: Display texts

    func displayName(_ client: Client) -> String {
        let name = client.name.map { DisplayText.clean($0) } ?? ""
        return name.isEmpty ? client.id.text : name
    }

    func displayName(_ user: User) -> String {
        let name = user.displayName.map { DisplayText.clean($0) } ?? ""
        return name.isEmpty ? user.name : name
    }

    func text(_ description: ScopeDescription) -> String {
        description.translations[language.tag] ?? description.translations.first { language.suits($0.key) }?.value ?? description.text
    }

    func scopeTexts(_ grant: Grant) -> [String] {
        let known = permissions(grant.scopes, resource: grant.resource).map(\.text)
        return known.isEmpty ? [words.knowsWhoYouAre] : known
    }
}

/// A value of a rejected request, or the registered value.
struct ErrorFact: Sendable {
    let name: String
    let value: String
    var isRegistered = false

    /// A value that cannot be an identifier or a URL is not shown: an attacker could otherwise write sentences on a
    /// page that users trust.
    init(name: String, value: String, isRegistered: Bool = false) {
        self.name = name
        let isPlain = value.utf8.count <= 200 && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        self.value = isPlain ? value : "(...)"
        self.isRegistered = isRegistered
    }
}
