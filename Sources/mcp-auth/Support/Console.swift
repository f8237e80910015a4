import ArgumentParser
import Foundation
import OAuth

/// What people see. Progress and errors go to standard error, results to standard output; colour only where a person looks at a terminal.
enum Console {
    enum Stream: Int32 { case output = 1, error }

    static func bold(_ text: String, on stream: Stream) -> String { isColourful(stream) ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

    private static func isColourful(_ stream: Stream) -> Bool {
        isatty(stream.rawValue) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    }

    static func output(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

    /// Words that strangers chose, without what a terminal would obey or what turns the order of a line around.
    static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar in
                    switch scalar.properties.generalCategory {
                    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: "\u{FFFD}"
                    default: scalar
                    }
                }))
    }

    /// A secret: asked for without an echo where a person types, otherwise the first line of standard input. Never an argument, which everybody on the
    /// machine could read.
    static func secret(_ prompt: String) throws -> String {
        guard isatty(0) == 1 else {
            guard let line = readLine(strippingNewline: true), !line.isEmpty else {
                throw OAuthError(.invalidRequest, "send the password on standard input")
            }
            return line
        }
        guard let text = getpass(prompt) else { throw OAuthError(.invalidRequest, "no password was typed") }
        return String(cString: text)
    }

    static func note(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// An error that says what to do next, with an exit code that means something (sysexits.h).
    static func failure(_ error: OAuthError) -> ExitCode {
        note("\(bold("mcp-auth:", on: .error)) \(error.message)")
        switch error.code {
        case .temporarilyUnavailable, .fetchFailed: return ExitCode(69)
        case .invalidConfiguration, .invalidIdentifier: return ExitCode(78)
        default: return .failure
        }
    }
}
