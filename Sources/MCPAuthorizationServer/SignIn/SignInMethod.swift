import OAuth

/// The way in which users sign in.
public enum SignInMethod: Sendable {
    /// With a password in this store, and a one-time code for users who have them.
    case password
    /// With a name and a password of another table of users. The closure returns the user, or nil for a wrong name or
    /// password. It throws when it cannot decide now; the server then answers 503.
    ///
    /// It is called for attempts within the rate limits. It must take the same time for a name that exists and one that
    /// does not. At the first sign-in the server creates a user, which it identifies by `issuer` and `subject` from
    /// then on.
    case custom(@Sendable (_ name: String, _ password: String) async throws -> SignedInPerson?)
}

/// A user of another table of users.
public struct SignedInPerson: Sendable, Hashable {
    /// The table and the identifier of the user in it, which never change.
    public let identity: ExternalIdentity
    /// The name for display. Nil: none.
    public let displayName: String?
    /// The e-mail address. It never identifies a user. Nil: none.
    public let email: String?
    /// Whether the table vouches that the address belongs to the user.
    public let isEmailVerified: Bool

    /// A user of another table. Name and address are used at the first sign-in only.
    ///
    /// - Parameters:
    ///   - issuer: A name of the table, always the same, such as `https://accounts.example.com`.
    ///   - subject: An identifier of the user in the table that never changes, such as a primary key. Not an e-mail
    ///     address, because addresses are reassigned.
    ///   - displayName: The name for display.
    ///   - email: The address for clients with the scope `email`.
    ///   - isEmailVerified: Whether the table vouches that the address belongs to the user.
    public init(issuer: String, subject: String, displayName: String? = nil, email: String? = nil, isEmailVerified: Bool = false) {
        identity = ExternalIdentity(issuer: issuer, subject: subject)
        self.displayName = displayName
        self.email = email
        self.isEmailVerified = isEmailVerified
    }
}
