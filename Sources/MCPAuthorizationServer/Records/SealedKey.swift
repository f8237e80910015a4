public import JOSE

/// A signing key as a store keeps it: sealed.
public struct SealedKey: Sendable, Hashable {
    public let keyID: String
    public let algorithm: String
    public let sealed: [UInt8]
    public let createdAt: NumericDate
    /// From when on it signs, until a younger one of its algorithm does. It is published before.
    public let activeFrom: NumericDate

    public init(keyID: String, algorithm: String, sealed: [UInt8], createdAt: NumericDate, activeFrom: NumericDate) {
        self.keyID = keyID
        self.algorithm = algorithm
        self.sealed = sealed
        self.createdAt = createdAt
        self.activeFrom = activeFrom
    }
}
