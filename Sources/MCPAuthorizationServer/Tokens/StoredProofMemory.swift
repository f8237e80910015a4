public import JOSE
public import MCPAuth
public import OAuth

/// Remembers proofs in a store (RFC 9449 §11.1), so that all instances of a resource server that share it take each
/// proof once, also across restarts.
///
/// Each request with a bound token costs a durable write. A server that is one process is better served by
/// `LocalProofMemory`.
///
/// ```swift
/// ResourceServer("https://rs.example/mcp", trusting: trust, proofs: ProofPolicy(memory: StoredProofMemory(in: store)))
/// ```
public struct StoredProofMemory: ProofMemory {
    private let store: any SingleUseStore

    public init(in store: any SingleUseStore) { self.store = store }

    public func isFirstUse(of proof: DPoPProof, at now: NumericDate) async -> Bool? {
        // Apart from what the authorization server remembers in the same store: a proof for one place says nothing
        // about another.
        let use = SingleUse(SecretHash(of: "resource " + proof.useText), until: max(proof.issuedAt, now).advanced(by: DPoPProof.tolerance + 60))
        do throws(StoreError) { return try await store.consume(use) } catch { return nil }
    }
}
