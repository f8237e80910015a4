public import Crypto
public import Hummingbird
public import MCPAuth
public import MCPAuthorizationServer
public import MCPServer
import HTTPTypes
import OAuth

/// Protects the routes behind it. A request without a valid token, or without the scopes of `operation`, receives its
/// challenge and does not reach them.
public struct RequireToken<Context: CallerRequestContext>: RouterMiddleware {
    private let resourceServer: ResourceServer
    private let operation: Operation
    private let excludedPaths: Set<String>
    private let requirement: Requirement

    /// - Parameters:
    ///   - operation: The operation that these routes are in the policy of the resource server.
    ///   - excludedPaths: Exact paths that need no token, such as `/health`.
    ///   - isOptional: Whether a request without a token is accepted, without a principal. An invalid token is still
    ///     rejected.
    public init(_ resourceServer: ResourceServer, operation: Operation = .any, excluding excludedPaths: Set<String> = [], isOptional: Bool = false) {
        self.resourceServer = resourceServer
        self.operation = operation
        self.excludedPaths = excludedPaths
        requirement =
            isOptional
            ? Requirement(resourceServer.policy.requirement(for: operation).scopes, allowsAnonymous: true)
            : resourceServer.policy.requirement(for: operation)
    }

    /// Identifies and authorizes the caller, stores it in `context.caller`, and calls `next`. Otherwise returns the
    /// challenge.
    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        if !excludedPaths.isEmpty, excludedPaths.contains(URLBytes.path(of: request.head.path ?? "")) {
            return try await next(request, context)
        }
        let identification =
            if let known = resourceServer.identifyAtOnce(request.head, peer: context.peer) { known } else {
                await resourceServer.identify(request.head, peer: context.peer)
            }
        switch identification {
        case .rejected(let reply): return Conversion.response(reply)
        case .accepted(let caller):
            if let reply = resourceServer.authorize(caller, operation, requirement: requirement) { return Conversion.response(reply) }
            var context = context
            context.caller = caller
            return try await next(request, context)
        }
    }
}

/// Takes the client's address from `X-Forwarded-For`, behind proxies that are known to append to it.
///
/// Without this middleware every client behind a proxy has the address of the proxy and shares its rate limits. With a
/// count that is too high, clients choose their own address.
public struct TrustProxies<Context: CallerRequestContext>: RouterMiddleware {
    private let count: Int

    /// `count` is the number of proxies in front of this server, each of which appends the address that it sees. 0
    /// changes nothing.
    public init(_ count: Int) { self.count = count }

    /// Sets `context.peer` to the address that the outermost proxy saw. Leaves it as it is when the header has fewer
    /// addresses or no valid one there.
    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard count > 0, let address = Self.address(in: request.headers[values: .xForwardedFor], behind: count) else {
            return try await next(request, context)
        }
        var context = context
        context.peer = address
        return try await next(request, context)
    }

    /// The address that the outermost trusted proxy saw. Nil when there are fewer entries, or the entry is not an
    /// address.
    static func address(in values: [String], behind count: Int) -> String? {
        let entries = values.flatMap { $0.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) }
        guard entries.count >= count else { return nil }
        let text = String(decoding: entries[entries.count - count].filter { $0 != 0x20 && $0 != 0x09 }, as: UTF8.self)
        return IPAddress(text) == nil ? nil : text
    }
}

extension HTTPField.Name {
    static let xForwardedFor = HTTPField.Name("X-Forwarded-For")!
}

/// Answers requests to the MCP endpoint and for its metadata. Passes every other request to the routes behind it.
public struct MCPEndpoint<Context: CallerRequestContext>: RouterMiddleware {
    private let transport: StreamableHTTP
    private let resourceServer: ResourceServer
    private let legacy: LegacyEndpoints?

    /// The endpoint is at the path of the resource's identifier. Throws `invalid_configuration` when a definition of
    /// the server has a mistake.
    ///
    /// - Parameter sessionKey: Encrypts session identifiers; see `StreamableHTTP`.
    public init(
        _ server: MCPServer, protectedBy resourceServer: ResourceServer, legacy: LegacyEndpoints? = nil, sessionKey: SymmetricKey? = nil
    ) throws {
        transport = try StreamableHTTP(server, protectedBy: resourceServer, sessionKey: sessionKey)
        self.resourceServer = transport.resourceServer
        self.legacy = legacy
    }

    /// Answers requests for the MCP endpoint, the resource metadata (RFC 9728 §3.1) and the legacy endpoints. Passes
    /// every other request to `next`.
    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        if transport.serves(request.head.path ?? "") {
            switch await transport.admit(request.head, peer: context.peer) {
            case .refused(let reply): return Conversion.response(reply)
            case .admitted(let caller):
                let departure = context.departure()
                return try await Conversion.withCall(request, context, limit: transport.bodyLimit(for: caller)) { call in
                    Conversion.response(await transport.reply(to: call, from: caller, departure: departure))
                }
            }
        }
        if let reply = resourceServer.metadataReply(for: request.head) { return Conversion.response(reply) }
        if let legacy, let reply = await legacy.reply(to: request.head) { return Conversion.response(reply) }
        return try await next(request, context)
    }
}

/// Answers requests to the endpoints and pages of an authorization server. Passes every other request to the routes
/// behind it.
public struct AuthorizationServerEndpoints<Context: CallerRequestContext>: RouterMiddleware {
    private let server: AuthorizationServer

    /// Marks the server as served in this process, which the start checks look for.
    public init(_ server: AuthorizationServer) {
        self.server = server
        server.markServed()
    }

    /// Answers requests whose path belongs to the authorization server, with bodies of at most 64 KiB. Passes every
    /// other request to `next`.
    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard server.serves(URLBytes.path(of: request.head.path ?? "")) else { return try await next(request, context) }
        return try await Conversion.withCall(request, context, limit: 64 * 1024) { call in
            await server.reply(to: call).map(Conversion.response) ?? Response(status: .notFound)
        }
    }
}
