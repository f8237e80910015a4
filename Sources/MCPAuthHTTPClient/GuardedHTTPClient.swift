import AsyncHTTPClient
import HTTPTypes
public import MCPAuth
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
public import OAuth
import Synchronization

/// An `HTTPFetcher` on AsyncHTTPClient that prevents requests to forbidden addresses (SSRF).
///
/// It resolves the name first. If the policy forbids any of the addresses, it does not connect. Otherwise it connects
/// to an address that was checked, even if the name resolves to another one a moment later. It follows no redirects,
/// decodes no content codings, keeps no cookies, and uses no proxies from the environment unless it is made by
/// `environment(_:policy:)`. Size and time of the whole exchange are bounded.
///
/// With a proxy, the proxy resolves names and connects. Scheme, literal addresses, redirects, size and time are still
/// checked here. Which address a name leads to is then the proxy's decision, so the proxy has to keep requests away
/// from internal services.
public final class GuardedHTTPClient: HTTPFetcher, HTTPExchange, ExplainingFetcher {
    /// Resolves the addresses of a host within a time.
    package typealias Resolve = @Sendable (_ host: String, _ port: Int, _ timeout: Duration) async throws -> [(text: String, value: IPAddress)]

    private let policy: OutboundPolicy
    private let resolve: Resolve
    private let clients: ClientCache
    private let route: OutboundRoute
    private let explainsFailures: Bool

    /// A client with its own connections, by default for https to public addresses only. Call `shutdown()` when it is
    /// no longer needed.
    public convenience init(_ policy: OutboundPolicy = .strict) { self.init(policy, resolve: Resolver.addresses(of:port:within:)) }

    /// A client that goes through a proxy, or trusts further certificate authorities.
    ///
    /// - Parameter explainsFailures: Whether a message says why a request failed, such as a certificate that is not
    ///   trusted. For programs whose user chose the server. Not for servers: their callers may choose URLs, and would
    ///   learn which hosts and ports of the network exist (S-04).
    public convenience init(_ policy: OutboundPolicy = .strict, route: OutboundRoute = OutboundRoute(), explainsFailures: Bool = false) {
        self.init(policy, route: route, explainsFailures: explainsFailures, resolve: Resolver.addresses(of:port:within:))
    }

    package init(
        _ policy: OutboundPolicy, route: OutboundRoute = OutboundRoute(), explainsFailures: Bool = false, resolve: @escaping Resolve
    ) {
        self.policy = policy
        self.resolve = resolve
        self.route = route
        self.explainsFailures = explainsFailures
        clients = ClientCache(route: route, retriesConnections: !explainsFailures)
    }

    private init(explaining other: GuardedHTTPClient) {
        policy = other.policy
        resolve = other.resolve
        route = other.route
        explainsFailures = true
        clients = other.clients
    }

    /// A client for the route that the environment names; see `OutboundRoute.init(environment:)`. Throws
    /// `invalid_configuration`.
    public static func environment(
        _ environment: [String: String], policy: OutboundPolicy = .strict, explainsFailures: Bool = false
    ) throws(OAuthError) -> GuardedHTTPClient {
        GuardedHTTPClient(policy, route: try OutboundRoute(environment: environment), explainsFailures: explainsFailures)
    }

    package var explaining: any HTTPFetcher { GuardedHTTPClient(explaining: self) }

    /// A client for https to public addresses only, which lives as long as the process.
    public static let shared = GuardedHTTPClient()

    /// Closes every connection, and returns once they are closed. A client that is released without this call closes
    /// them a moment later.
    public func shutdown() async { await clients.shutdown() }

