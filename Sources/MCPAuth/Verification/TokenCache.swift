package import JOSE
import Synchronization

/// Verified tokens, by their hash: bounded, never past a token's expiry, worthless after the verifier's epoch changes.
///
/// Sixteen shards of two generations each: when the young one is full it becomes the old one, and the old one is forgotten. A hit in the old
/// one moves to the young one. No entry costs more than a dictionary slot, and no clock runs in the background.
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

    /// `capacity`: the most tokens that are kept.
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
