import OAuth

/// The permissions that a user chose on a consent page.
extension Form {
    /// The ticked scopes of a form with checkboxes. Nil for a form without.
    func tickedScopes() throws(OAuthError) -> ScopeSet? {
        guard try single("choice") != nil else { return nil }
        return ScopeSet(all("scope").compactMap { Scope($0) })
    }

    /// The scopes that the user left ticked. A form without checkboxes grants everything, unless a choice is required.
    /// Nil when a choice was required and nothing was ticked. The scope `openid` is not a permission. It only selects
    /// the kind of response.
    func chosenScopes(of scopes: ScopeSet, isChoiceNeeded: Bool = false) throws(OAuthError) -> ScopeSet? {
        guard let ticked = try tickedScopes() else { return isChoiceNeeded ? nil : scopes }
        let chosen = ScopeSet(scopes.filter { ticked.contains($0) || $0 == IdentityScope.openID })
        return chosen.subtracting([IdentityScope.openID]).isEmpty ? nil : chosen
    }
}
