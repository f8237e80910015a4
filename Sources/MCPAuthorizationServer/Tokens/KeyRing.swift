import JOSE
import MCPAuth
import OAuth
import Synchronization

/// The signing keys of a server. They are created at its first start, sealed in its store, and rotated while it runs
/// (requirement 132).
///
/// The key that signs is a function of the stored keys and the time. So several servers on one store agree without
/// communication.
final class KeyRing: KeySource {
    private struct Entry: Sendable {
        let sealed: SealedKey
        let key: SigningKey
    }

    private struct State {
        var entries: [Entry] = []
        var published = JWKSet([])
        var epoch: UInt64 = 0
    }

    private let store: any KeyStore
    private let sealer: Sealer
    private let issuer: Issuer
    private let algorithms: [SigningAlgorithm]
    private let rotation: KeyRotation
    private let state = Mutex(State())

    /// Keys are sealed for one issuer, so that a store belongs to one issuer. Otherwise codes and grants of another
    /// issuer could be redeemed here (T-08).
    ///
    /// Throws `temporarily_unavailable` when the store fails, and `invalid_configuration` when the keys were sealed
    /// with another master key or for another issuer.
    init(
        _ store: any KeyStore, _ master: MasterKey, issuer: Issuer, algorithms: [SigningAlgorithm], rotation: KeyRotation, at now: NumericDate
    ) async throws(OAuthError) {
        self.store = store
        self.issuer = issuer
        self.algorithms = algorithms
        self.rotation = rotation
        sealer = master.sealer(for: "signing keys")
        // Existing keys are opened before anything is written, so that a start with the wrong key or issuer changes
        // nothing.
        let known = try await Self.stored { () async throws(StoreError) in try await store.issuer() }
        if let known, !known.utf8.elementsEqual(issuer.text.utf8) { throw Self.otherIssuer(known, issuer) }
        try await reload()
        let owner = try await Self.stored { () async throws(StoreError) in try await store.claim(issuer: issuer.text) }
        guard owner.utf8.elementsEqual(issuer.text.utf8) else { throw Self.otherIssuer(owner, issuer) }
        try await turn(at: now, removesOld: false)
    }

    private static func otherIssuer(_ known: String, _ issuer: Issuer) -> OAuthError {
        OAuthError(
            .invalidConfiguration,
            "the data belongs to the server \(known), but this one is \(issuer). Start it with the address \(known), or use another data folder for "
                + "\(issuer). If nothing is in it that you need, delete the folder"
        )
    }

    private static let wrongKey = OAuthError(
        .invalidConfiguration,
        "the signing keys in the store were sealed with another master key. Put back the master key that belongs to this store, or start with an empty store"
    )

    /// The key that signs at a moment.
    func current(at now: NumericDate) -> SigningKey? { signer(algorithms.first, at: now) }

    /// The same for one algorithm.
    func signer(_ algorithm: SigningAlgorithm?, at now: NumericDate) -> SigningKey? {
        state.withLock { state in
            let candidates = state.entries.filter { $0.key.algorithm == algorithm }
            return (candidates.last { $0.sealed.activeFrom <= now } ?? candidates.first)?.key
        }
    }

    /// The keys of the JWK set: every key that a valid token may be signed with, and those that will sign soon.
    var published: JWKSet { state.withLock { $0.published } }

    // MARK: Rotation

    /// Reads the keys of other servers, creates the next key when it is time, and deletes keys that no valid token can
    /// be signed with. It deletes none if the clock is in doubt, because a deleted key does not return when the clock
    /// is corrected.
    func turn(at now: NumericDate, removesOld: Bool) async throws(OAuthError) {
        try await reload()
        for algorithm in algorithms {
            // A key that is further ahead than any rotation was created while the clock was wrong. It must not block
            // the rotation.
            let newest = entries(of: algorithm).map(\.sealed).last {
                $0.activeFrom.seconds(since: now) <= rotation.interval + rotation.publishedAhead
            }
            if let newest {
                guard now.seconds(since: newest.activeFrom) >= rotation.interval - rotation.publishedAhead else { continue }
                try await make(
                    algorithm, at: now, activeFrom: max(now.advanced(by: rotation.publishedAhead), newest.activeFrom.advanced(by: rotation.interval)),
                    unlessActiveAfter: newest.activeFrom)
            } else {
                try await make(algorithm, at: now, activeFrom: now, unlessActiveAfter: NumericDate(seconds: .min))
            }
        }
        for algorithm in removesOld ? algorithms : [] {
            let entries = entries(of: algorithm).map(\.sealed)
            for (old, next) in zip(entries, entries.dropFirst()) where now.seconds(since: next.activeFrom) > KeyRotation.keptAfterwards {
                try await Self.stored { () async throws(StoreError) in try await store.removeSigningKey(old.keyID) }
            }
        }
        try await reload()
    }

