import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The pages of a user's own account.
extension Pages {
    struct Connection {
        let grant: Grant
        let client: Client?
    }

    /// An account at an identity provider.
    struct ConnectedAccount {
        let provider: String
        let accountName: String?
        let hasTokens: Bool
        /// Identifies the connection in the form.
        let identifier: String
    }

    /// The change that was made just before the account page is shown, as the query of its URL says.
    enum Done: String {
        case disconnected, password, codes, noCodes, session, connected, unlinked
    }

    struct Account {
        let user: User
        let connections: [Connection]
        let sessions: [Session]
        let accounts: [ConnectedAccount]
        let current: SecretHash
        let now: NumericDate
        var done: Done?
    }

    func account(_ transaction: String, _ account: Account) -> HTTPReply {
        let page = page(words.yourAccount)
        let user = account.user
        return page.reply(leadsAway: !choices.providers.isEmpty, isIsolated: true) {
            HTML.tag("h1") { words.yourAccount }
            if let done = account.done { HTML.tag("p", ["class": "done", "role": "status"]) { text(done) } }
            HTML.tag("p") {
                words.signedInAs; " "; HTML.tag("strong") { displayName(user) }
            }
            HTML.tag("h2") { words.connectedApplications }
            if account.connections.isEmpty {
                HTML.tag("p", ["class": "note"]) { words.nothingConnected }
            } else {
                HTML.tag("ul", ["class": "connections"]) {
                    for connection in account.connections { entry(connection, transaction, page, account.now) }
                }
            }
            HTML.tag("h2") { words.browsers }
            HTML.tag("ul", ["class": "connections"]) {
                for session in account.sessions { entry(session, account, transaction, page) }
            }
            if !choices.providers.isEmpty {
                HTML.tag("h2") { words.connectedAccounts }
                HTML.tag("ul", ["class": "connections"]) {
                    for connected in account.accounts { entry(connected, transaction, page) }
                }
                addButtons(account, transaction, page)
            }
            if user.passwordHash != nil {
                HTML.tag("h2") { words.security }
                HTML.tag("p") { HTML.tag("a", ["class": "button", "href": routes.path("/account/password")]) { words.changePassword } }
                HTML.tag("p") {
                    HTML.tag("a", ["class": "button", "href": routes.path("/account/one-time-codes")]) {
                        user.sealedOneTimeSecret == nil ? words.setUpCodes : words.manageCodes
                    }
                }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-out"), "class": "aside"]) {
                page.hidden("transaction", transaction)
                HTML.tag("button", ["type": "submit"]) { words.signOut }
            }
            HTML.tag("p", ["class": "aside"]) {
                HTML.tag("a", ["class": "danger", "href": routes.path("/account/sign-out-everywhere")]) { words.signOutEverywhere }
            }
        }
    }

    private func entry(_ connected: ConnectedAccount, _ transaction: String, _ page: Page) -> HTML {
        let name = choices.provider(connected.provider)?.name ?? connected.provider
        return .tag("li") {
            HTML.tag("strong") { name }
            if let account = connected.accountName { HTML.tag("p") { account } }
            if !connected.hasTokens { HTML.tag("p", ["class": "quiet"]) { words.connectAgain } }
            HTML.tag("form", ["method": "post", "action": routes.path("/account/connection")]) {
                page.hidden("transaction", transaction)
                page.hidden("connection", connected.identifier)
                HTML.tag("button", ["type": "submit", "aria-label": words.disconnectThis.with(name)]) { words.disconnect }
            }
        }
    }

    /// A button for each identity provider that is not connected, or has to be connected again.
    private func addButtons(_ account: Account, _ transaction: String, _ page: Page) -> HTML {
        let missing = choices.providers.filter { provider in !account.accounts.contains { $0.provider == provider.id && $0.hasTokens } }
        guard !missing.isEmpty else { return .empty }
        return .tag("form", ["method": "post", "action": routes.path("/sign-in/provider"), "class": "providers"]) {
            page.hidden("transaction", transaction)
            for provider in missing { providerButton(provider, words.connect.with(provider.name)) }
        }
    }

