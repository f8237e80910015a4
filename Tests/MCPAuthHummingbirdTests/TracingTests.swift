import HTTPTypes
import Hummingbird
import HummingbirdTesting
import InMemoryTracing
import JOSE
import MCPAuth
import MCPAuthHummingbird
import MCPAuthTesting
import MCPAuthorizationServer
import MCPServer
import OAuth
import Testing
import Tracing

@Suite("Traces")
struct TracingTests {
    /// One for the whole process, which has no more than one.
    static let tracer: InMemoryTracer = {
        let tracer = InMemoryTracer()
        InstrumentationSystem.bootstrap(tracer)
        return tracer
    }()

    @Test("a request is a span, with the store and the tool below it, and L-01: none of them holds a secret")
    func spans() async throws {
        let tracer = Self.tracer
        let mint = try TokenMint()
        let auth = try ResourceServer(
            "http://localhost:80/mcp", trusting: .keys([mint.key.verificationKey], issuer: mint.issuer), transport: .insecureUnchecked)
        var configuration = AuthorizationServerConfiguration(resources: [try ProtectedResource(auth.resource.text, scopes: [])])
        configuration.clients = [
            Client(
                id: ClientID("traced")!, name: nil, redirectURIs: [try RedirectURI("https://c.example/cb")], origin: .configured,
                createdAt: Clock.system.now)
        ]
        let issuer = try await AuthorizationServer(
            "http://localhost:80", configuration: configuration, store: MemoryStore(), master: try MasterKey(RandomSource.system.bytes(32)),
            allowedHosts: ["localhost"])
        let server = MCPServer("x", version: "1") { Tool("whoami", "Who") { (call: ToolCall) in call.principal.subject } }
        let application = try MCPApplication.make(server, .http(port: 0), protectedBy: auth, authorizationServer: issuer)
        let token = try mint.token(subject: "ada", audience: auth.resource.text)
        let secrets = [token, "secret-code", "secret-state", "secret-refresh"]
        try await application.test(.router) { client in
            _ = try await client.execute(uri: "/authorize?client_id=traced&state=secret-state&redirect_uri=https://c.example/cb", method: .get)
            _ = try await client.execute(
                uri: "/token?code=secret-code", method: .post, headers: [.contentType: "application/x-www-form-urlencoded"],
                body: ByteBuffer(
                    string: "grant_type=authorization_code&client_id=traced&code=secret-code&code_verifier=\(String(repeating: "v", count: 43))"))
            let call = """
                {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{},"_meta":{
                "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
                """
            let status = try await client.execute(
                uri: "/mcp?x=secret-refresh", method: .post,
                headers: [
                    .authorization: "Bearer " + token, .contentType: "application/json", .accept: "application/json, text/event-stream",
                    HTTPField.Name("MCP-Protocol-Version")!: "2026-07-28", HTTPField.Name("Mcp-Method")!: "tools/call",
                    HTTPField.Name("Mcp-Name")!: "whoami",
                ], body: ByteBuffer(string: call)
            ) { $0.status.code }
            #expect(status == 200)
        }
        let spans = tracer.finishedSpans
        func span(_ path: String) throws -> FinishedInMemorySpan {
            try #require(spans.first { $0.attributes["url.path"]?.toSpanAttribute() == .string(path) }, "\(path)")
        }
        func children(of span: FinishedInMemorySpan) -> [String] { spans.filter { $0.parentSpanID == span.spanID }.map(\.operationName) }
        // Other tests may call at the same time, and the tracer is the one of the process.
        let calls = spans.filter { $0.attributes["url.path"]?.toSpanAttribute() == .string("/mcp") }
        #expect(
            calls.contains {
                $0.attributes["http.response.status_code"]?.toSpanAttribute() == .int64(200) && children(of: $0).contains("tools/call whoami")
            })
        #expect(children(of: try span("/token")).contains { $0.hasPrefix("store ") })
        #expect(try span("/authorize").kind == .server)
        for span in spans {
            var text = span.operationName + span.errors.map { "\($0.error)" }.joined()
            span.attributes.forEach { text += "\($0) \($1)" }
            for secret in secrets { #expect(!text.contains(secret), "\(span.operationName)") }
        }
    }
}
