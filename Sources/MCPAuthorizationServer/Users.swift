import JOSE
import MCPAuth
public import OAuth

/// What an operator does with users; every change is in the audit log.
extension AuthorizationServer {
    /// Adds somebody who signs in with a password. Throws `invalid_request` saying what is wrong with name or password, or that the name is taken.
    @discardableResult
    public func addUser(named name: String, password: String, displayName: String? = nil) async throws(OAuthError) -> User {
        guard let normalized = User.normalizedName(name) else {
            throw OAuthError(.invalidRequest, "a user name has 1 to 64 of the letters a-z, digits and . _ - @ +")
        }
        let user = User(
            id: "user-" + random.token(bytes: 12), name: normalized, displayName: displayName, passwordHash: try await hasher.hash(password),
            createdAt: clock.now)
        do throws(StoreError) { try await store.add(user) } catch {
            if error.kind == .conflict { throw OAuthError(.invalidRequest, "there is a user \(normalized) already") }
            throw unavailable(error)
        }
        record("user.added", .allowed, nil, detail: normalized, subject: user.id)
        return user
    }

    /// Gives somebody another password, and ends what was begun with the old one. Throws `invalid_request` or `temporarily_unavailable`.
    public func setPassword(_ password: String, ofUser name: String) async throws(OAuthError) {
        var user = try await existingUser(name)
        user.passwordHash = try await hasher.hash(password)
        try await save(user, "user.password_changed")
        try await endSessions(ofUser: user.id)
    }

    /// Asks somebody for one-time codes from now on. The text is for an authenticator app, and is shown this once. Throws `invalid_request` or
    /// `temporarily_unavailable`.
    public func requireOneTimePasswords(ofUser name: String) async throws(OAuthError) -> String {
        var user = try await existingUser(name)
        let secret = random.bytes(20)
        user.sealedOneTimeSecret = try secrets.oneTimeSecrets.seal(secret, owner: user.id)
        try await save(user, "user.one_time_passwords_required")
        return OneTimePasswords.uri(secret, account: user.name, issuer: issuer.url.hostForURL)
    }

    /// Lets somebody in with their password alone again. Throws `invalid_request` or `temporarily_unavailable`.
    public func dropOneTimePasswords(ofUser name: String) async throws(OAuthError) {
        var user = try await existingUser(name)
        user.sealedOneTimeSecret = nil
        try await save(user, "user.one_time_passwords_dropped")
    }

    /// Keeps somebody out from now on: no sign-in, no refresh, and every connection of theirs ends at once. Throws `invalid_request` when nobody has this
    /// name, and `temporarily_unavailable`: then try again.
    public func disableUser(named name: String) async throws(OAuthError) {
        var user = try await existingUser(name)
        user.isDisabled = true
        try await save(user, "user.disabled")
        try await endSessions(ofUser: user.id)
    }

    /// Lets somebody in again. What was ended stays ended. Throws `invalid_request` or `temporarily_unavailable`.
    public func enableUser(named name: String) async throws(OAuthError) {
        var user = try await existingUser(name)
        user.isDisabled = false
        try await save(user, "user.enabled")
    }

    /// Signs somebody out of every browser, and ends every connection of theirs, at once. Throws `temporarily_unavailable`: then try again.
    public func endSessions(ofUser id: String) async throws(OAuthError) {
        try await stored { try await store.deleteSessions(ofUser: id) }
        // In batches, since a store lists so many at a time.
        while true {
            let grants = try await stored { try await store.grants(ofUser: id, at: clock.now) }
            guard !grants.isEmpty else { return }
            for grant in grants { try await end(grant: grant.id) }
        }
    }

    /// Nil when nobody has this name. Throws `temporarily_unavailable`.
    public func user(named name: String) async throws(OAuthError) -> User? {
        guard let normalized = User.normalizedName(name) else { return nil }
        return try await stored { try await store.user(named: normalized) }
    }

    private func existingUser(_ name: String) async throws(OAuthError) -> User {
        guard let user = try await user(named: name) else { throw OAuthError(.invalidRequest, "there is no user \(name.prefix(64))") }
        return user
    }

    private func save(_ user: User, _ action: String) async throws(OAuthError) {
        try await stored { try await store.update(user) }
        record(action, .allowed, nil, detail: user.name, subject: user.id)
    }
}
