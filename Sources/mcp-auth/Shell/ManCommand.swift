import ArgumentParser
import Foundation
import JOSE
import OAuth

struct ManCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "man", abstract: "Write the manual pages.",
        discussion: """
            One page for each command: mcp-auth.1, mcp-auth-users.1 and so on. Without
            --directory the page of mcp-auth goes to standard output.

            EXAMPLES
              mcp-auth man | man -l -
              mcp-auth man --directory ~/.local/share/man/man1
            """)

    @Option(help: ArgumentHelp("The folder for the pages.", valueName: "folder"), completion: .directory)
    var directory: String?

    func run() throws {
        do throws(OAuthError) {
            let pages = try ManualPage.all()
            guard let directory else {
                guard isatty(1) == 0 else {
                    throw OAuthError(
                        .invalidRequest, "the page is in the language of man: mcp-auth man | man -l -, or mcp-auth man --directory FOLDER")
                }
                return Console.output(pages.first?.text ?? "")
            }
            do { try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true) } catch {
                throw OAuthError(.invalidConfiguration, "the folder \(directory) cannot be created; choose one that you may write to")
            }
            for page in pages {
                let path = URL(fileURLWithPath: directory).appendingPathComponent(page.name + ".1").path
                guard FileManager.default.createFile(atPath: path, contents: Data(page.text.utf8)) else {
                    throw OAuthError(.invalidConfiguration, "\(path) cannot be written")
                }
            }
            Console.note("wrote \(pages.count) pages to \(directory)")
        } catch { throw Console.failure(error) }
    }
}

/// A manual page of one command, from what ArgumentParser says about it.
struct ManualPage {
    let name: String
    let text: String

    /// The page of `mcp-auth` first, then those of its commands. Throws `server_error` when the description cannot be
    /// read.
    static func all() throws(OAuthError) -> [ManualPage] {
        guard let root = (try? JSONValue(parsing: Array(MCPAuthCommand._dumpHelp().utf8)))?["command"] else {
            throw OAuthError(.serverError, "the description of the commands cannot be read")
        }
        return pages(root, [])
    }

    private static func pages(_ command: JSONValue, _ parents: [String]) -> [ManualPage] {
        let path = parents + [command["commandName"]?.string ?? ""]
        let commands = (command["subcommands"]?.array ?? []).filter { $0["commandName"]?.string != "help" }
        return [ManualPage(command, path, commands)] + commands.flatMap { pages($0, path) }
    }

    private init(_ command: JSONValue, _ path: [String], _ commands: [JSONValue]) {
        name = path.joined(separator: "-")
        let arguments = (command["arguments"]?.array ?? []).filter { $0["shouldDisplay"]?.bool ?? true }
        var lines = [
            ".TH \(Self.escaped(name.uppercased())) 1 \"\" \"mcp-auth \(Version.text)\" \"mcp-auth manual\"", ".SH NAME",
            Self.escaped("\(name) - \(command["abstract"]?.string ?? "")"), ".SH SYNOPSIS", ".B " + Self.escaped(path.joined(separator: " ")),
            commands.isEmpty ? "[options] " + arguments.compactMap(Self.operand).joined(separator: " ") : "command [options]",
        ]
        if let discussion = command["discussion"]?.string, !discussion.isEmpty {
            lines +=
                [".SH DESCRIPTION", ".nf"] + discussion.split(separator: "\n", omittingEmptySubsequences: false).map { Self.escaped(String($0)) }
            lines.append(".fi")
        }
        if !commands.isEmpty {
            lines.append(".SH COMMANDS")
            for command in commands {
                lines += [".TP", ".B " + Self.escaped(command["commandName"]?.string ?? ""), Self.escaped(command["abstract"]?.string ?? "")]
            }
        }
        if !arguments.isEmpty {
            lines.append(".SH OPTIONS")
            for argument in arguments {
                let help = argument["abstract"]?.string ?? ""
                let standard = argument["defaultValue"]?.string.map { $0.isEmpty ? "" : " Default: \($0)." } ?? ""
                lines += [".TP", ".B " + Self.escaped(Self.title(argument)), Self.escaped(help + standard)]
            }
        }
        text = lines.joined(separator: "\n") + "\n"
    }

    private static func operand(_ argument: JSONValue) -> String? {
        guard argument["kind"]?.string == "positional" else { return nil }
        return escaped("<\(argument["valueName"]?.string ?? "")>")
    }

    private static func title(_ argument: JSONValue) -> String {
        let names = (argument["names"]?.array ?? []).compactMap { name -> String? in
            guard let text = name["name"]?.string else { return nil }
            return (name["kind"]?.string == "long" ? "--" : "-") + text
        }.joined(separator: ", ")
        let value = argument["kind"]?.string == "flag" ? nil : argument["valueName"]?.string
        return [names.isEmpty ? nil : names, value.map { "<\($0)>" }].compactMap { $0 }.joined(separator: " ")
    }

    /// Text that roff prints as it stands: no control lines, no escapes, and dashes that can be copied.
    private static func escaped(_ text: String) -> String {
        let plain = text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
        return plain.hasPrefix(".") || plain.hasPrefix("'") ? "\\&" + plain : plain
    }
}
