import JOSE
public import OAuth

extension AuthorizationServer {
    /// Adds somebody who signs in with a password. Throws `invalid_request` saying what is wrong with name or password, or that the name is taken.
    @discardableResult
    public func addUser(named name: String, password: String) async throws(OAuthError) -> User {
        guard let normalized = User.normalizedName(name) else {
            throw OAuthError(.invalidRequest, "a user name has 1 to 64 of the letters a-z, digits and . _ - @ +")
        }
        let user = User(id: "user-" + random.token(bytes: 12), name: normalized, passwordHash: try await hasher.hash(password), createdAt: clock.now)
        do throws(StoreError) { try await store.add(user) } catch {
            if error.kind == .conflict { throw OAuthError(.invalidRequest, "there is a user \(normalized) already") }
            throw unavailable(error)
        }
        return user
    }

    /// Keeps somebody out from now on: no sign-in, no refresh, and every connection of theirs ends at once. Throws `invalid_request` when nobody has this
    /// name, and `temporarily_unavailable`: then try again.
    public func disableUser(named name: String) async throws(OAuthError) {
        guard var user = try await user(named: name) else { throw OAuthError(.invalidRequest, "there is no user \(name.prefix(64))") }
        user.isDisabled = true
        let disabled = user
        try await stored { try await store.update(disabled) }
        // In batches, since a store lists so many at a time.
        while true {
            let grants = try await stored { try await store.grants(ofUser: disabled.id, at: clock.now) }
            guard !grants.isEmpty else { return }
            for grant in grants { try await end(grant: grant.id) }
        }
    }

    /// Nil when nobody has this name. Throws `temporarily_unavailable`.
    public func user(named name: String) async throws(OAuthError) -> User? {
        guard let normalized = User.normalizedName(name) else { return nil }
        return try await stored { try await store.user(named: normalized) }
    }
}
