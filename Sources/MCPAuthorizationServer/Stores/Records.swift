import Crypto
public import JOSE
public import OAuth

/// SHA-256 of a secret with at least 128 bits of entropy: what a store keeps of codes, tokens, session cookies and client secrets.
public struct SecretHash: Sendable, Hashable {
    public let bytes: [UInt8]

    public init(of secret: String) { bytes = Array(SHA256.hash(data: Array(secret.utf8))) }

    /// From a store. Nil unless there are 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// In constant time.
    public func isHash(of secret: String) -> Bool { ConstantTime.areEqual(bytes, SecretHash(of: secret).bytes) }
}

/// Somebody who can sign in.
public struct User: Sendable, Hashable {
    /// The `sub` of tokens: random, never reused, never shown as a name. Begins with `user-`, so that no client can have it.
    public let id: String
    /// What is typed at sign-in: lower-case ASCII.
    public let name: String
    public var passwordHash: PasswordHash?
    public var isDisabled: Bool
    public let createdAt: NumericDate

    public init(id: String, name: String, passwordHash: PasswordHash?, isDisabled: Bool = false, createdAt: NumericDate) {
        self.id = id
        self.name = name
        self.passwordHash = passwordHash
        self.isDisabled = isDisabled
        self.createdAt = createdAt
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

/// A client that may ask for tokens (RFC 7591 §2).
public struct Client: Sendable, Hashable {
    public enum AuthenticationMethod: String, Sendable, Hashable, CaseIterable {
        case none
        case basic = "client_secret_basic"
        case post = "client_secret_post"
    }

    public enum Origin: String, Sendable, Hashable {
        /// The operator registered it, and vouches for its name.
        case configured
        /// It registered itself (RFC 7591). Nobody checked its name.
        case dynamic
    }

    public let id: ClientID
    public var name: String?
    public var redirectURIs: [RedirectURI]
    public var authenticationMethod: AuthenticationMethod
    public var secretHash: SecretHash?
    public var grantTypes: [String]
    public var origin: Origin
    public var createdAt: NumericDate
    /// The resource that this client may introspect tokens for (RFC 7662 §2.1), if it is a resource server.
    public var introspects: String?

    public init(
        id: ClientID, name: String?, redirectURIs: [RedirectURI], authenticationMethod: AuthenticationMethod = .none, secretHash: SecretHash? = nil,
        grantTypes: [String] = ["authorization_code", "refresh_token"], origin: Origin, createdAt: NumericDate, introspects: String? = nil
    ) {
        self.id = id
        self.name = name
        self.redirectURIs = redirectURIs
        self.authenticationMethod = authenticationMethod
        self.secretHash = secretHash
        self.grantTypes = grantTypes
        self.origin = origin
        self.createdAt = createdAt
        self.introspects = introspects
    }

    /// Whether nobody but the client can redeem what is sent to it: it has a secret, and its callbacks are on the web.
    public var isConfidential: Bool { authenticationMethod != .none && redirectURIs.allSatisfy { $0.kind == .web } }
}

/// Somebody signed in with a browser.
public struct Session: Sendable, Hashable {
    public let hash: SecretHash
    public let userID: String
    public let authenticatedAt: NumericDate
    public let expiresAt: NumericDate

    public init(hash: SecretHash, userID: String, authenticatedAt: NumericDate, expiresAt: NumericDate) {
        self.hash = hash
        self.userID = userID
        self.authenticatedAt = authenticatedAt
        self.expiresAt = expiresAt
    }
}

/// An authorization code (RFC 6749 §1.3.1) and everything it was given for.
public struct AuthorizationCode: Sendable, Hashable {
    public let hash: SecretHash
    public let clientID: ClientID
    public let userID: String
    /// As the authorization request had it.
    public let redirectURI: String
    public let challenge: CodeChallenge
    public let scopes: ScopeSet
    public let resource: String
    public let expiresAt: NumericDate

    public init(
        hash: SecretHash, clientID: ClientID, userID: String, redirectURI: String, challenge: CodeChallenge, scopes: ScopeSet, resource: String,
        expiresAt: NumericDate
    ) {
        self.hash = hash
        self.clientID = clientID
        self.userID = userID
        self.redirectURI = redirectURI
        self.challenge = challenge
        self.scopes = scopes
        self.resource = resource
        self.expiresAt = expiresAt
    }
}

/// What a user allowed a client: the root of every token that came of it. Revoke it, and they all end.
public struct Grant: Sendable, Hashable {
    /// Random. The `jti` of its access tokens begins with it.
    public let id: String
    public let clientID: ClientID
    public let userID: String
    public let scopes: ScopeSet
    public let resource: String
    public let createdAt: NumericDate
    /// The end of the whole grant, however often it is refreshed.
    public let expiresAt: NumericDate
    public var lastUsedAt: NumericDate
    public var revokedAt: NumericDate?

    public init(
        id: String, clientID: ClientID, userID: String, scopes: ScopeSet, resource: String, createdAt: NumericDate, expiresAt: NumericDate,
        lastUsedAt: NumericDate, revokedAt: NumericDate? = nil
    ) {
        self.id = id
        self.clientID = clientID
        self.userID = userID
        self.scopes = scopes
        self.resource = resource
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
        self.revokedAt = revokedAt
    }

    public func isLive(at now: NumericDate) -> Bool { revokedAt == nil && now < expiresAt }
}

/// One refresh token of a grant's single chain.
public struct RefreshToken: Sendable, Hashable {
    public let hash: SecretHash
    public let grantID: String
    public let expiresAt: NumericDate

    public init(hash: SecretHash, grantID: String, expiresAt: NumericDate) {
        self.hash = hash
        self.grantID = grantID
        self.expiresAt = expiresAt
    }
}

/// What a user agreed to before and wants not to be asked again.
public struct RememberedConsent: Sendable, Hashable {
    public let userID: String
    public let clientID: ClientID
    public let resource: String
    public let redirectURI: String
    public let scopes: ScopeSet

    public init(userID: String, clientID: ClientID, resource: String, redirectURI: String, scopes: ScopeSet) {
        self.userID = userID
        self.clientID = clientID
        self.resource = resource
        self.redirectURI = redirectURI
        self.scopes = scopes
    }
}

/// A signing key as a store keeps it: sealed.
public struct SealedKey: Sendable, Hashable {
    public let keyID: String
    public let algorithm: String
    public let sealed: [UInt8]
    public let createdAt: NumericDate

    public init(keyID: String, algorithm: String, sealed: [UInt8], createdAt: NumericDate) {
        self.keyID = keyID
        self.algorithm = algorithm
        self.sealed = sealed
        self.createdAt = createdAt
    }
}
