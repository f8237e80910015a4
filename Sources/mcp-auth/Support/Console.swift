import ArgumentParser
import Foundation
import MCPAuthHummingbird
import OAuth

/// What people see. Progress and errors go to standard error, results to standard output; colour only where a person
/// looks at a terminal.
enum Console {
    enum Stream: Int32 { case output = 1, error }

    static func bold(_ text: String, on stream: Stream) -> String { isColourful(stream) ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

    private static func isColourful(_ stream: Stream) -> Bool {
        isatty(stream.rawValue) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    }

    /// When nothing reads the output any more, the process ends as a closed pipe ends other programs. When it cannot be
    /// written, that is an error.
    static func output(_ text: String) {
        guard let code = StandardOutput.print(text + "\n") else { return }
        guard code != EPIPE else { Foundation.exit(128 + SIGPIPE) }
        note("\(bold("mcp-auth:", on: .error)) the output cannot be written: \(String(cString: strerror(code)))")
        Foundation.exit(1)
    }

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

    /// A new secret: asked for twice without an echo where a person types, otherwise the first line of standard input.
    /// Never an argument, which every user of the machine could read.
    static func newSecret(_ prompt: String) throws -> String {
        guard isatty(0) == 1 else {
            guard let line = readLine(strippingNewline: true), !line.isEmpty else {
                throw OAuthError(.invalidRequest, "no password was given; send it as the first line of standard input")
            }
            return line
        }
        let first = try typed(prompt)
        guard try typed("The same again: ") == first else {
            throw OAuthError(.invalidRequest, "the two passwords are not the same; nothing was changed")
        }
        return first
    }

    /// Whether the person at the terminal agrees. True where no person is asked, because input or errors go elsewhere.
    static func confirms(_ question: String) -> Bool {
        guard isatty(0) == 1, isatty(2) == 1 else { return true }
        StandardOutput.printError("\(question) [y/N] ")
        return ["y", "yes"].contains(readLine()?.lowercased() ?? "")
    }

    private static func typed(_ prompt: String) throws -> String {
        guard let text = getpass(prompt), text.pointee != 0 else { throw OAuthError(.invalidRequest, "no password was typed; nothing was changed") }
        return String(cString: text)
    }

    /// A long line in lines of `width` columns, each indented. Words are not broken.
    static func wrapped(_ text: String, width: Int = 80, indent: Int = 0) -> String {
        let margin = String(repeating: " ", count: indent)
        var lines = [margin]
        for word in text.split(separator: " ") {
            if lines[lines.count - 1].count + 1 + word.count > width, lines[lines.count - 1].count > indent { lines.append(margin) }
            lines[lines.count - 1] += (lines[lines.count - 1].count == indent ? "" : " ") + word
        }
        return lines.joined(separator: "\n")
    }

    /// A paragraph in lines of 80 columns that begins with a mark, such as a number or a name. Its other lines are
    /// indented to where the text begins.
    static func item(_ mark: String, _ text: String) -> String {
        let words = wrapped(text, indent: mark.count)
        return mark + words.dropFirst(mark.count)
    }

    /// A number of seconds as people say it.
    static func duration(_ seconds: Int64) -> String {
        for (size, name) in [(86400, "day"), (3600, "hour"), (60, "minute")] as [(Int64, String)] where seconds >= size && seconds % size == 0 {
            return "\(seconds / size) \(name)\(seconds == size ? "" : "s")"
        }
        return "\(seconds) second\(seconds == 1 ? "" : "s")"
    }

    static func note(_ text: String) { StandardOutput.printError(text + "\n") }

    /// The width of the terminal in columns, or of the variable COLUMNS. Nil where nobody looks: then nothing is cut.
    static var width: Int? {
        if let columns = ProcessInfo.processInfo.environment["COLUMNS"].flatMap(Int.init), columns >= 40 { return columns }
        guard isatty(1) == 1 else { return nil }
        var size = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return nil }
        return Int(size.ws_col)
    }

    /// The words of a library's message for the options of the command line.
    static func inOptions(_ message: String) -> String {
        message
            .replacing(
                "for a server of your own network set allowPrivateNetworks", with: "for a server of your own network add --allow-private-networks"
            )
            .replacing(
                "name the issuer in issuersWithUnadvertisedPKCE if you know that it has it",
                with: "add --allow-unadvertised-pkce with --issuer if you know that it has it")
    }

