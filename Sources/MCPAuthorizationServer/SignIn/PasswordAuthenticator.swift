import HTTPTypes
import Logging
import MCPAuth
import OAuth

/// Checks a name and a password.
protocol PasswordAuthenticator: Sendable {
    /// The user, or nil for a wrong name or password, or a disabled user. Takes the same time for a user who does not
    /// exist as for one who does. Throws `temporarily_unavailable`.
    func user(named name: String, password: String, _ call: HTTPCall) async throws(OAuthError) -> User?
}

/// The passwords in the store of this server.
struct StoredPasswords: PasswordAuthenticator, ServerComponent {
    let context: ServerContext
    let store: any UserStore
    let hasher: PasswordHasher

    func user(named name: String, password: String, _ call: HTTPCall) async throws(OAuthError) -> User? {
        guard password.utf8.count <= PasswordHash.maximumPasswordBytes else { return nil }
        var user: User?
        if let name = User.normalizedName(name) {
            user = try await stored { try await store.user(named: name) }
        }
        guard try await hasher.verify(password, user?.passwordHash), var user, !user.isDisabled else { return nil }
        // The hash was made with another cost. Now the password is available to hash it again.
        if let hash = user.passwordHash, hasher.isOutdated(hash), let fresh = try? await hasher.rehash(password) {
            let previous = user
            user.passwordHash = fresh
            let updated = user
            // If the user was changed meanwhile, that change wins.
            guard try await stored({ try await store.update(updated, expecting: previous) }) else { return nil }
        }
        return user
    }
}

/// The passwords of another table of users, behind a closure of the application.
struct CustomPasswords: PasswordAuthenticator, ServerComponent {
    let context: ServerContext
    let users: UserDirectory
    let check: @Sendable (_ name: String, _ password: String) async throws -> SignedInPerson?

    func user(named name: String, password: String, _ call: HTTPCall) async throws(OAuthError) -> User? {
        guard password.utf8.count <= PasswordHash.maximumPasswordBytes else { return nil }
        let person: SignedInPerson?
        do { person = try await check(name, password) } catch {
            logger.error("the custom sign-in failed", metadata: ["error": "\(type(of: error))"])
            throw OAuthError(.temporarilyUnavailable, "signing in is not possible at the moment; try again")
        }
        guard let person else { return nil }
        return try await users.user(person, call)
    }
}
