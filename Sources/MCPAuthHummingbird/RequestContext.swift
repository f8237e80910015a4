public import Hummingbird
public import MCPAuth
public import MCPServer
import NIOCore
import OAuth

/// A request context that stores the caller.
public protocol CallerRequestContext: RequestContext {
    /// The caller. Nil until a middleware such as `RequireToken` has identified it.
    var caller: Caller? { get set }
    /// The IP address of the client as text: the address of the connection, unless `TrustProxies` has replaced it. Nil
    /// when it is not known.
    var peer: String? { get set }
    /// Closes the connection. The default does nothing.
    func closeConnection()
    /// Runs `body`, and closes the connection when it takes longer than `seconds`, for clients that do not finish
    /// sending. The default has no limit. `MCPRequestContext` has one in applications of `MCPApplication`.
    func closingConnection<Result>(after seconds: Int64, _ body: () async throws -> Result) async rethrows -> Result
    /// The signal that the client closed the connection while its request is being answered. With the default, which is
    /// nil, calls of clients that have disconnected end at the next heartbeat.
    func departure() -> ClientDeparture?
}

extension CallerRequestContext {
    /// Does nothing.
    public func closeConnection() {}
    /// Nil: the context cannot tell when the client closes the connection.
    public func departure() -> ClientDeparture? { nil }
    /// Runs `body` without a limit.
    public func closingConnection<Result>(after seconds: Int64, _ body: () async throws -> Result) async rethrows -> Result { try await body() }
}

/// The request context of `MCPApplication`.
public struct MCPRequestContext: CallerRequestContext {
    /// The storage that Hummingbird requires.
    public var coreContext: CoreRequestContextStorage
    /// The caller. Nil until a middleware such as `RequireToken` has identified it.
    public var caller: Caller?
    /// The IP address of the client as text. Nil when the connection has none.
    public var peer: String?
    private let channel: any Channel

    /// Closes the channel of the request.
    public func closeConnection() { channel.close(promise: nil) }

    /// The signal for the request that is read from this connection now.
    public func departure() -> ClientDeparture? { Departures.shared.begin(channel) }

    /// Runs `body`, and closes the connection when it takes longer. The check runs once a second, and only in
    /// applications of `MCPApplication`.
    public func closingConnection<Result>(after seconds: Int64, _ body: () async throws -> Result) async rethrows -> Result {
        let id = BodyDeadlines.shared.begin(channel, seconds: seconds)
        defer { BodyDeadlines.shared.end(id) }
        return try await body()
    }

    /// Takes the address of the client from the connection.
    public init(source: ApplicationRequestContextSource) {
        channel = source.channel
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress?.ipAddress
    }
}

/// The context of routes that only requests with a valid token reach. The principal is part of its type.
///
/// ```swift
/// router.group("api").add(middleware: RequireToken(auth)).group(context: AuthenticatedContext.self)
///     .get("me") { _, context in context.principal.subject }
/// ```
public struct AuthenticatedContext<Parent: CallerRequestContext>: ChildRequestContext {
    /// The storage that Hummingbird requires.
    public var coreContext: CoreRequestContextStorage
    /// The authenticated caller.
    public let principal: Principal

    /// Throws `HTTPError` 401 when no middleware has identified a principal.
    public init(context: Parent) throws {
        guard let principal = context.caller?.principal else { throw HTTPError(.unauthorized) }
        coreContext = context.coreContext
        self.principal = principal
    }
}
