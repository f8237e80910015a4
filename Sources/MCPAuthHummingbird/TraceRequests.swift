import HTTPTypes
public import Hummingbird
import OAuth
import Tracing

/// Makes a span for each request, in the trace that its headers name (such as `traceparent`). The span has method, path
/// and status. It never has a query or the value of a header, which contain codes, requests and tokens.
///
/// `MCPApplication` adds it as the first middleware if a tracer was set up before (`InstrumentationSystem.bootstrap`).
/// Steps within a request, such as calling the store or running a tool, are its children.
public struct TraceRequests<Context: RequestContext>: RouterMiddleware {
    /// Uses the tracer of `InstrumentationSystem`.
    public init() {}

    /// Runs the request inside a span. A status of 500 or above marks the span as an error.
    public func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        var trace = ServiceContext.current ?? .topLevel
        InstrumentationSystem.instrument.extract(request.headers, into: &trace, using: FieldExtractor())
        return try await withSpan("\(request.method.rawValue.prefix(16))", context: trace, ofKind: .server) { span in
            span.attributes["http.request.method"] = String(request.method.rawValue.prefix(16))
            span.attributes["url.path"] = String(URLBytes.path(of: request.head.path ?? "").prefix(200))
            let response = try await next(request, context)
            span.attributes["http.response.status_code"] = response.status.code
            if response.status.code >= 500 { span.setStatus(.init(code: .error)) }
            return response
        }
    }

    private struct FieldExtractor: Extractor {
        func extract(key name: String, from fields: HTTPFields) -> String? { HTTPField.Name(name).flatMap { fields[$0] } }
    }
}
