public import Crypto
public import JOSE
public import OAuth
import Synchronization

/// What a resource server asks of tokens that are bound to keys (RFC 9449 §7).
///
/// A token that is bound always needs its proof, whatever is said here.
public struct ProofPolicy: Sendable {
    /// Whether every token must be bound to a key.
    public var isRequired: Bool
    /// Whether proofs must repeat a nonce of this server, so that none can have been made ahead of time.
    public var requiresNonce: Bool
    /// Remembers which proofs were used. In memory unless given: several instances of one server need one memory between them.
    public var memory: any ProofMemory
    let nonces: DPoPNonces

    /// `nonceKey`: the same for all instances of one server. Of this process alone unless given.
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

/// Remembers which proofs were used, so that none is good twice.
public protocol ProofMemory: Sendable {
    /// True for the first use of a proof only. Nil when it cannot be said now: then the request is refused as unavailable.
    func isFirstUse(of proof: DPoPProof, at now: NumericDate) async -> Bool?
}

/// A bounded memory of this process. After a start, proofs that were made before it are refused, since they may have been used.
public final class LocalProofMemory: ProofMemory {
    private struct State {
        var startedAt: NumericDate?
        var turnedAt: NumericDate?
        var young = Generation()
        var old = Generation()
    }

    private struct Generation {
        var proofs: Set<Digest> = []
        /// How many of them each key made.
        var counts: [Digest: Int] = [:]
    }

    /// Sixteen bytes of a hash: what a million proofs are remembered by.
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
    ///   - capacity: proofs that are remembered, each for ten to twenty minutes. When there are more, further ones are refused for a while: to forget one
    ///     would let it be used twice.
    ///   - capacityOfKey: proofs of one key among them. Whoever uses up theirs keeps nobody else out. Unless given, a thirty-second of all.
    public init(capacity: Int = 1_000_000, capacityOfKey: Int? = nil) {
        self.capacity = capacity
        self.capacityOfKey = capacityOfKey ?? max(1, capacity / 32)
    }

    public func isFirstUse(of proof: DPoPProof, at now: NumericDate) -> Bool? {
        let (digest, key) = (Digest(of: proof.useText), Digest(of: proof.thumbprint))
        return state.withLock { state in
            // A clock that was set back: what was remembered by the wrong one begins anew.
            if let turnedAt = state.turnedAt, now < turnedAt.advanced(by: -60) { state = State() }
            // The clock of a client may be a few seconds behind when the first request comes.
            let startedAt = state.startedAt ?? now.advanced(by: -5)
            state.startedAt = startedAt
            guard proof.issuedAt >= startedAt else { return false }
            // Nor one that was made for later, while there was another memory still.
            if now.seconds(since: startedAt) < DPoPProof.tolerance { guard proof.issuedAt <= now.advanced(by: 30) else { return false } }
            // A proof is good for five minutes before and after its moment, so what was seen ten minutes ago can be forgotten.
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
