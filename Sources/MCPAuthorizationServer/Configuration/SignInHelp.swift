import OAuth

/// Where a person finds help who cannot sign in. Each is a link on the sign-in page; nil shows none.
public struct SignInHelp: Sendable, Hashable {
    /// The https address of a page on which a forgotten password is replaced.
    public var forgottenPasswordPage: String?
    /// How to reach the operator: an https address, or `mailto:` and an e-mail address.
    public var contact: String?

    public init(forgottenPasswordPage: String? = nil, contact: String? = nil) {
        self.forgottenPasswordPage = forgottenPasswordPage
        self.contact = contact
    }

    /// Throws `invalid_configuration` for anything that is no address of these kinds, so that no link runs a script.
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
