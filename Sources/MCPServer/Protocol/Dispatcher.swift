import HTTPTypes
import JOSE
import Logging
import MCPAuth
import Metrics
import OAuth
import Tracing

/// Executes one method for one caller. It knows the definitions and the policy, and nothing of HTTP.
struct Dispatcher: Sendable {
    enum Wire: Sendable { case modern, handshake }

    let server: MCPServer
    /// Nil for stdio, where the operating system protects the transport.
    let resourceServer: ResourceServer?

    /// The outcome of a request.
    enum Outcome: Sendable {
        case result(JSONObject)
        /// The client should get a token with this scope too, and repeat the call. The result is for a response that
        /// has begun already, and its text explains the challenge.
        case stepUp(Scope, JSONObject)
        case error(RPCError)
        /// The client cancelled the request or has disconnected. It receives no response.
        case cancelled
    }

    // MARK: Authorization, before anything runs

    /// The operation that a message asks for, the requirement of its definition, and whether it can run without a
    /// principal.
    private func operation(_ method: String, _ params: JSONValue) -> (operation: Operation, requirement: Requirement?, isOpen: Bool) {
        switch method {
        case "tools/call":
            let name = params["name"]?.string ?? ""
            let tool = server.toolsByName[Array(name.utf8)]
            return (.tool(name), tool?.requirement, tool?.isOpen ?? false)
        case "resources/read":
            let uri = params["uri"]?.string ?? ""
            let resource = server.resources.first { $0.match(uri) != nil }
            // A rule for a template applies to every URI that it matches, in lists and here.
            let hasOwnRule = resourceServer?.policy.operations[.resource(uri)] != nil
            return (.resource(hasOwnRule ? uri : resource?.uri ?? uri), resource?.requirement, false)
        case "prompts/get":
            let name = params["name"]?.string ?? ""
            return (.prompt(name), server.prompts.first { $0.name.utf8.elementsEqual(name.utf8) }?.requirement, false)
        default:
            let isOpen = server.hasOpenOperations
            return (Operation(kind: "method", name: method), isOpen ? .anonymous : nil, isOpen)
        }
    }

    /// The challenge for a caller who may not run the operation. Nil when the caller may.
    func authorize(_ caller: Caller, _ method: String, _ params: JSONValue) -> HTTPReply? {
        guard let resourceServer else { return nil }
        let (operation, declared, isOpen) = operation(method, params)
        return resourceServer.authorize(caller, operation, requirement: requirement(for: operation, declared, isOpen: isOpen, resourceServer))
    }

    /// Operations that need a principal are closed to callers without one, whatever a policy says.
    private func requirement(
        for operation: Operation, _ declared: Requirement?, isOpen: Bool, _ resourceServer: ResourceServer
    ) -> Requirement {
        var requirement = declared ?? resourceServer.policy.requirement(for: operation)
        if !isOpen { requirement.allowsAnonymous = false }
        return requirement
    }

    /// The challenge that leads a client to a token with a further scope.
    func challenge(_ caller: Caller, _ method: String, _ params: JSONValue, for scope: Scope, because text: String) -> HTTPReply? {
        guard let resourceServer else { return nil }
        let (operation, declared, isOpen) = operation(method, params)
        let requirement = requirement(for: operation, declared, isOpen: isOpen, resourceServer)
        return resourceServer.stepUp(to: scope, caller, operation, requirement: requirement, because: text)
    }

    /// Checks the arguments that clients repeat in headers, before anything else, because a proxy may have decided by
    /// them.
    func checkMirroredArguments(_ request: HTTPRequest, _ method: String, _ params: JSONValue) throws(RPCError) {
        guard method == "tools/call", let name = params["name"]?.string, let tool = server.toolsByName[Array(name.utf8)],
            case .success(let mirrored) = tool.mirroredArguments, !mirrored.isEmpty
        else { return }
        for argument in mirrored { try argument.check(request, params["arguments"] ?? [:]) }
    }

    // MARK: Methods

