import HTTPTypes
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPServer
import OAuth
import Testing

@Suite("The stateless wire")
struct StatelessWireTests {
    let server: Harness
    init() throws { server = try Harness() }

    @Test("positive control: a typed tool, its structured result, and the user in it")
    func control() async throws {
        let answer = await server.call("search", ["text": "milk"], token: try server.token())
        #expect(answer.status == 200)
        #expect(answer.result["structuredContent"]?["tasks"]?.strings == ["ada: milk"])
        #expect(answer.result["resultType"]?.string == "complete" && answer.result["isError"]?.bool == false)
        #expect(answer.result["content"]?.array?.first?["text"]?.string == #"{"tasks":["ada: milk"]}"#)
        #expect(answer.result["_meta"]?["io.modelcontextprotocol/serverInfo"]?["name"]?.string == "test")
    }

    @Test("R79: server/discover names versions, capabilities and instructions, and may be kept by its reader only")
    func discover() async throws {
        let answer = await server.modern("server/discover", token: try server.token())
        #expect(answer.result["supportedVersions"]?.strings == ["2026-07-28"] && answer.result["instructions"]?.string == "Be kind.")
        #expect(answer.result["capabilities"]?["tools"] != nil && answer.result["cacheScope"]?.string == "private")
        #expect(answer.result["ttlMs"]?.number?.int64 == 60_000)
    }

    @Test("R85: extensions are declared in server/discover; whatever a client says of its own, it needs its token and its scopes all the same")
    func extensions() async throws {
        let found = await server.modern("server/discover", token: try server.token())
        #expect(found.result["capabilities"]?["extensions"]?["com.example/feature"]?["level"]?.number?.int64 == 2)
        let claims: JSONObject = [
            "io.modelcontextprotocol/clientCapabilities": [
                "extensions": [
                    "io.modelcontextprotocol/oauth-client-credentials": [:], "io.modelcontextprotocol/enterprise-managed-authorization": [:],
                    "com.example/feature": ["level": 9, "scopes": ["read", "delete"]],
                ]
            ]
        ]
        #expect(await server.call("search", ["text": "milk"], token: nil, meta: claims).status == 401)
        #expect(await server.call("delete", ["value": 1], token: try server.token(["read"]), meta: claims).status == 403)
        #expect(await server.call("search", ["text": "milk"], token: try server.token(), meta: claims).status == 200)
    }

    @Test(
        "R-01: every method needs a token", arguments: ["server/discover", "tools/list", "tools/call", "resources/read", "prompts/get", "nonsense"])
    func noToken(_ method: String) async throws {
        let answer = await server.modern(method, ["name": "whoami"], token: nil)
        #expect(answer.status == 401 && answer.challenge.contains("resource_metadata=") && answer.json["result"] == nil)
    }

