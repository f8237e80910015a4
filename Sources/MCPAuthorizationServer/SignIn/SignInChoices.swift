import IdentityProviders
import OAuth

/// The ways to sign in, as the pages show them.
struct SignInChoices: Sendable {
    struct Provider: Sendable {
        let id: String
        let name: String
        let mark: ProviderMark
    }

    let hasPasswords: Bool
    let providers: [Provider]

    init(_ methods: [SignInMethod]) {
        var hasPasswords = false
        var providers: [Provider] = []
        for method in methods {
            switch method.kind {
            case .password, .custom: hasPasswords = true
            case .provider(let method):
                providers.append(Provider(id: method.provider.id, name: method.provider.name, mark: method.provider.mark))
            }
        }
        self.hasPasswords = hasPasswords
        self.providers = providers
    }

    func provider(_ id: String) -> Provider? { providers.first { $0.id == id } }

    /// The provider that sign-in starts with at once, because there is no other way.
    var onlyProvider: Provider? { hasPasswords || providers.count != 1 ? nil : providers[0] }

    /// Throws `invalid_configuration` when the methods cannot be used together.
    static func check(_ methods: [SignInMethod], hasFetcher: Bool) throws(OAuthError) {
        var passwords = 0
        var ids: Set<String> = []
        for method in methods {
            switch method.kind {
            case .password, .custom: passwords += 1
            case .provider(let method):
                try method.check()
                guard ids.insert(method.provider.id).inserted else {
                    throw OAuthError(
                        .invalidConfiguration,
                        "two sign-in methods have the id \(method.provider.id); give one provider another id, which is part of its redirect URI")
                }
                guard hasFetcher else {
                    throw OAuthError(
                        .invalidConfiguration,
                        "sign-in with \(method.provider.name) needs requests to it: import MCPAuthHTTPClient (a product of this package) and pass fetcher: GuardedHTTPClient.shared"
                    )
                }
            }
        }
        guard passwords <= 1 else { throw OAuthError(.invalidConfiguration, "sign in with .password or with .custom, not with both") }
        guard !methods.isEmpty else { throw OAuthError(.invalidConfiguration, "name at least one sign-in method, such as .password") }
    }
}
