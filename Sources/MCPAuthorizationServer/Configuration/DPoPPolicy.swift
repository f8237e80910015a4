/// The rules of an authorization server for tokens that are bound to keys (RFC 9449).
public struct DPoPPolicy: Sendable, Hashable {
    /// Whether every token must be bound to a key, also for clients that did not register for it.
    public var isRequired: Bool
    /// Whether proofs must contain a nonce of this server (RFC 9449 §8), so that no proof can be made in advance.
    public var requiresNonce: Bool

    /// By default a token is bound to a key only if the client sends a proof, and proofs need no nonce.
    public init(isRequired: Bool = false, requiresNonce: Bool = false) {
        self.isRequired = isRequired
        self.requiresNonce = requiresNonce
    }
}
