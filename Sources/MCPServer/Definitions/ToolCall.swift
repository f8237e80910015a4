import JOSE
public import MCPAuth

/// One call as a handler sees it. The caller is authenticated, by type.
public struct ToolCall: Sendable {
    /// The caller: the user or the client of a valid token.
    public let principal: Principal
    let messages: CallServices

    /// An access token of the user at an identity provider, for requests to its API. It is valid now: it was refreshed
    /// if that was necessary. The client of this call never sees it.
    ///
    /// Throws a `ToolError` when the user has to connect the provider, or to try again later. Let it leave the handler:
    /// a client that opens URLs then sends the user to the right page and repeats the call. Other clients get the link
    /// as text. The handler runs again from its beginning, so ask for the token first.
    ///
    /// - Parameters:
    ///   - provider: The identifier of the provider, such as `github`.
    ///   - scopes: The scopes of the provider that the request needs.
    public func upstreamToken(for provider: String, scopes: [String] = []) async throws(ToolError) -> UpstreamToken {
        guard let source = messages.upstreamTokens else {
            throw ToolError(
                "This server has no tokens of \(provider): its users do not sign in through an authorization server in the same process, and no exchange is configured."
            )
        }
        let key = "connect:" + provider
        let answer = messages.elicitation.answers[key]
        if answer == .decline || answer == .cancel {
            throw ToolError("The user did not connect \(provider). Do not ask again unless the user wants it.")
        }
        // The user was sent to the page a moment ago. The call goes on as soon as the account is connected.
        let deadline = ContinuousClock.now + (answer == .accept ? CallServices.patience : .zero)
        while true {
            do throws(UpstreamTokenError) { return try await source.token(of: principal, from: provider, scopes: scopes) } catch {
                guard let question = error.question else { throw ToolError(error.advice) }
                if ContinuousClock.now >= deadline || Task.isCancelled {
                    var failure = ToolError(error.advice, elicitation: Elicitation(message: question.message, url: question.url, key: key))
                    // A token with the scope was issued after its user was led through the provider. Asking again would
                    // go on forever.
                    if case .notConnected(_, _, let scope?) = error, !principal.scopes.contains(scope) { failure.stepUp = scope }
                    throw failure
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// Reports progress to the client, if the client asked for it. `total` is nil when it is not known; `progress` must
    /// increase.
    public func progress(_ progress: Double, total: Double? = nil, _ message: String? = nil) { messages.progress(progress, total, message) }

    /// Sends a log message to the client, if it asked for messages of this level.
    public func log(_ level: LogLevel = .info, _ message: String) { messages.log(level, message) }
}

/// One call of a tool that needs no token.
public struct OpenCall: Sendable {
    /// The caller. Nil when the request had no token.
    public let principal: Principal?
    let messages: CallServices

    /// Reports progress to the client, if the client asked for it. `total` is nil when it is not known; `progress` must
    /// increase.
    public func progress(_ progress: Double, total: Double? = nil, _ message: String? = nil) { messages.progress(progress, total, message) }
    /// Sends a log message to the client, if it asked for messages of this level.
    public func log(_ level: LogLevel = .info, _ message: String) { messages.log(level, message) }
}

/// The levels of RFC 5424 as MCP names them, least severe first.
public enum LogLevel: String, Sendable, Hashable, CaseIterable, Comparable {
    /// `debug` is the least severe level, `emergency` the most severe.
    case debug, info, notice, warning, error, critical, alert, emergency

    /// Throws `invalid_params` for a value that is not the name of a level.
    init(_ value: JSONValue?) throws(RPCError) {
        guard let level = value?.string.flatMap(LogLevel.init(rawValue:)) else {
            throw RPCError(.invalidParams, "level is one of \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = level
    }

    public static func < (left: LogLevel, right: LogLevel) -> Bool {
        (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
    }
}

/// What the server does for one call: sends its notifications, if the client accepts them, and obtains tokens of
/// identity providers.
struct CallServices: Sendable {
    let progressToken: JSONValue?
    let minimumLevel: LogLevel?
    let send: @Sendable (JSONValue) -> Void
    var upstreamTokens: (any UpstreamTokens)?
    var elicitation = ClientElicitation.none
    /// Whether the response can be a challenge for more scopes.
    var canStepUp = false

    /// The time for which a repeated call waits for the user, below the timeouts of common clients.
    static let patience: Duration = .seconds(45)

    static let nowhere = CallServices(progressToken: nil, minimumLevel: nil, send: { _ in })

    func progress(_ progress: Double, _ total: Double?, _ message: String?) {
        guard let progressToken, let number = JSONNumber(progress) else { return }
        var params: JSONObject = ["progressToken": progressToken, "progress": .number(number)]
        params["total"] = total.flatMap { JSONNumber($0) }.map { .number($0) }
        params["message"] = message.map { .string($0) }
        send(["jsonrpc": "2.0", "method": "notifications/progress", "params": .object(params)])
    }

    func log(_ level: LogLevel, _ message: String) {
        guard let minimumLevel, level >= minimumLevel else { return }
        send(["jsonrpc": "2.0", "method": "notifications/message", "params": ["level": .string(level.rawValue), "data": .string(message)]])
    }
}
