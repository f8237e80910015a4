import JOSE
import MCPAuth
import OAuth
import Synchronization

/// The keys that verify assertions of clients, identity providers and platforms. Remote key sets are cached by URL, in
/// a bounded number.
final class AssertionKeySets: Sendable {
    private let fetcher: (any HTTPFetcher)?
    private struct Sets {
        /// The sets of the configuration, which are never removed.
        var configured: [String: RemoteKeySet] = [:]
        /// The sets of clients, whose number is bounded.
        var clients: [String: RemoteKeySet] = [:]
    }

    private let remote = Mutex(Sets())

    static let capacity = 500

    init(_ fetcher: (any HTTPFetcher)?) { self.fetcher = fetcher }

    func source(_ keys: AssertionKeys, issuer: String) throws(OAuthError) -> any KeySource {
        switch keys {
        case .fixed(let keys): return FixedKeys(keys)
        case .url(let text):
            guard let url = WebURL(text) else { throw OAuthError(.invalidConfiguration, "the address of the keys is no URL: \(text.prefix(200))") }
            return try remoteKeys(isConfigured: true, "url \(text)", .url(url))
        case .discovered: return try remoteKeys(isConfigured: true, "issuer \(issuer)", .issuer(try Issuer(issuer)))
        }
    }

    func source(_ keys: Client.Keys) throws(OAuthError) -> any KeySource {
        switch keys {
        case .inline(let text):
            do throws(JOSEError) { return FixedKeys(try JWKSet(parsing: Array(text.utf8)).keys) } catch {
                throw OAuthError(.invalidClient, "the keys of this client cannot be read")
            }
        case .url(let url): return try remoteKeys(isConfigured: false, "url \(url.text)", .url(url))
        }
    }

    private func remoteKeys(
        isConfigured: Bool, _ name: String, _ location: RemoteKeySet.Location
    ) throws(OAuthError) -> any KeySource {
        guard let fetcher else {
            throw OAuthError(
                .invalidConfiguration, "these keys have to be fetched: pass fetcher: GuardedHTTPClient.shared to the authorization server")
        }
        return remote.withLock { sets in
            if let known = isConfigured ? sets.configured[name] : sets.clients[name] { return known }
            let set = RemoteKeySet(location, fetcher: fetcher)
            if isConfigured {
                sets.configured[name] = set
            } else {
                // A removed set is fetched again when it is needed.
                if sets.clients.count >= Self.capacity, let victim = sets.clients.keys.randomElement() { sets.clients[victim] = nil }
                sets.clients[name] = set
            }
            return set
        }
    }

    /// Verifies a signature. Fetches newer keys once if the key is unknown. Throws `invalid_grant`, and
    /// `temporarily_unavailable` when there are no keys.
    static func verify(_ jws: CompactJWS, with source: any KeySource, algorithms: Set<SigningAlgorithm>, at now: NumericDate) async throws(OAuthError)
    {
        let refusal = OAuthError(.invalidGrant, "the signature of the assertion does not verify with a key of its issuer")
        func isGood(_ keys: JWKSet) throws(OAuthError) -> Bool {
            do throws(JOSEError) {
                try jws.verify(using: keys, allowing: algorithms)
                return true
            } catch {
                if error.code == .unknownKey { return false }
                throw refusal
            }
        }
        if let keys = source.snapshot(at: now), try isGood(keys) { return }
        if source.mayRefresh(at: now) { _ = await source.refresh(at: now) }
        guard let keys = source.snapshot(at: now) else {
            throw OAuthError(.temporarilyUnavailable, "the keys to check the assertion with cannot be had at the moment; try again")
        }
        guard try isGood(keys) else { throw refusal }
    }
}
