/// How tokens are bound to keys (RFC 9449).
public struct DPoPPolicy: Sendable, Hashable {
    /// Whether every token must be bound to a key, also those of clients that did not ask for it.
    public var isRequired: Bool
    /// Whether proofs must repeat a nonce of this server (RFC 9449 §8): then a proof cannot have been made ahead of
    /// time.
    public var requiresNonce: Bool

    public init(isRequired: Bool = false, requiresNonce: Bool = false) {
        self.isRequired = isRequired
        self.requiresNonce = requiresNonce
    }
}