    func run(_ method: String, _ params: JSONValue, caller: Caller, wire: Wire, messages: CallServices) async -> Outcome {
        var messages = messages
        messages.upstreamTokens = resourceServer?.upstreamTokens(for: caller)
        do throws(RPCError) {
            switch method {
            case "tools/list":
                let isVisible = await visibility(to: caller)
                return .result(list("tools", server.tools.filter { isVisible(.tool($0.name), $0.requirement, $0.isOpen) }.map(\.json), wire))
            case "tools/call": return try await call(params, caller, wire, messages)
            case "resources/list", "resources/templates/list":
                let isTemplate = method != "resources/list"
                let isVisible = await visibility(to: caller)
                let visible = server.resources.filter { $0.isTemplate == isTemplate && isVisible(.resource($0.uri), $0.requirement, false) }
                return .result(list(isTemplate ? "resourceTemplates" : "resources", visible.map(\.json), wire))
            case "resources/read": return .result(try await read(params, caller, wire, messages))
            case "prompts/list":
                let isVisible = await visibility(to: caller)
                return .result(list("prompts", server.prompts.filter { isVisible(.prompt($0.name), $0.requirement, false) }.map(\.json), wire))
            case "prompts/get": return .result(try await prompt(params, caller, wire, messages))
            case "server/discover" where wire == .modern: return .result(discovery)
            case "ping" where wire == .handshake: return .result([:])
            default: throw RPCError(.methodNotFound, "Method not found", data: .string(String(method.prefix(100))))
            }
        } catch { return Task.isCancelled ? .cancelled : .error(error) }
    }

    /// Which operations a list shows to a caller.
    private func visibility(to caller: Caller) async -> (Operation, Requirement?, _ isOpen: Bool) -> Bool {
        guard let resourceServer, server.visibility != .all else { return { _, _, _ in true } }
        let scopes = server.visibility == .grantable ? await resourceServer.reachableScopes(of: caller) : nil
        return { operation, declared, isOpen in
            let requirement = requirement(for: operation, declared, isOpen: isOpen, resourceServer)
            return resourceServer.permits(caller, operation, requirement: requirement, with: scopes)
        }
    }

    private func list(_ member: String, _ values: [JSONValue], _ wire: Wire) -> JSONObject {
        var result: JSONObject = [member: .array(values)]
        if wire == .modern { markCacheable(&result) }
        return result
    }

    /// Always private, because the list depends on the caller (R79).
    private func markCacheable(_ result: inout JSONObject) {
        result["ttlMs"] = .int(max(0, server.listLifetime) * 1000)
        result["cacheScope"] = "private"
    }

    private func call(_ params: JSONValue, _ caller: Caller, _ wire: Wire, _ messages: CallServices) async throws(RPCError) -> Outcome {
        guard let name = params["name"]?.string else { throw RPCError(.invalidParams, "name is missing") }
        guard let tool = server.toolsByName[Array(name.utf8)] else { throw RPCError(.invalidParams, "Unknown tool: \(name.prefix(100))") }
        let arguments = params["arguments"] ?? [:]
        guard arguments.object != nil else { throw RPCError(.invalidParams, "arguments must be an object") }
        if let state = params["requestState"], !state.isNull { throw RPCError(.invalidParams, "this server gives out no requestState") }
        let start = ContinuousClock.now
        var failure: ToolError?
        let result = await withSpan("tools/call \(tool.name)", ofKind: .server) { span in
            span.attributes["mcp.tool.name"] = tool.name
            span.attributes["enduser.id"] = caller.principal?.subject
            do { return try await tool.run(arguments, caller.principal, messages) } catch let error as ToolError {
                failure = error
                return ToolResult([.text(error.message)], isError: true)
            } catch {
                // A tool that stops because it was cancelled has not failed.
                if Task.isCancelled { return ToolResult([], isError: true) }
                span.recordError(error)
                server.logger.error("a tool failed", metadata: ["tool": "\(tool.name)", "error": "\(error)"])
                return ToolResult([.text("The tool failed.")], isError: true)
            }
        }
        if Task.isCancelled { throw RPCError(.internal, "the call was cancelled") }
        if let question = try question(failure?.elicitation, wire, messages) { return .result(question) }
        if let scope = failure?.stepUp, messages.canStepUp { return .stepUp(scope, result.json) }
        (result.isError ? tool.timers.error : tool.timers.ok).record(duration: ContinuousClock.now - start)
        return .result(result.json)
    }

    private func read(_ params: JSONValue, _ caller: Caller, _ wire: Wire, _ messages: CallServices) async throws(RPCError) -> JSONObject {
        guard let uri = params["uri"]?.string else { throw RPCError(.invalidParams, "uri is missing") }
        let missing = RPCError(.invalidParams, "Unknown resource", data: ["uri": .string(String(uri.prefix(500)))])
        guard let (resource, variables) = server.resources.lazy.compactMap({ resource in resource.match(uri).map { (resource, $0) } }).first,
            let principal = caller.principal
        else { throw missing }
        let body: Resource.Body?
        do { body = try await resource.read(variables, ToolCall(principal: principal, messages: messages)) } catch {
            if Task.isCancelled { throw RPCError(.internal, "the call was cancelled") }
            if let question = try question((error as? ToolError)?.elicitation, wire, messages) { return question }
            server.logger.error("a resource failed", metadata: ["uri": "\(resource.uri)", "error": "\(error)"])
            throw RPCError(.internal, "The resource could not be read.")
        }
        guard let body else { throw missing }
        var result: JSONObject = ["contents": [.object(body.json(uri: uri, mimeType: resource.mimeType))]]
        if wire == .modern { markCacheable(&result) }
        return result
    }

