public import JOSE
public import MCPAuth
public import OAuth

/// Stores used proofs in a store (RFC 9449 §11.1), so that all instances of a resource server that share it accept each
/// proof once, also across restarts.
///
/// Each request with a bound token costs a durable write. For a server that is one process, `LocalProofMemory` is
/// cheaper.
///
/// ```swift
/// ResourceServer("https://rs.example/mcp", trusting: trust, proofs: ProofPolicy(memory: StoredProofMemory(in: store)))
/// ```
public struct StoredProofMemory: ProofMemory {
    private let store: any SingleUseStore

    /// A memory in this store, which may also be the store of an authorization server.
    public init(in store: any SingleUseStore) { self.store = store }

    /// True for the first use of a proof, across instances and restarts. Nil when the store fails.
    public func isFirstUse(of proof: DPoPProof, at now: NumericDate) async -> Bool? {
        // Separate from the proofs of the authorization server in the same store, since a proof for one endpoint is
        // independent of another.
        let use = SingleUse(SecretHash(of: "resource " + proof.useText), until: max(proof.issuedAt, now).advanced(by: DPoPProof.tolerance + 60))
        do throws(StoreError) { return try await store.consume(use) } catch { return nil }
    }
}
