import ArgumentParser
import Foundation
import JOSE
import Logging
import MCPAuthHummingbird
import MCPClient
import OAuth

struct BridgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bridge", abstract: "Connect a client that speaks only stdio to a protected server.",
        discussion: """
            The client starts this command, and writes and reads MCP on its standard input
            and output. The sign-in opens a browser once; several bridges share it. Logs go
            to standard error, or to --log-file.

            EXAMPLES
              mcp-auth bridge https://mcp.example.com/mcp
              mcp-auth bridge http://127.0.0.1:8000/mcp --log-file /tmp/bridge.log

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String
    @Option(help: ArgumentHelp("Write logs to this file.", valueName: "path"), completion: .file())
    var logFile: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        if let logFile {
            // Everything that goes to standard error goes to the file.
            let descriptor = open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
            guard descriptor >= 0, dup2(descriptor, 2) == 2 else {
                throw ClientFailure.exit(OAuthError(.invalidConfiguration, "--log-file: \(logFile) cannot be written"))
            }
        }
        // A client that has gone closes its end; the next write must not end the process in the middle of a clean-up.
        signal(SIGPIPE, SIG_IGN)
        try await ClientContext.run(url, options, asksUser: true) { context in
            var logger = Logger(label: "mcp-auth.bridge") { StreamLogHandler.standardError(label: $0) }
            logger.logLevel = options.quiet ? .error : options.verbose ? .debug : .notice
            let writer = LineWriter()
            let bridge = StdioBridge(context.session, logger: logger) { await writer.write($0) }
            let parent = getppid()
            // A client that dies without closing its pipe leaves the bridge to another parent.
            let watch = Task {
                while !Task.isCancelled {
                    try? await Task.sleep(for: .seconds(2))
                    if getppid() != parent { Foundation.exit(0) }
                }
            }
            await bridge.run(StdioLines.read())
            watch.cancel()
        }
    }
}

/// Writes whole lines to standard output, one after the other.
private actor LineWriter {
    func write(_ bytes: [UInt8]) { StandardOutput.print(bytes + [0x0A]) }
}

/// The lines of standard input, read on a thread of their own.
private enum StdioLines {
    static func read() -> AsyncStream<[UInt8]> {
        AsyncStream { continuation in
            let thread = Thread {
                var rest: [UInt8] = []
                var buffer = [UInt8](repeating: 0, count: 64 << 10)
                while true {
                    let count = Foundation.read(0, &buffer, buffer.count)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { break }
                    var start = 0
                    for index in 0..<count where buffer[index] == 0x0A {
                        continuation.yield(rest + buffer[start..<index])
                        rest.removeAll(keepingCapacity: true)
                        start = index + 1
                    }
                    rest += buffer[start..<count]
                    guard rest.count <= StdioBridge.maximumLineBytes else { break }
                }
                if !rest.isEmpty { continuation.yield(rest) }
                continuation.finish()
            }
            thread.start()
        }
    }
}
