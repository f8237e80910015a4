import JOSE
import MCPAuth
public import OAuth

/// Administration of users. The audit log records every change.
extension AuthorizationServer {
    /// Adds a user who signs in with a password. Throws `invalid_request` when the name, the address or the password is
    /// not valid, or the name is taken, and `temporarily_unavailable` when the store fails.
    ///
    /// - Parameters:
    ///   - name: The sign-in name; see `User.normalizedName`.
    ///   - password: The password; see `PasswordRules`.
    ///   - displayName: The name for display. Clients with the scope `profile` see it.
    ///   - email: The e-mail address. Clients with the scope `email` see it.
    ///   - isEmailVerified: Whether the caller vouches that the address belongs to the user.
    @discardableResult
    public func addUser(
        named name: String, password: String, displayName: String? = nil, email: String? = nil, isEmailVerified: Bool = false
    ) async throws(OAuthError) -> User {
        guard let normalized = User.normalizedName(name) else {
            throw OAuthError(.invalidRequest, "a user name has 1 to 64 of the letters a-z, digits and . _ - @ +")
        }
        try Self.check(email)
        let user = User(
            id: "user-" + random.token(bytes: 12), name: normalized, displayName: displayName, email: email,
            isEmailVerified: email != nil && isEmailVerified, passwordHash: try await hasher.hash(password, name: normalized),
            createdAt: clock.now)
        do throws(StoreError) { try await store.add(user) } catch {
            if error.kind == .conflict { throw OAuthError(.invalidRequest, "there is a user \(normalized) already") }
            throw unavailable(error)
        }
        record("user.added", .allowed, nil, detail: normalized, subject: user.id)
        return user
    }

    private static func check(_ email: String?) throws(OAuthError) {
        guard let email else { return }
        guard User.validEmail(email) != nil else { throw OAuthError(.invalidRequest, "\(email.prefix(100)) is not an e-mail address") }
    }

    /// Changes what clients learn about a user with the scopes `profile` and `email`. Sessions and grants go on. Users
    /// of an identity provider have the profile of their first sign-in until it is changed here.
    ///
    /// Throws `invalid_request` when there is no user of this name or the address is not valid, and
    /// `temporarily_unavailable`.
    public func editUser(named name: String, _ body: (inout User.Profile) -> Void) async throws(OAuthError) {
        try await change(name, "user.edited") { user throws(OAuthError) in
            var profile = User.Profile(user)
            body(&profile)
            try Self.check(profile.email)
            user.displayName = profile.displayName
            user.email = profile.email
            user.isEmailVerified = profile.email != nil && profile.isEmailVerified
        }
    }

    /// Sets a new password, and ends every session and grant of the user. Throws `invalid_request` or
    /// `temporarily_unavailable`.
    public func setPassword(_ password: String, ofUser name: String) async throws(OAuthError) {
        let hash = try await hasher.hash(password, name: name)
        let user = try await change(name, "user.password_changed") { $0.passwordHash = hash }
        try await endSessions(ofUser: user.id)
    }

    /// Requires one-time codes at sign-in from now on. Ends the user's sessions and deletes the recovery codes. Grants
    /// stay. Throws `invalid_request` or `temporarily_unavailable`.
    ///
    /// Returns the `otpauth` URI for an authenticator app. It contains the secret and is not available again.
    public func requireOneTimePasswords(ofUser name: String) async throws(OAuthError) -> String {
        guard let user = try await user(named: name) else { throw Self.nobody(name) }
        let secret = random.bytes(20)
        let sealed = try oneTimeSecrets.seal(secret, owner: user.id)
        try await change(name, "user.one_time_passwords_required") { user in
            user.sealedOneTimeSecret = sealed
            user.recoveryCodes = []
        }
        // Sessions that began without a code end. Grants stay.
        try await stored { try await store.deleteSessions(ofUser: user.id) }
        return OneTimePasswords.uri(secret, account: user.name, issuer: configuration.siteName(issuer))
    }

    /// Ends every session and grant of a user. Throws `invalid_request` when there is no user of this name, and
    /// `temporarily_unavailable`.
    public func signOutUser(named name: String) async throws(OAuthError) {
        guard let user = try await user(named: name) else { throw Self.nobody(name) }
        try await endSessions(ofUser: user.id)
        record("sessions.ended", .allowed, nil, reason: "by_operator", detail: user.name, subject: user.id)
    }