    /// Sends one request. Throws `fetch_failed` when the policy forbids the URL, and then says which setting would
    /// allow it. Every other failure gives the same message, which names the host only, unless this client explains
    /// failures.
    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        guard policy.allows(request.url) else {
            throw OAuthError(.fetchFailed, Self.refusal(of: request.url))
        }
        do { return try await Spans.around("fetch") { try await self.exchangeInTime(request) } } catch { throw failure(error, request) }
    }

    private func failure(_ error: any Error, _ request: OutboundRequest) -> OAuthError {
        let url = request.url
        let sentence = "could not reach \(FailureReason.place(url))"
        guard explainsFailures, let reason = FailureReason.text(error, url, within: request.timeout) else {
            return OAuthError(.fetchFailed, sentence)
        }
        let proxy = route.usesProxy(for: url) ? route.proxy.map { " through the proxy \(FailureReason.place($0))" } ?? "" : ""
        return OAuthError(.fetchFailed, "\(sentence)\(proxy): \(reason)")
    }

    /// Says which setting would allow a URL.
    private static func refusal(of url: WebURL) -> String {
        let place = IPAddress(url.host)?.isLoopback == true || url.isLoopback ? "on this machine" : "on your own network"
        let setting =
            place == "on this machine" ? "GuardedHTTPClient(.development)" : "GuardedHTTPClient(OutboundPolicy(allowPrivateNetworks: true))"
        return "\(url.scheme) to \(url.hostForURL) is not allowed: only https to public addresses is. "
            + "For a provider \(place), pass fetcher: \(setting)"
            + (url.isSecure || url.isLoopback ? "" : ", with insecureAllowHTTP: true for plain http")
    }

    private func exchangeInTime(_ request: OutboundRequest) async throws -> HTTPReply {
        try await withThrowingTaskGroup(of: HTTPReply.self) { group in
            group.addTask { try await self.exchange(request) }
            group.addTask {
                try await Task.sleep(for: request.timeout)
                throw FailureReason.TooLate()
            }
            defer { group.cancelAll() }
            guard let reply = try await group.next() else { throw FailureReason.TooLate() }
            return reply
        }
    }

    private func exchange(_ request: OutboundRequest) async throws -> HTTPReply {
        if route.usesProxy(for: request.url) {
            return try await clients.withClient(for: request.url.host, pinnedTo: nil) { try await self.exchange(request, by: $0) }
        }
        let address = try await checkedAddress(of: request.url, within: request.timeout)
        return try await clients.withClient(for: request.url.host, pinnedTo: address) { try await self.exchange(request, by: $0) }
    }

    private func outbound(_ request: OutboundRequest) -> HTTPClientRequest {
        var outbound = HTTPClientRequest(url: request.url.text)
        outbound.method = HTTPMethod(rawValue: request.method.rawValue)
        for field in request.fields { outbound.headers.add(name: field.name.rawName, value: field.value) }
        if !request.body.isEmpty { outbound.body = .bytes(request.body) }
        return outbound
    }

    private static func head(_ response: HTTPClientResponse) -> HTTPResponse {
        var fields = HTTPFields()
        for (name, value) in response.headers { if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) } }
        return HTTPResponse(status: HTTPResponse.Status(code: Int(response.status.code)), headerFields: fields)
    }

    private func exchange(_ request: OutboundRequest, by client: HTTPClient) async throws -> HTTPReply {
        let response = try await client.execute(outbound(request), deadline: .now() + .seconds(max(1, request.timeout.components.seconds)))
        if let length = response.headers.first(name: "Content-Length").flatMap(Int.init), length > request.maximumBytes {
            throw FailureReason.TooLarge(limit: request.maximumBytes)
        }
        let body = try await response.body.collect(upTo: request.maximumBytes)
        let head = Self.head(response)
        return HTTPReply(head.status, head.headerFields, body: Array(body.readableBytesView))
    }

    // MARK: Streams

    /// Sends one request whose response may be a stream. Throws like `fetch`. Each part of the body is at most
    /// `maximumBytes` long; the reader bounds the whole. The connection is closed when the body is cancelled or
    /// released.
    public func send(_ request: OutboundRequest) async throws(OAuthError) -> StreamedReply {
        guard policy.allows(request.url) else { throw OAuthError(.fetchFailed, Self.refusal(of: request.url)) }
        let parts = BodyParts()
        let head = HeadPromise()
        let task = Task {
            do {
                let usesProxy = self.route.usesProxy(for: request.url)
                let address = usesProxy ? nil : try await self.checkedAddress(of: request.url, within: request.timeout)
                try await self.clients.withClient(for: request.url.host, pinnedTo: address) { client in
                    let response = try await client.execute(self.outbound(request), deadline: .distantFuture)
                    head.give(.success(Self.head(response)))
                    for try await buffer in response.body {
                        guard buffer.readableBytes <= request.maximumBytes else { throw FailureReason.TooLarge(limit: request.maximumBytes) }
                        try await parts.put(Array(buffer.readableBytesView))
                    }
                }
                await parts.finish(nil)
            } catch {
                head.give(.failure(self.failure(error, request)))
                await parts.finish(OAuthError(.fetchFailed, "the connection to \(request.url.hostForURL) was lost"))
            }
        }
        let timer = Task {
            try await Task.sleep(for: request.timeout)
            head.give(.failure(self.failure(FailureReason.TooLate(), request)))
            task.cancel()
        }
        defer { timer.cancel() }
        let result = await withTaskCancellationHandler {
            await head.value()
        } onCancel: {
            task.cancel()
        }
        let response = try result.get()
        let owner = StreamOwner(task)
        return StreamedReply(
            response,
            body: ReplyBody(
                next: { () throws(OAuthError) in
                    _ = owner
                    return try await parts.take()
                }, cancel: { owner.cancel() }))
    }

    /// An address of the host. All addresses of the host are allowed.
    private func checkedAddress(of url: WebURL, within timeout: Duration) async throws -> String {
        let host = url.host
        let port = url.effectivePort
        let addresses = try await resolve(host, port, timeout)
        guard !addresses.isEmpty else { throw FailureReason.NoAddress() }
        guard addresses.count <= 32, addresses.allSatisfy({ policy.allows($0.value) }) else { throw FailureReason.NotAllowed() }
        return addresses[0].text
    }
}

