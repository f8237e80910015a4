import ArgumentParser
import JOSE
import MCPClient
import OAuth

/// The exit codes of commands that call servers: they tell authorization from network from tool errors.
enum ClientFailure {
    static let text = """
        EXIT CODES
          0 success, 1 the tool or the server reported an error, 64 wrong usage,
          69 a server cannot be reached, 76 a server does not follow the protocol,
          77 not signed in or not allowed, 78 wrong configuration
        """

    /// Says what went wrong and what to do next.
    static func exit(_ error: any Error, server: String? = nil) -> ExitCode {
        if let error = error as? ExitCode { return error }
        if let error = error as? MCPError {
            let isRefusal = error.code == MCPError.httpStatus && [401, 403].contains(error.data?["status"]?.int)
            let next = isRefusal ? server.map { ". mcp-auth doctor \($0) examines why" } ?? "" : ""
            Console.problem(error.message + (error.data.flatMap { $0.string }.map { ": \($0)" } ?? "") + next)
            return ExitCode(error.code == MCPError.notMCP ? 76 : isRefusal ? 77 : error.code == MCPError.httpStatus ? 69 : 1)
        }
        guard let error = error as? OAuthError else { return Console.failure(error) }
        var message = Console.inOptions(error.message)
        let code: Int32
        switch error.code {
        case .fetchFailed, .temporarilyUnavailable, .serverError: code = 69
        case .invalidConfiguration: code = 78
        case .invalidIdentifier, .invalidRequest: code = 64
        case .invalidMetadata, .invalidResponse: code = 76
        default: code = 77
        }
        if error.code == .loginRequired, let server { message += ". Sign in: mcp-auth login \(server)" }
        if error.code == .invalidTarget, let server {
            message += ". The authorization server has to be configured for \(server); ask its operator"
        }
        if error.code == .insufficientScope, let server {
            let scopes = message.firstMatch(of: /demands the scopes ([^,]+),/).map { "\"\($0.1)\"" } ?? "SCOPES"
            message += ". To ask for them: mcp-auth login \(server) --add-scope \(scopes)"
        }
        Console.problem(message)
        return ExitCode(code)
    }
}

extension Console {
    /// An error, on standard error.
    static func problem(_ message: String) { note("\(bold("mcp-auth:", on: .error)) \(printable(message))") }
}
