public import JOSE
public import OAuth

/// A store could not do what it was asked. Always a retryable 503, never "the token is bad", and never success.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable {
        /// Disk full, I/O error, locked, connection lost: try again.
        case unavailable
        /// Something of the same identifier is there already.
        case conflict
        /// A bound was reached.
        case full
        /// The data is damaged, lost, or not this program's: an operator has to look. Only when a store is opened.
        case unusable
    }

    public let kind: Kind
    /// For the log only.
    public let detail: String

    public init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    public var description: String { "store \(kind.rawValue): \(detail)" }
}

public protocol ClientStore: Sendable {
    func client(_ id: ClientID) async throws(StoreError) -> Client?
    /// Adds a client, or replaces the one of the same ID. When there would be more than `limit` clients of its origin, dynamic ones that are older
    /// than ten minutes and of no use (no grant, no code) go first, oldest before newest; if there are none, throws `full`.
    func save(_ client: Client, limit: Int) async throws(StoreError)
    /// Changes a client that is exactly as it was read. False, and nothing changed, when somebody else changed or deleted it since.
    func replace(_ client: Client, expecting previous: Client) async throws(StoreError) -> Bool
    /// Also ends every grant and access token of the client, and forgets what was remembered of it, its codes and its devices: another client of
    /// this identifier begins anew.
    func deleteClient(_ id: ClientID, at now: NumericDate) async throws(StoreError)
    /// In the order of their identifiers, those after `id`, at most `limit`.
    func clients(after id: String, limit: Int) async throws(StoreError) -> [Client]
}

public protocol UserStore: Sendable {
    func user(id: String) async throws(StoreError) -> User?
    /// By the exact bytes of the normalized name.
    func user(named name: String) async throws(StoreError) -> User?
    /// By issuer and subject, both as bytes.
    func user(_ identity: ExternalIdentity) async throws(StoreError) -> User?
    /// Throws `conflict` when the name, the ID or the identity is taken.
    func add(_ user: User) async throws(StoreError)
    /// Changes everything but ID, name, identity and age of a user who is exactly as they were read. False, and nothing changed, when somebody else
    /// changed them since: a decision that took a while never undoes another.
    func update(_ user: User, expecting previous: User) async throws(StoreError) -> Bool
    /// In the order of their names, those after `name`, at most `limit`.
    func users(after name: String, limit: Int) async throws(StoreError) -> [User]
    /// Uses up a one-time password: false when its time step, or a later one, was used before.
    func useOneTimeStep(_ step: Int64, ofUser id: String) async throws(StoreError) -> Bool
}

public protocol SessionStore: Sendable {
    func session(_ hash: SecretHash, at now: NumericDate) async throws(StoreError) -> Session?
    func add(_ session: Session) async throws(StoreError)
    func deleteSession(_ hash: SecretHash) async throws(StoreError)
    /// Signs somebody out everywhere: their sessions go, and so do codes and devices that they allowed and nobody redeemed yet.
    func deleteSessions(ofUser userID: String) async throws(StoreError)
}

/// Where the client of a grant that begins is registered.
public enum ClientRegistry: Sendable, Hashable {
    /// In this store: no grant of it begins once it is deleted or disabled there, however the two meet in time.
    case store
    /// In the configuration, in a document of its own, or with the platform that it runs on. The store knows nothing of it.
    case elsewhere
}

