import HTTPTypes
import Hummingbird
import JOSE
import MCPAuth
import MCPAuthorizationServer
import MCPServer
import OAuth

/// Answers people who open the server in a browser, and programs that check its health. Every route of the application
/// takes precedence.
///
/// - `GET /` and `GET` of the MCP endpoint, accepting `text/html`: the front page. Other unknown paths: a page that
///   says so. `GET /` of a program: 404 with a line that names the endpoint.
/// - `GET /health`: 200 as long as the process answers. `GET /ready`: 200 when the store can be read, otherwise 503.
/// - `/robots.txt`, `/favicon.ico`.
struct Doorstep<Context: RequestContext>: RouterMiddleware {
    let resourceServer: ResourceServer
    let authorizationServer: AuthorizationServer?
    /// Nil: no pages.
    let pages: ServerPages?

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        let isForPerson = pages != nil && ServerPages.isForPerson(request.head) && resourceServer.transport.violation(request.head) == nil
        // Without this, the MCP endpoint would answer a browser with a challenge, which browsers show as an empty page.
        if isForPerson, let pages, resourceServer.resource.isSamePath(path(request).utf8) { return Conversion.response(pages.front(request.head)) }
        do {
            let response = try await next(request, context)
            guard response.status == .notFound, isForPerson, response.headers[.contentType] == nil, let pages else { return response }
            return Conversion.response(pages.notFound(request.head))
        } catch let error as HTTPError where error.status == .notFound {
            guard let reply = await fallback(request, isForPerson: isForPerson) else { throw error }
            return Conversion.response(reply)
        }
    }

    private func path(_ request: Request) -> String { URLBytes.path(of: request.head.path ?? "") }

    private func fallback(_ request: Request, isForPerson: Bool) async -> HTTPReply? {
        let path = path(request)
        if path == "/health" || path == "/ready" {
            guard request.method == .get || request.method == .head else { return nil }
            var reply = path == "/health" ? HTTPReply.json(["status": "ok"]) : await readiness()
            if request.method == .head { reply.body = [] }
            return reply
        }
        guard let pages else { return nil }
        if let asset = pages.asset(request.head) { return asset }
        guard isForPerson else { return path == "/" && request.method == .get ? pages.hint : nil }
        return path == "/" ? pages.front(request.head) : pages.notFound(request.head)
    }

    /// The reason is in the log, not in the response.
    private func readiness() async -> HTTPReply {
        if let authorizationServer, await !authorizationServer.isReady() {
            return .json(["status": "unavailable"], status: .serviceUnavailable).with(.retryAfter, "5")
        }
        return .json(["status": "ok"])
    }
}
