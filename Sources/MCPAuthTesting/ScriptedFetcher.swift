import HTTPTypes
public import OAuth
import Synchronization

/// A fetcher whose responses a test writes. It records the requests.
public final class ScriptedFetcher: HTTPFetcher {
    private let answer: @Sendable (OutboundRequest) async throws(OAuthError) -> HTTPReply
    private let log = Mutex<[OutboundRequest]>([])

    /// `answer` is called for every request, and may throw `fetch_failed`.
    public init(_ answer: @escaping @Sendable (OutboundRequest) async throws(OAuthError) -> HTTPReply) { self.answer = answer }

    /// Every request so far, in order.
    public var requests: [OutboundRequest] { log.withLock { $0 } }

    /// Records the request, then returns or throws what the script says.
    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        log.withLock { $0.append(request) }
        return try await answer(request)
    }
}
