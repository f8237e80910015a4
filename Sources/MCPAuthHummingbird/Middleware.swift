public import Crypto
public import Hummingbird
public import MCPAuth
public import MCPAuthorizationServer
public import MCPServer
import HTTPTypes
import OAuth

/// Protects the routes behind it: a request without a good token, or without the scopes of `operation`, gets its challenge and goes no further.
public struct RequireToken<Context: CallerRequestContext>: RouterMiddleware {
    private let resourceServer: ResourceServer
    private let operation: Operation
    private let excludedPaths: Set<String>
    private let requirement: Requirement

    /// - Parameters:
    ///   - operation: what the policy of the resource server knows these routes as.
    ///   - excludedPaths: exact paths that pass without a look, such as `/health`.
    ///   - isOptional: lets a request without any token pass as nobody. A bad token is still refused.
    public init(_ resourceServer: ResourceServer, operation: Operation = .any, excluding excludedPaths: Set<String> = [], isOptional: Bool = false) {
        self.resourceServer = resourceServer
        self.operation = operation
        self.excludedPaths = excludedPaths
        requirement =
            isOptional
            ? Requirement(resourceServer.policy.requirement(for: operation).scopes, allowsAnonymous: true)
            : resourceServer.policy.requirement(for: operation)
    }

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
/// Without this, everybody behind a proxy has the proxy's address, and shares its rate limits. With a count that is too high, strangers choose
/// their own.
public struct TrustProxies<Context: CallerRequestContext>: RouterMiddleware {
    private let count: Int

    /// `count`: how many proxies stand in front, each of which appends the address that it sees. 0 changes nothing.
    public init(_ count: Int) { self.count = count }

    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard count > 0, let address = Self.address(in: request.headers[values: .xForwardedFor], behind: count) else {
            return try await next(request, context)
        }
        var context = context
        context.peer = address
        return try await next(request, context)
    }

    /// The address that the outermost of our proxies saw. Nil when there are not so many, or it is no address.
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

/// Answers the MCP endpoint and the documents that belong to it; everything else goes on to the routes behind it.
public struct MCPEndpoint<Context: CallerRequestContext>: RouterMiddleware {
    private let transport: StreamableHTTP
    private let resourceServer: ResourceServer
    private let legacy: LegacyEndpoints?

    /// The endpoint is at the path of the resource's identifier. Throws `invalid_configuration` when the server has a mistake.
    ///
    /// - Parameter sessionKey: see `StreamableHTTP`.
    public init(
        _ server: MCPServer, protectedBy resourceServer: ResourceServer, legacy: LegacyEndpoints? = nil, sessionKey: SymmetricKey? = nil
    ) throws {
        transport = try StreamableHTTP(server, protectedBy: resourceServer, sessionKey: sessionKey)
        self.resourceServer = transport.resourceServer
        self.legacy = legacy
    }

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

/// Answers everything that belongs to an authorization server; everything else goes on to the routes behind it.
public struct AuthorizationServerEndpoints<Context: CallerRequestContext>: RouterMiddleware {
    private let server: AuthorizationServer

    public init(_ server: AuthorizationServer) { self.server = server }

    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard server.serves(URLBytes.path(of: request.head.path ?? "")) else { return try await next(request, context) }
        return try await Conversion.withCall(request, context, limit: 64 * 1024) { call in
            await server.reply(to: call).map(Conversion.response) ?? Response(status: .notFound)
        }
    }
}