    /// Rotates the keys on request: they are published at once, and sign when every cache can contain them, or at once
    /// in an emergency.
    func replace(at now: NumericDate, isEmergency: Bool) async throws(OAuthError) {
        for algorithm in algorithms {
            try await make(
                algorithm, at: now, activeFrom: isEmergency ? now : now.advanced(by: rotation.publishedAhead),
                unlessActiveAfter: isEmergency ? NumericDate(seconds: .max) : now)
        }
        try await reload()
    }

    private func make(
        _ algorithm: SigningAlgorithm, at now: NumericDate, activeFrom: NumericDate, unlessActiveAfter moment: NumericDate
    ) async throws(OAuthError) {
        let key: SigningKey
        do throws(JOSEError) { key = try SigningKey.generate(algorithm) } catch { throw OAuthError(.serverError, "a signing key cannot be made") }
        try await add(key, at: now, activeFrom: activeFrom, unlessActiveAfter: moment)
    }

    /// Stores a key, sealed.
    func add(
        _ key: SigningKey, at now: NumericDate, activeFrom: NumericDate, unlessActiveAfter moment: NumericDate
    ) async throws(OAuthError) {
        guard let keyID = key.keyID, let pem = key.pem else { throw OAuthError(.invalidConfiguration, "a signing key is a private key of its own") }
        let sealed = SealedKey(
            keyID: keyID, algorithm: key.algorithm.rawValue, sealed: try sealer.seal(Array(pem.utf8), owner: issuer.text + " " + keyID),
            createdAt: now,
            activeFrom: activeFrom)
        let horizon = now.advanced(by: rotation.interval).advanced(by: rotation.publishedAhead)
        _ = try await Self.stored { () async throws(StoreError) in
            try await store.addSigningKey(sealed, unlessActiveAfter: moment, upTo: horizon)
        }
        try await reload()
    }

    private func entries(of algorithm: SigningAlgorithm) -> [Entry] { state.withLock { $0.entries.filter { $0.key.algorithm == algorithm } } }

    private func reload() async throws(OAuthError) {
        let sealed = try await Self.stored { () async throws(StoreError) in try await store.signingKeys() }
        let known = state.withLock { $0.entries }
        if known.map(\.sealed) == sealed.sorted(by: Self.isEarlier) { return }
        var entries: [Entry] = []
        for entry in sealed.sorted(by: Self.isEarlier) {
            if let same = known.first(where: { $0.sealed == entry }) {
                entries.append(same)
                continue
            }
            guard let algorithm = SigningAlgorithm(rawValue: entry.algorithm),
                let pem = sealer.open(entry.sealed, owner: issuer.text + " " + entry.keyID),
                let key = try? SigningKey(pem: String(decoding: pem, as: UTF8.self), algorithm: algorithm, keyID: entry.keyID)
            else { throw Self.wrongKey }
            entries.append(Entry(sealed: entry, key: key))
        }
        let published = JWKSet(entries.map(\.key.verificationKey))
        state.withLock { state in
            if state.entries.contains(where: { old in !entries.contains { $0.sealed.keyID == old.sealed.keyID } }) { state.epoch &+= 1 }
            state.entries = entries
            state.published = published
        }
    }

    private static func isEarlier(_ left: SealedKey, _ right: SealedKey) -> Bool {
        (left.activeFrom, left.createdAt, left.keyID) < (right.activeFrom, right.createdAt, right.keyID)
    }

    private static func stored<Result>(_ body: () async throws(StoreError) -> Result) async throws(OAuthError) -> Result {
        do throws(StoreError) { return try await body() } catch {
            throw OAuthError(.temporarilyUnavailable, "the key store cannot be used: \(error.detail)")
        }
    }

    // MARK: KeySource, for our own resource server

    func snapshot(at now: NumericDate) -> JWKSet? { published }
    func mayRefresh(at now: NumericDate) -> Bool { false }
    func refresh(at now: NumericDate) async -> String? { nil }
    var epoch: UInt64 { state.withLock { $0.epoch } }
}