    @Test("9, 10: a missing scope is a real 403 with a challenge for everything that is missing, and the handler has not run")
    func scopes() async throws {
        let answer = await server.call("delete", ["value": 1], token: try server.token(["other"]))
        #expect(answer.status == 403)
        #expect(answer.challenge.contains(#"error="insufficient_scope""#) && answer.challenge.contains(#"scope="read delete other""#))
        #expect(server.audit.events.last?.missingScopes == ["read", "delete"])
        #expect(
            await server.call("delete", ["value": 1], token: try server.token(["admin"])).result["structuredContent"]?["result"]?.number?.int64 == 1)
        #expect(await server.modern("resources/read", ["uri": "note://all"], token: try server.token([])).status == 403)
        #expect(await server.modern("prompts/get", ["name": "greet"], token: try server.token([])).status == 403)
    }

    @Test(
        "tools/list shows what the token may call, or everything where that is wished",
        arguments: [
            (MCPServer.Visibility.permitted, ["whoami", "fail", "say", "embed", "deploy", "crash", "work"]),
            (.all, ["search", "delete", "whoami", "fail", "say", "embed", "deploy", "crash", "work"]),
        ])
    func lists(_ visibility: MCPServer.Visibility, _ expected: [String]) async throws {
        let server = try Harness(visibility: visibility)
        let answer = await server.modern("tools/list", token: try server.token([]))
        #expect(answer.result["tools"]?.array?.compactMap { $0["name"]?.string } == expected)
        #expect(answer.result["cacheScope"]?.string == "private")
        #expect(await server.modern("resources/list", token: try server.token([])).result["resources"]?.array?.count == (visibility == .all ? 1 : 0))
        #expect(await server.call("search", ["text": "x"], token: try server.token([])).status == 403, "whatever the list shows, the call decides")
    }

    @Test(
        "R-13: what a header says and what the body says must be one thing",
        arguments: [
            [.mcpMethod: "tools/list"], [.mcpMethod: "TOOLS/CALL"], [.mcpName: "whoami"], [.mcpName: "Search"], [.mcpName: "=?base64?c2VhcmNp?="],
            [.mcpName: "=?base64?c2VhcmN?="], [.mcpName: "=?base64?c2VhcmNo"], [.mcpName: "=?BASE64?c2VhcmNo?="],
        ] as [HTTPFields])
    func headers(_ fields: HTTPFields) async throws {
        let params: JSONObject = ["name": "search", "arguments": ["text": "x"]]
        let token = try server.token()
        #expect(await server.modern("tools/call", params, token: token).status == 200)
        let answer = await server.modern("tools/call", params, token: token, fields)
        #expect(answer.status == 400 && answer.errorCode == -32020)
    }

    @Test("R-13: headers that are missing, or there twice, or of another version")
    func moreHeaders() async throws {
        let token = try server.token()
        func post(_ fields: HTTPFields, version: String = "2026-07-28", meta: Bool = true) async -> Answer {
            var params: JSONObject = ["name": "whoami"]
            if meta {
                params["_meta"] = ["io.modelcontextprotocol/protocolVersion": .string(version), "io.modelcontextprotocol/clientCapabilities": [:]]
            }
            let message: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": .object(params)]
            return await server.send(message.serialized, token: token, fields)
        }
        let good: HTTPFields = [.mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/call", .mcpName: "whoami"]
        #expect(await post(good).status == 200)
        #expect(await post([.mcpProtocolVersion: "2026-07-28", .mcpName: "whoami"]).errorCode == -32020)
        #expect(await post([.mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/call"]).errorCode == -32020)
        #expect(await post(good, version: "2026-07-29").errorCode == -32020)
        #expect(await post(good, meta: false).errorCode == -32602)
        var future = good
        future[.mcpProtocolVersion] = "2099-01-01"
        let answer = await post(future, version: "2099-01-01")
        #expect(answer.status == 400 && answer.errorCode == -32022 && answer.json["error"]?["data"]?["supported"]?.strings == ["2026-07-28"])
    }

    @Test("a name that a header cannot hold comes in base64")
    func encodedNames() async throws {
        let answer = await server.modern("tools/call", ["name": "whoami"], token: try server.token(), [.mcpName: "=?base64?d2hvYW1p?="])
        #expect(answer.status == 200)
    }

    @Test("W-01, G-12: a tool has one spelling", arguments: ["Whoami", "whoami ", " whoami", "who\u{301}ami", "whoami\u{0}", "", "who"])
    func spellings(_ name: String) async throws {
        let encoded = "=?base64?" + Base64.encode(Array(name.utf8)) + "?="
        let answer = await server.modern("tools/call", ["name": .string(name)], token: try server.token(), [.mcpName: encoded])
        #expect(answer.status == 400 && answer.errorCode == -32602)
    }

    @Test("errors of a tool are for the model; what went wrong inside stays inside (L-04)")
    func failures() async throws {
        let words = await server.call("fail", token: try server.token())
        #expect(words.status == 200 && words.result["isError"]?.bool == true && words.text.contains("No such thing."))
        let inside = await server.call("crash", token: try server.token())
        #expect(inside.result["isError"]?.bool == true && !inside.text.contains("hunter2"))
    }

    @Test(
        "arguments that do not fit are the model's mistake, in words",
        arguments: [
            ("search", "{}", "text is missing"), ("search", #"{"text":1}"#, "text"), ("search", #"{"text":"a","limit":"x"}"#, "limit"),
            ("search", #"{"text":"a","limit":1.5}"#, "limit"), ("search", #"{"text":"a","limit":1e300}"#, "limit"),
            ("delete", #"{"value":9223372036854775808}"#, "value"),
            ("delete", #"{"value":true}"#, "value"), ("search", #"{"text":null}"#, "text"),
        ])
    func arguments(_ tool: String, _ arguments: String, _ named: String) async throws {
        let answer = await server.call(tool, try JSONValue(parsing: arguments), token: try server.token())
        let text = answer.result["content"]?.array?.first?["text"]?.string ?? ""
        #expect(
            answer.status == 200 && answer.result["isError"]?.bool == true && text.contains("Invalid arguments") && text.contains(named), "\(text)")
    }

    @Test(
        "R-14, W-05, W-06: bodies that are no single strict JSON-RPC request are 400, and the process goes on",
        arguments: [
            "", "{", "[]", "null", "1", #""x""#, "[{}]", #"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, #"{"jsonrpc":"2.0","id":1}"#,
            #"{"jsonrpc":"2.0","id":1,"method":1}"#, #"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#,
            #"{"jsonrpc":"2.0","id":null,"method":"a"}"#,
            #"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, #"{"jsonrpc":"2.0","id":1e300,"method":"a"}"#,
            #"{"jsonrpc":"2.0","id":9223372036854775808,"method":"a"}"#,
            #"{"jsonrpc":"2.0","id":{},"method":"a"}"#, #"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, #"{"jsonrpc":"2.0","id":1,"method":"a",}"#,
            #"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#,
        ])
    func bodies(_ body: String) async throws {
        let fields: HTTPFields = [.mcpProtocolVersion: "2026-07-28", .mcpMethod: "a"]
        #expect(await server.send(Array(body.utf8), token: try server.token(), fields).status == 400)
        #expect(await server.send(Array(body.utf8), token: try server.token(), [.mcpProtocolVersion: "2025-11-25"]).status == 400)
        #expect(await server.send([0xFF, 0xFE] + Array(body.utf8), token: try server.token(), fields).status == 400)
    }

    @Test("W-05: an id comes back as it was sent", arguments: [1, -1, .int(Int.max), .int(Int.min), 0, "", "é", "e\u{301}"] as [JSONValue])
    func ids(_ id: JSONValue) async throws {
        let answer = await server.modern("tools/list", token: try server.token(), id: id)
        #expect(answer.json["id"]?.serialized == id.serialized)
    }

    @Test(
        "other methods, types and sizes",
        arguments: [
            (HTTPRequest.Method.get, [:], 405), (.put, [:], 405), (.delete, [:], 405), (.post, [.contentType: "text/plain"], 400),
            (.post, [.accept: "text/html"], 406),
            (.post, [.accept: "Application/JSON ;q=1"], 200), (.post, [.accept: "text/html, application/*;q=0.5"], 200),
            (.post, [.accept: "*/*"], 200),
            (.post, [.accept: "application/jsonx, text/*"], 406), (.post, [.accept: "application/"], 406), (.post, [.accept: ","], 406),
            (.post, [.contentType: "application/json; charset=utf-8"], 200), (.post, [.contentType: "application/jsonx"], 400),
        ] as [(HTTPRequest.Method, HTTPFields, Int)])
    func heads(_ method: HTTPRequest.Method, _ fields: HTTPFields, _ status: Int) async throws {
        let meta: JSONValue = ["io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:]]
        let message: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": ["_meta": meta]]
        var all: HTTPFields = [.mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/list"]
        for field in fields { all[field.name] = field.value }
        #expect(await server.send(message.serialized, token: try server.token(), all, method: method).status == status)
        #expect(await server.send(message.serialized, token: nil, all, method: method).status == 401, "whoever is nobody learns nothing else")
        let huge = [UInt8](repeating: 0x20, count: StreamableHTTP.maximumBodyBytes + 1)
        #expect(await server.send(huge, token: try server.token(), [.mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/list"]).status == 413)
    }

    @Test(
        "an unknown method is 404 and -32601; nothing else is known",
        arguments: ["tools/nothing", "initialize", "ping", "subscriptions/listen", "logging/setLevel"])
    func unknown(_ method: String) async throws {
        let answer = await server.modern(method, token: try server.token())
        #expect(answer.status == 404 && answer.errorCode == -32601)
    }

    @Test("R77: a requestState that nobody gave out is refused")
    func requestState() async throws {
        let answer = await server.modern("tools/call", ["name": "whoami", "requestState": "x"], token: try server.token())
        #expect(answer.status == 400 && answer.errorCode == -32602)
    }

    @Test("resources, templates and prompts")
    func others() async throws {
        let token = try server.token()
        let note = await server.modern("resources/read", ["uri": "note://all"], token: token)
        #expect(note.result["contents"]?.array?.first?["text"]?.string == "notes of ada" && note.result["cacheScope"]?.string == "private")
        let one = await server.modern("resources/read", ["uri": "note://shopping/text"], token: token)
        #expect(one.result["contents"]?.array?.first?["text"]?.string == "shopping")
        for uri in ["note://missing/text", "note://a/b/text", "note:///text", "note://ALL", "note://all/", "x"] {
            #expect(await server.modern("resources/read", ["uri": .string(uri)], token: token).errorCode == -32602, "\(uri)")
        }
        let prompt = await server.modern("prompts/get", ["name": "greet", "arguments": ["name": "Grace"]], token: token)
        #expect(prompt.result["messages"]?.array?.first?["content"]?["text"]?.string == "Hello Grace")
        #expect(await server.modern("prompts/get", ["name": "greet"], token: token).errorCode == -32602)
        #expect(await server.modern("prompts/list", token: token).result["prompts"]?.array?.count == 1)
        #expect(await server.modern("resources/templates/list", token: token).result["resourceTemplates"]?.array?.count == 1)
    }

    @Test("a tool that is open to anybody is, and only that one")
    func open() async throws {
        let server = try Harness(hasOpenTool: true)
        #expect(await server.call("ping", token: nil).result["content"]?.array?.first?["text"]?.string == "nobody")
        #expect(await server.call("ping", token: try server.token()).result["content"]?.array?.first?["text"]?.string == "ada")
        #expect(await server.call("ping", token: "bad").status == 401)
        #expect(await server.call("whoami", token: nil).status == 401)
        #expect(await server.modern("tools/list", token: nil).result["tools"]?.array?.compactMap { $0["name"]?.string } == ["ping"])
    }

    @Test("R-01, N-07: nobody's body is read at all, however it looks", arguments: ["{", "[1,1,1]", "{}", ""])
    func unread(_ body: String) async throws {
        let answer = await server.send(
            Array(body.utf8), token: nil, [.mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/call", .mcpName: "delete"])
        #expect(answer.status == 401 && answer.challenge.contains(#"scope="read delete""#), "the headers make the challenge exact")
        #expect(server.audit.events.count == 1 && server.audit.events.first?.reason == "no_credentials")
        let open = try Harness(hasOpenTool: true)
        let long = [UInt8](repeating: 0x20, count: StreamableHTTP.maximumAnonymousBodyBytes + 1)
        #expect(await open.send(long, token: nil, [.mcpProtocolVersion: "2026-07-28", .mcpMethod: "a"]).status == 413)
    }

    @Test("R-08: a request with two Hosts is refused")
    func twoHosts() async throws {
        let answer = await server.modern("tools/list", token: try server.token(), [HTTPField.Name("Host")!: "evil.lab"])
        #expect(answer.status == 403)
    }

    @Test("G-12: a rule for a template counts for what it stands for, and a policy opens nothing that needs a principal")
    func policies() async throws {
        let server = MCPServer("x", version: "1") {
            Resource(template: "task://{id}", name: "task") { variables, _ in .text(variables["id"] ?? "") }
            Tool("whoami", "Who") { (call: ToolCall) in call.principal.subject }
        }
        let policy = ScopePolicy(operations: [.resource("task://{id}"): "read:tasks", .tool("whoami"): .anonymous])
        let mint = try TokenMint()
        let auth = try ResourceServer(Harness.resource, trusting: .keys([mint.key.verificationKey], issuer: mint.issuer), policy: policy)
        let transport = try StreamableHTTP(server, protectedBy: auth)
        func status(_ method: String, _ params: JSONObject, _ token: String?) async -> Int {
            var params = params
            params["_meta"] = ["io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:]]
            let message: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": .object(params)]
            var fields: HTTPFields = [.contentType: "application/json", .mcpProtocolVersion: "2026-07-28", .mcpMethod: method]
            fields[.mcpName] = (params["uri"] ?? params["name"])?.string
            if let token { fields[.authorization] = "Bearer \(token)" }
            let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
            return await Answer(transport.reply(to: HTTPCall(request, body: message.serialized))).status
        }
        let poor = try mint.token(audience: Harness.resource)
        #expect(await status("resources/read", ["uri": "task://42"], poor) == 403)
        #expect(await status("resources/read", ["uri": "task://42"], try mint.token(audience: Harness.resource, scopes: "read:tasks")) == 200)
        #expect(await status("tools/call", ["name": "whoami"], nil) == 401)
        #expect(await status("tools/call", ["name": "whoami"], poor) == 200)
    }

    @Test(
        "a mistyped scope opens nothing: the server does not start", arguments: ["read:tasks  \u{e9}", "a\"b", "read:tasks,wr\\ite"] as [Requirement])
    func mistyped(_ requirement: Requirement) throws {
        let server = MCPServer("x", version: "1") { Tool("a", "A", requires: requirement) { (_: ToolCall) in "x" } }
        let error = #expect(throws: OAuthError.self) { try server.check() }
        #expect(error?.message.contains("tool a") == true)
        let open = MCPServer("x", version: "1") { Tool("a", "A", requires: .anonymous) { (_: ToolCall) in "x" } }
        #expect(throws: OAuthError.self) { try open.check() }
        #expect(throws: OAuthError.self) {
            try ResourceServer("https://rs.example/mcp", trusting: .custom { _ in nil }, policy: ScopePolicy(default: requirement))
        }
    }

    @Test("a tool with a schema by hand gets its arguments as they came")
    func byHand() async throws {
        let schema: JSONValue = ["type": "object", "properties": ["x": ["oneOf": [["type": "string"], ["type": "number"]]]]]
        let tool = Tool("free", "Free", inputSchema: schema) { arguments, call in ToolResult([.text(arguments.text + call.principal.subject)]) }
        let server = MCPServer("x", version: "1") { tool }
        try server.check()
        let transport = try StreamableHTTP(server, protectedBy: self.server.auth)
        let message = #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#
        var fields: HTTPFields = [.contentType: "application/json", .authorization: "Bearer \(try self.server.token())"]
        let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
        let opened = Answer(await transport.reply(to: HTTPCall(request, body: Array(message.utf8))))
        fields[.mcpSessionID] = opened.fields[.mcpSessionID]
        let call = #"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"free","arguments":{"x":1.50}}}"#
        let answer = Answer(
            await transport.reply(
                to: HTTPCall(
                    HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields), body: Array(call.utf8)))
        )
        #expect(answer.result["content"]?.array?.first?["text"]?.string == #"{"x":1.50}ada"#)
    }

    @Test("a reader that is slow does not make the server keep everything")
    func slowReader() async throws {
        let chatty = MCPServer("x", version: "1") {
            Tool("chat", "Chats") { (call: ToolCall) -> String in
                for step in 0..<5000 { call.progress(Double(step)) }
                return "done"
            }
        }
        let transport = try StreamableHTTP(chatty, protectedBy: server.auth)
        let meta: JSONValue = [
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:], "progressToken": 1,
        ]
        let message: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["name": "chat", "_meta": meta]]
        let fields: HTTPFields = [
            .contentType: "application/json", .authorization: "Bearer \(try server.token())", .mcpProtocolVersion: "2026-07-28",
            .mcpMethod: "tools/call", .mcpName: "chat",
        ]
        let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
        let answer = Answer(await transport.reply(to: HTTPCall(request, body: message.serialized)))
        try await Task.sleep(for: .milliseconds(100))
        var messages: [JSONValue] = []
        for await event in try #require(answer.stream) { messages.append(try Answer.message(event)) }
        #expect(messages.count < 1000 && messages.last?["result"]?["content"]?.array?.first?["text"]?.string == "done")
    }

    @Test("progress and log lines come as events, the result last")
    func progress() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let meta: JSONObject = ["progressToken": "p1", "io.modelcontextprotocol/logLevel": "info"]
        let answer = await server.call("work", token: try server.token(), meta: meta)
        #expect(answer.fields[.contentType] == "text/event-stream" && answer.fields[.cacheControl]?.contains("no-store") == true)
        gate.open()
        var messages: [JSONValue] = []
        for await event in try #require(answer.stream) { messages.append(try Answer.message(event)) }
        #expect(messages.map { $0["method"]?.string } == ["notifications/progress", "notifications/message", "notifications/progress", nil])
        #expect(messages[0]["params"]?["progressToken"]?.string == "p1" && messages[0]["params"]?["message"]?.string == "half")
        #expect(messages[3]["result"]?["resultType"]?.string == "complete" && messages[3]["id"]?.number?.int64 == 1)
    }

    @Test("R-12: a result is not delivered on a stream whose token was revoked meanwhile")
    func revokedDuringStream() async throws {
        let gate = Gate()
        let verifier = RevocableVerifier()
        let slow = MCPServer("x", version: "1") {
            Tool("work", "Works") { (call: ToolCall) -> String in
                call.progress(1)
                await gate.pass()
                return "the result"
            }
        }
        let transport = try StreamableHTTP(slow, protectedBy: ResourceServer(Harness.resource, trusting: .verifier(verifier)))
        let meta: JSONValue = [
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": [:], "progressToken": 1,
        ]
        let message: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["name": "work", "_meta": meta]]
        let fields: HTTPFields = [
            .contentType: "application/json", .authorization: "Bearer x", .mcpProtocolVersion: "2026-07-28", .mcpMethod: "tools/call",
            .mcpName: "work",
        ]
        for isRevoked in [false, true] {
            let request = HTTPRequest(method: .post, scheme: "https", authority: "rs.example", path: "/mcp", headerFields: fields)
            let answer = Answer(await transport.reply(to: HTTPCall(request, body: message.serialized)))
            if isRevoked { verifier.revoke() }
            gate.open()
            var text = ""
            for await event in try #require(answer.stream) { text += String(decoding: event, as: UTF8.self) }
            #expect(text.contains("the result") == !isRevoked)
            gate.close()
        }
    }

    @Test("when the reader goes away, the work is cancelled")
    func abandoned() async throws {
        let gate = Gate()
        let server = try Harness(gate: gate)
        let answer = await server.call("work", token: try server.token(), meta: ["progressToken": 1])
        let stream = try #require(answer.stream)
        let reader = Task { for await _ in stream {} }
        reader.cancel()
        #expect(await Gate.eventually { gate.wasCancelled })
    }
}
