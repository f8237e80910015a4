import JOSE
public import MCPAuth

/// One call, as a handler sees it: who is calling is known, by type.
public struct ToolCall: Sendable {
    public let principal: Principal
    let messages: MessageSink

    /// Tells the client how far the work is. Does nothing when the client did not ask. `total` may be unknown.
    public func progress(_ progress: Double, total: Double? = nil, _ message: String? = nil) { messages.progress(progress, total, message) }

    /// Tells the client something worth reading while it waits.
    public func log(_ level: LogLevel = .info, _ message: String) { messages.log(level, message) }
}

/// One call of an operation that anybody may do: perhaps the caller is known.
public struct OpenCall: Sendable {
    public let principal: Principal?
    let messages: MessageSink

    public func progress(_ progress: Double, total: Double? = nil, _ message: String? = nil) { messages.progress(progress, total, message) }
    public func log(_ level: LogLevel = .info, _ message: String) { messages.log(level, message) }
}

/// The levels of RFC 5424, as MCP names them.
public enum LogLevel: String, Sendable, Hashable, CaseIterable, Comparable {
    case debug, info, notice, warning, error, critical, alert, emergency

    /// Throws `invalid_params` for what is not the name of a level.
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

/// Where the notifications of one call go: nowhere, unless the client can take them.
struct MessageSink: Sendable {
    let progressToken: JSONValue?
    let minimumLevel: LogLevel?
    let send: @Sendable (JSONValue) -> Void

    static let nowhere = MessageSink(progressToken: nil, minimumLevel: nil, send: { _ in })

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
