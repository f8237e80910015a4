import HTTPTypes
public import JOSE
public import OAuth
import Synchronization

/// The keys of a verifier. Reading is immediate. Only `refresh` waits.
public protocol KeySource: Sendable {
    /// The keys. Nil when there are none yet, or they are too old.
    func snapshot(at now: NumericDate) -> JWKSet?
    /// Whether `refresh` would fetch keys now, or wait for a fetch that is running.
    func mayRefresh(at now: NumericDate) -> Bool
    /// Fetches keys if it is time. Nil when there are keys afterwards, otherwise the reason why not.
    func refresh(at now: NumericDate) async -> String?
    /// A number that changes whenever a key was removed.
    var epoch: UInt64 { get }
}

/// Keys from the configuration, which never change.
public struct FixedKeys: KeySource {
    private let keys: JWKSet

    /// A source with these keys.
    public init(_ keys: [VerificationKey]) { self.keys = JWKSet(keys) }

    /// The keys, always.
    public func snapshot(at now: NumericDate) -> JWKSet? { keys }
    /// False: there is nothing to fetch.
    public func mayRefresh(at now: NumericDate) -> Bool { false }
    /// Nil: the keys are there.
    public func refresh(at now: NumericDate) async -> String? { nil }
    /// 0: keys are never removed.
    public var epoch: UInt64 { 0 }
}

/// Keys that an issuer publishes, found by discovery or at a known URL.
///
/// The keys are an immutable snapshot. One fetch runs at a time, at most `maximumAttempts` in a minute, whatever tokens
/// arrive, and none for `retryInterval` after a failure. The old keys are used while a refresh runs or fails. A
/// document without a usable key never replaces them. So a key that an issuer began to sign with a moment ago is found
/// at once, and a flood of unknown key identifiers causes three fetches a minute.
public final class RemoteKeySet: KeySource {
    /// The location of the JWK set.
    public enum Location: Sendable {
        /// The `jwks_uri` of the issuer's metadata (RFC 8414 §2).
        case issuer(Issuer, MetadataLocation = .wellKnown)
        /// This URL.
        case url(WebURL)
    }

    private struct State {
        var keys: JWKSet?
        var fetchedAt: NumericDate?
        /// The times of the latest attempts, oldest first, as many as count.
        var attempts: [NumericDate] = []
        var failedAt: NumericDate?
        var epoch: UInt64 = 0
        var flight: Task<String?, Never>?
    }

    /// The number of seconds after which keys are fetched again, in the background of the next request.
    public static let refreshInterval: Int64 = 600
    /// The number of fetches within `attemptWindow` seconds, at most.
    public static let maximumAttempts = 3
    /// The number of seconds in which `maximumAttempts` are counted.
    public static let attemptWindow: Int64 = 60
    /// The number of seconds after a failed fetch before the next one.
    public static let retryInterval: Int64 = 20
    /// The number of seconds after which keys are no longer used if they could not be fetched again.
    public static let maximumAge: Int64 = 86400

    private let location: Location
    private let fetcher: any HTTPFetcher
    private let state = Mutex(State())

    /// A source that fetches nothing until `refresh` is called, or a snapshot is due for a refresh.
    public init(_ location: Location, fetcher: any HTTPFetcher) {
        self.location = location
        self.fetcher = fetcher
    }

    /// A number that increases when a fetch no longer contains a key that was there before.
    public var epoch: UInt64 { state.withLock { $0.epoch } }

    /// The keys of the last successful fetch. Nil before the first, and when they are older than `maximumAge`. Starts a
    /// fetch in the background if they are older than `refreshInterval`.
    public func snapshot(at now: NumericDate) -> JWKSet? {
        state.withLock { state in
            guard let keys = state.keys, let fetchedAt = state.fetchedAt else { return nil }
            let age = now.seconds(since: fetchedAt)
            guard age < Self.maximumAge else { return nil }
            // No caller waits for this fetch, but it has started when this returns. A fetch that started later would
            // have an old time.
            if age >= Self.refreshInterval { depart(&state, now) }
            return keys
        }
    }

