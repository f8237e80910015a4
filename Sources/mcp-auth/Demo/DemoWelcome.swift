import Foundation
import MCPAuthHummingbird
import OAuth

/// What the demo says once it listens.
enum DemoWelcome {
    private static var program: String { CommandLine.arguments[0] }

    static func print(origin: String, listening: String, data: String, passwords: [(name: String, password: String)], signIn: DemoSignIn) {
        var text = """

            \(Console.bold("Tasks, protected.", on: .output))  Stop with Ctrl-C.

              MCP server        \(origin)/mcp
              Account page      \(origin)/account\(WebURL(listening)?.origin == origin ? "" : "\n  Listens on        " + listening)
              Health, metrics   \(origin)/health  \(origin)/ready  \(origin)/metrics
              Data              \(URL(fileURLWithPath: data).path)  (audit.jsonl records every decision)

            """
        if !signIn.providers.isEmpty {
            let methods = signIn.providers.map(\.name) + (signIn.hasPasswords ? ["a password"] : [])
            text += "\n\(Console.bold("Users sign in with", on: .output)) \(methods.joined(separator: " or ")).\n"
            for provider in signIn.providers where provider.id != DemoSignIn.simulatedID {
                text += "  Register this redirect URI at \(provider.name): \(origin)/sign-in/callback/\(provider.id)\n"
            }
        }
        if !signIn.hasPasswords {
            // There are no passwords.
        } else if passwords.isEmpty {
            text += "\n  The users are ada and grace, with the passwords of the first start. To set a new one:\n"
            text += "    \(program) users password ada --data \(data)\n"
        } else {
            text += "\n\(Console.bold("Two users can sign in.", on: .output)) Their passwords are shown only now:\n\n"
            for (name, password) in passwords { text += "  \(name.padding(toLength: 8, withPad: " ", startingAt: 0))\(password)\n" }
        }
        text += """

            \(Console.bold("Try it", on: .output))

              Open \(origin) in a browser: the page shows how to connect a client.

              Without a token, the answer says where to get one:
                curl -i \(origin)/mcp -H 'Content-Type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'

              As a user, with a browser:
                \(program) tools \(origin)/mcp
                \(program) call \(origin)/mcp create-task text="Buy milk"

              As a machine, or a device:
                \(program) clients add robot --grant client_credentials --scope read:tasks --data \(data)
                \(program) clients add tv --grant urn:ietf:params:oauth:grant-type:device_code --public --data \(data)
                curl \(origin)/device_authorization -d client_id=tv

              In a client's configuration file:
                {"mcpServers": {"tasks": {"type": "http", "url": "\(origin)/mcp"}}}


            """
        StandardOutput.print(text)
    }
}
