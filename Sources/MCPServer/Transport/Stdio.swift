import Dispatch
import JOSE
import MCPAuth
public import OAuth
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The stdio transport: one message a line. The operating system protects it, since only the owner of this process can
/// write to its input. There is no token, and every call has one local principal (MCP authorization, "Protocol
/// Requirements").
public struct StdioTransport: Sendable {
    private let dispatcher: Dispatcher
    private let principal: Principal

    /// A longer line ends the connection.
    static let maximumLineBytes = 4 << 20

    /// Throws `invalid_configuration` when a definition of the server has a mistake.
    ///
    /// - Parameter subject: The `subject` of the local principal. Take it from the environment, never from the client.
    public init(_ server: MCPServer, subject: String) throws(OAuthError) {
        try server.check()
        dispatcher = Dispatcher(server: server, resourceServer: nil)
        guard let claims = try? JSONDocument(parsing: "{}") else { throw OAuthError(.serverError, "no claims") }
        principal = Principal(issuer: "local", subject: subject, expiration: NumericDate(seconds: .max), claims: claims)
    }

    /// Reads standard input and writes standard output until the input ends.
    public func run() async {
        await run(input: Self.lines(of: 0)) { line in Self.write(line + [0x0A]) }
    }

    /// The same on any two streams of lines.
    package func run(input: AsyncStream<[UInt8]>, output: @escaping @Sendable ([UInt8]) -> Void) async {
        let caller = Caller(principal: principal)
        var isModern: Bool?
        var level = LogLevel.info
        let running = Running()
        await withTaskGroup(of: Void.self) { group in
            for await line in input where !line.allSatisfy({ $0 == 0x20 || $0 == 0x0D }) {
                let message: RPCMessage
                do throws(RPCError) { message = try RPCMessage(parsing: line) } catch {
                    output(error.json().serialized)
                    continue
                }
                if case .notification("notifications/cancelled", let params) = message, let id = params["requestId"] {
                    running.calls.withLock { $0[id.text] }?.cancel()
                }
                guard case .request(let id, let method, let params) = message else { continue }
                // The first request decides which revision this connection uses.
                let isEnveloped = params["_meta"]?["io.modelcontextprotocol/protocolVersion"] != nil
                if isModern == nil { isModern = isEnveloped && method != "initialize" }
                let wire: Dispatcher.Wire = isModern == true ? .modern : .handshake
                let minimumLevel: LogLevel?
                do throws(RPCError) {
                    switch (wire, method) {
                    case (.handshake, "initialize"):
                        output(Self.answer(id, .result(try dispatcher.initialize(params).result))?.serialized ?? [])
                        continue
                    case (.handshake, "logging/setLevel"):
                        level = try LogLevel(params["level"])
                        output(Self.answer(id, .result([:]))?.serialized ?? [])
                        continue
                    case (.handshake, _): minimumLevel = level
                    case (.modern, _):
                        try ModernEnvelope.check(params)
                        minimumLevel = try ModernEnvelope.logLevel(params)
                    }
                } catch {
                    output(error.json(id: id).serialized)
                    continue
                }
                let sink = CallServices(progressToken: params["_meta"]?["progressToken"], minimumLevel: minimumLevel) { output($0.serialized) }
                let call = RunningCall(canStream: false)
                running.calls.withLock { $0[id.text] = call }
                call.begin {
                    let outcome = await dispatcher.run(method, params, caller: caller, wire: wire, messages: sink)
                    guard wire == .modern, case .result(let result) = outcome else { return outcome }
                    return .result(dispatcher.complete(result))
                } finished: {
                    running.calls.withLock { if $0[id.text] === call { $0[id.text] = nil } }
                }
                group.addTask {
                    if case .whole(let outcome) = await call.opening(), let answer = Self.answer(id, outcome) { output(answer.serialized) }
                }
            }
        }
    }

    /// The running calls by the identifiers of their requests.
    private final class Running: Sendable {
        let calls = Mutex<[String: RunningCall]>([:])
    }

    /// Nil for a call that was cancelled, which has no response.
    private static func answer(_ id: JSONValue, _ outcome: Dispatcher.Outcome) -> JSONValue? {
        switch outcome {
        case .result(let result), .stepUp(_, let result): ["jsonrpc": "2.0", "id": id, "result": .object(result)]
        case .error(let error): error.json(id: id)
        case .cancelled: nil
        }
    }

    /// Reads on its own thread, since reading blocks.
    private static func lines(of descriptor: Int32) -> AsyncStream<[UInt8]> {
        AsyncStream { continuation in
            DispatchQueue(label: "mcp-auth.stdio").async {
                var buffer: [UInt8] = []
                var chunk = [UInt8](repeating: 0, count: 65536)
                while true {
                    let count = read(descriptor, &chunk, chunk.count)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { break }
                    for byte in chunk[..<count] {
                        if byte == 0x0A {
                            continuation.yield(buffer)
                            buffer.removeAll(keepingCapacity: true)
                        } else {
                            buffer.append(byte)
                        }
                    }
                    guard buffer.count <= maximumLineBytes else { break }
                }
                continuation.finish()
            }
        }
    }

    private static let outputQueue = DispatchQueue(label: "mcp-auth.stdio.output")

    private static func write(_ bytes: [UInt8]) {
        outputQueue.sync {
            var offset = 0
            while offset < bytes.count {
                let count = bytes[offset...].withUnsafeBytes { buffer in
                    #if canImport(Glibc)
                        Glibc.write(1, buffer.baseAddress, buffer.count)
                    #elseif canImport(Musl)
                        Musl.write(1, buffer.baseAddress, buffer.count)
                    #else
                        Darwin.write(1, buffer.baseAddress, buffer.count)
                    #endif
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                offset += count
            }
        }
    }
}
