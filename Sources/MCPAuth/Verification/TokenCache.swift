public import JOSE
public import OAuth
import Metrics
import Synchronization

/// Caches the tokens that another verifier accepted, for as long as that verifier allows.
///
/// A hit costs one SHA-256 of the token. An entry expires with the token or with the verifier's `cacheLifetime`. It is
/// ignored after the verifier's `epoch` has changed. Every hit asks `stillAccepts`. Rejections are not cached.
///
/// Metrics: `mcp_auth_token_cache_hits_total`, `mcp_auth_token_cache_misses_total`.
public final class CachingVerifier: TokenVerifier {
    private let verifier: any TokenVerifier
    private let cache: TokenCache
    private let hits = Counter(label: "mcp_auth_token_cache_hits_total")
    private let misses = Counter(label: "mcp_auth_token_cache_misses_total")
    /// The lifetime of the wrapped verifier, in seconds. 0 turns the cache off.
    public let cacheLifetime: Int64

    /// A cache around a verifier.
    ///
    /// - Parameter capacity: The number of tokens that are cached, at most.
    public init(_ verifier: any TokenVerifier, capacity: Int = 32768) {
        self.verifier = verifier
        cache = TokenCache(capacity: capacity)
        cacheLifetime = verifier.cacheLifetime
    }

    /// The epoch of the wrapped verifier.
    public var epoch: UInt64 { verifier.epoch }
    /// The answer of the wrapped verifier.
    public func stillAccepts(_ principal: Principal) -> Bool { verifier.stillAccepts(principal) }
    /// Tells the wrapped verifier.
    public func noteUse(of principal: Principal, for operation: Operation, at now: NumericDate) {
        verifier.noteUse(of: principal, for: operation, at: now)
    }

    /// The answer of the wrapped verifier.
    public func grantableScopes(to principal: Principal) async -> ScopeSet? { await verifier.grantableScopes(to: principal) }

    /// The cached principal, if the wrapped verifier still accepts it. Otherwise its decision from memory.
    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        guard cacheLifetime > 0 else { return verifier.verify(token, at: now) }
        let digest = token.digest
        // Read before the decision: if a key is removed meanwhile, the entry is ignored.
        let epoch = verifier.epoch
        if let principal = cache.principal(for: digest, at: now, epoch: epoch) {
            guard verifier.stillAccepts(principal) else {
                cache.remove(digest)
                return .rejected(.revoked(principal))
            }
            hits.increment()
            return .accepted(principal)
        }
        misses.increment()
        let verification = verifier.verify(token, at: now)
        if case .accepted(let principal) = verification { cache.insert(principal, for: digest, at: now, lifetime: cacheLifetime, epoch: epoch) }
        return verification
    }

    /// The decision of the wrapped verifier. An accepted token is cached.
    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification {
        let epoch = verifier.epoch
        let verification = await verifier.resolve(token, at: now)
        if cacheLifetime > 0, case .accepted(let principal) = verification {
            cache.insert(principal, for: token.digest, at: now, lifetime: cacheLifetime, epoch: epoch)
        }
        return verification
    }
}

/// Verified tokens by their hash. The number is bounded. An entry never outlives its token, and is ignored after the
/// verifier's epoch has changed.
///
/// There are sixteen shards of two generations each. A full young generation becomes the old one, and the old one is
/// dropped. A hit in the old one moves to the young one. An entry costs no more than a dictionary slot, and there is no
/// background work.
package final class TokenCache: Sendable {
    private struct Entry {
        let principal: Principal
        let keptUntil: NumericDate
        let epoch: UInt64
    }

    private struct Shard {
        var young: [TokenDigest: Entry] = [:]
        var old: [TokenDigest: Entry] = [:]
    }

    private final class Cell: Sendable {
        let shard = Mutex(Shard())
    }

    private let cells: [Cell]
    private let perGeneration: Int

    /// - Parameter capacity: The number of tokens, at most.
    package init(capacity: Int = 32768) {
        cells = (0..<16).map { _ in Cell() }
        perGeneration = max(1, capacity / 32)
    }

    package func principal(for digest: TokenDigest, at now: NumericDate, epoch: UInt64) -> Principal? {
        let entry = cells[digest.shard].shard.withLock { shard -> Entry? in
            if let entry = shard.young[digest] { return entry }
            guard let entry = shard.old[digest] else { return nil }
            Self.insert(entry, digest, into: &shard, perGeneration)
            return entry
        }
        guard let entry, entry.epoch == epoch, now < entry.keptUntil else { return nil }
        return entry.principal
    }

    package func insert(_ principal: Principal, for digest: TokenDigest, at now: NumericDate, lifetime: Int64, epoch: UInt64) {
        let entry = Entry(principal: principal, keptUntil: min(principal.expiration, now.advanced(by: lifetime)), epoch: epoch)
        cells[digest.shard].shard.withLock { Self.insert(entry, digest, into: &$0, perGeneration) }
    }

    package func remove(_ digest: TokenDigest) {
        cells[digest.shard].shard.withLock {
            $0.young[digest] = nil
            $0.old[digest] = nil
        }
    }

    package var count: Int { cells.reduce(0) { $0 + $1.shard.withLock { $0.young.count + $0.old.count } } }

    private static func insert(_ entry: Entry, _ digest: TokenDigest, into shard: inout Shard, _ limit: Int) {
        if shard.young.count >= limit {
            swap(&shard.young, &shard.old)
            shard.young.removeAll(keepingCapacity: true)
        }
        shard.young[digest] = entry
    }
}
