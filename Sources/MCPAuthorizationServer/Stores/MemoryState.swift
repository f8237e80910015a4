import JOSE
import OAuth

struct MemoryCode {
    let code: AuthorizationCode
    var grantID: String?
}

struct MemoryDevice {
    var device: DeviceAuthorization
    var interval: Int64
    var polledAt: NumericDate?
}

/// The data of a `MemoryStore`.
struct MemoryState {
    var clients: [ClientID: Client] = [:]
    var users: [String: User] = [:]
    var sessions: [SecretHash: Session] = [:]
    var transactions: [SecretHash: NumericDate] = [:]
    var codes: [SecretHash: MemoryCode] = [:]
    var grants: [String: Grant] = [:]
    var refreshChains: [String: RefreshChain] = [:]
    var revokedTokens: [String: (until: NumericDate, at: NumericDate)] = [:]
    var revokedClients: [ClientID: NumericDate] = [:]
    var consents: Set<RememberedConsent> = []
    var keys: [SealedKey] = []
    var issuer: String?
    var oneTimeSteps: [String: Int64] = [:]
    var devices: [SecretHash: MemoryDevice] = [:]
    var pendingSignIns: [SecretHash: PendingSignIn] = [:]
    var connections: [ExternalIdentity: Connection] = [:]
    /// Connections of deleted users whose tokens have to be revoked.
    var endedConnections: [(connection: Connection, endedAt: NumericDate)] = []
    /// The time until which the refresh of a connection is claimed.
    var claims: [ExternalIdentity: NumericDate] = [:]

    /// Dynamic clients without grant, code and device, oldest first.
    func unusedClients(before moment: NumericDate) -> [ClientID] {
        let used = Set(grants.values.map(\.clientID) + codes.values.map(\.code.clientID) + devices.values.map(\.device.clientID))
        return clients.values.filter { $0.origin == .dynamic && $0.createdAt <= moment && !used.contains($0.id) }
            .sorted { $0.createdAt < $1.createdAt }.map(\.id)
    }

    mutating func forgetClient(_ id: ClientID) {
        clients[id] = nil
        consents = consents.filter { $0.clientID != id }
    }

    func isActive(_ userID: String?) -> Bool { userID.map { users[$0]?.isDisabled == false } ?? true }

    /// Whether this grant may begin: its user and its client exist and are not disabled.
    func mayBegin(_ grant: Grant, _ registry: ClientRegistry) -> Bool {
        isActive(grant.userID) && (registry == .elsewhere || clients[grant.clientID]?.isDisabled == false)
    }

    mutating func revoke(_ grantID: String, _ now: NumericDate) {
        if grants[grantID]?.revokedAt == nil { grants[grantID]?.revokedAt = now }
    }
}
