public import Foundation
import JOSE
public import OAuth

/// The entry point of a server program: what goes wrong becomes one line on standard error and an exit code, instead of
/// a crash with registers.
///
/// ```swift
/// await ServerProgram.run {
///     let auth = try ResourceServer("https://mcp.example.com/mcp", trusting: .issuer("https://login.example.com"))
///     try await server.run(.http(port: 8000), protectedBy: auth)
/// }
/// ```
public enum ServerProgram {
    /// Runs a program, and ends the process with an error where it throws.
    ///
    /// Exit codes (sysexits.h): 69 where something that is needed is not available, such as a port or a store; 78 for a
    /// wrong configuration, which every other `OAuthError` at the start of a server means; 1 for anything else.
    /// Standard output is written line by line, also into a file.
    public static func run(isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Void) async {
        StandardOutput.writeLineByLine()
        do { try await body() } catch {
            let (text, code) = failure(error)
            FileHandle.standardError.write(Data("\(name): \(text)\n".utf8))
            exit(code)
        }
    }

    /// The port in the environment variable `PORT`, as platforms set it, or the one given. Throws
    /// `invalid_configuration` for a value that is no port.
    public static func port(_ standard: Int, environment: [String: String] = ProcessInfo.processInfo.environment) throws(OAuthError) -> Int {
        guard let text = environment["PORT"], !text.isEmpty else { return standard }
        guard let port = Int(text), (1...65535).contains(port) else {
            throw OAuthError(.invalidConfiguration, "PORT is \(HTTPReply.printable(text)); set it to a number from 1 to 65535")
        }
        return port
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