/// The atomic heart. Of each single-use thing, at most one caller ever wins, across processes and crashes.
public protocol GrantStore: Sendable {
    /// Takes the page's transaction and keeps the code that came of it. False when the transaction was used before: then nothing is kept.
    func issue(_ code: AuthorizationCode, consuming transaction: SecretHash, until expiry: NumericDate) async throws(StoreError) -> Bool
    /// Looks, without consuming anything. Nil for unknown codes; expired and used ones are found.
    func code(_ hash: SecretHash) async throws(StoreError) -> AuthorizationCode?
    /// Exchanges a code for a grant and its first refresh token, in one step.
    func redeem(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> CodeRedemption
    /// The grant of a refresh token, however old the token is. Looks, without consuming anything.
    func grant(of token: RefreshTokenReference) async throws(StoreError) -> Grant?
    /// Exchanges a refresh token for its successor, in one step, as `RefreshChain.decision` decides.
    ///
    /// `refusal` is asked first, about the token's live grant: when it gives an error, nothing changes, however often the token was used. It may be
    /// called on any thread, inside the store's transaction, so it computes and does not wait.
    func rotate(
        _ token: RefreshTokenReference, to successor: Successor, rules: RefreshRules, at now: NumericDate,
        unless refusal: @escaping @Sendable (Grant) -> OAuthError?
    ) async throws(StoreError) -> Rotation
    /// Keeps a grant that came of no code. `consuming` is something that may be used once, with the moment until which that has to be remembered.
    /// False, and nothing kept, when it was used before, or when the grant's user or client is gone or disabled.
    func add(_ grant: Grant, consuming use: SingleUse?, clientIn registry: ClientRegistry) async throws(StoreError) -> Bool
    func grant(_ id: String) async throws(StoreError) -> Grant?
    /// Live grants, newest first, at most 500.
    func grants(ofUser userID: String, at now: NumericDate) async throws(StoreError) -> [Grant]
    /// Live grants of everybody, newest first.
    func grants(limit: Int, at now: NumericDate) async throws(StoreError) -> [Grant]
    /// Keeps when grants were used, for what, and when the youngest access token that was used was issued, which never goes back.
    func note(_ uses: [GrantUse]) async throws(StoreError)
    /// Idempotent.
    func revokeGrant(_ id: String, at now: NumericDate) async throws(StoreError)
    /// Every grant of a client, and every access token that it got up to now, also by exchange from a grant of another.
    func revokeGrants(ofClient id: ClientID, at now: NumericDate) async throws(StoreError)
    /// Ends one access token before its time. Idempotent.
    func revokeAccessToken(_ tokenID: String, until expiry: NumericDate, at now: NumericDate) async throws(StoreError)
    /// What was revoked at or after a moment: what a resource server has to forget.
    func revocations(since moment: NumericDate) async throws(StoreError) -> [Revocation]
}

/// The outcome of `GrantStore.redeem`.
public enum CodeRedemption: Sendable, Hashable {
    case redeemed
    /// The code was used before. The grant that came of it is now revoked (RFC 6749 §4.1.2).
    case replayed(grantID: String)
    /// No such code, or too late, or its user or client is gone or disabled.
    case unknown
}

/// The outcome of `GrantStore.rotate` (requirement 131).
public enum Rotation: Sendable, Hashable {
    /// It was the latest token of its grant, which its successor is now.
    case rotated(Grant)
    /// It is the immediate predecessor of the latest token, which is the successor at hand, and was used within the grace window: nothing changes.
    case repeated(Grant)
    /// The same, later, while its successor was not used as far as the store knows: nothing changes. The caller, who may know of a use that is not
    /// written down yet, then ends the grant.
    case recovered(Grant, rotatedAt: NumericDate)
    /// It is neither, though it was issued for this grant: somebody uses it again, or the store has gone back in time. The grant is now revoked.
    case reused(grantID: String)
    /// It expired, or its grant or its user ended, or there is none, or it is a predecessor whose successor cannot be said again.
    case unknown
    /// It may not be exchanged by this caller.
    case refused(OAuthError)
}

/// What a refresh token is exchanged for: always the same for the same token.
public struct Successor: Sendable, Hashable {
    public let hash: SecretHash
    /// When it ends, unless its grant ends earlier.
    public let expiresAt: NumericDate

