public import Crypto
public import JOSE
public import OAuth
import Synchronization

/// The rules of a resource server for tokens that are bound to keys (DPoP, RFC 9449 §7).
///
/// A token that is bound to a key always needs a proof, even if the policy does not require one.
public struct ProofPolicy: Sendable {
    /// Whether every token must be bound to a key.
    public var isRequired: Bool
    /// Whether proofs must contain a nonce from this server (RFC 9449 §9), so that no proof can be made in advance.
    public var requiresNonce: Bool
    /// Remembers the used proofs. The default keeps them in this process. Several instances of one server need a shared
    /// memory.
    public var memory: any ProofMemory
    let nonces: DPoPNonces

    /// - Parameter nonceKey: The key from which nonces are derived. All instances of one server need the same key. The
    ///   default is a random key for this process.
    public init(
        isRequired: Bool = false, requiresNonce: Bool = false, memory: any ProofMemory = LocalProofMemory(),
        nonceKey: SymmetricKey = SymmetricKey(size: .bits256)
    ) {
        self.isRequired = isRequired
        self.requiresNonce = requiresNonce
        self.memory = memory
        nonces = DPoPNonces(key: nonceKey)
    }
}

/// Remembers the used proofs, so that none is accepted twice (RFC 9449 §11.1).
public protocol ProofMemory: Sendable {
    /// True for the first use of a proof only. Nil when the answer is not known, for example because a store failed.
    /// The request is then answered with 503.
    func isFirstUse(of proof: DPoPProof, at now: NumericDate) async -> Bool?
}

/// Remembers the used proofs in this process, in bounded memory. Proofs that were made before its first use are
/// rejected, since they may have been used before a restart.
public final class LocalProofMemory: ProofMemory {
    private struct State {
        var startedAt: NumericDate?
        var turnedAt: NumericDate?
        var young = Generation()
        var old = Generation()
    }

    private struct Generation {
        var proofs: Set<Digest> = []
        /// The number of proofs of each key.
        var counts: [Digest: Int] = [:]
    }

    /// Sixteen bytes of a hash, which identify one of a million proofs.
    private struct Digest: Hashable {
        let high, low: UInt64

        init(of text: String) {
            (high, low) = SHA256.hash(data: Array(text.utf8)).withUnsafeBytes {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
        }
    }

    private let state = Mutex(State())
    private let capacity: Int
    private let capacityOfKey: Int

    /// - Parameters:
    ///   - capacity: The number of proofs that are remembered, each for ten to twenty minutes. When the memory is full,
    ///     further proofs are refused for a while, because a forgotten proof could be used twice.
    ///   - capacityOfKey: The number of proofs of one key. A client that reaches it does not affect other clients. The
    ///     default is a thirty-second of `capacity`.
    public init(capacity: Int = 1_000_000, capacityOfKey: Int? = nil) {
        self.capacity = capacity
        self.capacityOfKey = capacityOfKey ?? max(1, capacity / 32)
    }

    /// False also for a proof that was made before the first use of this memory. Nil when the memory, or the share of
    /// the proof's key, is full.
    public func isFirstUse(of proof: DPoPProof, at now: NumericDate) -> Bool? {
        let (digest, key) = (Digest(of: proof.useText), Digest(of: proof.thumbprint))
        return state.withLock { state in
            // The clock was set back: entries that were made by the wrong clock are dropped.
            if let turnedAt = state.turnedAt, now < turnedAt.advanced(by: -60) { state = State() }
            // The clock of a client may be a few seconds behind when the first request comes.
            let startedAt = state.startedAt ?? now.advanced(by: -5)
            state.startedAt = startedAt
            guard proof.issuedAt >= startedAt else { return false }
            // A proof that was made for later may have been used before the restart.
            if now.seconds(since: startedAt) < DPoPProof.tolerance { guard proof.issuedAt <= now.advanced(by: 30) else { return false } }
            // A proof is valid for five minutes before and after its time, so entries older than ten minutes can be
            // dropped.
            if now.seconds(since: state.turnedAt ?? now) >= 2 * DPoPProof.tolerance {
                state.old = state.young
                state.young = Generation()
                state.turnedAt = now
            } else if state.turnedAt == nil {
                state.turnedAt = now
            }
            if state.old.proofs.contains(digest) || state.young.proofs.contains(digest) { return false }
            guard state.young.proofs.count + state.old.proofs.count < capacity,
                state.young.counts[key, default: 0] + state.old.counts[key, default: 0] < capacityOfKey
            else { return nil }
            state.young.proofs.insert(digest)
            state.young.counts[key, default: 0] += 1
            return true
        }
    }
}
