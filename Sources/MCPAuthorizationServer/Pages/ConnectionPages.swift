import HTTPTypes
import OAuth

extension Pages {
    /// An account at an identity provider that a tool needs.
    struct WantedConnection {
        let provider: SignInChoices.Provider
        /// The scopes at the provider beyond those of the sign-in.
        let scopes: [String]
        /// The client whose call needs it. Nil when it is no longer known.
        let client: Client?
        let user: User
    }

    func connection(_ transaction: String, _ wanted: WantedConnection) -> HTTPReply {
        let name = wanted.provider.name
        let page = page(words.connect.with(name))
        return page.reply(leadsAway: true) {
            HTML.tag("h1") { words.connect.with(name) }
            HTML.tag("p") { words.connectReason.with(name) }
            HTML.tag("dl") {
                if let client = wanted.client {
                    HTML.tag("dt") { words.application }
                    HTML.tag("dd") { displayName(client) }
                }
                if !wanted.scopes.isEmpty {
                    HTML.tag("dt") { words.connectPermissions.with(name) }
                    for scope in wanted.scopes { HTML.tag("dd") { HTML.tag("code") { DisplayText.clean(scope, limit: 200) } } }
                }
                HTML.tag("dt") { words.signedInAs }
                HTML.tag("dd") { displayName(wanted.user) }
            }
            HTML.tag("p", ["class": "quiet"]) { words.connectNote.with(name) }
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-in/provider"), "class": "providers"]) {
                page.hidden("transaction", transaction)
                providerButton(wanted.provider, words.continueWith.with(name))
            }
        }
    }

    func connectionDone(_ provider: SignInChoices.Provider) -> HTTPReply {
        page(words.doneConnected).reply {
            HTML.tag("h1") { words.doneConnected }
            HTML.tag("p") { words.connectReturn }
            HTML.tag("p") { HTML.tag("a", ["href": routes.path("/account")]) { words.yourAccount } }
        }
    }
}
