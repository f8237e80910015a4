import OAuth

/// The scopes that result from a request (RFC 6749 §3.3). A pure value, for authorization, pushed and device requests
/// alike.
struct RequestedScopes: Sendable, Equatable {
    let scopes: ScopeSet
    /// Whether none of the requested scopes can be granted. Then `scopes` are the default ones, and the user has to
    /// choose among them. Nothing is granted silently.
    let areSubstituted: Bool

    /// - Parameters:
    ///   - text: The parameter `scope`. Nil if it is missing or empty.
    ///   - identity: The scopes that can be requested beside those of the resource.
    ///
    /// Throws `invalid_scope` for a text that is not a list of scope tokens, and with `UnknownScopes.refuse` for scopes
    /// that cannot be granted.
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
        // offline_access requests a refresh token, which every client here may receive.
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

    /// Nil for a text of spaces only. Throws `invalid_scope`.
    static func parse(_ text: String) throws(OAuthError) -> ScopeSet? {
        guard let scopes = ScopeSet(request: text) else { throw OAuthError(.invalidScope, "scope is not a list of scope tokens separated by spaces") }
        return scopes.isEmpty ? nil : scopes
    }
}
