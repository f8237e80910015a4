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
/// The name is resolved first. If any of its addresses is not allowed by the policy, nothing is connected to; otherwise the connection goes to one of the
/// addresses that were checked, whatever the name resolves to a moment later. Redirects are not followed, content codings are not decoded, cookies
/// are not kept, proxies from the environment are not used, and size and time of the whole exchange are bounded.
public final class GuardedHTTPClient: HTTPFetcher {
    private let policy: OutboundPolicy
    private let clients = ClientCache()

    public init(_ policy: OutboundPolicy = .strict) { self.policy = policy }

    /// https to public addresses only; lives as long as the process.
    public static let shared = GuardedHTTPClient()

    /// Closes every connection. Needed before the last reference goes.
    public func shutdown() async { await clients.shutdown() }

    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        let failure = OAuthError(.fetchFailed, "could not fetch from \(request.url.hostForURL)")
        guard policy.allows(request.url) else {
            throw OAuthError(.fetchFailed, "\(request.url.scheme) to \(request.url.hostForURL) is not allowed: only https to public addresses is")
        }
        do {
            return try await withThrowingTaskGroup(of: HTTPReply.self) { group in
                group.addTask { try await self.exchange(request) }
                group.addTask {
                    try await Task.sleep(for: request.timeout)
                    throw failure
                }
                defer { group.cancelAll() }
                guard let reply = try await group.next() else { throw failure }
                return reply
            }
        } catch { throw failure }
    }

    private func exchange(_ request: OutboundRequest) async throws -> HTTPReply {
        let address = try await checkedAddress(of: request.url, within: request.timeout)
        let client = await clients.client(for: request.url.host, pinnedTo: address)
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
    private struct NotAllowed: Error {}

    /// One of the addresses of the host, all of which are allowed.
    private func checkedAddress(of url: WebURL, within timeout: Duration) async throws -> String {
        let host = url.host
        let port = url.effectivePort
        let addresses = try await Resolver.addresses(of: host, port: port, within: timeout)
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
    private var clients: [(key: String, client: HTTPClient)] = []
    private static let capacity = 64

    func client(for host: String, pinnedTo address: String) async -> HTTPClient {
        let key = "\(host) \(address)"
        if let index = clients.firstIndex(where: { $0.key == key }) {
            let found = clients.remove(at: index)
            clients.append(found)
            return found.client
        }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(3), read: .seconds(10)), decompression: .disabled)
        configuration.dnsOverride = [host: address]
        configuration.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup.singleton), configuration: configuration)
        clients.append((key, client))
        if clients.count > Self.capacity { try? await clients.removeFirst().client.shutdown() }
        return client
    }

    func shutdown() async {
        let all = clients
        clients = []
        for entry in all { try? await entry.client.shutdown() }
    }
}
