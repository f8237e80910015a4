import ArgumentParser
import OAuth

@main
struct MCPAuthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp-auth",
        abstract: "Authentication and authorization for MCP servers.",
        discussion: """
            START HERE
              mcp-auth demo            run a protected MCP server with its own sign-in
              mcp-auth init notes      write a package with a protected server of your own

            CALL A PROTECTED SERVER
              mcp-auth login URL       sign in; the other commands do it by themselves
              mcp-auth tools URL       list tools; also: call, resources, prompts
              mcp-auth token URL       print an access token, for curl
              mcp-auth bridge URL      connect a client that speaks only stdio
              mcp-auth discover URL    how to sign in; doctor URL says what is wrong

            OPERATE A SERVER, also while it runs (--data FOLDER or MCP_AUTH_DATA)
              mcp-auth users list      users, their passwords and one-time codes
              mcp-auth clients list    applications and their secrets
              mcp-auth grants list     what users allowed applications
              mcp-auth keys list       signing keys
              mcp-auth audit verify    whether the audit log was changed
              mcp-auth store check     whether the database is intact

            SHELL
              mcp-auth completions bash|zsh|fish
              mcp-auth man --directory /usr/local/share/man/man1

            EXIT CODES
              0 success, 1 failure, 64 wrong usage, 69 something needed is not
              available, 76 a server does not follow the protocol, 77 not signed in
              or not allowed, 78 wrong configuration; of doctor also 65 errors found,
              70 anyone can get in or a user can be attacked
            """,
        version: Version.text,
        subcommands: [
            DemoCommand.self, InitCommand.self, LoginCommand.self, LogoutCommand.self, StatusCommand.self, ToolsCommand.self, CallCommand.self,
            ResourcesCommand.self, PromptsCommand.self, TokenCommand.self, BridgeCommand.self, DiscoverCommand.self, UsersCommand.self,
            ClientsCommand.self, GrantsCommand.self, KeysCommand.self, AuditCommand.self,
            StoreCommand.self, ProvidersCommand.self, DoctorCommand.self, CompletionsCommand.self, ManCommand.self,
        ])

    /// Errors of every command in one voice: `mcp-auth: what is wrong`, on standard error, with an exit code of
    /// sysexits.h.
    static func main() async {
        do {
            var command = try await asyncParseAsRoot()
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
        } catch { Console.exit(error, of: MCPAuthCommand.self) }
    }
}

enum Version {
    static let text = "0.1.0"
}
