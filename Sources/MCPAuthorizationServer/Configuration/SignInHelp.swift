import OAuth

/// Links on the sign-in page for users who cannot sign in. Nil shows no link.
public struct SignInHelp: Sendable, Hashable {
    /// The URL of a page on which users replace a forgotten password. This package has no such page.
    public var forgottenPasswordPage: String?
    /// The contact of the operator: a URL, or `mailto:` and an e-mail address.
    public var contact: String?

    /// The links. They are checked when the server starts.
    public init(forgottenPasswordPage: String? = nil, contact: String? = nil) {
        self.forgottenPasswordPage = forgottenPasswordPage
        self.contact = contact
    }

    /// Throws `invalid_configuration` for any other text, so that no link runs a script.
    func check() throws(OAuthError) {
        if let page = forgottenPasswordPage { guard WebURL(page) != nil else { throw Self.wrong("forgottenPasswordPage", page) } }
        if let contact {
            let isMail = contact.hasPrefix("mailto:") && User.validEmail(String(contact.dropFirst(7))) != nil
            guard isMail || WebURL(contact) != nil else { throw Self.wrong("contact", contact) }
        }
    }

    private static func wrong(_ name: String, _ value: String) -> OAuthError {
        OAuthError(.invalidConfiguration, "help.\(name) is not an address like https://example.com/help: \(value.prefix(100))")
    }
}
