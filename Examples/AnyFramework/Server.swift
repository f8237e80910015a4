// Protection without this package's MCP server: any handler of any framework that has an HTTPRequest and sends an
// answer.
//
//   AUTH_ISSUER=https://acme.eu.auth0.com/ swift run example-any-framework
//
// Here the framework is Hummingbird, used by hand. `ServerProgram` and `MCPApplication.run` are the only parts of the
// adapter: errors in one line, and a clean stop. The same switch works in front of the official Swift SDK's transport,
// a Vapor route or a Lambda function.
import Foundation
import Hummingbird
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import OAuth

@main
struct Server {
    static func main() async {
        await ServerProgram.run {
            ServerProgram.takesNoArguments(variables: [
                "AUTH_ISSUER": "the issuer, exactly as its tokens have it",
                "PORT": "the port to listen on (8000)",
            ])
            guard let issuer = ProcessInfo.processInfo.environment["AUTH_ISSUER"] else {
                throw OAuthError(.invalidConfiguration, "set AUTH_ISSUER to the issuer's URL, exactly as its tokens have it")
            }
            let port = try ServerProgram.port(8000)
            let auth = try ResourceServer(
                "http://127.0.0.1:\(port)/tasks", trusting: .issuer(issuer, tokens: .anyJWT),
                policy: ScopePolicy(operations: [.tool("list-tasks"): "read:tasks", .tool("delete-task"): "delete:tasks"]))

            let router = Router()
            // The metadata from which clients learn where to get a token (RFC 9728).
            for path in auth.metadataPaths {
                router.get(RouterPath(path)) { request, _ in auth.metadataReply(for: request.head).map(answer) ?? Response(status: .notFound) }
            }
            router.get("tasks") { request, _ in
                switch await auth.authenticate(request.head, operation: .tool("list-tasks")) {
                case .accepted(let principal): return Response(status: .ok, body: .init(byteBuffer: .init(string: "tasks of \(principal.subject)\n")))
                case .rejected(let reply): return answer(reply)
                }
            }
            router.delete("tasks/{id}") { request, context in
                switch await auth.authenticate(request.head, operation: .tool("delete-task")) {
                case .accepted(let principal):
                    let id = try context.parameters.require("id")
                    return Response(status: .ok, body: .init(byteBuffer: .init(string: "deleted task \(id) of \(principal.subject)\n")))
                case .rejected(let reply): return answer(reply)
                }
            }
            print("Listening on \(auth.resource)")
            try await MCPApplication.run(Application(router: router, configuration: .init(address: .hostname("127.0.0.1", port: port))))
        }
    }

    /// A refusal has status, challenge and body already; it is sent as it is.
    static func answer(_ reply: HTTPReply) -> Response {
        Response(status: reply.response.status, headers: reply.response.headerFields, body: .init(byteBuffer: .init(bytes: reply.body)))
    }
}
