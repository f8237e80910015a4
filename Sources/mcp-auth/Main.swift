import ArgumentParser

@main
struct MCPAuthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp-auth",
        abstract: "Authentication and authorization for MCP servers.",
        discussion: """
            Start here:
              mcp-auth demo            a protected task server with its own sign-in, to play with
              mcp-auth demo --help     its options

            Completion scripts: mcp-auth --generate-completion-script bash|zsh|fish

            Exit codes: 0 success, 64 wrong usage, 69 something needed is not available, 78 wrong configuration, 1 anything else.
            """,
        version: Version.text,
        subcommands: [DemoCommand.self])
}

enum Version {
    static let text = "0.1.0"
}
