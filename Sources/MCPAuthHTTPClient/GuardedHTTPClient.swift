import AsyncHTTPClient
import HTTPTypes
public import MCPAuth
import NIOCore
import NIOHTTP1
import NIOPosix
public import OAuth
import Synchronization

/// The guarded door out, on AsyncHTTPClient.
///
/// The name is resolved first. If any of its addresses is not allowed by the policy, nothing is connected to; otherwise the connection goes to one
/// of the addresses that were checked, whatever the name resolves to a moment later. Redirects are not followed, content codings are not decoded,
/// cookies are not kept, proxies from the environment are not used, and size and time of the whole exchange are bounded.
public final class GuardedHTTPClient: HTTPFetcher {
    /// The addresses of a host, in no more than some time.
    package typealias Resolve = @Sendable (_ host: String, _ port: Int, _ timeout: Duration) async throws -> [(text: String, value: IPAddress)]

    private let policy: OutboundPolicy
    private let resolve: Resolve
    private let clients = ClientCache()

    public convenience init(_ policy: OutboundPolicy = .strict) { self.init(policy, resolve: Resolver.addresses(of:port:within:)) }

    package init(_ policy: OutboundPolicy, resolve: @escaping Resolve) {
        self.policy = policy
        self.resolve = resolve
    }

    /// https to public addresses only; lives as long as the process.
    public static let shared = GuardedHTTPClient()

    /// Closes every connection, and returns once that is done. A client that is let go without this closes them a moment later.
    public func shutdown() async { await clients.shutdown() }

    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        let failure = OAuthError(.fetchFailed, "could not fetch from \(request.url.hostForURL)")
        guard policy.allows(request.url) else {
            throw OAuthError(.fetchFailed, "\(request.url.scheme) to \(request.url.hostForURL) is not allowed: only https to public addresses is")
        }
        do { return try await Spans.around("fetch") { try await self.exchangeInTime(request) } } catch { throw failure }
    }

    private func exchangeInTime(_ request: OutboundRequest) async throws -> HTTPReply {
        try await withThrowingTaskGroup(of: HTTPReply.self) { group in
            group.addTask { try await self.exchange(request) }
            group.addTask {
                try await Task.sleep(for: request.timeout)
                throw TooLate()
            }
            defer { group.cancelAll() }
            guard let reply = try await group.next() else { throw TooLate() }
            return reply
        }
    }

    private func exchange(_ request: OutboundRequest) async throws -> HTTPReply {
        let address = try await checkedAddress(of: request.url, within: request.timeout)
        return try await clients.withClient(for: request.url.host, pinnedTo: address) { try await self.exchange(request, by: $0) }
    }

    private func exchange(_ request: OutboundRequest, by client: HTTPClient) async throws -> HTTPReply {
        var outbound = HTTPClientRequest(url: request.url.text)
        outbound.method = HTTPMethod(rawValue: request.method.rawValue)
        for field in request.fields { outbound.headers.add(name: field.name.rawName, value: field.value) }
        if !request.body.isEmpty { outbound.body = .bytes(request.body) }
        let response = try await client.execute(outbound, deadline: .now() + .seconds(max(1, request.timeout.components.seconds)))
        if let length = response.headers.first(name: "Content-Length").flatMap(Int.init), length > request.maximumBytes { throw TooLarge() }
        let body = try await response.body.collect(upTo: request.maximumBytes)
        var fields = HTTPFields()
        for (name, value) in response.headers { if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) } }
        return HTTPReply(HTTPResponse.Status(code: Int(response.status.code)), fields, body: Array(body.readableBytesView))
    }

    private struct TooLarge: Error {}
    private struct TooLate: Error {}
    private struct NotAllowed: Error {}

    /// One of the addresses of the host, all of which are allowed.
    private func checkedAddress(of url: WebURL, within timeout: Duration) async throws -> String {
        let host = url.host
        let port = url.effectivePort
        let addresses = try await resolve(host, port, timeout)
        guard !addresses.isEmpty, addresses.count <= 32 else { throw NotAllowed() }
        for address in addresses { guard policy.allows(address.value) else { throw NotAllowed() } }
        return addresses[0].text
    }
}

extension ResourceServer {
    /// A resource server whose keys, metadata and introspection answers come through `GuardedHTTPClient.shared`.
    public convenience init(_ resource: String, trusting trust: Trust, policy: ScopePolicy = ScopePolicy(), audit: AuditLog = AuditLog())
        throws(OAuthError)
    {
        try self.init(resource, trusting: trust, policy: policy, fetcher: GuardedHTTPClient.shared, audit: audit)
    }
}

/// One client for each host and the address that was checked for it, so that connections are reused and never go elsewhere.
private actor ClientCache {
    private struct Entry {
        let key: String
        let client: HTTPClient
        var uses = 0
    }

    private var entries: [Entry] = []
    private static let capacity = 64

    deinit {
        // The library ends the process when a client goes that was not shut down. Nobody waits for this: it closes idle connections.
        let clients = entries.map(\.client)
        guard !clients.isEmpty else { return }
        Task { for client in clients { try? await client.shutdown() } }
    }

    /// Those that are in use stay, whatever the capacity; of the others, the ones go that were not asked for for the longest time.
    nonisolated func withClient<Result: Sendable>(
        for host: String, pinnedTo address: String, _ body: @Sendable (HTTPClient) async throws -> Result
    ) async throws -> Result {
        let key = "\(host) \(address)"
        let client = await begin(key, host, address)
        do {
            let result = try await body(client)
            await end(key)
            return result
        } catch {
            await end(key)
            throw error
        }
    }

    private func begin(_ key: String, _ host: String, _ address: String) -> HTTPClient {
        if let index = entries.firstIndex(where: { $0.key == key }) {
            var found = entries.remove(at: index)
            found.uses += 1
            entries.append(found)
            return found.client
        }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(3), read: .seconds(10)), decompression: .disabled)
        // Under whichever spelling the library looks it up.
        configuration.dnsOverride[host] = address
        configuration.dnsOverride[host.lowercased()] = address
        configuration.httpVersion = .http1Only
        // It would add headers of its own, for strangers to read.
        configuration.tracing.tracer = nil
        let client = HTTPClient(eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
        entries.append(Entry(key: key, client: client, uses: 1))
        return client
    }

    private func end(_ key: String) async {
        if let index = entries.firstIndex(where: { $0.key == key }) { entries[index].uses -= 1 }
        while entries.count > Self.capacity, let index = entries.firstIndex(where: { $0.uses == 0 }) {
            try? await entries.remove(at: index).client.shutdown()
        }
    }

    func shutdown() async {
        let all = entries
        entries = []
        for entry in all { try? await entry.client.shutdown() }
    }
}