    /// Whether a fetch is running, or the limits allow one now.
    public func mayRefresh(at now: NumericDate) -> Bool { state.withLock { $0.flight != nil || Self.isDue($0, now) } }

    /// Waits for the running fetch, or starts one if the limits allow it. Nil when there are keys afterwards, also old
    /// ones. Otherwise the reason of the failure.
    @discardableResult
    public func refresh(at now: NumericDate) async -> String? {
        while true {
            let (flight, isOurs) = state.withLock { state -> (Task<String?, Never>?, Bool) in
                let isOurs = state.flight == nil
                return (depart(&state, now), isOurs)
            }
            guard let flight else {
                return state.withLock { $0.keys == nil ? "the keys could not be fetched a moment ago; the next attempt is soon" : nil }
            }
            let failure = await flight.value
            let (hasKeys, isOld) = state.withLock { state in
                (state.keys != nil, state.attempts.last.map { now.seconds(since: $0) >= Self.retryInterval } ?? true)
            }
            // A fetch that started long ago, for example before the machine slept, has old keys.
            if isOurs || !isOld { return hasKeys ? nil : failure }
        }
    }

    /// The running fetch, or a new one. Nil while the limits allow no other fetch.
    ///
    /// This starts the only unstructured task of this type. The fetcher's timeouts bound it, and not every caller has
    /// to wait for it.
    @discardableResult
    private func depart(_ state: inout State, _ now: NumericDate) -> Task<String?, Never>? {
        if let flight = state.flight { return flight }
        guard Self.isDue(state, now) else { return nil }
        state.attempts = state.attempts.suffix(Self.maximumAttempts - 1) + [now]
        state.flight = Task { await self.fetch(at: now) }
        return state.flight
    }

    private static func isDue(_ state: State, _ now: NumericDate) -> Bool {
        // A small negative number is a request that arrived earlier. A large one is a clock that was set back.
        func isWithin(_ seconds: Int64, _ moment: NumericDate) -> Bool { (-60..<seconds).contains(now.seconds(since: moment)) }
        if let failedAt = state.failedAt, isWithin(retryInterval, failedAt) { return false }
        return state.attempts.count { isWithin(attemptWindow, $0) } < maximumAttempts
    }

    private func fetch(at now: NumericDate) async -> String? {
        do throws(OAuthError) {
            let url: WebURL
            switch location {
            case .url(let known): url = known
            case .issuer(let issuer, let metadata):
                guard let found = try await AuthorizationServerMetadata.discover(issuer, at: metadata, with: fetcher).jwksURI else {
                    throw OAuthError(.invalidMetadata, "the metadata of \(issuer) has no jwks_uri")
                }
                url = found
            }
            let reply = try await fetcher.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"]))
            guard reply.response.status == .ok else { throw OAuthError(.fetchFailed, "\(url) answers \(reply.response.status.code)") }
            let keys: JWKSet
            do throws(JOSEError) { keys = try JWKSet(parsing: reply.body) } catch {
                throw OAuthError(.invalidMetadata, "\(url) is not a JWK set: \(error.message)")
            }
            guard !keys.keys.isEmpty else {
                throw OAuthError(.invalidMetadata, "\(url) holds no usable key: \(keys.ignored.first?.message ?? "it is empty")")
            }
            state.withLock { state in
                let gone =
                    state.keys?.keys.contains { old in !keys.keys.contains { $0.thumbprint == old.thumbprint && $0.keyID == old.keyID } } ?? false
                if gone { state.epoch &+= 1 }
                state.keys = keys
                state.fetchedAt = now
                state.failedAt = nil
                state.flight = nil
            }
            return nil
        } catch {
            state.withLock { state in
                state.failedAt = now
                state.flight = nil
            }
            return error.message
        }
    }
}
