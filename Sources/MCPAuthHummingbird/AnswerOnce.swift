public import Hummingbird
import HTTPTypes
import NIOCore
import Synchronization

/// Sees to it that a request gets exactly one answer, also when it was answered before its body was read.
///
/// Hummingbird reads what is left of a body after the answer. Is that no body at all (a chunk of a negative size, say),
/// it answers a second time, and behind a proxy that shares connections, the second answer becomes somebody else's. So
/// what is left is read before the answer goes out, and where it is too much for that, the connection ends with the
/// answer. Put it first.
public struct AnswerOnce<Context: CallerRequestContext>: RouterMiddleware {
    /// The longest body that is read, and dropped as it comes, so that a client that is still sending hears its answer.
    public static var maximumRest: Int { 8 << 20 }

    public init() {}

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
                // It was no body. That is the answer, and the only one.
                return closing(Response(status: .badRequest), context)
            }
        case .begun: return closing(response, context)
        }
    }

    /// False when there is too much of it. Throws when it is no body.
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

    /// The connection ends once the answer is written.
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

    /// How far a body was read.
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
