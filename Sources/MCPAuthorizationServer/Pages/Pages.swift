import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The pages that people see. They need no JavaScript.
struct Pages: Sendable {
    let configuration: AuthorizationServerConfiguration
    let routes: Routes
    let language: PageLanguage

    private var words: PageWords { language.words }

    private func page(_ title: String) -> Page {
        Page(
            title, siteName: configuration.siteName(routes.issuer), assets: routes.path("/assets"), isSecure: routes.issuer.url.isSecure,
            language: language, logo: configuration.branding.logo)
    }

    // MARK: Sign-in

    func signIn(_ transaction: String, client: Client?, name: String = "", problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.signIn)
        return page.reply(status) {
            HTML.tag("h1") { words.signIn }
            if let client { HTML.tag("p") { page.words(words.toContinueTo, displayName(client)) } }
            page.problem(problem)
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-in")]) {
                page.hidden("transaction", transaction)
                HTML.tag("label", ["for": "username"]) { words.userName }
                HTML.void(
                    "input",
                    [
                        "id": "username", "name": "username", "autocomplete": "username", "autocapitalize": "none", "spellcheck": "false",
                        "required": "", "maxlength": "64", "value": name, "aria-describedby": problem == nil ? "" : "problem",
                    ])
                HTML.tag("label", ["for": "password"]) { words.password }
                HTML.void("input", ["id": "password", "name": "password", "type": "password", "autocomplete": "current-password", "required": ""])
                HTML.tag("button", ["type": "submit", "class": "primary"]) { words.signIn }
            }
        }
    }

    func oneTimeCode(_ transaction: String, problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.signIn)
        return page.reply(status) {
            HTML.tag("h1") { words.signIn }
            page.problem(problem)
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-in")]) {
                page.hidden("transaction", transaction)
                HTML.tag("label", ["for": "code"]) { words.oneTimeCode }
                HTML.void(
                    "input",
                    [
                        "id": "code", "name": "code", "inputmode": "numeric", "autocomplete": "one-time-code", "pattern": "[0-9 ]*", "maxlength": "9",
                        "required": "", "aria-describedby": problem == nil ? "" : "problem",
                    ])
                HTML.tag("button", ["type": "submit", "class": "primary"]) { words.goOn }
            }
        }
    }

    // MARK: Consent

    /// What is asked of somebody: the same for a browser that came from a client and for a device.
    struct Question {
        let client: Client
        let user: User
        let scopes: ScopeSet
        let resource: String
        /// Where the browser goes next. Nil for a device.
        var redirectURI: String?
        /// What the device shows.
        var userCode: String?
        var action: String
        /// Whether each permission can be left out.
        var isChoosing = false
        /// Which of them are ticked.
        var ticked: ScopeSet = []
        var problem: String?
    }

    func consent(_ transaction: String, _ question: Question) -> HTTPReply {
        let page = page(words.allowTitle)
        let redirect = question.redirectURI.flatMap { try? RedirectURI($0) }
        let client = question.client
        let permissions = permissions(question.scopes, resource: question.resource)
        return page.reply(
            question.problem == nil ? .ok : .badRequest, leadsAway: redirect != nil
        ) {
            HTML.tag("h1") { page.words(words.allowQuestion, displayName(client)) }
            page.problem(question.problem)
            switch client.origin {
            case .dynamic: HTML.tag("p", ["class": "note"]) { words.selfRegistered }
            case .document: HTML.tag("p", ["class": "note"]) { page.words(words.ownDomain, WebURL(client.id.text)?.hostForURL ?? client.id.text) }
            case .configured: HTML.empty
            }
            HTML.tag("form", ["method": "post", "action": routes.path(question.action)]) {
                page.hidden("transaction", transaction)
                if permissions.isEmpty {
                    HTML.tag("p") { words.onlyIdentity }
                } else {
                    if question.isChoosing { page.hidden("choice", "offered") }
                    scopeList(permissions, ticked: question.isChoosing ? question.ticked : nil)
                    if permissions.count(where: \.isOptional) > 1, !question.isChoosing {
                        HTML.tag("button", ["type": "submit", "name": "decision", "value": "choose", "class": "link"]) { words.chooseLess }
                    }
                }
                facts(question, redirect)
                if let userCode = question.userCode {
                    HTML.tag("p", ["class": "warning"]) { page.words(words.deviceWarning, userCode) }
                } else if redirect?.kind == .loopback {
                    HTML.tag("p", ["class": "warning"]) { words.loopbackWarning }
                } else if let redirect, redirect.kind == .privateUse {
                    HTML.tag("p", ["class": "warning"]) { page.words(words.appWarning, redirect.scheme + ":") }
                }
                if client.isConfidential, question.redirectURI != nil {
                    HTML.tag("label", ["class": "check"]) {
                        HTML.void("input", ["type": "checkbox", "name": "remember", "value": "yes"]); words.remember
                    }
                }
                HTML.tag("div", ["class": "buttons"]) {
                    HTML.tag("button", ["type": "submit", "name": "decision", "value": "allow", "class": "primary"]) { words.allow }
                    HTML.tag("button", ["type": "submit", "name": "decision", "value": "deny"]) { words.cancel }
                }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-out"), "class": "aside"]) {
                page.hidden("transaction", transaction)
                HTML.tag("button", ["type": "submit", "class": "link"]) { words.useAnotherAccount.with(displayName(question.user)) }
            }
        }
    }

    /// A scope in words.
    private struct Permission {
        let scope: Scope
        let text: String
        let isSensitive: Bool
        /// Whether it can be left out.
        let isOptional: Bool
    }

    /// What is asked for: the scopes of the resource first, then what is shared of the person.
    private func permissions(_ scopes: ScopeSet, resource: String) -> [Permission] {
        let known = configuration.resource(resource)?.scopes.filter { scopes.contains($0.scope) } ?? []
        let identity: [(Scope, String)] = [
            (IdentityScope.profile, words.seeProfile), (IdentityScope.email, words.seeEmail), (IdentityScope.openID, words.seeIdentity),
        ]
        return known.map { Permission(scope: $0.scope, text: text($0), isSensitive: $0.isSensitive, isOptional: true) }
            + identity.filter { scopes.contains($0.0) }.map { scope, text in
                Permission(scope: scope, text: text, isSensitive: false, isOptional: scope != IdentityScope.openID)
            }
    }

    /// Each permission in words, with its risk. `ticked`: which boxes are ticked where the user chooses; nil where they do not.
    private func scopeList(_ permissions: [Permission], ticked: ScopeSet?) -> HTML {
        .tag("fieldset") {
            HTML.tag("legend") { words.itWill }
            HTML.tag("ul", ["class": "scopes"]) {
                for permission in permissions {
                    HTML.tag("li", ["class": permission.isSensitive ? "sensitive" : "plain"]) {
                        if let ticked, permission.isOptional {
                            HTML.tag("label", ["class": "check"]) {
                                if ticked.contains(permission.scope) {
                                    HTML.void("input", ["type": "checkbox", "name": "scope", "value": permission.scope.text, "checked": ""])
                                } else {
                                    HTML.void("input", ["type": "checkbox", "name": "scope", "value": permission.scope.text])
                                }
                                HTML.tag("span") { inWords(permission) }
                            }
                        } else {
                            inWords(permission)
                        }
                    }
                }
            }
            if let ticked { HTML.tag("p", ["class": "quiet"]) { ticked.isEmpty ? words.tick : words.untick } }
        }
    }

    private func inWords(_ permission: Permission) -> HTML {
        .joined([
            .text(permission.text), permission.isSensitive ? .tag("span", ["class": "flag"]) { words.cannotBeUndone } : .empty,
            .tag("code") { permission.scope.text },
        ])
    }

    private func facts(_ question: Question, _ redirect: RedirectURI?) -> HTML {
        .tag("dl") {
            HTML.tag("dt") { words.signedInAs }
            HTML.tag("dd") { displayName(question.user) }
            HTML.tag("dt") { words.atServer }
            HTML.tag("dd") { question.resource }
            if let redirect {
                HTML.tag("dt") { words.thenYouReturnTo }
                HTML.tag("dd") { HTML.tag("strong") { redirect.displayHost } }
            }
        }
    }

    // MARK: Devices

    func device(_ transaction: String, user: User, code: String = "", problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.deviceTitle)
        return page.reply(status) {
            HTML.tag("h1") { words.deviceTitle }
            HTML.tag("p") { words.deviceExplanation }
            page.problem(problem)
            HTML.tag("form", ["method": "post", "action": routes.path("/device")]) {
                page.hidden("transaction", transaction)
                HTML.tag("label", ["for": "user_code"]) { words.deviceCode }
                HTML.void(
                    "input",
                    [
                        "id": "user_code", "name": "user_code", "autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false",
                        "required": "", "maxlength": "20", "value": code, "class": "code", "placeholder": "XXXX-XXXX",
                        "aria-describedby": problem == nil ? "" : "problem",
                    ])
                HTML.tag("button", ["type": "submit", "class": "primary"]) { words.goOn }
            }
            HTML.tag("dl") {
                HTML.tag("dt") { words.signedInAs }
                HTML.tag("dd") { displayName(user) }
            }
        }
    }

    func deviceDone(isAllowed: Bool) -> HTTPReply {
        page(words.deviceTitle).reply {
            HTML.tag("h1") { isAllowed ? words.deviceAllowed : words.deviceDenied }
            HTML.tag("p") { isAllowed ? words.deviceAllowedNote : words.deviceDeniedNote }
        }
    }

    // MARK: The person's own page

    struct Connection {
        let grant: Grant
        let client: Client?
    }

    func account(_ transaction: String, user: User, connections: [Connection]) -> HTTPReply {
        let page = page(words.connectedApplications)
        return page.reply(isIsolated: true) {
            HTML.tag("h1") { words.connectedApplications }
            HTML.tag("p") {
                words.signedInAs; " "; HTML.tag("strong") { displayName(user) }
            }
            if connections.isEmpty {
                HTML.tag("p", ["class": "note"]) { words.nothingConnected }
            } else {
                HTML.tag("ul", ["class": "connections"]) { for connection in connections { entry(connection, transaction, page) } }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-out"), "class": "aside"]) {
                page.hidden("transaction", transaction)
                HTML.tag("button", ["type": "submit", "class": "link"]) { words.signOut }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/account/sign-out-everywhere"), "class": "aside"]) {
                page.hidden("transaction", transaction)
                HTML.tag("button", ["type": "submit", "class": "link", "aria-describedby": "everywhere"]) { words.signOutEverywhere }
                HTML.tag("p", ["class": "quiet", "id": "everywhere"]) { words.signOutEverywhereNote }
            }
        }
    }

    private func entry(_ connection: Connection, _ transaction: String, _ page: Page) -> HTML {
        let grant = connection.grant
        let name = connection.client.map(displayName) ?? grant.clientID.text
        return .tag("li") {
            HTML.tag("strong") { name }
            HTML.tag("p") { scopeTexts(grant).joined(separator: " · ") }
            HTML.tag("p", ["class": "quiet"]) {
                words.connectedOn.with(day(grant.createdAt), String(grant.lastUsedAt.iso8601.prefix(16).replacing("T", with: " ")))
                if let operation = grant.lastOperation {
                    HTML.void("br"); words.lastDid.with(DisplayText.clean(operation, limit: 80))
                }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/account/disconnect")]) {
                page.hidden("transaction", transaction)
                page.hidden("grant", grant.id)
                HTML.tag("button", ["type": "submit", "aria-label": words.disconnectThis.with(name)]) { words.disconnect }
            }
        }
    }

    private func day(_ date: NumericDate) -> String { String(date.iso8601.prefix(10)) }

    func signedOut(_ note: String? = nil) -> HTTPReply {
        page(words.signedOut).reply {
            HTML.tag("h1") { words.signedOut }
            HTML.tag("p") { note ?? words.signedOutNote }
            HTML.tag("p") { HTML.tag("a", ["class": "button", "href": routes.path("/account")]) { words.signIn } }
        }
    }

    // MARK: Errors

    /// Tells a person what happened, and a developer where to look. Never goes anywhere by itself (Z-08).
    func error(_ error: OAuthError, status: HTTPResponse.Status = .badRequest, returnTo location: (url: String, host: String)? = nil) -> HTTPReply {
        page(words.errorTitle).reply(status) {
            HTML.tag("h1") { explanation(error) }
            HTML.tag("p") { words.nothingShared }
            HTML.tag("dl", ["class": "developer"]) {
                HTML.tag("dt") { words.forDevelopers }
                HTML.tag("dd") {
                    HTML.tag("code") { error.code.rawValue }; " "; DisplayText.clean(error.message, limit: 300)
                }
            }
            if let location {
                HTML.tag("p") {
                    HTML.tag("a", ["class": "button", "href": location.url, "rel": "noreferrer"]) { words.returnTo.with(location.host) }
                }
            }
        }
    }

    private func explanation(_ error: OAuthError) -> String {
        switch error.code {
        case .temporarilyUnavailable, .serverError, .tooManyRequests: words.notWorking
        case .accessDenied: words.notAllowed
        case .invalidClient, .unauthorizedClient: words.unknownApplication
        default: words.badRequest
        }
    }

    // MARK: Words for things

    private func displayName(_ client: Client) -> String {
        let name = client.name.map { DisplayText.clean($0) } ?? ""
        return name.isEmpty ? client.id.text : name
    }

    private func displayName(_ user: User) -> String {
        let name = user.displayName.map { DisplayText.clean($0) } ?? ""
        return name.isEmpty ? user.name : name
    }

    private func text(_ description: ScopeDescription) -> String {
        description.translations[language.tag] ?? description.translations.first { language.suits($0.key) }?.value ?? description.text
    }

    private func scopeTexts(_ grant: Grant) -> [String] {
        let known = permissions(grant.scopes, resource: grant.resource).map(\.text)
        return known.isEmpty ? [words.knowsWhoYouAre] : known
    }
}
