public import JOSE

/// The refresh tokens that a store keeps for one grant: the latest and its predecessor. Decides how a presented token is handled (RFC 9700 §4.14.2,
/// requirements 131 and 138), identically in every store.
///
/// A token that was exchanged may be sent again in two cases. Within the grace period, since clients refresh from several processes at once. And
/// for longer as long as its successor was never used, neither itself nor an access token that came with it: then the answer was lost, and only one
/// party has acted. Once the successor was used, every older token ends the grant. Two answers in a row that were lost for longer than the grace period are
/// no bad luck but two parties that take turns, so that the second one ends the grant as well.
public struct RefreshChain: Sendable, Hashable {
    public let latest: SecretHash
    /// When the latest token ends.
    public let expiresAt: NumericDate
    public let predecessor: SecretHash?
    /// When the predecessor was exchanged for the latest. Nil while there is no predecessor.
    public let rotatedAt: NumericDate?
    /// When the youngest access token was issued that a resource server was seen to take (`GrantUse.tokenIssuedAt`). Access tokens that were issued
    /// at or after `rotatedAt` came with the latest refresh token.
    public let youngestUse: NumericDate?
    /// Whether the predecessor was sent again because its answer was lost.
    public let isRecovered: Bool
    /// Whether that had happened in the generation before.
    public let followsRecovery: Bool

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

    public enum Decision: Sendable, Hashable {
        /// It is the latest: put its successor in its place.
        case rotate
        /// It is the predecessor, within the grace period: nothing changes, and the client gets the same successor.
        case repeated
        /// It is the predecessor, later, and its successor was never used: the client gets the same successor, and `recovered` is the chain from now on.
        case recovered(rotatedAt: NumericDate)
        /// It was exchanged before, and more has happened since: the grant ends.
        case reused
        /// It has expired, or its successor cannot be said again.
        case unknown
    }

    /// - Parameters:
    ///   - token: the token that was sent, which this server issued for this grant.
    ///   - successor: what it is exchanged for, always the same for the same token.
    public func decision(on token: SecretHash, successor: SecretHash, rules: RefreshRules, at now: NumericDate) -> Decision {
        if token == latest { return now < expiresAt ? .rotate : .unknown }
        guard token == predecessor, let rotatedAt else { return .reused }
        if rules.coversGrace(rotatedAt, at: now) { return successor == latest ? .repeated : .unknown }
        let isSuccessorUsed = youngestUse.map { $0 >= rotatedAt } ?? false
        guard !isSuccessorUsed, !followsRecovery, rules.coversRecovery(rotatedAt, at: now) else { return .reused }
        return successor == latest && now < expiresAt ? .recovered(rotatedAt: rotatedAt) : .unknown
    }

    /// The chain after `rotate`.
    public func rotated(_ token: SecretHash, to successor: Successor, of grant: Grant, at now: NumericDate) -> RefreshChain {
        RefreshChain(
            latest: successor.hash, expiresAt: min(successor.expiresAt, grant.expiresAt), predecessor: token, rotatedAt: now,
            youngestUse: youngestUse,
            followsRecovery: isRecovered)
    }

    /// The chain after the predecessor was sent again, its answer having been lost.
    public var recovered: RefreshChain {
        RefreshChain(
            latest: latest, expiresAt: expiresAt, predecessor: predecessor, rotatedAt: rotatedAt, youngestUse: youngestUse, isRecovered: true,
            followsRecovery: followsRecovery)
    }

    /// The chain after an access token was used that was issued then.
    public func used(tokenIssuedAt issuedAt: NumericDate) -> RefreshChain {
        if let youngestUse, youngestUse >= issuedAt { return self }
        return RefreshChain(
            latest: latest, expiresAt: expiresAt, predecessor: predecessor, rotatedAt: rotatedAt, youngestUse: issuedAt, isRecovered: isRecovered,
            followsRecovery: followsRecovery)
    }
}

/// For how long a refresh token may be sent again after it was exchanged. Seconds.
public struct RefreshRules: Sendable, Hashable {
    /// Whatever has become of its successor.
    public let grace: Int64
    /// While its successor was not used.
    public let recovery: Int64

    public init(grace: Int64, recovery: Int64 = 0) {
        self.grace = grace
        self.recovery = recovery
    }

    func coversGrace(_ moment: NumericDate, at now: NumericDate) -> Bool { Self.covers(grace, moment, now) }
    func coversRecovery(_ moment: NumericDate, at now: NumericDate) -> Bool { Self.covers(recovery, moment, now) }

    /// Requests that came in together may be decided in another order, and clocks may differ by a little: that is no theft. A use that lies further
    /// in the future is covered by nothing.
    private static func covers(_ seconds: Int64, _ moment: NumericDate, _ now: NumericDate) -> Bool {
        let age = now.seconds(since: moment)
        return age > -60 && age < seconds
    }
}
