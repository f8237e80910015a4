public import HTTPTypes

/// Sends requests whose responses may be streams, such as server-sent events.
///
/// The duties of an implementation are those of `HTTPFetcher`: it connects to the address that it checked, follows no
/// redirect and keeps no cookies. `timeout` of the request bounds the time until the head of the response, and
/// `maximumBytes` each part of the body that it returns.
public protocol HTTPExchange: Sendable {
    /// Sends one request, and returns when the head of the response has arrived, with any status. Throws
    /// `fetch_failed`.
    func send(_ request: OutboundRequest) async throws(OAuthError) -> StreamedReply
}

/// A response whose body is read part by part.
public struct StreamedReply: Sendable {
    /// The status and the header fields.
    public var response: HTTPResponse
    /// The body.
    public let body: ReplyBody

    /// A response. Nothing is checked.
    public init(_ response: HTTPResponse, body: ReplyBody) {
        self.response = response
        self.body = body
    }

    /// A response whose body is complete.
    public init(_ reply: HTTPReply) { self.init(reply.response, body: ReplyBody(reply.body)) }
}

/// The body of a response. It can be read once.
public struct ReplyBody: Sendable {
    private let read: @Sendable () async throws(OAuthError) -> [UInt8]?
    private let end: @Sendable () -> Void

    /// A body that is read by `next`, which returns nil at the end and throws `fetch_failed`. `cancel` is called when
    /// the reader needs no more.
    public init(next: @escaping @Sendable () async throws(OAuthError) -> [UInt8]?, cancel: @escaping @Sendable () -> Void = {}) {
        read = next
        end = cancel
    }

    /// A complete body.
    public init(_ bytes: [UInt8]) {
        let part = Once(bytes)
        self.init(next: { () throws(OAuthError) in await part.take() })
    }

    private actor Once {
        private var bytes: [UInt8]?
        init(_ bytes: [UInt8]) { self.bytes = bytes.isEmpty ? nil : bytes }
        func take() -> [UInt8]? {
            defer { bytes = nil }
            return bytes
        }
    }

    /// The next part. Nil at the end. Throws `fetch_failed` when the connection was lost.
    public func next() async throws(OAuthError) -> [UInt8]? { try await read() }

    /// Ends the response, whose rest is not needed.
    public func cancel() { end() }

    /// The whole body. Throws `fetch_failed` when it is longer than `limit` bytes.
    public func collect(upTo limit: Int) async throws(OAuthError) -> [UInt8] {
        var bytes: [UInt8] = []
        while let part = try await read() {
            guard bytes.count + part.count <= limit else {
                end()
                throw OAuthError(.fetchFailed, "the response is longer than \(limit) bytes")
            }
            bytes += part
        }
        return bytes
    }
}
