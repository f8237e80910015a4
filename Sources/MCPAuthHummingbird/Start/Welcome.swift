import Foundation
import MCPAuth
import MCPAuthorizationServer
import MCPServer
import OAuth
import Synchronization

/// The lines that a server prints once it listens.
enum Welcome {
    static func text(
        _ server: MCPServer, _ resourceServer: ResourceServer, _ authorizationServer: AuthorizationServer?, listening: String
    ) -> String {
        var lines = [("MCP server", resourceServer.resource.text)]
        // Behind a proxy, its operator needs the address that the proxy connects to.
        if !resourceServer.resource.text.hasPrefix(listening) { lines.append(("Listens on", listening)) }
        if let authorizationServer {
            if let account = authorizationServer.accountURL { lines.append(("Account page", account)) }
            let methods = authorizationServer.signInSummary
            if methods != ["passwords"] { lines.append(("Sign-in", methods.joined(separator: "; "))) }
            if let location = authorizationServer.location { lines.append(("Data", location)) }
        } else {
            for issuer in resourceServer.metadata.authorizationServers { lines.append(("Sign-in at", issuer)) }
        }
        let list = lines.map { "  " + $0.padding(toLength: 14, withPad: " ", startingAt: 0) + $1 }.joined(separator: "\n")
        return """

            \(server.name) \(server.version) is running. Stop it with Ctrl-C.

            \(list)

            Try it: open the MCP server's URL in a browser; the page says how to connect a client. Or, without a token:

              curl -i \(resourceServer.resource) -H 'Content-Type: application/json' -d '{}'


            """
    }

    /// Whether the server has said that it runs.
    static var wasShown: Bool { shown.withLock { $0 } }
    private static let shown = Mutex(false)

    static func show(
        _ server: MCPServer, _ resourceServer: ResourceServer, _ authorizationServer: AuthorizationServer?, listening: String
    ) {
        print(text(server, resourceServer, authorizationServer, listening: listening))
        shown.withLock { $0 = true }
    }

    static func print(_ text: String) { StandardOutput.print(text) }
}
