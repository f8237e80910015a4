import HTTPTypes
public import JOSE
public import OAuth
import Synchronization

/// Where a verifier's keys come from. Reading is immediate; only `refresh` waits.
public protocol KeySource: Sendable {
    /// The keys, or nil when there are none yet, or none fresh enough.
    func snapshot(at now: NumericDate) -> JWKSet?
    /// Whether `refresh` would look for new keys now, or is cooling down.
    func mayRefresh(at now: NumericDate) -> Bool
    /// Looks for new keys. Nil when there are keys afterwards; otherwise why not.
    func refresh(at now: NumericDate) async -> String?
    /// Changes whenever a key is gone.
    var epoch: UInt64 { get }
}

/// Keys that their owner configured.
public struct FixedKeys: KeySource {
    private let keys: JWKSet

    public init(_ keys: [VerificationKey]) { self.keys = JWKSet(keys) }

    public func snapshot(at now: NumericDate) -> JWKSet? { keys }
    public func mayRefresh(at now: NumericDate) -> Bool { false }
    public func refresh(at now: NumericDate) async -> String? { nil }
    public var epoch: UInt64 { 0 }
}

/// Keys that an issuer publishes, by discovery or at a known URL.
///
/// The keys are an immutable snapshot. They are fetched by one flight at a time, at most `maximumAttempts` times in a
/// minute whatever tokens arrive, and after a failure not before `retryInterval`; served stale while a refresh runs or
/// fails; and never replaced by a document without a usable key. So a key that an issuer began to sign with a moment
/// ago is found at once, and a flood of made-up key identifiers causes three fetches a minute.
public final class RemoteKeySet: KeySource {
    /// Where the JWK set is.
    public enum Location: Sendable {
        /// The `jwks_uri` of the issuer's metadata (RFC 8414 §2).
        case issuer(Issuer)
        case url(WebURL)
    }

    private struct State {
        var keys: JWKSet?
        var fetchedAt: NumericDate?
        /// The moments of the latest attempts, oldest first: as many as count.
        var attempts: [NumericDate] = []
        var failedAt: NumericDate?
        var epoch: UInt64 = 0
        var flight: Task<String?, Never>?
    }

    /// Seconds after which keys are fetched anew, in the background of whatever request comes next.
    public static let refreshInterval: Int64 = 600
    /// The most fetches within `attemptWindow` seconds.
    public static let maximumAttempts = 3
    public static let attemptWindow: Int64 = 60
    /// Seconds after a failed fetch before the next one.
    public static let retryInterval: Int64 = 20
    /// Seconds after which keys that could not be fetched anew are no longer used.
    public static let maximumAge: Int64 = 86400

    private let location: Location
    private let fetcher: any HTTPFetcher
    private let state = Mutex(State())

    public init(_ location: Location, fetcher: any HTTPFetcher) {
        self.location = location
        self.fetcher = fetcher
    }

    public var epoch: UInt64 { state.withLock { $0.epoch } }

    public func snapshot(at now: NumericDate) -> JWKSet? {
        state.withLock { state in
            guard let keys = state.keys, let fetchedAt = state.fetchedAt else { return nil }
            let age = now.seconds(since: fetchedAt)
            guard age < Self.maximumAge else { return nil }
            // Nobody waits for this flight, but it is on its way when this returns: one that left later would bring an
            // old time with it.
            if age >= Self.refreshInterval { depart(&state, now) }
            return keys
        }
    }

    public func mayRefresh(at now: NumericDate) -> Bool { state.withLock { $0.flight != nil || Self.isDue($0, now) } }

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
            // A flight that left long ago, before the machine slept perhaps, brought what was true then.
            if isOurs || !isOld { return hasKeys ? nil : failure }
        }
    }

    /// The flight that is under way, or one that leaves now; nil while it is too early for another.
    ///
    /// The one unstructured task of this type: it is bounded by the fetcher's timeouts, and not everybody has to wait
    /// for it.
    @discardableResult
    private func depart(_ state: inout State, _ now: NumericDate) -> Task<String?, Never>? {
        if let flight = state.flight { return flight }
        guard Self.isDue(state, now) else { return nil }
        state.attempts = state.attempts.suffix(Self.maximumAttempts - 1) + [now]
        state.flight = Task { await self.fetch(at: now) }
        return state.flight
    }

    private static func isDue(_ state: State, _ now: NumericDate) -> Bool {
        // A little less than nothing is a request that came in earlier; much less is a clock that was set back.
        func isWithin(_ seconds: Int64, _ moment: NumericDate) -> Bool { (-60..<seconds).contains(now.seconds(since: moment)) }
        if let failedAt = state.failedAt, isWithin(retryInterval, failedAt) { return false }
        return state.attempts.count { isWithin(attemptWindow, $0) } < maximumAttempts
    }

    private func fetch(at now: NumericDate) async -> String? {
        do throws(OAuthError) {
            let url: WebURL
            switch location {
            case .url(let known): url = known
            case .issuer(let issuer):
                guard let found = try await AuthorizationServerMetadata.discover(issuer, with: fetcher).jwksURI else {
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
