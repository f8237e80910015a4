import ArgumentParser

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Print a completion script for a shell.",
        discussion: """
            Commands, options, files, and the users and clients of the data folder.

            EXAMPLES
              mcp-auth completions bash > /etc/bash_completion.d/mcp-auth
              mcp-auth completions zsh > ~/.zfunc/_mcp-auth
              mcp-auth completions fish > ~/.config/fish/completions/mcp-auth.fish
            """)

    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    func run() throws {
        Console.output(MCPAuthCommand.completionScript(for: CompletionShell(rawValue: shell.rawValue) ?? .bash))
    }
}
