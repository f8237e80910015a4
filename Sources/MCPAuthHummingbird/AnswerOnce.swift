public import Hummingbird
import HTTPTypes
import NIOCore
import Synchronization

/// Sends exactly one response for a request, also when the response is ready before the body was read.
///
/// Hummingbird reads the rest of a body after the response. If that is not a valid body, such as a chunk of a negative
/// size, it sends a second response. Behind a proxy that shares connections, the second response reaches another
/// client. This middleware reads the rest before it sends the response. If the rest is too long, it closes the
/// connection after the response. Put it first.
public struct AnswerOnce<Context: CallerRequestContext>: RouterMiddleware {
    /// The longest rest of a body that is read and dropped, in bytes, so that a client that is still sending receives
    /// its response.
    public static var maximumRest: Int { 8 << 20 }

    /// A middleware without settings.
    public init() {}

    /// Calls `next`, and then reads the rest of the body or closes the connection after the response. A rest that is
    /// not a valid body gives 400 instead.
    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard request.headers.contains(.transferEncoding) || (request.headers[.contentLength].map { $0 != "0" } ?? false) else {
            return try await next(request, context)
        }
        let progress = Progress()
        let body = request.body
        var request = request
        request.body = RequestBody(asyncSequence: Watched(body: body, progress: progress))
        let response: Response
        do { response = try await next(request, context) } catch let error as any HTTPResponseError {
            response = try error.response(from: request, context: context)
        }
        switch progress.step {
        case .ended: return response
        case .untouched:
            guard (request.headers[.contentLength].flatMap(Int.init) ?? 0) <= Self.maximumRest else { return closing(response, context) }
            do {
                return try await drain(body, context) ? response : closing(response, context)
            } catch {
                // It was not a valid body. This is the only response.
                return closing(Response(status: .badRequest), context)
            }
        case .begun: return closing(response, context)
        }
    }

    /// False when the rest is too long. Throws when it is not a valid body.
    private func drain(_ body: RequestBody, _ context: Context) async throws -> Bool {
        try await context.closingConnection(after: Conversion.bodyTimeout) {
            var count = 0
            for try await buffer in body {
                count += buffer.readableBytes
                guard count <= Self.maximumRest else { return false }
            }
            return true
        }
    }

    /// Closes the connection after the response is written.
    private func closing(_ response: Response, _ context: Context) -> Response {
        var response = response
        response.headers[.connection] = "close"
        let body = response.body
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            try await body.write(writer)
            context.closeConnection()
        }
        return response
    }

    /// The part of a body that was read.
    private final class Progress: Sendable {
        enum Step { case untouched, begun, ended }
        private let state = Mutex(Step.untouched)
        var step: Step {
            get { state.withLock { $0 } }
            set { state.withLock { $0 = newValue } }
        }
    }

    private struct Watched: AsyncSequence, Sendable {
        typealias Element = ByteBuffer
        let body: RequestBody
        let progress: Progress

        func makeAsyncIterator() -> Iterator {
            progress.step = .begun
            return Iterator(iterator: body.makeAsyncIterator(), progress: progress)
        }

        struct Iterator: AsyncIteratorProtocol {
            var iterator: RequestBody.AsyncIterator
            let progress: Progress

            mutating func next() async throws -> ByteBuffer? {
                let buffer = try await iterator.next()
                if buffer == nil { progress.step = .ended }
                return buffer
            }
        }
    }
}
