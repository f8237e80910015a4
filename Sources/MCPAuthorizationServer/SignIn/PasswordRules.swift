public import OAuth

/// The rules for new passwords (NIST SP 800-63B §3.1.1.2): a minimum length, and none of the most common passwords.
/// There are no rules about kinds of characters.
public enum PasswordRules {
    /// Throws `invalid_request` for a password with fewer than 8 characters or more than 1024 bytes, a common password,
    /// and the user's name. The message says what to change. Passwords are compared in lower case.
    ///
    /// - Parameter name: The user's name, which must not be the password.
    public static func check(_ password: String, name: String? = nil) throws(OAuthError) {
        guard password.unicodeScalars.count >= PasswordHash.minimumPasswordCharacters else {
            throw OAuthError(.invalidRequest, "a password has at least \(PasswordHash.minimumPasswordCharacters) characters")
        }
        guard password.utf8.count <= PasswordHash.maximumPasswordBytes else {
            throw OAuthError(.invalidRequest, "a password has at most \(PasswordHash.maximumPasswordBytes) bytes")
        }
        let lowered = password.lowercased()
        guard !CommonPasswords.contains(lowered), name.map({ $0.lowercased() != lowered }) ?? true else {
            throw OAuthError(
                .invalidRequest, "this password is among those that attackers try first; choose a longer sentence or let a password manager make one")
        }
    }
}
