import HTTPTypes
import Hummingbird
import MCPServer
import NIOCore
import OAuth

/// Between Hummingbird's messages and this package's.
enum Conversion {
    /// Nil when the body is longer than `limit`.
    static func call(_ request: Request, peer: String?, limit: Int) async throws -> HTTPCall? {
        if let length = request.headers[.contentLength].flatMap(Int.init), length > limit { return nil }
        guard request.head.method == .post || request.head.method == .put else { return HTTPCall(request.head, peer: peer) }
        do {
            let buffer = try await request.body.collect(upTo: limit)
            return HTTPCall(request.head, body: Array(buffer.readableBytesView), peer: peer)
        } catch is NIOTooManyBytesError { return nil }
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

    static let tooLarge = Response(status: .contentTooLarge)
}
