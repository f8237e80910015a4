import OAuth

/// The scopes that ask for a connection with an identity provider, such as `connect:github`. An authorization request
/// with one leads through the provider before its code is issued. A token with one was issued after that.
///
/// They are granted like scopes of every resource, and are not advertised: clients that request every advertised scope
/// would send every user through every provider.
enum ConnectionScope {
    static func scope(_ provider: String) -> Scope? { Scope("connect:" + provider) }

    static func scopes(_ providers: [SignInChoices.Provider]) -> ScopeSet { ScopeSet(providers.compactMap { scope($0.id) }) }
}
