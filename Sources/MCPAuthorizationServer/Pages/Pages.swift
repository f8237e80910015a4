import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The pages that people see. They need no JavaScript.
extension AuthorizationServer {
    private func page(_ title: String) -> Page { Page(title: title, siteName: configuration.name, routes: routes) }

    func signInPage(_ transaction: String, client: Client?, name: String = "", problem: String? = nil, status: HTTPResponse.Status = .ok) -> HTTPReply
    {
        let page = page("Sign in")
        return page.reply(status) {
            HTML.tag("h1") { "Sign in" }
            if let client {
                HTML.tag("p") {
                    "to continue to "; HTML.tag("strong") { displayName(client) }
                }
            }
            if let problem { HTML.tag("p", ["class": "problem", "role": "alert", "id": "problem"]) { problem } }
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-in")]) {
                page.hidden("transaction", transaction)
                HTML.tag("label", ["for": "username"]) { "User name" }
                HTML.void(
                    "input",
                    [
                        "id": "username", "name": "username", "autocomplete": "username", "autocapitalize": "none", "spellcheck": "false",
                        "required": "",
                        "maxlength": "64", "value": name, "aria-describedby": problem == nil ? "" : "problem",
                    ])
                HTML.tag("label", ["for": "password"]) { "Password" }
                HTML.void("input", ["id": "password", "name": "password", "type": "password", "autocomplete": "current-password", "required": ""])
                HTML.tag("button", ["type": "submit", "class": "primary"]) { "Sign in" }
            }
        }
    }

    func consentPage(_ transaction: String, _ request: AuthorizationRequest, client: Client, user: User) -> HTTPReply {
        let page = page("Allow access")
        let redirect = try? RedirectURI(request.redirectURI)
        let descriptions =
            configuration.resources.first { $0.identifier.text == request.resource }?.scopes.filter { request.scopes.contains($0.scope) } ?? []
        return page.reply(formTargets: redirect.map { [$0.contentSecuritySource] } ?? []) {
            HTML.tag("h1") {
                "Allow "; HTML.tag("strong") { displayName(client) }; " to use your account?"
            }
            if client.origin == .dynamic {
                HTML.tag("p", ["class": "note"]) { "This application registered itself. Nobody has checked its name." }
            }
            if descriptions.isEmpty {
                HTML.tag("p") { "It will only learn who you are." }
            } else {
                HTML.tag("p") { "It will be able to:" }
                HTML.tag("ul", ["class": "scopes"]) {
                    for description in descriptions {
                        HTML.tag("li", ["class": description.isSensitive ? "sensitive" : "plain"]) {
                            description.text
                            if description.isSensitive { HTML.tag("span", ["class": "flag"]) { "cannot be undone" } }
                            HTML.tag("code") { description.scope.text }
                        }
                    }
                }
            }
            HTML.tag("dl") {
                HTML.tag("dt") { "Signed in as" }
                HTML.tag("dd") { user.name }
                HTML.tag("dt") { "At" }
                HTML.tag("dd") { request.resource }
                HTML.tag("dt") { "Then you return to" }
                HTML.tag("dd") { HTML.tag("strong") { redirect?.displayHost ?? "" } }
            }
            if redirect?.kind == .loopback {
                HTML.tag("p", ["class": "warning"]) { "That is a program on this computer. Continue only if you have just started it yourself." }
            } else if redirect?.kind == .privateUse {
                HTML.tag("p", ["class": "warning"]) { "That is an app on this device. Continue only if you have just started it yourself." }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/consent")]) {
                page.hidden("transaction", transaction)
                if client.isConfidential {
                    HTML.tag("label", ["class": "check"]) {
                        HTML.void("input", ["type": "checkbox", "name": "remember", "value": "yes"])
                        "Do not ask again for this application and these permissions"
                    }
                }
                HTML.tag("div", ["class": "buttons"]) {
                    HTML.tag("button", ["type": "submit", "name": "decision", "value": "allow", "class": "primary"]) { "Allow" }
                    HTML.tag("button", ["type": "submit", "name": "decision", "value": "deny"]) { "Cancel" }
                }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-out"), "class": "aside"]) {
                page.hidden("transaction", transaction)
                HTML.tag("button", ["type": "submit", "class": "link"]) { "Not \(user.name)? Use another account" }
            }
        }
    }

    func accountPage(_ transaction: String, user: User, connections: [(grant: Grant, client: Client?)]) -> HTTPReply {
        let page = page("Connected applications")
        return page.reply {
            HTML.tag("h1") { "Connected applications" }
            HTML.tag("p") {
                "Signed in as "; HTML.tag("strong") { user.name }
            }
            if connections.isEmpty {
                HTML.tag("p", ["class": "note"]) { "No application can use your account." }
            } else {
                HTML.tag("ul", ["class": "connections"]) {
                    for (grant, client) in connections {
                        HTML.tag("li") {
                            HTML.tag("strong") { client.map(displayName) ?? grant.clientID.text }
                            HTML.tag("p") { words(grant).joined(separator: " · ") }
                            HTML.tag("p", ["class": "quiet"]) {
                                "Connected \(grant.createdAt.iso8601.prefix(10)), last used \(grant.lastUsedAt.iso8601.prefix(16).replacing("T", with: " ")) UTC"
                            }
                            HTML.tag("form", ["method": "post", "action": routes.path("/account/disconnect")]) {
                                page.hidden("transaction", transaction)
                                page.hidden("grant", grant.id)
                                HTML.tag("button", ["type": "submit", "aria-label": "Disconnect \(client.map(displayName) ?? grant.clientID.text)"]) {
                                    "Disconnect"
                                }
                            }
                        }
                    }
                }
            }
            HTML.tag("form", ["method": "post", "action": routes.path("/sign-out"), "class": "aside"]) {
                page.hidden("transaction", transaction)
                HTML.tag("button", ["type": "submit", "class": "link"]) { "Sign out" }
            }
        }
    }

    /// Tells a person what happened, and a developer where to look. Never goes anywhere by itself (Z-08).
    func errorPage(_ error: OAuthError, status: HTTPResponse.Status = .badRequest, returnTo location: (url: String, host: String)? = nil) -> HTTPReply
    {
        let page = page("Something is wrong")
        return page.reply(status) {
            HTML.tag("h1") { explanation(error) }
            HTML.tag("p") { "Nothing was shared. Close this page and try again from the application that sent you here." }
            HTML.tag("dl", ["class": "developer"]) {
                HTML.tag("dt") { "For developers" }
                HTML.tag("dd") {
                    HTML.tag("code") { error.code.rawValue }; " "; DisplayText.clean(error.message, limit: 300)
                }
            }
            if let location {
                HTML.tag("p") { HTML.tag("a", ["class": "button", "href": location.url, "rel": "noreferrer"]) { "Return to \(location.host)" } }
            }
        }
    }

    func signedOutPage() -> HTTPReply {
        page("Signed out").reply {
            HTML.tag("h1") { "Signed out" }
            HTML.tag("p") { "Applications that you connected stay connected." }
            HTML.tag("p") { HTML.tag("a", ["class": "button", "href": routes.path("/account")]) { "Sign in again" } }
        }
    }

    private func explanation(_ error: OAuthError) -> String {
        switch error.code {
        case .temporarilyUnavailable, .serverError: "This is not working at the moment"
        case .accessDenied: "Access was not allowed"
        case .invalidClient, .unauthorizedClient: "This application is not known here"
        default: "The application made a request that cannot be answered"
        }
    }

    private func displayName(_ client: Client) -> String {
        let name = client.name.map { DisplayText.clean($0) } ?? ""
        return name.isEmpty ? client.id.text : name
    }

    private func words(_ grant: Grant) -> [String] {
        let descriptions = configuration.resources.first { $0.identifier.text == grant.resource }?.scopes ?? []
        let known = descriptions.filter { grant.scopes.contains($0.scope) }.map(\.text)
        return known.isEmpty ? ["Knows who you are"] : known
    }
}
