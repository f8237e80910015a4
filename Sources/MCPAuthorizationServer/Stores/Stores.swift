public import JOSE
public import OAuth

/// A failure of a store. The endpoints answer 503, which the client may retry. A `StoreError` never means that a token
/// is invalid, and never success.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public enum Kind: String, Sendable, Hashable {
        /// The disk is full, an I/O error occurred, the store is locked, or the connection is lost. Trying again may
        /// help.
        case unavailable
        /// A record with the same identifier exists.
        case conflict
        /// A limit is reached.
        case full
        /// The data is damaged, lost, or belongs to another program. An operator must act. Thrown only when a store is
        /// opened.
        case unusable
    }

    /// The kind of failure.
    public let kind: Kind
    /// The failure in words, for the log. It is never sent to a client.
    public let detail: String

    /// The detail may name files and statements of the database, and must not contain secrets.
    public init(_ kind: Kind, _ detail: String) {
        self.kind = kind
        self.detail = detail
    }

    public var description: String { "store \(kind.rawValue): \(detail)" }
}

/// Stores the clients that are registered.
public protocol ClientStore: Sendable {
    /// The client with this ID, including a disabled one. Nil when there is none.
    func client(_ id: ClientID) async throws(StoreError) -> Client?
    /// Adds a client, or replaces the one with the same ID.
    ///
    /// `limit` is the most clients of its origin. At the limit, dynamic clients without grant, code and device that are
    /// older than ten minutes are removed first, oldest first. Throws `full` if none can be removed.
    func save(_ client: Client, limit: Int) async throws(StoreError)
    /// Changes a client if it is still equal to `previous`. Returns false and changes nothing if it was changed or
    /// deleted in the meantime.
    func replace(_ client: Client, expecting previous: Client) async throws(StoreError) -> Bool
    /// Deletes a client. Revokes all of its grants and access tokens, and deletes its consents, codes and devices, so
    /// that a later client with this ID inherits nothing.
    func deleteClient(_ id: ClientID, at now: NumericDate) async throws(StoreError)
    /// Clients ordered by ID, those after `id`, at most `limit`. An empty `id` begins with the first.
    func clients(after id: String, limit: Int) async throws(StoreError) -> [Client]
}

/// Stores the users who can sign in.
public protocol UserStore: Sendable {
    /// The user with this ID, including a disabled one. Nil when there is none.
    func user(id: String) async throws(StoreError) -> User?
    /// The user with exactly these bytes as the normalized name. Nil when there is none.
    func user(named name: String) async throws(StoreError) -> User?
    /// The user with this issuer and subject, both compared as bytes. Nil when there is none.
    func user(_ identity: ExternalIdentity) async throws(StoreError) -> User?
    /// Adds a user. Throws `conflict` when the name, the ID or the identity is taken.
    func add(_ user: User) async throws(StoreError)
    /// Changes a user if it is still equal to `previous`, except ID, name, identity and creation time. Returns false
    /// and changes nothing if the user was changed in the meantime, so that a slow decision never undoes another.
    func update(_ user: User, expecting previous: User) async throws(StoreError) -> Bool
    /// Users ordered by name, those after `name`, at most `limit`. An empty `name` begins with the first.
    func users(after name: String, limit: Int) async throws(StoreError) -> [User]
    /// Deletes a user with its sessions, consents, connections, and the codes and devices that it approved. Its live
    /// grants are revoked at `now` and kept until they are swept, so that resource servers learn of the revocation. The
    /// tokens of its connections are kept for `takeUnusedTokens`, at most thirty days. Idempotent.
    func deleteUser(id: String, at now: NumericDate) async throws(StoreError)
    /// Consumes a one-time password by its time step (RFC 6238). False when this step or a later one was consumed
    /// before, or the user does not exist.
    func useOneTimeStep(_ step: Int64, ofUser id: String) async throws(StoreError) -> Bool
}

/// Stores the sessions of browsers.
public protocol SessionStore: Sendable {
    /// The session with this hash. Nil when there is none, or it has expired at `now`.
    func session(_ hash: SecretHash, at now: NumericDate) async throws(StoreError) -> Session?
    /// Adds a session. Its hash is random and new.
    func add(_ session: Session) async throws(StoreError)
    /// Deletes a session, if it exists.
    func deleteSession(_ hash: SecretHash) async throws(StoreError)
    /// Changes a user as `update(_:expecting:)` does and, in the same step, replaces every session of the user by one.
    /// Returns false and changes nothing if the user was changed in the meantime, or the session `old` does not exist
    /// at `now`, because it was ended while the change was being decided.
    func update(
        _ user: User, expecting previous: User, replacing old: SecretHash, with session: Session, at now: NumericDate
    ) async throws(StoreError) -> Bool
    /// The sessions of a user that have not expired, newest first, at most 100.
    func sessions(ofUser userID: String, at now: NumericDate) async throws(StoreError) -> [Session]
    /// Deletes the sessions that began with this session at an identity provider. Returns the users whose sessions they
    /// were, each once.
    func deleteSessions(ofProviderSession hash: SecretHash) async throws(StoreError) -> [String]
    /// Signs a user out everywhere. Deletes the user's sessions, and the codes and device approvals that are not
    /// redeemed yet.
    func deleteSessions(ofUser userID: String) async throws(StoreError)
}

