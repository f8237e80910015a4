public import JOSE
import OAuth

/// Somebody who can sign in, or for whom another identity provider vouches.
public struct User: Sendable, Hashable {
    /// The `sub` of tokens: random, never reused, never shown as a name. Begins with `user-`, so that no client can have it.
    public let id: String
    /// What is typed at sign-in: lower-case ASCII, unique.
    public let name: String
    /// What people call them, where it differs from the name.
    public var displayName: String?
    public var email: String?
    /// Whether the operator, or the provider that named the address, vouches that it is this user's.
    public var isEmailVerified: Bool
    public var passwordHash: PasswordHash?
    /// Who they are at another identity provider. Never an e-mail address: those are given to other people later.
    public let identity: ExternalIdentity?
    /// The sealed secret of their one-time passwords (RFC 6238). Nil: a password is enough.
    public var sealedOneTimeSecret: [UInt8]?
    public var isDisabled: Bool
    public let createdAt: NumericDate

    public init(
        id: String, name: String, displayName: String? = nil, email: String? = nil, isEmailVerified: Bool = false, passwordHash: PasswordHash?,
        identity: ExternalIdentity? = nil,
        sealedOneTimeSecret: [UInt8]? = nil, isDisabled: Bool = false, createdAt: NumericDate
    ) {
        self.id = id
        self.name = name
        self.displayName = displayName
        self.email = email
        self.isEmailVerified = isEmailVerified
        self.passwordHash = passwordHash
        self.identity = identity
        self.sealedOneTimeSecret = sealedOneTimeSecret
        self.isDisabled = isDisabled
        self.createdAt = createdAt
    }

    /// An e-mail address as it is stored, or nil for what can be none: something, one `@`, and something, without spaces and control characters, at
    /// most 254 bytes (RFC 5321 §4.5.3.1.3). Whether it exists, nobody asks.
    public static func validEmail(_ text: String) -> String? {
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), text.utf8.count <= 254,
            text.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F && !$0.properties.isWhitespace }),
            DisplayText.clean(text, limit: 254).utf8.elementsEqual(text.utf8)
        else { return nil }
        return text
    }

    /// The name as it is stored, or nil: 1 to 64 of the letters a-z, digits, and `. _ - @ +`. Upper-case ASCII is lowered.
    public static func normalizedName(_ text: String) -> String? {
        let lowered = text.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        guard (1...64).contains(lowered.count), lowered.allSatisfy({ Array("abcdefghijklmnopqrstuvwxyz0123456789._-@+".utf8).contains($0) }) else {
            return nil
        }
        return String(decoding: lowered, as: UTF8.self)
    }
}

/// A person as another identity provider knows them: its issuer and its `sub`, both compared as bytes (P-08, X-18).
public struct ExternalIdentity: Sendable, Hashable {
    public let issuer: String
    public let subject: String

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