    public init(hash: SecretHash, expiresAt: NumericDate) {
        self.hash = hash
        self.expiresAt = expiresAt
    }
}

/// Something that may be used once: a proof, an assertion, a transaction.
public struct SingleUse: Sendable, Hashable {
    public let hash: SecretHash
    /// Until when a second use has to be noticed.
    public let expiresAt: NumericDate

    public init(_ hash: SecretHash, until expiresAt: NumericDate) {
        self.hash = hash
        self.expiresAt = expiresAt
    }
}

public enum Revocation: Sendable, Hashable {
    case grant(String)
    /// One access token, with the moment until which that has to be remembered.
    case accessToken(String, until: NumericDate)
    /// Every access token that a client got up to a moment.
    case client(ClientID, upTo: NumericDate)
}

public protocol ConsentStore: Sendable {
    func isRemembered(_ consent: RememberedConsent) async throws(StoreError) -> Bool
    func remember(_ consent: RememberedConsent) async throws(StoreError)
    func forget(userID: String, clientID: ClientID) async throws(StoreError)
}

/// What may be used once, whatever it is.
public protocol SingleUseStore: Sendable {
    /// True for the first caller only, across processes and crashes.
    func consume(_ use: SingleUse) async throws(StoreError) -> Bool
    /// Looks, without consuming anything.
    func isConsumed(_ hash: SecretHash) async throws(StoreError) -> Bool
}

/// Devices that wait (RFC 8628).
public protocol DeviceStore: Sendable {
    /// Throws `conflict` when the user code is taken, `full` when more than `limit` wait.
    func add(_ device: DeviceAuthorization, limit: Int, at now: NumericDate) async throws(StoreError)
    /// One that waits for its user.
    func device(userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> DeviceAuthorization?
    /// Takes the user's decision, once: false when somebody decided before, or it is too late.
    func decide(_ state: DeviceAuthorization.State, userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> Bool
    /// What a client that asks is told. Changes how often it may ask.
    func poll(_ hash: SecretHash, by clientID: ClientID, at now: NumericDate) async throws(StoreError) -> DevicePoll
    /// Exchanges an approved device code for a grant and its first refresh token, once. False when it was exchanged before, or its user or client
    /// is gone or disabled.
    func redeemDevice(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> Bool
}

public protocol KeyStore: Sendable {
    /// Oldest first.
    func signingKeys() async throws(StoreError) -> [SealedKey]
    /// Adds a key unless one of its algorithm is there that becomes active after `moment` and not after `limit`; in any case returns all, so that
    /// two servers that do this at once agree.
    func addSigningKey(_ key: SealedKey, unlessActiveAfter moment: NumericDate, upTo limit: NumericDate) async throws(StoreError) -> [SealedKey]
    /// Idempotent.
    func removeSigningKey(_ keyID: String) async throws(StoreError)
    /// The issuer that this store belongs to: this one, if it belonged to none.
    func claim(issuer: String) async throws(StoreError) -> String
    /// The issuer that this store belongs to.
    func issuer() async throws(StoreError) -> String?
}

/// Everything an authorization server stores. `MCPAuthTesting` proves a store with `StoreConformance`.
public protocol AuthorizationServerStore: ClientStore, UserStore, SessionStore, GrantStore, ConsentStore, SingleUseStore, DeviceStore, KeyStore {
    /// Forgets what expired, and dynamic clients of a day ago that have neither grant nor code, at most `limit` rows of each kind. Returns how many
    /// rows went.
    func sweep(at now: NumericDate, limit: Int) async throws(StoreError) -> Int
    /// Ends every session, code, device code and grant: after a backup was restored, what was used or revoked since would be good again (M-09).
    func endEverything(at now: NumericDate) async throws(StoreError)
    /// Called when the server stops, and safe to leave out: brings what is stored into the form in which it is best left alone.
    func settle() async throws(StoreError)
}

extension AuthorizationServerStore {
    public func settle() async throws(StoreError) {}
}
