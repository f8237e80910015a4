import HTTPTypes
public import OAuth
import Synchronization

/// A fetcher whose answers a test writes, and which remembers what was asked.
public final class ScriptedFetcher: HTTPFetcher {
    private let answer: @Sendable (OutboundRequest) async throws(OAuthError) -> HTTPReply
    private let log = Mutex<[OutboundRequest]>([])

    public init(_ answer: @escaping @Sendable (OutboundRequest) async throws(OAuthError) -> HTTPReply) { self.answer = answer }

    public var requests: [OutboundRequest] { log.withLock { $0 } }

    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        log.withLock { $0.append(request) }
        return try await answer(request)
    }
}