extension ResourceServer {
    /// A resource server that fetches keys, metadata and introspection responses with `GuardedHTTPClient.shared`.
    /// Throws `invalid_identifier` or `invalid_configuration`; the message says what to change.
    public convenience init(_ resource: String, trusting trust: Trust, policy: ScopePolicy = ScopePolicy(), audit: AuditLog? = nil)
        throws(OAuthError)
    {
        try self.init(resource, trusting: trust, policy: policy, fetcher: GuardedHTTPClient.shared, audit: audit)
    }
}

/// One client for each host and the address that was checked for it. Connections are reused and never go to another
/// address.
private actor ClientCache {
    private struct Entry {
        let key: String
        let client: HTTPClient
        var uses = 0
    }

    private var entries: [Entry] = []
    private let route: OutboundRoute
    /// Whether a connection is tried again for three seconds. A user would rather learn at once what is wrong.
    private let retriesConnections: Bool
    private static let capacity = 64

    init(route: OutboundRoute, retriesConnections: Bool) {
        self.route = route
        self.retriesConnections = retriesConnections
    }

    deinit {
        // AsyncHTTPClient traps when a client is released that was not shut down. The process may exit before the
        // shutdown has finished, so the clients are kept until then.
        Closing.shutDown(entries.map(\.client))
    }

    /// Clients that are shutting down.
    private enum Closing {
        private static let clients = Mutex<[ObjectIdentifier: HTTPClient]>([:])

        static func shutDown(_ gone: [HTTPClient]) {
            guard !gone.isEmpty else { return }
            clients.withLock { for client in gone { $0[ObjectIdentifier(client)] = client } }
            Task {
                for client in gone where (try? await client.shutdown()) != nil { clients.withLock { $0[ObjectIdentifier(client)] = nil } }
            }
        }
    }

    /// `address` is nil for requests through the proxy. Clients in use are kept, whatever the capacity. Of the others,
    /// the least recently used are shut down.
    nonisolated func withClient<Result: Sendable>(
        for host: String, pinnedTo address: String?, _ body: @Sendable (HTTPClient) async throws -> Result
    ) async throws -> Result {
        let key = "\(host) \(address ?? "by proxy")"
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

    private func begin(_ key: String, _ host: String, _ address: String?) -> HTTPClient {
        if let index = entries.firstIndex(where: { $0.key == key }) {
            var found = entries.remove(at: index)
            found.uses += 1
            entries.append(found)
            return found.client
        }
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(3)), decompression: .disabled)
        if let address {
            // In every spelling that the library may look up.
            configuration.dnsOverride[host] = address
            configuration.dnsOverride[host.lowercased()] = address
        } else if let proxy = route.proxy {
            configuration.proxy = .server(host: proxy.host, port: proxy.effectivePort)
        }
        if let file = route.certificateAuthorities {
            var tls = TLSConfiguration.makeClientConfiguration()
            tls.trustRoots = .file(file)
            configuration.tlsConfiguration = tls
        }
        configuration.httpVersion = .http1Only
        configuration.connectionPool.retryConnectionEstablishment = retriesConnections
        // A tracer would add headers that strangers can read.
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

extension OutboundPolicy {
    /// The addresses that a client may reach for a server whose URL its user typed: public ones, and those of the zone
    /// in which that server is. A server on this machine opens loopback, one on the own network opens private networks.
    /// A public server opens nothing: the URLs that it names must not lead into the user's network (C-09).
    public static func zone(of url: WebURL) async -> OutboundPolicy {
        if url.isLoopback { return OutboundPolicy(insecureAllowHTTP: true, allowsLoopback: true) }
        if let address = IPAddress(url.host) { return OutboundPolicy(allowPrivateNetworks: address.isPrivateNetwork) }
        let addresses = (try? await Resolver.addresses(of: url.host, port: url.effectivePort, within: .seconds(3))) ?? []
        return OutboundPolicy(allowPrivateNetworks: addresses.contains { $0.value.isPrivateNetwork })
    }
}