    /// Deletes a user, and ends every session and grant of the user at once. Throws `invalid_request` or
    /// `temporarily_unavailable`.
    ///
    /// Data that tools keep for the user is not deleted. It belongs to `owner`, issuer and subject. The subject is
    /// never used again. The user's tokens at identity providers are revoked there: now, or by a running server that is
    /// configured with the provider, within two minutes.
    public func removeUser(named name: String) async throws(OAuthError) {
        guard let user = try await user(named: name) else { throw Self.nobody(name) }
        // First, so that no refresh creates anything new in between.
        _ = try await change(name, "user.disabled") { $0.isDisabled = true }
        try await endSessions(ofUser: user.id)
        try await stored { try await store.deleteUser(id: user.id, at: clock.now) }
        try await stored { try await revocation.refresh() }
        record("user.removed", .allowed, nil, detail: user.name, subject: user.id)
        // What remains is taken by the next run of maintenance.
        for connection in (try? await connections.takeUnused()) ?? [] { await connections.revokeAtProvider(connection) }
    }

    /// The sessions of a user that have not expired, newest first. Throws `temporarily_unavailable`.
    public func sessions(ofUser id: String) async throws(OAuthError) -> [Session] {
        try await stored { try await store.sessions(ofUser: id, at: clock.now) }
    }

    /// The connections of a user with identity providers. Throws `temporarily_unavailable`.
    public func connections(ofUser id: String) async throws(OAuthError) -> [Connection] {
        try await stored { try await store.connections(ofUser: id) }
    }

    /// Requires the password only from now on, and deletes the recovery codes. Throws `invalid_request` or
    /// `temporarily_unavailable`.
    public func dropOneTimePasswords(ofUser name: String) async throws(OAuthError) {
        try await change(name, "user.one_time_passwords_dropped") { user in
            user.sealedOneTimeSecret = nil
            user.recoveryCodes = []
        }
    }

    /// Blocks a user: the user can no longer sign in or refresh, and every session and grant ends at once. Throws
    /// `invalid_request` when there is no user of this name, and `temporarily_unavailable`; then try again.
    public func disableUser(named name: String) async throws(OAuthError) {
        let user = try await change(name, "user.disabled") { $0.isDisabled = true }
        try await endSessions(ofUser: user.id)
    }

    /// Allows a disabled user to sign in again. Ended sessions and grants stay ended. Throws `invalid_request` or
    /// `temporarily_unavailable`.
    public func enableUser(named name: String) async throws(OAuthError) {
        try await change(name, "user.enabled") { $0.isDisabled = false }
    }

    /// Ends every session and every grant of a user, at once. Throws `temporarily_unavailable`; then try again.
    public func endSessions(ofUser id: String) async throws(OAuthError) {
        try await stored { try await store.deleteSessions(ofUser: id) }
        try await revocation.endGrants(ofUser: id)
    }

    /// The user with this subject. Nil when there is none. Throws `temporarily_unavailable`.
    public func user(id: String) async throws(OAuthError) -> User? { try await stored { try await store.user(id: id) } }

    /// The user with this name, in any case of ASCII letters. Nil when there is none. Throws `temporarily_unavailable`.
    public func user(named name: String) async throws(OAuthError) -> User? {
        guard let normalized = User.normalizedName(name) else { return nil }
        return try await stored { try await store.user(named: normalized) }
    }

    private static func nobody(_ name: String) -> OAuthError {
        OAuthError(.invalidRequest, "there is no user \(name.prefix(64)); see mcp-auth users list")
    }

    /// Changes a user, and repeats the change if another process changed the user at the same time.
    @discardableResult
    private func change(_ name: String, _ action: String, _ body: (inout User) throws(OAuthError) -> Void) async throws(OAuthError) -> User {
        for _ in 0..<20 {
            guard let user = try await user(named: name) else { throw Self.nobody(name) }
            var changed = user
            try body(&changed)
            let updated = changed
            if try await stored({ try await store.update(updated, expecting: user) }) {
                record(action, .allowed, nil, detail: user.name, subject: user.id)
                return updated
            }
        }
        throw OAuthError(.temporarilyUnavailable, "others keep changing this user; try again")
    }
}

extension User {
    /// What clients learn about a user with the scopes `profile` and `email`.
    public struct Profile: Sendable, Hashable {
        /// The name for display. Nil: the user name.
        public var displayName: String?
        /// The e-mail address.
        public var email: String?
        /// Whether it was verified that the address belongs to the user.
        public var isEmailVerified: Bool

        init(_ user: User) {
            displayName = user.displayName
            email = user.email
            isEmailVerified = user.isEmailVerified
        }
    }
}
