public import JOSE
import OAuth

/// A user who can sign in, or who is identified by another identity provider.
public struct User: Sendable, Hashable {
    /// The `sub` of tokens: random, never reused, never shown as a name. Begins with `user-`, so that no client can
    /// have it.
    public let id: String
    /// The name for sign-in: lower-case ASCII, unique.
    public let name: String
    /// The name for display. Nil when it is the same as `name`.
    public var displayName: String?
    /// The e-mail address, for the claim `email`. It never identifies a user. Nil: none.
    public var email: String?
    /// Whether the operator, or the provider of the address, vouches that it belongs to the user.
    public var isEmailVerified: Bool
    /// The hash of the password. Nil: the user cannot sign in with a password.
    public var passwordHash: PasswordHash?
    /// The identity at another identity provider. Never an e-mail address, because addresses are reassigned. Nil: none.
    public let identity: ExternalIdentity?
    /// The encrypted secret of the user's one-time passwords (RFC 6238). Nil: a password is enough.
    public var sealedOneTimeSecret: [UInt8]?
    /// The hashes of recovery codes, for a user who has lost the authenticator app. Each replaces a one-time code,
    /// once.
    public var recoveryCodes: [SecretHash]
    /// Whether the user is disabled. A disabled user cannot sign in, and no grant of theirs can begin or be refreshed.
    public var isDisabled: Bool
    /// The time of creation.
    public let createdAt: NumericDate

    /// Nothing is checked; see `normalizedName` and `validEmail`.
    public init(
        id: String, name: String, displayName: String? = nil, email: String? = nil, isEmailVerified: Bool = false, passwordHash: PasswordHash?,
        identity: ExternalIdentity? = nil,
        sealedOneTimeSecret: [UInt8]? = nil, recoveryCodes: [SecretHash] = [], isDisabled: Bool = false, createdAt: NumericDate
    ) {
        self.id = id
        self.name = name
        self.displayName = displayName
        self.email = email
        self.isEmailVerified = isEmailVerified
        self.passwordHash = passwordHash
        self.identity = identity
        self.sealedOneTimeSecret = sealedOneTimeSecret
        self.recoveryCodes = recoveryCodes
        self.isDisabled = isDisabled
        self.createdAt = createdAt
    }

    /// The e-mail address, or nil for a text that cannot be one. It has text on both sides of one `@`, no spaces or
    /// control characters, and at most 254 bytes (RFC 5321 §4.5.3.1.3). Whether the address exists is not checked.
    public static func validEmail(_ text: String) -> String? {
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), text.utf8.count <= 254,
            text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F && !$0.properties.isWhitespace }),
            DisplayText.clean(text, limit: 254).utf8.elementsEqual(text.utf8)
        else { return nil }
        return text
    }

    /// The name as it is stored, with ASCII letters in lower case. Nil unless it has 1 to 64 of the characters
    /// `a-z 0-9 . _ - @ +`.
    public static func normalizedName(_ text: String) -> String? {
        let lowered = text.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        guard (1...64).contains(lowered.count), lowered.allSatisfy({ Array("abcdefghijklmnopqrstuvwxyz0123456789._-@+".utf8).contains($0) }) else {
            return nil
        }
        return String(decoding: lowered, as: UTF8.self)
    }
}

/// A user as another identity provider knows them: its issuer and its `sub`, both compared as bytes (P-08, X-18).
public struct ExternalIdentity: Sendable, Hashable {
    /// The identifier of the identity provider.
    public let issuer: String
    /// The `sub` of the user, unique within `issuer` only.
    public let subject: String

    /// An identity. Nothing is checked.
    public init(issuer: String, subject: String) {
        self.issuer = issuer
        self.subject = subject
    }

    public static func == (left: ExternalIdentity, right: ExternalIdentity) -> Bool {
        left.issuer.utf8.elementsEqual(right.issuer.utf8) && left.subject.utf8.elementsEqual(right.subject.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        for byte in issuer.utf8 { hasher.combine(byte) }
        hasher.combine(UInt8(0))
        for byte in subject.utf8 { hasher.combine(byte) }
    }
}