/// The place where the client of a new grant is registered.
public enum ClientRegistry: Sendable, Hashable {
    /// In this store. Once the client is deleted or disabled there, no new grant can be created for it, even by a
    /// concurrent request.
    case store
    /// In the configuration, in a metadata document, or at the platform of a workload. The store does not know the
    /// client and does not check it.
    case elsewhere
}

/// Stores codes, grants and refresh tokens. Of each single-use value, at most one caller succeeds, across processes and
/// crashes.
///
/// Every method that changes something is one transaction. A durable store has written it to disk when the method
/// returns.
public protocol GrantStore: Sendable {
    /// Consumes the transaction of a page and stores the code that it leads to. False, and nothing stored, when the
    /// transaction was used before. `expiry` is the time until which the use must be remembered.
    func issue(_ code: AuthorizationCode, consuming transaction: SecretHash, until expiry: NumericDate) async throws(StoreError) -> Bool
    /// The code with this hash, without consuming it. Nil for an unknown code. Expired and redeemed codes are found.
    func code(_ hash: SecretHash) async throws(StoreError) -> AuthorizationCode?
    /// Exchanges a code for a grant and its first refresh token, in one step. Without `refreshToken` the grant has no
    /// refresh tokens.
    func redeem(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> CodeRedemption
    /// The grant of a refresh token, however old the token is, without consuming anything. Nil when there is none.
    func grant(of token: RefreshTokenReference) async throws(StoreError) -> Grant?
    /// Exchanges a refresh token for its successor, in one step, as `RefreshChain.decision` decides.
    ///
    /// `refusal` is called first, with the live grant of the token. If it returns an error, nothing changes, even if
    /// the token was used before. It may be called on any thread, inside the transaction of the store, so it must not
    /// block.
    func rotate(
        _ token: RefreshTokenReference, to successor: Successor, rules: RefreshRules, at now: NumericDate,
        unless refusal: @escaping @Sendable (Grant) -> OAuthError?
    ) async throws(StoreError) -> Rotation
    /// Stores a grant that was not created from a code. False, and nothing stored, when `use` was consumed before, or
    /// the grant's user or client is missing or disabled.
    func add(_ grant: Grant, consuming use: SingleUse?, clientIn registry: ClientRegistry) async throws(StoreError) -> Bool
    /// The grant with this ID, including a revoked or expired one. Nil when there is none.
    func grant(_ id: String) async throws(StoreError) -> Grant?
    /// The live grants of a user, newest first, at most 500.
    func grants(ofUser userID: String, at now: NumericDate) async throws(StoreError) -> [Grant]
    /// The live grants of all users and clients, newest first, at most `limit`.
    func grants(limit: Int, at now: NumericDate) async throws(StoreError) -> [Grant]
    /// Stores the last use of grants, its operation, and the latest `iat` of the access tokens that were used, which
    /// never decreases.
    func note(_ uses: [GrantUse]) async throws(StoreError)
    /// Revokes a grant. Idempotent: the first time is kept.
    func revokeGrant(_ id: String, at now: NumericDate) async throws(StoreError)
    /// Revokes every grant of a client, and every access token that it received up to `now`, including those by
    /// exchange from a grant of another client.
    func revokeGrants(ofClient id: ClientID, at now: NumericDate) async throws(StoreError)
    /// Revokes one access token by its `jti`. `expiry` is the time until which the revocation must be remembered.
    /// Idempotent.
    func revokeAccessToken(_ tokenID: String, until expiry: NumericDate, at now: NumericDate) async throws(StoreError)
    /// The revocations at or after a moment, in any order. Resource servers reject these tokens.
    func revocations(since moment: NumericDate) async throws(StoreError) -> [Revocation]
}

/// The outcome of `GrantStore.redeem`.
public enum CodeRedemption: Sendable, Hashable {
    /// The grant and its refresh token are stored.
    case redeemed
    /// The code was used before. The grant that it was redeemed for is now revoked (RFC 6749 §4.1.2).
    case replayed(grantID: String)
    /// The code does not exist or has expired, or its user or client is missing or disabled.
    case unknown
}

/// The outcome of `GrantStore.rotate` (requirement 131).
public enum Rotation: Sendable, Hashable {
    /// It was the latest token of its grant. Its successor is now the latest.
    case rotated(Grant)
    /// It is the immediate predecessor of the latest token, which is the given successor, and was used within the grace
    /// period. Nothing changes.
    case repeated(Grant)
    /// The same within the recovery period, while the successor was not used as far as the store knows. The tokens do
    /// not change. The caller may know of a use that is not stored yet, and then revokes the grant.
    case recovered(Grant, rotatedAt: NumericDate)
    /// It is neither, although it was issued for this grant: the token was stolen or replayed, or the store was
    /// restored from a backup. The grant is now revoked.
    case reused(grantID: String)
    /// It has expired, its grant or user is missing, ended or disabled, or it is a predecessor whose successor cannot
    /// be derived again.
    case unknown
    /// The given `refusal` returned this error. Nothing changes.
    case refused(OAuthError)
}

/// The refresh token that a token is exchanged for. It is always the same for the same token.
public struct Successor: Sendable, Hashable {
    /// The hash of the token.
    public let hash: SecretHash
    /// Its expiration, unless its grant expires earlier.
    public let expiresAt: NumericDate

