import ArgumentParser
import Foundation
import OAuth

/// What people see. Progress and errors go to standard error, results to standard output; colour only where a person looks at a terminal.
enum Console {
    static let isColourful: Bool = isatty(2) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil

    static func bold(_ text: String) -> String { isColourful ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
    static func quiet(_ text: String) -> String { isColourful ? "\u{1B}[2m\(text)\u{1B}[0m" : text }

    static func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// An error that says what to do next, with an exit code that means something (sysexits.h).
    static func failure(_ error: OAuthError) -> ExitCode {
        note("\(bold("mcp-auth:")) \(error.message)")
        switch error.code {
        case .temporarilyUnavailable, .fetchFailed: return ExitCode(69)
        case .invalidConfiguration, .invalidIdentifier: return ExitCode(78)
        default: return .failure
        }
    }
}
