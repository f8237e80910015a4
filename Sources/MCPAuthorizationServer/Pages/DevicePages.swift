import HTTPTypes
import OAuth

extension Pages {
    func device(_ transaction: String, user: User, code: String = "", problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply {
        let page = page(words.deviceTitle)
        return page.reply(status) {
            HTML.tag("h1") { words.deviceTitle }
            HTML.tag("p") { words.deviceExplanation }
            page.problem(problem)
            HTML.tag("form", ["method": "post", "action": routes.path("/device")]) {
                page.hidden("transaction", transaction)
                HTML.tag("label", ["for": "user_code"]) { words.deviceCode }
                page.input(
                    "user_code", isFocused: true, isWrong: problem != nil,
                    [
                        "autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false", "required": "", "maxlength": "20",
                        "value": code, "class": "code", "placeholder": "XXXX-XXXX",
                    ])
                HTML.tag("button", ["type": "submit", "class": "primary"]) { words.goOn }
            }
            HTML.tag("dl") {
                HTML.tag("dt") { words.signedInAs }
                HTML.tag("dd") { displayName(user) }
            }
            anotherAccount(page, transaction, words.useAnotherAccount.with(displayName(user)))
        }
    }

    /// - Parameter client: The client on the device.
    func deviceDone(isAllowed: Bool, client: Client, user: User) -> HTTPReply {
        let page = page(words.deviceTitle)
        return page.reply {
            HTML.tag("h1") { isAllowed ? words.deviceAllowed : words.deviceDenied }
            HTML.tag("p") { page.words(isAllowed ? words.deviceAllowedNote : words.deviceDeniedNote, displayName(client)) }
            HTML.tag("dl") {
                HTML.tag("dt") { words.application }
                HTML.tag("dd") { displayName(client) }
                HTML.tag("dt") { words.signedInAs }
                HTML.tag("dd") { displayName(user) }
            }
            HTML.tag("p") { HTML.tag("a", ["href": routes.path("/account")]) { words.connectedApplications } }
        }
    }
}
