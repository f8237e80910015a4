public import JOSE

/// A signing key as a store keeps it, encrypted with the master key.
public struct SealedKey: Sendable, Hashable {
    /// The `kid` of the key.
    public let keyID: String
    /// The name of its algorithm, such as `ES256`.
    public let algorithm: String
    /// The encrypted private key. A store cannot read it.
    public let sealed: [UInt8]
    /// The time of its creation.
    public let createdAt: NumericDate
    /// The time from which it signs, until a younger key of its algorithm does. It is published earlier.
    public let activeFrom: NumericDate

    /// A sealed key. Nothing is checked.
    public init(keyID: String, algorithm: String, sealed: [UInt8], createdAt: NumericDate, activeFrom: NumericDate) {
        self.keyID = keyID
        self.algorithm = algorithm
        self.sealed = sealed
        self.createdAt = createdAt
        self.activeFrom = activeFrom
    }
}
