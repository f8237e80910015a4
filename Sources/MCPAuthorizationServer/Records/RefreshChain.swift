public import JOSE

/// The refresh tokens that a store keeps for one grant: the latest and its predecessor. The chain decides how a
/// presented token is handled (RFC 9700 §4.14.2, requirements 131 and 138), so that every store decides alike.
///
/// A token that was exchanged may be sent again in two cases:
///
/// - Within the grace period, because clients refresh from several processes at once.
/// - Within the recovery period, as long as neither its successor nor an access token issued with it was used. Then the
///   response was lost, and only one party has acted.
///
/// Once the successor was used, every older token ends the grant. Two lost responses in a row, both after the grace
/// period, mean that two parties take turns. The second one ends the grant as well.
public struct RefreshChain: Sendable, Hashable {
    /// The hash of the latest token.
    public let latest: SecretHash
    /// The expiration of the latest token.
    public let expiresAt: NumericDate
    /// The hash of the token that was exchanged for the latest. Nil before the first exchange.
    public let predecessor: SecretHash?
    /// The time at which the predecessor was exchanged for the latest. Nil while there is no predecessor.
    public let rotatedAt: NumericDate?
    /// The latest `iat` of the access tokens that a resource server accepted (`GrantUse.tokenIssuedAt`). Access tokens
    /// that were issued at or after `rotatedAt` came with the latest refresh token. Nil when none is known.
    public let youngestUse: NumericDate?
    /// Whether the predecessor was sent again after the grace period, because its response was lost.
    public let isRecovered: Bool
    /// Whether that had happened in the previous generation.
    public let followsRecovery: Bool

    /// By default a chain of one token that was never exchanged.
    public init(
        latest: SecretHash, expiresAt: NumericDate, predecessor: SecretHash? = nil, rotatedAt: NumericDate? = nil, youngestUse: NumericDate? = nil,
        isRecovered: Bool = false, followsRecovery: Bool = false
    ) {
        self.latest = latest
        self.expiresAt = expiresAt
        self.predecessor = predecessor
        self.rotatedAt = rotatedAt
        self.youngestUse = youngestUse
        self.isRecovered = isRecovered
        self.followsRecovery = followsRecovery
    }

    /// The handling of a presented refresh token.
    public enum Decision: Sendable, Hashable {
        /// It is the latest token. The store replaces it with its successor.
        case rotate
        /// It is the predecessor, within the grace period. Nothing changes, and the client receives the same successor.
        case repeated
        /// It is the predecessor, later, and its successor was never used. The client receives the same successor, and
        /// the store keeps `recovered`.
        case recovered(rotatedAt: NumericDate)
        /// It was exchanged before, and more has happened since. The store revokes the grant.
        case reused
        /// It has expired, or its successor cannot be derived again.
        case unknown
    }

    /// Decides how a presented token is handled. It does not check whether the grant is live.
    ///
    /// - Parameters:
    ///   - token: The hash of the presented token, which this server issued for this grant.
    ///   - successor: The hash of its successor, which is always the same for the same token.
    public func decision(on token: SecretHash, successor: SecretHash, rules: RefreshRules, at now: NumericDate) -> Decision {
        if token == latest { return now < expiresAt ? .rotate : .unknown }
        guard token == predecessor, let rotatedAt else { return .reused }
        if rules.coversGrace(rotatedAt, at: now) { return successor == latest ? .repeated : .unknown }
        let isSuccessorUsed = youngestUse.map { $0 >= rotatedAt } ?? false
        guard !isSuccessorUsed, !followsRecovery, rules.coversRecovery(rotatedAt, at: now) else { return .reused }
        return successor == latest && now < expiresAt ? .recovered(rotatedAt: rotatedAt) : .unknown
    }

    /// The chain after `rotate`. The successor expires no later than its grant.
    public func rotated(_ token: SecretHash, to successor: Successor, of grant: Grant, at now: NumericDate) -> RefreshChain {
        RefreshChain(
            latest: successor.hash, expiresAt: min(successor.expiresAt, grant.expiresAt), predecessor: token, rotatedAt: now,
            youngestUse: youngestUse,
            followsRecovery: isRecovered)
    }

    /// The chain after the predecessor was sent again because its response was lost.
    public var recovered: RefreshChain {
        RefreshChain(
            latest: latest, expiresAt: expiresAt, predecessor: predecessor, rotatedAt: rotatedAt, youngestUse: youngestUse, isRecovered: true,
            followsRecovery: followsRecovery)
    }

    /// The chain after the use of an access token that was issued at this time. An older use changes nothing.
    public func used(tokenIssuedAt issuedAt: NumericDate) -> RefreshChain {
        if let youngestUse, youngestUse >= issuedAt { return self }
        return RefreshChain(
            latest: latest, expiresAt: expiresAt, predecessor: predecessor, rotatedAt: rotatedAt, youngestUse: issuedAt, isRecovered: isRecovered,
            followsRecovery: followsRecovery)
    }
}

/// The number of seconds for which an exchanged refresh token may be sent again.
public struct RefreshRules: Sendable, Hashable {
    /// The grace period, in seconds, which applies even if the successor was used.
    public let grace: Int64
    /// The recovery period, in seconds, which applies while the successor was not used.
    public let recovery: Int64

    /// By default there is no recovery period.
    public init(grace: Int64, recovery: Int64 = 0) {
        self.grace = grace
        self.recovery = recovery
    }

    func coversGrace(_ moment: NumericDate, at now: NumericDate) -> Bool { Self.covers(grace, moment, now) }
    func coversRecovery(_ moment: NumericDate, at now: NumericDate) -> Bool { Self.covers(recovery, moment, now) }

    /// Concurrent requests may be decided in another order, and clocks may differ a little. That is not theft, so up to
    /// a minute in the future is covered.
    private static func covers(_ seconds: Int64, _ moment: NumericDate, _ now: NumericDate) -> Bool {
        let age = now.seconds(since: moment)
        return age > -60 && age < seconds
    }
}
