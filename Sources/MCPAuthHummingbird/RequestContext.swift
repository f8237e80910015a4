public import Hummingbird
public import MCPAuth
import NIOCore
import OAuth

/// A request context that can hold who is calling.
public protocol CallerRequestContext: RequestContext {
    var caller: Caller? { get set }
    /// The client's address as text: the connection's, unless `TrustProxies` knows better.
    var peer: String? { get set }
    /// Ends the connection, for a client that does not finish its request. Does nothing unless a context knows how.
    func closeConnection()
}

extension CallerRequestContext {
    public func closeConnection() {}
}

/// The context of this package's own applications.
public struct MCPRequestContext: CallerRequestContext {
    public var coreContext: CoreRequestContextStorage
    public var caller: Caller?
    public var peer: String?
    private let channel: any Channel

    public func closeConnection() { channel.close(promise: nil) }

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
