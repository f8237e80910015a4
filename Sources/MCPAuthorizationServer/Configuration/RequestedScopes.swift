import OAuth

/// Which scopes come of what a client asks for (RFC 6749 §3.3). Pure: the same for authorization, pushed and device
/// requests.
struct RequestedScopes: Sendable, Equatable {
    let scopes: ScopeSet
    /// The client named scopes, none of which can be granted: `scopes` are the default ones, and the user has to choose
    /// among them. Nothing is granted silently.
    let areSubstituted: Bool

    /// - Parameters:
    ///   - text: the parameter `scope`; nil where it is missing or empty.
    ///   - identity: what can be asked for beside the scopes of the resource.
    ///
    /// Throws `invalid_scope` for what is no list of scope tokens, and under `UnknownScopes.refuse` for scopes that
    /// cannot be granted.
    init(
        _ text: String?, of resource: ProtectedResource, for client: Client, identity: ScopeSet,
        unknown: AuthorizationServerConfiguration.UnknownScopes
    ) throws(OAuthError) {
        let all = resource.defaultScopes ?? resource.allScopes
        let fallback = client.scopes.map(all.intersection) ?? all
        guard let text, let requested = try Self.parse(text) else {
            (scopes, areSubstituted) = (fallback, false)
            return
        }
        // offline_access asks for a refresh token, which every client here may get.
        let known = requested.subtracting(["offline_access"]).intersection(resource.allScopes.union(identity))
        let granted = client.scopes.map { known.intersection($0.union(identity)) } ?? known
        if unknown == .refuse {
            let refused = requested.subtracting(["offline_access"]).subtracting(granted)
            guard refused.isEmpty else {
                throw OAuthError(.invalidScope, "the resource has no scope \(refused.text), or the client is not registered for it")
            }
        }
        (scopes, areSubstituted) = granted.isEmpty ? (fallback, !fallback.isEmpty) : (granted, false)
    }

    /// Nil for a text of nothing but spaces. Throws `invalid_scope`.
    static func parse(_ text: String) throws(OAuthError) -> ScopeSet? {
        guard let scopes = ScopeSet(request: text) else { throw OAuthError(.invalidScope, "scope is not a list of scope tokens separated by spaces") }
        return scopes.isEmpty ? nil : scopes
    }
}
