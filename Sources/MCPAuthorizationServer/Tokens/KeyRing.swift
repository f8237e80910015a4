import JOSE
import OAuth

/// The signing keys of a server: made on its first start, sealed in its store, found again on every later one.
struct KeyRing: Sendable {
    /// The one that signs.
    let current: SigningKey
    /// Everything that a token may still be signed with.
    let published: JWKSet

    /// Keys are sealed for one issuer, so that a store belongs to one issuer: codes and grants of another could be redeemed here otherwise (T-08).
    ///
    /// Throws `temporarily_unavailable` when the store fails, `invalid_configuration` when master key or issuer are not those that the keys were sealed
    /// with.
    static func open(
        _ store: any KeyStore, _ master: MasterKey, issuer: Issuer, algorithms: [SigningAlgorithm], clock: Clock
    ) async throws(OAuthError) -> KeyRing {
        func owner(_ keyID: String) -> String { issuer.text + " " + keyID }
        let sealer = master.sealer(for: "signing keys")
        do {
            func opened(_ entry: SealedKey) throws -> SigningKey {
                guard let algorithm = SigningAlgorithm(rawValue: entry.algorithm), let pem = sealer.open(entry.sealed, owner: owner(entry.keyID))
                else {
                    throw OAuthError(
                        .invalidConfiguration,
                        "the store was begun under another issuer (another address or port), or with another master key; use those again, or start with an empty store"
                    )
                }
                return try SigningKey(pem: String(decoding: pem, as: UTF8.self), algorithm: algorithm, keyID: entry.keyID)
            }
            var sealed = try await store.signingKeys()
            // What is there is opened before anything is added, so that a start with the wrong key leaves no trace.
            for entry in sealed { _ = try opened(entry) }
            for algorithm in algorithms where !sealed.contains(where: { $0.algorithm == algorithm.rawValue }) {
                let key = try SigningKey.generate(algorithm)
                guard let keyID = key.keyID, let pem = key.pem else { continue }
                sealed = try await store.addSigningKey(
                    SealedKey(
                        keyID: keyID, algorithm: algorithm.rawValue, sealed: try sealer.seal(Array(pem.utf8), owner: owner(keyID)),
                        createdAt: clock.now))
            }
            let keys = try sealed.map(opened)
            guard let current = keys.first(where: { $0.algorithm == algorithms.first }) else {
                throw OAuthError(.invalidConfiguration, "there is no signing key")
            }
            return KeyRing(current: current, published: JWKSet(keys.map(\.verificationKey)))
        } catch let error as OAuthError { throw error } catch let error as StoreError {
            throw OAuthError(.temporarilyUnavailable, "the key store cannot be read: \(error.detail)")
        } catch { throw OAuthError(.serverError, "the signing keys cannot be read") }
    }
}
