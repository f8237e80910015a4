import HTTPTypes
import MCPAuth
import OAuth

extension Pages {
    /// The content of a consent page, for a browser that came from a client, or for a device.
    struct Question {
        let client: Client
        /// Nil before the sign-in at an identity provider.
        let user: User?
        /// The name of the identity provider at which the user signs in afterwards.
        var provider: String?
        let scopes: ScopeSet
        /// The scopes that the user has allowed this client before. Empty: none.
        var known: ScopeSet = []
        let resource: String
        /// The redirect URI. Nil for a device.
        var redirectURI: String?
        /// The code that the device shows. Nil for a browser.
        var userCode: String?
        var action: String
        /// Whether each permission has a checkbox.
        var isChoosing = false
        /// The ticked permissions.
        var ticked: ScopeSet = []
        /// Whether the user ticked that this question is not asked again.
        var remembers = false
        var problem: String?
    }

    func consent(_ transaction: String, _ question: Question) -> HTTPReply {
        let page = page(words.allowTitle)
        let redirect = question.redirectURI.flatMap { try? RedirectURI($0) }
        let client = question.client
        let permissions = permissions(question.scopes, resource: question.resource)
        return page.reply(
            question.problem == nil ? .ok : .badRequest, leadsAway: redirect != nil || question.provider != nil
        ) {
            HTML.tag("h1") { page.words(words.allowQuestion, displayName(client)) }
            page.problem(question.problem)
            switch client.origin {
            case .dynamic: HTML.tag("p", ["class": "note"]) { words.selfRegistered }
            case .document: HTML.tag("p", ["class": "note"]) { page.words(words.ownDomain, WebURL(client.id.text)?.hostForURL ?? client.id.text) }
            case .configured: HTML.empty
            }
            // Near the title, so that no button is in reach before it was seen.
            if question.user != nil || redirect != nil {
                HTML.tag("dl") {
                    if let user = question.user {
                        HTML.tag("dt") { words.signedInAs }
                        HTML.tag("dd") { HTML.tag("strong") { displayName(user) } }
                    }
                    if let redirect {
                        HTML.tag("dt") { words.thenYouReturnTo }
                        HTML.tag("dd") { HTML.tag("strong") { redirect.displayHost } }
                    }
                }
            }
            warning(question, redirect, page)
            HTML.tag("form", ["method": "post", "action": routes.path(question.action)]) {
                page.hidden("transaction", transaction)
                if permissions.isEmpty {
                    HTML.tag("p") { words.onlyIdentity }
                } else {
                    if question.isChoosing { page.hidden("choice", "offered") }
                    scopeList(permissions, known: question.known, ticked: question.isChoosing ? question.ticked : nil)
                    if permissions.count(where: \.isOptional) > 1, !question.isChoosing {
                        HTML.tag("button", ["type": "submit", "name": "decision", "value": "choose", "class": "link"]) { words.chooseLess }
                    }
                }
                facts(question)
                if client.isConfidential, question.redirectURI != nil {
                    HTML.tag("label", ["class": "check"]) {
                        if question.remembers {
                            HTML.void("input", ["type": "checkbox", "name": "remember", "value": "yes", "checked": ""])
                        } else {
                            HTML.void("input", ["type": "checkbox", "name": "remember", "value": "yes"])
                        }
                        words.remember
                    }
                }
                HTML.tag("div", ["class": "buttons decision"]) {
                    HTML.tag("button", ["type": "submit", "name": "decision", "value": "allow", "class": "primary"]) {
                        question.user == nil ? question.provider.map { words.continueWith.with($0) } ?? words.allow : words.allow
                    }
                    HTML.tag("button", ["type": "submit", "name": "decision", "value": "deny"]) { words.cancel }
                }
            }
            if question.user != nil || choices.onlyProvider == nil {
                anotherAccount(page, transaction, question.user.map { words.useAnotherAccount.with(displayName($0)) } ?? words.otherWay)
            }
        }
    }

    /// A scope with its text.
    struct Permission {
        let scope: Scope
        let text: String
        let isSensitive: Bool
        /// Whether the user can leave it out.
        let isOptional: Bool
    }

    /// The requested permissions: the scopes of the resource first, then those that share the user's identity.
    func permissions(_ scopes: ScopeSet, resource: String) -> [Permission] {
        let known = configuration.resource(resource)?.scopes.filter { scopes.contains($0.scope) } ?? []
        let identity: [(Scope, String)] = [
            (IdentityScope.profile, words.seeProfile), (IdentityScope.email, words.seeEmail), (IdentityScope.openID, words.seeIdentity),
        ]
        return known.map { Permission(scope: $0.scope, text: text($0), isSensitive: $0.isSensitive, isOptional: true) }
            + choices.providers.filter { ConnectionScope.scope($0.id).map(scopes.contains) ?? false }.compactMap { provider in
                ConnectionScope.scope(provider.id).map {
                    Permission(scope: $0, text: words.useAccount.with(provider.name), isSensitive: false, isOptional: true)
                }
            }
            + identity.filter { scopes.contains($0.0) }.map { scope, text in
                Permission(scope: scope, text: text, isSensitive: false, isOptional: scope != IdentityScope.openID)
            }
    }

    /// The list of permissions, with the sensitive ones marked. `ticked` contains the ticked boxes if the user chooses,
    /// otherwise it is nil.
    private func scopeList(_ permissions: [Permission], known: ScopeSet, ticked: ScopeSet?) -> HTML {
        // With a grant of before, what is new is marked.
        let marksNew = permissions.contains { known.contains($0.scope) }
        return .tag("fieldset") {
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
                                HTML.tag("span") { inWords(permission, isNew: marksNew && !known.contains(permission.scope)) }
                            }
                        } else {
                            inWords(permission, isNew: marksNew && !known.contains(permission.scope))
                        }
                    }
                }
            }
            if let ticked { HTML.tag("p", ["class": "quiet"]) { ticked.isEmpty ? words.tick : words.untick } }
        }
    }

    private func inWords(_ permission: Permission, isNew: Bool) -> HTML {
        .joined([
            .text(permission.text), isNew ? .tag("span", ["class": "flag new"]) { words.isNew } : .empty,
            permission.isSensitive ? .tag("span", ["class": "flag"]) { words.cannotBeUndone } : .empty,
            .tag("code") { permission.scope.text },
        ])
    }

    /// The warning that the user must read before the decision.
    private func warning(_ question: Question, _ redirect: RedirectURI?, _ page: Page) -> HTML {
        let text: HTML =
            if let userCode = question.userCode {
                page.words(words.deviceWarning, userCode)
            } else if redirect?.kind == .loopback {
                .text(words.loopbackWarning)
            } else if let redirect, redirect.kind == .privateUse {
                page.words(words.appWarning, redirect.scheme + ":")
            } else { .empty }
        return text.source.isEmpty ? .empty : .tag("p", ["class": "warning"]) { text }
    }

    /// The provider of a sign-in to come, the server, and the duration.
    private func facts(_ question: Question) -> HTML {
        .tag("dl") {
            if question.user == nil, let provider = question.provider {
                HTML.tag("dt") { words.youSignInWith }
                HTML.tag("dd") { provider }
            }
            HTML.tag("dt") { words.atServer }
            HTML.tag("dd") { question.resource }
            HTML.tag("dt") { words.lasts }
            HTML.tag("dd") {
                words.lastsUntil.with("\(max(1, configuration.grantLifetime / 86400))"); " "
                HTML.tag("a", ["href": routes.path("/account")]) { words.whereToEnd }
            }
        }
    }
}