    /// A successor. Nothing is checked.
    public init(hash: SecretHash, expiresAt: NumericDate) {
        self.hash = hash
        self.expiresAt = expiresAt
    }
}

/// A value that may be used once: a proof, an assertion or a transaction.
public struct SingleUse: Sendable, Hashable {
    /// The hash of the value. Different kinds of values must not have the same hash.
    public let hash: SecretHash
    /// The time until which a second use must be detected.
    public let expiresAt: NumericDate

    /// A value to pass to `SingleUseStore.consume`.
    public init(_ hash: SecretHash, until expiresAt: NumericDate) {
        self.hash = hash
        self.expiresAt = expiresAt
    }
}

/// A revocation that resource servers must apply.
public enum Revocation: Sendable, Hashable {
    /// Every access token of the grant with this ID.
    case grant(String)
    /// The access token with this `jti`. The revocation must be remembered until the given time.
    case accessToken(String, until: NumericDate)
    /// Every access token that the client received up to the given time.
    case client(ClientID, upTo: NumericDate)
}

/// Stores the consents that users chose to remember.
public protocol ConsentStore: Sendable {
    /// Whether exactly this consent is stored: the same user, client, resource, redirect URI and set of scopes.
    func isRemembered(_ consent: RememberedConsent) async throws(StoreError) -> Bool
    /// Stores a consent. Idempotent.
    func remember(_ consent: RememberedConsent) async throws(StoreError)
    /// Deletes every consent of a user to a client.
    func forget(userID: String, clientID: ClientID) async throws(StoreError)
}

/// Stores the use of values that may be used once.
public protocol SingleUseStore: Sendable {
    /// True for the first caller only, across processes and crashes, until the value expires.
    func consume(_ use: SingleUse) async throws(StoreError) -> Bool
    /// Whether the value was consumed, without consuming it.
    func isConsumed(_ hash: SecretHash) async throws(StoreError) -> Bool
}

/// Stores devices that wait for their user (RFC 8628).
public protocol DeviceStore: Sendable {
    /// Stores a waiting device. Throws `conflict` when the user code is taken, and `full` when `limit` unexpired device
    /// codes exist.
    func add(_ device: DeviceAuthorization, limit: Int, at now: NumericDate) async throws(StoreError)
    /// The device with this user code. Nil unless it waits for a decision and has not expired.
    func device(userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> DeviceAuthorization?
    /// Stores the decision of the user, which is `approved` or `denied`. False when a decision was stored before, or
    /// the device code has expired or does not exist.
    func decide(_ state: DeviceAuthorization.State, userCode: SecretHash, at now: NumericDate) async throws(StoreError) -> Bool
    /// The answer to a device that polls. Records the poll, and lengthens the interval by five seconds after a poll
    /// that is too early.
    func poll(_ hash: SecretHash, by clientID: ClientID, at now: NumericDate) async throws(StoreError) -> DevicePoll
    /// Exchanges an approved device code for a grant and its first refresh token, once. False when it was exchanged
    /// before or has expired, or its user or client is missing or disabled.
    func redeemDevice(
        _ hash: SecretHash, for grant: Grant, refreshToken: RefreshToken?, clientIn registry: ClientRegistry, at now: NumericDate
    ) async throws(StoreError) -> Bool
}

/// Stores the encrypted signing keys and the issuer that they belong to.
public protocol KeyStore: Sendable {
    /// All keys, oldest first.
    func signingKeys() async throws(StoreError) -> [SealedKey]
    /// Adds a key, unless a key of its algorithm exists that becomes active after `moment` and not after `limit`.
    /// Returns all keys in either case, so that two servers that do this at once agree.
    func addSigningKey(_ key: SealedKey, unlessActiveAfter moment: NumericDate, upTo limit: NumericDate) async throws(StoreError) -> [SealedKey]
    /// Deletes a key. Idempotent.
    func removeSigningKey(_ keyID: String) async throws(StoreError)
    /// Assigns the store to this issuer, unless it belongs to one already. Returns the issuer that it belongs to.
    func claim(issuer: String) async throws(StoreError) -> String
    /// The issuer that this store belongs to. Nil before the first claim.
    func issuer() async throws(StoreError) -> String?
}

/// Stores sign-ins that wait for an identity provider, and the connections of users with providers.
public protocol ConnectionStore: Sendable {
    /// Stores a waiting sign-in. Throws `full` when `limit` unexpired ones exist.
    func add(_ pending: PendingSignIn, limit: Int, at now: NumericDate) async throws(StoreError)
    /// Removes and returns a waiting sign-in. At most one caller receives it, across processes and crashes. Nil when
    /// there is none, or it has expired at `now`.
    func takePendingSignIn(_ hash: SecretHash, at now: NumericDate) async throws(StoreError) -> PendingSignIn?
    /// The connection of this identity. Nil when there is none.
    func connection(_ identity: ExternalIdentity) async throws(StoreError) -> Connection?
    /// The connections of a user, in the order of the provider.
    func connections(ofUser id: String) async throws(StoreError) -> [Connection]
    /// Adds a connection, or replaces the one of the same identity and user. Throws `conflict`, and changes nothing,
    /// when the identity belongs to another user, as a connection or as `User.identity`, or its user does not exist.
    func save(_ connection: Connection) async throws(StoreError)
    /// Replaces a connection if its revision is still that of `previous`, and releases its claim. False, and nothing
    /// changed, otherwise.
    func replace(_ connection: Connection, expecting previous: Connection) async throws(StoreError) -> Bool
    /// Claims the right to refresh the tokens of a connection until a moment. False when another caller has claimed it
    /// and `now` is before that moment, the revision has changed, or the connection does not exist.
    func claim(_ connection: Connection, until moment: NumericDate, at now: NumericDate) async throws(StoreError) -> Bool
    /// Deletes a connection of a user. Idempotent.
    func deleteConnection(_ identity: ExternalIdentity, ofUser id: String) async throws(StoreError)
    /// Takes the tokens that no grant needs any more, so that they can be revoked at the provider: those of deleted
    /// users, and those of users whose last grant has ended since the connection was checked, unless the user has an
    /// unredeemed code or an approved device. The connection of an existing user stays, without tokens.
    ///
    /// Returns the connections with their tokens, at most `limit`. At most one caller receives each.
    ///
    /// - Parameter providers: The identifiers of the providers that the caller knows. Others are left alone.
    func takeUnusedTokens(ofProviders providers: [String], at now: NumericDate, limit: Int) async throws(StoreError) -> [Connection]
}

/// Everything that an authorization server stores. `StoreConformance` in `MCPAuthTesting` checks an implementation.
public protocol AuthorizationServerStore: ClientStore, UserStore, SessionStore, GrantStore, ConsentStore, SingleUseStore, DeviceStore, KeyStore,
    ConnectionStore
{
    /// Deletes expired records, and dynamic clients older than a day that have no grant, code or device. At most
    /// `limit` of each kind. Returns the number of deleted records.
    func sweep(at now: NumericDate, limit: Int) async throws(StoreError) -> Int
    /// Ends every session, code, device code and grant. Call it after restoring a backup: codes and tokens that were
    /// used or revoked since would be valid again (M-09).
    func endEverything(at now: NumericDate) async throws(StoreError)
    /// Called when the server stops. Brings the stored data into its best form at rest, such as a checkpointed file.
    /// The default does nothing.
    func settle() async throws(StoreError)
    /// The location of the data, for people: a folder, or the address of a database without its password. The default
    /// is nil.
    var location: String? { get }
}

extension AuthorizationServerStore {
    /// Does nothing.
    public func settle() async throws(StoreError) {}
    /// Nil.
    public var location: String? { nil }
}