    /// The response that sends the user to a page, if the client can show it. The stateless revision has a result for
    /// it, and MCP 2025-11-25 an error.
    private func question(_ elicitation: Elicitation?, _ wire: Wire, _ messages: CallServices) throws(RPCError) -> JSONObject? {
        guard let elicitation, messages.elicitation.opensURLs else { return nil }
        switch wire {
        case .modern:
            return [
                "resultType": "input_required",
                "inputRequests": .object([elicitation.key: ["method": "elicitation/create", "params": .object(elicitation.parameters)]]),
            ]
        case .handshake:
            var parameters = elicitation.parameters
            parameters["elicitationId"] = .string(
                String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36))
            throw RPCError(.urlElicitationRequired, elicitation.message, data: ["elicitations": [.object(parameters)]])
        }
    }

    private func prompt(_ params: JSONValue, _ caller: Caller, _ wire: Wire, _ messages: CallServices) async throws(RPCError) -> JSONObject {
        guard let name = params["name"]?.string, let prompt = server.prompts.first(where: { $0.name.utf8.elementsEqual(name.utf8) }),
            let principal = caller.principal
        else { throw RPCError(.invalidParams, "Unknown prompt") }
        var arguments: [String: String] = [:]
        for member in params["arguments"]?.object?.members ?? [] {
            guard let value = member.value.string else { throw RPCError(.invalidParams, "the arguments of a prompt are strings") }
            arguments[member.name] = value
        }
        for argument in prompt.arguments where argument.isRequired && arguments[argument.name] == nil {
            throw RPCError(.invalidParams, "the argument \(argument.name) is missing")
        }
        do {
            let made = try await prompt.make(arguments, ToolCall(principal: principal, messages: messages))
            return ["description": .string(prompt.description), "messages": .array(made.map(\.json))]
        } catch {
            if Task.isCancelled { throw RPCError(.internal, "the call was cancelled") }
            if let question = try question((error as? ToolError)?.elicitation, wire, messages) { return question }
            server.logger.error("a prompt failed", metadata: ["prompt": "\(prompt.name)", "error": "\(error)"])
            throw RPCError(.internal, "The prompt could not be made.")
        }
    }

    // MARK: Server information

    private var discovery: JSONObject {
        var capabilities = server.capabilities
        if !server.extensions.isEmpty { capabilities["extensions"] = .object(server.extensions) }
        var result: JSONObject = ["supportedVersions": [.string(ProtocolVersion.modern)], "capabilities": .object(capabilities)]
        result["instructions"] = server.instructions.map { .string($0) }
        markCacheable(&result)
        return result
    }

    /// The negotiated revision and the result of a handshake.
    func initialize(_ params: JSONValue) throws(RPCError) -> (version: String, result: JSONObject) {
        guard let requested = params["protocolVersion"]?.string else { throw RPCError(.invalidParams, "protocolVersion is missing") }
        let version = ProtocolVersion.handshake.first { $0 == requested } ?? ProtocolVersion.handshake[0]
        var result: JSONObject = [
            "protocolVersion": .string(version), "capabilities": .object(server.capabilities), "serverInfo": server.implementation,
        ]
        result["instructions"] = server.instructions.map { .string($0) }
        return (version, result)
    }

    /// Adds the members that every result of the stateless protocol has.
    func complete(_ result: JSONObject) -> JSONObject {
        var result = result
        if result["resultType"] == nil { result["resultType"] = "complete" }
        result["_meta"] = ["io.modelcontextprotocol/serverInfo": server.implementation]
        return result
    }
}

extension MCPServer {
    var implementation: JSONValue { ["name": .string(name), "version": .string(version)] }

    var capabilities: JSONObject {
        var capabilities: JSONObject = ["logging": [:]]
        if !tools.isEmpty { capabilities["tools"] = ["listChanged": false] }
        if !resources.isEmpty { capabilities["resources"] = ["listChanged": false, "subscribe": false] }
        if !prompts.isEmpty { capabilities["prompts"] = ["listChanged": false] }
        return capabilities
    }

    /// Whether some tool can be called without a token. If so, callers without a token can also list.
    var hasOpenOperations: Bool { tools.contains(where: \.isOpen) }
}
