import JOSE
import MCPAuth
import OAuth

/// Finds users, and creates those who come from another table of users for the first time.
struct UserDirectory: ServerComponent {
    let context: ServerContext
    let store: any UserStore

    /// The user with this subject. Throws `refusal` when there is none or the user is disabled.
    func activeUser(_ id: String, else refusal: OAuthError) async throws(OAuthError) -> User {
        guard let user = try await stored({ try await store.user(id: id) }), !user.isDisabled else { throw refusal }
        return user
    }

    /// The user for a person of another table, created at the first sign-in. Nil for a disabled user.
    ///
    /// - Parameter label: The name by which operators find the user, if it is free. It identifies no user: users who
    ///   come from elsewhere have no password, and are found by their identity.
    func user(_ person: SignedInPerson, label: String? = nil, _ call: HTTPCall?) async throws(OAuthError) -> User? {
        let identity = person.identity
        if let known = try await stored({ try await store.user(identity) }) { return known.isDisabled ? nil : known }
        let unique = "external." + SecretHash(of: identity.issuer + "\n" + identity.subject).shortText
        var name = label.flatMap(User.normalizedName) ?? unique
        if name != unique, try await stored({ try await store.user(named: name) }) != nil { name = unique }
        do throws(OAuthError) { return try await add(person, named: name, call) } catch {
            // Another user took the name a moment ago.
            guard name != unique, error.code == .temporarilyUnavailable else { throw error }
            return try await add(person, named: unique, call)
        }
    }

    private func add(_ person: SignedInPerson, named name: String, _ call: HTTPCall?) async throws(OAuthError) -> User? {
        let identity = person.identity
        let user = User(
            id: "user-" + random.token(bytes: 12), name: name, displayName: person.displayName.map { DisplayText.clean($0) },
            email: person.email.flatMap(User.validEmail),
            isEmailVerified: person.isEmailVerified, passwordHash: nil, identity: identity, createdAt: clock.now)
        do throws(StoreError) { try await store.add(user) } catch {
            // A concurrent request created the user.
            guard error.kind == .conflict, let known = try await stored({ try await store.user(identity) }) else { throw unavailable(error) }
            return known.isDisabled ? nil : known
        }
        record("user.added", .allowed, call, reason: "first_visit", subject: user.id)
        return user
    }
}
