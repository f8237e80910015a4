import HTTPTypes
import JOSE
import MCPAuth
import OAuth
import Synchronization

/// Clients whose identifier is the URL of a metadata document (Client ID Metadata Documents). Documents are fetched
/// through the `HTTPFetcher`, one fetch at a time, and cached as long as their headers say, for a minute to a day. A
/// document with `no-store` is not cached.
///
/// Errors and invalid documents are never cached, and never replace a valid document before it has expired.
final class ClientMetadataDocuments: Sendable {
    private struct Entry {
        let client: Client
        let expiresAt: NumericDate
        let fetchedAt: NumericDate
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var flights: [String: Task<Result<Client, OAuthError>, Never>] = [:]
    }

    private let fetcher: any HTTPFetcher
    private let policy: ClientMetadataDocumentPolicy
    private let issuer: Issuer
    private let rules: ClientMetadata.Rules
    private let limitByHost: RateLimiter
    private let limitByAddress: RateLimiter
    /// The limit of documents that were valid before. They have their own count, so that no client can use up the limit
    /// of their host.
    private let limitByDocument: RateLimiter
    private let state = Mutex(State())

    /// The longest document in bytes (CIMD §6.6).
    static let maximumBytes = 5 * 1024
    static let capacity = 1000
    private static let shortestLife: Int64 = 60
    private static let longestLife: Int64 = 86400
    /// The number of seconds after its lifetime for which a valid document is used while its host cannot be reached.
    private static let grace: Int64 = 3600

    init(_ fetcher: any HTTPFetcher, configuration: AuthorizationServerConfiguration, issuer: Issuer) {
        let limit = configuration.rateLimits.clientDocument
        self.fetcher = fetcher
        policy = configuration.clientMetadataDocuments
        self.issuer = issuer
        rules = .document(configuration)
        limitByHost = RateLimiter(RateLimits.Limit(burst: limit.burst * 10, everyMilliseconds: max(1, limit.interval / 10)))
        limitByAddress = RateLimiter(limit)
        limitByDocument = RateLimiter(limit)
    }

    /// Whether the operator lists the host of this client's document.
    func isTrusted(_ id: ClientID) -> Bool {
        guard case .domains = policy, let url = WebURL(id.text) else { return false }
        return policy.allows(url)
    }

    /// Whether an identifier is the URL of a document. No other client identifier of ours begins like this.
    static func isDocument(_ id: ClientID) -> Bool { id.text.utf8.starts(with: "https:".utf8) || id.text.utf8.starts(with: "http:".utf8) }

    /// Throws `invalid_client` without details when the document cannot be fetched, `too_many_requests`, or the mistake
    /// in a document that was read.
    func client(_ id: ClientID, for address: String, at now: NumericDate) async throws(OAuthError) -> Client {
        let url = try Self.url(id)
        // Decided each time, so that withdrawn trust applies at once.
        guard policy.allows(url) else { throw OAuthError(.invalidClient, "clients of \(url.hostForURL) are not allowed here") }
        guard !url.origin.utf8.elementsEqual(issuer.url.origin.utf8) else {
            throw OAuthError(.invalidClient, "this server has no document of a client")
        }
        let known = state.withLock { $0.entries[id.text] }
        if let known, now < known.expiresAt, known.fetchedAt <= now.advanced(by: 60) { return known.client }
        let stale = known.flatMap { now < $0.expiresAt.advanced(by: Self.grace) ? $0.client : nil }
        let flight: Task<Result<Client, OAuthError>, Never>
        if let running = state.withLock({ $0.flights[id.text] }) {
            flight = running
        } else {
            let wait =
                known == nil
                ? limitByAddress.wait(for: address, at: now) ?? limitByHost.wait(for: url.hostForURL, at: now)
                : limitByDocument.wait(for: id.text, at: now)
            if let seconds = wait {
                if let stale { return stale }
                throw OAuthError(.tooManyRequests, "too many documents were fetched; wait \(seconds) seconds")
            }
            flight = state.withLock { state in
                if let running = state.flights[id.text] { return running }
                let flight = Task { await self.fetch(id, url, at: now) }
                state.flights[id.text] = flight
                return flight
            }
        }
        switch await flight.value {
        case .success(let client): return client
        case .failure(let error):
            // An invalid document is rejected at once. An unreachable one may return.
            if let stale, error == Self.unreachable { return stale }
            throw error
        }
    }

