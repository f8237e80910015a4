public import Foundation
import JOSE
public import MCPServer
public import OAuth

/// The entry point of a server program. It prints an error as one line on standard error and exits with a code, instead
/// of a crash report.
///
/// ```swift
/// await ServerProgram.run {
///     let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer("https://login.example.com"))
///     try await server.run(.http(port: 8000), protectedBy: auth)
/// }
/// ```
public enum ServerProgram {
    /// Runs a program. If it throws, prints the error and ends the process.
    ///
    /// Exit codes (sysexits.h): 69 when something is not available, such as a port or a store; 78 for a wrong
    /// configuration, which includes every other `OAuthError`; 1 for any other error. Standard output is written line
    /// by line, also into a file.
    public static func run(isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Void) async {
        StandardOutput.writeLineByLine()
        do {
            try await body()
            if Welcome.wasShown { Welcome.print("Stopped.\n") }
        } catch {
            let (text, code) = failure(error)
            StandardOutput.printError("\(name): \(text)\n")
            exit(code)
        }
    }

    /// For programs without arguments: answers `--help` with the variables that the program reads, and ends the process
    /// with 64 for any other argument, which would otherwise be ignored. A variable of nearly the same name is reported
    /// on standard error.
    ///
    /// - Parameter variables: Each variable with its meaning.
    public static func takesNoArguments(variables: KeyValuePairs<String, String> = [:]) {
        guard let argument = CommandLine.arguments.dropFirst().first else {
            for warning in misspelt(ProcessInfo.processInfo.environment, of: variables.map(\.key)) {
                StandardOutput.printError("\(name): \(warning)\n")
            }
            return
        }
        let width = (variables.map(\.key.count).max() ?? 0) + 2
        let list = variables.map { "  \($0.key.padding(toLength: width, withPad: " ", startingAt: 0))\($0.value)\n" }.joined()
        let help = list.isEmpty ? "" : "It reads these environment variables:\n\n\(list)"
        guard ["--help", "-h", "help"].contains(argument) else {
            StandardOutput.printError("\(name): it takes no arguments, and \(HTTPReply.printable(argument)) is one. \(help)")
            exit(64)
        }
        StandardOutput.print("\(name) takes no arguments. \(help)")
        exit(0)
    }

    /// What is said of variables whose names are nearly those that a program reads.
    static func misspelt(_ environment: [String: String], of known: [String]) -> [String] {
        environment.keys.sorted().compactMap { name in
            // Names that differ in more than one letter, or are the other variable in use, are of other programs.
            guard !known.contains(name), let meant = NearestName.of(name, among: known, edits: 1), environment[meant] == nil else { return nil }
            return "the variable \(HTTPReply.printable(name)) is set, but not read. Did you mean \(meant)?"
        }
    }

    /// The transport with plain http on the address in the environment variable `HOST`, or `127.0.0.1`, and the port in
    /// `PORT`, or the given one. Throws like `port(_:environment:)`.
    public static func transport(
        port standard: Int, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(OAuthError) -> MCPServer.Transport {
        .http(host: environment["HOST"].flatMap { $0.isEmpty ? nil : $0 } ?? "127.0.0.1", port: try port(standard, environment: environment))
    }

    /// The port in the environment variable `PORT`, which platforms set, or the given one. Throws
    /// `invalid_configuration` for a value that is not a port from 1 to 65535.
    public static func port(_ standard: Int, environment: [String: String] = ProcessInfo.processInfo.environment) throws(OAuthError) -> Int {
        guard let text = environment["PORT"], !text.isEmpty else { return standard }
        guard let port = Int(text), (1...65535).contains(port) else {
            throw OAuthError(.invalidConfiguration, "PORT is \(HTTPReply.printable(text)); set it to a number from 1 to 65535")
        }
        return port
    }

    /// The number of reverse proxies in front of the server, in the environment variable `TRUSTED_PROXIES`, or 0.
    /// Throws `invalid_configuration` for a value that is not a number from 0 to 16.
    public static func trustedProxies(environment: [String: String] = ProcessInfo.processInfo.environment) throws(OAuthError) -> Int {
        guard let text = environment["TRUSTED_PROXIES"], !text.isEmpty else { return 0 }
        guard let count = Int(text), (0...16).contains(count) else {
            throw OAuthError(
                .invalidConfiguration, "TRUSTED_PROXIES is \(HTTPReply.printable(text)); set it to the number of reverse proxies in front, 0 to 16")
        }
        return count
    }

    /// The origin of the server: that of the environment variable `ORIGIN`, such as `https://mcp.example.com`, or the
    /// loopback URL of the transport.
    ///
    /// Call it before anything is created: the data of a server belongs to its address. Throws `invalid_configuration`
    /// for a value that is no origin, http elsewhere than on this machine, and a loopback URL whose scheme or port is
    /// not that of the transport.
    public static func origin(
        of transport: MCPServer.Transport, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(OAuthError) -> String {
        let isEncrypted = if case .https = transport { true } else { false }
        let port = transport.address.port
        guard let text = environment["ORIGIN"], !text.isEmpty else {
            let own = "\(isEncrypted ? "https" : "http")://127.0.0.1:\(port)"
            // Without the scheme's own port, as clients write it.
            let origin = WebURL(own)?.origin ?? own
            if !["127.0.0.1", "localhost", "::1"].contains(transport.address.host) {
                let warning = "it listens on \(transport.address.host), but answers requests to \(origin) only. Set ORIGIN to its public address"
                StandardOutput.printError("\(name): \(warning)\n")
            }
            return origin
        }
        if let problem = OriginText.problem(text) {
            throw OAuthError(.invalidConfiguration, "ORIGIN is a scheme and a host, such as https://mcp.example.com. \(problem)")
        }
        guard let url = WebURL(text) else { return text }
        guard url.isSecure || url.isLoopback else {
            throw OAuthError(.invalidConfiguration, "ORIGIN is https, except on this machine: https://\(url.hostForURL)")
        }
        guard !url.isLoopback || (url.isSecure == isEncrypted && url.effectivePort == port) else {
            throw OAuthError(
                .invalidConfiguration,
                "ORIGIN is \(text), but the server listens with \(isEncrypted ? "https" : "http") on port \(port). "
                    + "Use \(isEncrypted ? "https" : "http")://\(url.hostForURL):\(port), or set PORT. Nothing was written")
        }
        return text
    }

    /// The text and the exit code for an error.
    package static func failure(_ error: any Error) -> (text: String, code: Int32) {
        switch error {
        case let error as OAuthError:
            let isElsewhere = error.code == .temporarilyUnavailable || error.code == .fetchFailed
            return (error.message, isElsewhere ? 69 : 78)
        case let error as JOSEError: return (error.message, 78)
        case is CancellationError: return ("stopped before it had started", 1)
        default: return ("\(error)", 1)
        }
    }

    private static var name: String { CommandLine.arguments.first.map { URL(fileURLWithPath: $0).lastPathComponent } ?? "server" }
}
