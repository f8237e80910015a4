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

            Look after a server's data, also while it runs:
              mcp-auth users list      people, their passwords and one-time codes
              mcp-auth clients list    applications and their secrets
              mcp-auth grants list     who allowed what to whom
              mcp-auth keys list       signing keys
              mcp-auth audit verify    whether the audit log is whole
              mcp-auth store check     whether the database is intact

            Completion scripts: mcp-auth --generate-completion-script bash|zsh|fish

            Exit codes: 0 success, 64 wrong usage, 69 something needed is not available, 78 wrong configuration, 1 anything else.
            """,
        version: Version.text,
        subcommands: [
            DemoCommand.self, UsersCommand.self, ClientsCommand.self, GrantsCommand.self, KeysCommand.self, AuditCommand.self,
            StoreCommand.self,
        ])
}

enum Version {
    static let text = "0.1.0"
}
