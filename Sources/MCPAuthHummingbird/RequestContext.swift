public import Hummingbird
public import MCPAuth
public import MCPServer
import NIOCore
import OAuth

/// A request context that can hold who is calling.
public protocol CallerRequestContext: RequestContext {
    var caller: Caller? { get set }
    /// The client's address as text: the connection's, unless `TrustProxies` knows better.
    var peer: String? { get set }
    /// Ends the connection. Does nothing unless a context knows how.
    func closeConnection()
    /// Runs `body`, and ends the connection when it takes longer, for clients that do not finish what they send. Without a limit unless a context
    /// knows how; `MCPRequestContext` does in applications of `MCPApplication`.
    func closingConnection<Result>(after seconds: Int64, _ body: () async throws -> Result) async rethrows -> Result
    /// What is told when the client closes the connection while its request is being answered. Nil unless a context knows how; then calls of
    /// clients that have gone end at the next heartbeat.
    func departure() -> ClientDeparture?
}

extension CallerRequestContext {
    public func closeConnection() {}
    public func departure() -> ClientDeparture? { nil }
    public func closingConnection<Result>(after seconds: Int64, _ body: () async throws -> Result) async rethrows -> Result { try await body() }
}

/// The context of this package's own applications.
public struct MCPRequestContext: CallerRequestContext {
    public var coreContext: CoreRequestContextStorage
    public var caller: Caller?
    public var peer: String?
    private let channel: any Channel

    public func closeConnection() { channel.close(promise: nil) }

    public func departure() -> ClientDeparture? { Departures.shared.begin(channel) }

    public func closingConnection<Result>(after seconds: Int64, _ body: () async throws -> Result) async rethrows -> Result {
        let id = BodyDeadlines.shared.begin(channel, seconds: seconds)
        defer { BodyDeadlines.shared.end(id) }
        return try await body()
    }

    public init(source: ApplicationRequestContextSource) {
        channel = source.channel
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress?.ipAddress
    }
}

/// The context of routes that nobody reaches without a verified token: the principal is there, by type.
///
/// ```swift
/// router.group("api").add(middleware: RequireToken(auth)).group(context: AuthenticatedContext.self)
///     .get("me") { _, context in context.principal.subject }
/// ```
public struct AuthenticatedContext<Parent: CallerRequestContext>: ChildRequestContext {
    public var coreContext: CoreRequestContextStorage
    public let principal: Principal

    /// Throws 401 when no middleware before it has let a principal in.
    public init(context: Parent) throws {
        guard let principal = context.caller?.principal else { throw HTTPError(.unauthorized) }
        coreContext = context.coreContext
        self.principal = principal
    }
}
