import JOSE
import MCPAuth
import OAuth
import Synchronization

/// The keys of those who sign assertions: clients, identity providers, platforms. Key sets on the web are kept by
/// address, a bounded number of them.
final class AssertionKeySets: Sendable {
    private let fetcher: (any HTTPFetcher)?
    private struct Sets {
        /// Those of the configuration, which stay.
        var configured: [String: RemoteKeySet] = [:]
        /// Those of clients, of which there may be any number.
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
                // Whoever is pushed out is fetched again when somebody asks.
                if sets.clients.count >= Self.capacity, let victim = sets.clients.keys.randomElement() { sets.clients[victim] = nil }
                sets.clients[name] = set
            }
            return set
        }
    }

    /// Checks a signature, asking for newer keys once where they may have changed. Throws `invalid_grant`, and
    /// `temporarily_unavailable` when no keys can be had.
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
