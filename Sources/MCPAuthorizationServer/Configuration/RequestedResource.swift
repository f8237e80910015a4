import OAuth

/// The resource and the scopes that a request names, as this configuration sees them. Pure functions.
extension AuthorizationServerConfiguration {
    /// The scopes that a client may request beside those of a resource.
    var identityScopes: ScopeSet { isOpenIDProvider ? IdentityScope.all : [] }

    /// The scopes of all resources.
    var resourceScopes: ScopeSet { resources.reduce([]) { $0.union($1.allScopes) } }

    /// The resource that a request names (RFC 8707 §2), or the only one (requirement 140). Equivalent spellings of URL
    /// libraries count as the registered one, which tokens contain. Throws `invalid_target`.
    func resource(named values: [String]) throws(OAuthError) -> ProtectedResource {
        let values = values.filter { !$0.isEmpty }
        guard let value = values.first else {
            guard resources.count == 1 else {
                throw OAuthError(.invalidTarget, "say which resource the token is for: resource=<URL of the MCP server>")
            }
            return resources[0]
        }
        // Some clients send one and the same resource twice.
        guard values.allSatisfy({ $0.utf8.elementsEqual(value.utf8) }) else { throw OAuthError(.invalidTarget, "name one resource") }
        if let exact = resource(value) { return exact }
        let candidates = resources.filter { $0.identifier.isSpelled(value) }
        guard candidates.count == 1 else {
            throw OAuthError(.invalidTarget, "no such resource here; the metadata lists them under protected_resources")
        }
        return candidates[0]
    }

    /// The resource of a grant, which may no longer be configured. Throws `invalid_target`.
    func grantedResource(_ identifier: String) throws(OAuthError) -> ProtectedResource {
        guard let resource = resource(identifier) else {
            throw OAuthError(.invalidTarget, "\(identifier) is no longer a resource of this server; sign in again for another")
        }
        return resource
    }

    /// The resource that a token request names again (RFC 8707 §2.2). Nil if it names none.
    func target(_ form: Form) throws(OAuthError) -> String? {
        let named = form.all("resource").filter { !$0.isEmpty }
        return named.isEmpty ? nil : try resource(named: named).identifier.text
    }

    /// The granted scopes that a token request names: never more than was granted (RFC 6749 §6). Clients repeat the
    /// scopes that they requested first, of which the user may have allowed a part.
    ///
    /// Throws `invalid_scope` when none is left, and with `UnknownScopes.refuse` when one was not granted.
    func narrowed(_ form: Form, to granted: ScopeSet) throws(OAuthError) -> ScopeSet {
        guard let requested = try RequestedScopes.named(in: form), !requested.isEmpty else { return granted }
        return try narrowed(requested, to: granted)
    }

    func narrowed(_ requested: ScopeSet, to granted: ScopeSet) throws(OAuthError) -> ScopeSet {
        let scopes = granted.intersection(requested)
        guard !scopes.isEmpty, unknownScopes == .ignore || requested.isSubset(of: granted) else {
            throw OAuthError(.invalidScope, "no more can be had than the user allowed: \(granted.text)")
        }
        return scopes
    }
}

extension RequestedScopes {
    /// The scopes that a token request names, without `offline_access`. Nil if it names none. Throws `invalid_scope`.
    static func named(in form: Form) throws(OAuthError) -> ScopeSet? {
        guard let text = try form.single("scope"), let scopes = try parse(text) else { return nil }
        return scopes.subtracting(["offline_access"])
    }
}