    private func text(_ done: Done) -> String {
        switch done {
        case .disconnected: words.doneDisconnected
        case .password: words.donePassword
        case .codes: words.doneCodes
        case .noCodes: words.doneNoCodes
        case .session: words.doneSession
        case .connected: words.doneConnected
        case .unlinked: words.doneUnlinked
        }
    }

    private func entry(_ connection: Connection, _ transaction: String, _ page: Page, _ now: NumericDate) -> HTML {
        let grant = connection.grant
        let name = connection.client.map(displayName) ?? grant.clientID.text
        return .tag("li") {
            HTML.tag("strong") { name }
            HTML.tag("p") { scopeTexts(grant).joined(separator: " · ") }
            HTML.tag("p", ["class": "quiet"]) {
                words.connectedOn.with(day(grant.createdAt), ago(grant.lastUsedAt, now))
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

    private func entry(_ session: Session, _ account: Account, _ transaction: String, _ page: Page) -> HTML {
        let name = session.browser.map { DisplayText.clean($0) } ?? words.unknownBrowser
        return .tag("li") {
            HTML.tag("strong") { name }
            HTML.tag("p", ["class": "quiet"]) {
                words.signedInSince.with(ago(session.authenticatedAt, account.now))
                if session.hash == account.current { " · "; words.thisBrowser }
            }
            if session.hash != account.current {
                HTML.tag("form", ["method": "post", "action": routes.path("/account/session")]) {
                    page.hidden("transaction", transaction)
                    page.hidden("session", Base64URL.encode(session.hash.bytes))
                    HTML.tag("button", ["type": "submit", "aria-label": words.signOutThis.with(name)]) { words.signOut }
                }
            }
        }
    }

    private func day(_ date: NumericDate) -> String { String(date.iso8601.prefix(10)) }

    /// The time since a date, in words, in the largest unit.
    private func ago(_ date: NumericDate, _ now: NumericDate) -> String {
        let seconds = max(now.seconds(since: date), 0)
        switch seconds {
        case ..<60: return words.justNow
        case ..<3600: return seconds < 120 ? words.minuteAgo : words.minutesAgo.with("\(seconds / 60)")
        case ..<86400: return seconds < 7200 ? words.hourAgo : words.hoursAgo.with("\(seconds / 3600)")
        default: return seconds < 172_800 ? words.yesterday : words.daysAgo.with("\(seconds / 86400)")
        }
    }

    // MARK: Signing out

    /// Asks for confirmation before every session and grant ends.
    func confirmEverywhere(_ transaction: String, user: User) -> HTTPReply {
        let page = page(words.signOutEverywhere)
        return page.reply(isIsolated: true) {
            HTML.tag("h1") { words.signOutEverywhere }
            HTML.tag("p") {
                words.signedInAs; " "; HTML.tag("strong") { displayName(user) }
            }
            HTML.tag("p", ["class": "warning"]) { words.signOutEverywhereNote }
            HTML.tag("form", ["method": "post", "action": routes.path("/account/sign-out-everywhere")]) {
                page.hidden("transaction", transaction)
                HTML.tag("div", ["class": "buttons"]) {
                    HTML.tag("button", ["type": "submit", "class": "destructive"]) { words.signOutEverywhere }
                    HTML.tag("a", ["class": "button", "href": routes.path("/account")]) { words.cancel }
                }
            }
        }
    }

    /// - Parameter elsewhere: Identity providers where the user may still be signed in, with their pages to sign out.
    func signedOut(_ note: String? = nil, elsewhere: [(name: String, url: String)] = []) -> HTTPReply {
        page(words.signedOut).reply {
            HTML.tag("h1") { words.signedOut }
            HTML.tag("p") { note ?? words.signedOutNote }
            for provider in elsewhere {
                HTML.tag("p") { HTML.tag("a", ["href": provider.url, "rel": "noreferrer"]) { words.signOutElsewhere.with(provider.name) } }
            }
            HTML.tag("p") { HTML.tag("a", ["class": "button", "href": routes.path("/account")]) { words.signIn } }
        }
    }

    // MARK: Password and one-time codes

    func changePassword(_ transaction: String, user: User, problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.changePassword)
        return page.reply(status, isIsolated: true) {
            HTML.tag("h1") { words.changePassword }
            page.problem(problem)
            HTML.tag("form", ["method": "post", "action": routes.path("/account/password")]) {
                page.hidden("transaction", transaction)
                userNameForManagers(user)
                page.password("password", words.currentPassword, autocomplete: "current-password", isFocused: true, isWrong: problem != nil)
                page.password("new_password", words.newPassword, autocomplete: "new-password")
                page.password("repeated", words.newPasswordAgain, autocomplete: "new-password")
                HTML.tag("p", ["class": "quiet"]) { words.passwordNote }
                HTML.tag("label", ["class": "check"]) {
                    HTML.void("input", ["type": "checkbox", "name": "disconnect", "value": "yes", "checked": ""])
                    words.disconnectToo
                }
                HTML.tag("button", ["type": "submit", "class": "primary"]) { words.changePassword }
            }
            back()
        }
    }

    /// Set-up of one-time codes: the secret as a QR code and as text. The user enters a first code as proof that the
    /// app has the secret.
    func enrolment(
        _ transaction: String, user: User, uri: String, secret: String, problem: String? = nil, status: HTTPResponse.Status = .ok
    ) -> HTTPReply {
        let page = page(words.setUpCodes)
        return page.reply(status, isIsolated: true) {
            HTML.tag("h1") { words.setUpCodes }
            page.problem(problem)
            HTML.tag("p") { words.scanCode }
            if let code = QRCode(uri) { code.svg(label: words.qrLabel) }
            HTML.tag("p", ["class": "quiet"]) { words.typeSecret }
            HTML.tag("pre", ["class": "copy"]) { HTML.tag("code") { secret } }
            HTML.tag("form", ["method": "post", "action": routes.path("/account/one-time-codes")]) {
                page.hidden("transaction", transaction)
                userNameForManagers(user)
                oneTimeField(page, isWrong: problem != nil)
                page.password("password", words.password, autocomplete: "current-password")
                HTML.tag("button", ["type": "submit", "class": "primary"]) { words.turnOnCodes }
            }
            back()
        }
    }

    /// For users with one-time codes: create new recovery codes, or turn the codes off.
    func manageCodes(_ transaction: String, user: User, problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.manageCodes)
        return page.reply(status, isIsolated: true) {
            HTML.tag("h1") { words.manageCodes }
            HTML.tag("p") { words.recoveryCodesLeft.with("\(user.recoveryCodes.count)") }
            page.problem(problem)
            HTML.tag("form", ["method": "post", "action": routes.path("/account/one-time-codes/change")]) {
                page.hidden("transaction", transaction)
                userNameForManagers(user)
                page.password("password", words.password, autocomplete: "current-password", isFocused: true, isWrong: problem != nil)
                oneTimeField(page, isWrong: problem != nil, isRequired: user.recoveryCodes.isEmpty)
                if !user.recoveryCodes.isEmpty { recoveryField(page) }
                HTML.tag("div", ["class": "buttons stacked"]) {
                    HTML.tag("button", ["type": "submit", "name": "change", "value": "renew", "class": "primary"]) { words.newRecoveryCodes }
                    HTML.tag("button", ["type": "submit", "name": "change", "value": "remove", "class": "destructive"]) { words.turnOffCodes }
                }
            }
            back()
        }
    }

    /// The new recovery codes, which are shown once.
    func recoveryCodes(_ codes: [String]) -> HTTPReply {
        let page = page(words.recoveryTitle)
        return page.reply(isIsolated: true) {
            HTML.tag("h1") { words.recoveryTitle }
            HTML.tag("p") { words.recoveryNote }
            HTML.tag("pre", ["class": "copy codes"]) { HTML.tag("code") { codes.joined(separator: "\n") } }
            HTML.tag("p") { HTML.tag("a", ["class": "button", "href": routes.path("/account?done=codes")]) { words.savedCodes } }
        }
    }

    /// A hidden user name, so that password managers know the account.
    private func userNameForManagers(_ user: User) -> HTML {
        .void("input", ["name": "username", "autocomplete": "username", "value": user.name, "readonly": "", "hidden": "", "tabindex": "-1"])
    }

    private func back() -> HTML {
        .tag("p", ["class": "aside"]) { HTML.tag("a", ["href": routes.path("/account")]) { words.backToAccount } }
    }
}