    static let unreachable = OAuthError(.invalidClient, "the document of this client could not be fetched")

    /// https, with a path, without fragment, user information, dot segments and an unneeded port (CIMD §3).
    private static func url(_ id: ClientID) throws(OAuthError) -> WebURL {
        guard let url = WebURL(id.text), url.isSecure, id.text.utf8.starts(with: "https://".utf8), url.fragment == nil, url.path.utf8.count > 1,
            id.text.utf8.count <= 512, !url.isLoopback, IPAddress(url.host).map(\.isPublic) ?? true, !url.host.utf8.elementsEqual("localhost".utf8),
            !hasDotSegment(url.path)
        else {
            throw OAuthError(.invalidClient, "a client_id that is a URL is https://host/path, without fragment, dot segments and private addresses")
        }
        return url
    }

    private static func hasDotSegment(_ path: String) -> Bool {
        let plain = path.utf8.map(URLBytes.lowercased)
        return String(decoding: plain, as: UTF8.self).replacing("%2e", with: ".").split(separator: "/", omittingEmptySubsequences: false)
            .contains { $0 == "." || $0 == ".." }
    }

    private func fetch(_ id: ClientID, _ url: WebURL, at now: NumericDate) async -> Result<Client, OAuthError> {
        let result = await read(id, url, at: now)
        state.withLock { state in
            state.flights[id.text] = nil
            if case .success(let (client, life)) = result, life > 0 {
                if state.entries.count >= Self.capacity, state.entries[id.text] == nil { Self.makeRoom(&state.entries, now) }
                state.entries[id.text] = Entry(client: client, expiresAt: now.advanced(by: life), fetchedAt: now)
            }
        }
        return result.map(\.0)
    }

    private func read(_ id: ClientID, _ url: WebURL, at now: NumericDate) async -> Result<(Client, Int64), OAuthError> {
        let reply: HTTPReply
        do throws(OAuthError) {
            reply = try await fetcher.fetch(OutboundRequest(.get, url, fields: [.accept: "application/json"], maximumBytes: Self.maximumBytes))
        } catch { return .failure(Self.unreachable) }
        guard reply.response.status == .ok else { return .failure(Self.unreachable) }
        do throws(OAuthError) {
            let document: JSONDocument
            do throws(JOSEError) {
                document = try JSONDocument(parsing: reply.body, limits: JSONLimits(maximumBytes: Self.maximumBytes, maximumDepth: 16))
            } catch { throw OAuthError(.invalidClientMetadata, "it is not JSON: \(error.message)") }
            guard document.root["client_id"]?.string?.utf8.elementsEqual(id.text.utf8) == true else {
                throw OAuthError(.invalidClientMetadata, "its client_id is not, byte for byte, its address")
            }
            guard document.root["client_name"]?.string?.isEmpty == false else { throw OAuthError(.invalidClientMetadata, "it has no client_name") }
            let metadata = try ClientMetadata(document.root, rules)
            return .success((Client(metadata, id: id, origin: .document, createdAt: now), Self.life(reply.response.headerFields)))
        } catch { return .failure(OAuthError(.invalidClient, "the document of this client cannot be used: \(error.message)")) }
    }

    /// The lifetime in seconds, from `Cache-Control`. 0 with `no-store`. A minute without the header and with
    /// `no-cache`, because the pages of one sign-in need the document several times.
    private static func life(_ fields: HTTPFields) -> Int64 {
        let directives = (fields[.cacheControl] ?? "").utf8.split(separator: UInt8(ascii: ",")).map {
            String(decoding: $0.filter { $0 != 0x20 }.map(URLBytes.lowercased), as: UTF8.self)
        }
        if directives.contains("no-store") { return 0 }
        guard !directives.contains("no-cache"), let text = directives.first(where: { $0.hasPrefix("max-age=") })?.dropFirst(8), text.utf8.count <= 12,
            let seconds = Int64(text)
        else { return shortestLife }
        return min(max(seconds, shortestLife), longestLife)
    }

    private static func makeRoom(_ entries: inout [String: Entry], _ now: NumericDate) {
        entries = entries.filter { now < $0.value.expiresAt.advanced(by: grace) }
        guard entries.count >= capacity else { return }
        for id in entries.sorted(by: { $0.value.fetchedAt < $1.value.fetchedAt }).prefix(capacity / 4).map(\.key) { entries[id] = nil }
    }

    var count: Int { state.withLock { $0.entries.count } }
}