    /// Says what went wrong and what to do next. The exit code says where (sysexits.h).
    static func failure(_ error: any Error) -> ExitCode {
        guard let error = error as? OAuthError else {
            let (text, code) = ServerProgram.failure(error)
            note("\(bold("mcp-auth:", on: .error)) \(printable(text))")
            return ExitCode(code)
        }
        note("\(bold("mcp-auth:", on: .error)) \(printable(inOptions(error.message)))")
        switch error.code {
        case .temporarilyUnavailable, .fetchFailed: return ExitCode(69)
        case .invalidConfiguration: return ExitCode(78)
        case .serverError: return .failure
        // Everything else is a value of the command line that cannot be.
        default: return ExitCode(64)
        }
    }

    /// Ends the process with what a command threw. Help and the version are no failures; wrong usage is 64, whatever
    /// found it.
    static func exit(_ error: any Error, of root: any ParsableCommand.Type) -> Never {
        if let code = error as? ExitCode { Foundation.exit(code.rawValue) }
        if error is OAuthError { Foundation.exit(failure(error).rawValue) }
        let code = root.exitCode(for: error)
        let words = Array(CommandLine.arguments.dropFirst())
        if code == .success, words.first == "help", let unknown = UnknownCommand.find(in: Array(words.dropFirst()), of: root) {
            note("\(bold("mcp-auth:", on: .error)) \(printable(unknown))")
            Foundation.exit(64)
        }
        guard code != .success else {
            output(wrappingUsage(root.fullMessage(for: error)))
            Foundation.exit(0)
        }
        if code != .validationFailure { Foundation.exit(failure(error).rawValue) }
        let prefix = "Error: "
        var message = root.fullMessage(for: error)
        if message.hasPrefix(prefix) { message = String(message.dropFirst(prefix.count)) }
        // ArgumentParser compares an option with those of the command, and not with --version and --help.
        if let found = message.firstMatch(of: /^Unknown option '(--[A-Za-z-]+)'\n/),
            let name = NearestName.of(String(found.1), among: ["--version", "--help"])
        {
            message = message.replacing(found.0, with: "Unknown option '\(found.1)'. Did you mean '\(name)'?\n", maxReplacements: 1)
        }
        // The library's messages begin with a capital letter, ours do not. Names keep theirs.
        if message.prefix(while: { $0 != " " }).dropFirst().allSatisfy(\.isLowercase) {
            message = message.prefix(1).lowercased() + message.dropFirst()
        }
        message = wrappingUsage(message)
        if let unknown = UnknownCommand.find(in: words, of: root) { message = unknown }
        note("\(bold("mcp-auth:", on: .error)) \(printable(message.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)))")
        Foundation.exit(64)
    }

    /// Help whose usage line, which ArgumentParser does not break, fits 80 columns.
    private static func wrappingUsage(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard line.count > 80, line.lowercased().hasPrefix("usage:") else { return String(line) }
            var lines = [""]
            // Options stay together with their values.
            for word in line.replacing(" <", with: "\u{0}<").split(separator: " ").map({ $0.replacing("\u{0}", with: " ") }) {
                if lines[lines.count - 1].count + word.count >= 80 { lines.append("      ") }
                lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
            }
            return lines.joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func printable(_ lines: [String]) -> String { lines.map(printable).joined(separator: "\n") }
}

/// A word on the command line that stands where a command should.
enum UnknownCommand {
    /// What other programs call the same.
    private static let synonyms = [
        "delete": "remove", "rm": "remove", "del": "remove", "create": "add", "new": "add", "ls": "list", "passwd": "password", "update": "edit",
        "signin": "login", "signout": "logout", "logs": "audit", "scaffold": "init", "start": "demo", "serve": "demo", "run": "demo",
    ]

    /// What to say of it. Nil when every command is known.
    static func find(in arguments: [String], of root: any ParsableCommand.Type) -> String? {
        var command = root
        var path = root.configuration.commandName ?? "mcp-auth"
        for word in arguments {
            let commands = command.configuration.subcommands
            guard !commands.isEmpty else { return nil }
            guard !word.hasPrefix("-") else { return nil }
            let names = commands.map { $0._commandName }
            guard let index = names.firstIndex(of: word) else {
                if word == "help" { return nil }
                // It may be an argument of the command that is meant when none is named.
                if command.configuration.defaultSubcommand != nil, NearestName.hint(word, among: names).isEmpty { return nil }
                let all = names.sorted().joined(separator: ", ")
                let meant = Self.synonyms[word].flatMap { names.contains($0) ? " (did you mean \($0)?)" : nil }
                return "there is no command \(path) \(word)\(meant ?? NearestName.hint(word, among: names)). The commands are: \(all)"
            }
            command = commands[index]
            path += " " + word
        }
        return nil
    }
}
