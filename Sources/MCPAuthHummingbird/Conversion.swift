import HTTPTypes
import Hummingbird
import MCPServer
import NIOCore
import OAuth

/// Between Hummingbird's messages and this package's.
enum Conversion {
    /// Seconds that a client may take to send its body, as a whole. Whoever sends a byte now and then would otherwise
    /// hold the connection, and a shutdown, for as long as they like.
    static let bodyTimeout: Int64 = 15

    /// Reads the body and goes on; or answers 413 for one that is longer than `limit`; one that takes too long ends the
    /// connection.
    static func withCall(
        _ request: Request, _ context: some CallerRequestContext, limit: Int, _ body: (HTTPCall) async throws -> Response
    ) async throws -> Response {
        if let length = request.headers[.contentLength].flatMap(Int.init), length > limit { return tooLarge(limit) }
        guard request.head.method == .post || request.head.method == .put else { return try await body(HTTPCall(request.head, peer: context.peer)) }
        let buffer: ByteBuffer
        do {
            buffer = try await context.closingConnection(after: bodyTimeout) { try await request.body.collect(upTo: limit) }
        } catch is NIOTooManyBytesError { return tooLarge(limit) }
        return try await body(HTTPCall(request.head, body: Array(buffer.readableBytesView), peer: context.peer))
    }

    private static func tooLarge(_ limit: Int) -> Response {
        response(.error(OAuthError(.invalidRequest, "the body is longer than \(limit) bytes"), status: .contentTooLarge))
    }

    static func response(_ reply: HTTPReply) -> Response {
        Response(status: reply.response.status, headers: reply.response.headerFields, body: .init(byteBuffer: ByteBuffer(bytes: reply.body)))
    }

    static func response(_ reply: MCPReply) -> Response {
        switch reply.body {
        case .bytes(let bytes):
            Response(status: reply.response.status, headers: reply.response.headerFields, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
        case .events(let events):
            Response(
                status: reply.response.status, headers: reply.response.headerFields,
                body: .init { writer in
                    for await event in events { try await writer.write(ByteBuffer(bytes: event)) }
                    try await writer.finish(nil)
                })
        }
    }
}
