import OAuth

/// How people say who they are.
public enum SignInMethod: Sendable {
    /// With a password that this server keeps, and where it was set up a one-time code.
    case password
    /// With a name and a password that somebody else's table of users knows. The closure says who it is, nil for
    /// nobody, and throws when it cannot say now.
    ///
    /// It is called for attempts that the rate limits let through, and owes the same time for a name that exists as for
    /// one that does not. Whoever it names becomes a user here on their first visit, known from then on by `issuer` and
    /// `subject`.
    case custom(@Sendable (_ name: String, _ password: String) async throws -> SignedInPerson?)
}

/// Somebody whom another table of users knows.
public struct SignedInPerson: Sendable, Hashable {
    public let identity: ExternalIdentity
    public let displayName: String?
    public let email: String?
    public let isEmailVerified: Bool

    /// - Parameters:
    ///   - issuer: a name for the table, always the same, such as `https://accounts.example.com`.
    ///   - subject: what never changes about the person in it, such as a primary key. No e-mail address: those are
    ///     given to other people later.
    ///   - email: for clients that are allowed to see it; it identifies nobody. `isEmailVerified`: whether the table
    ///     vouches for it.
    public init(issuer: String, subject: String, displayName: String? = nil, email: String? = nil, isEmailVerified: Bool = false) {
        identity = ExternalIdentity(issuer: issuer, subject: subject)
        self.displayName = displayName
        self.email = email
        self.isEmailVerified = isEmailVerified
    }
}
