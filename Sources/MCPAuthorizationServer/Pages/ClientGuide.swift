import JOSE
import OAuth

/// The instructions to add the server to one MCP client. Names of programs, menus, files and commands are those of the
/// client, in every language.
struct ClientGuide: Sendable {
    enum Step: Sendable {
        /// A link that opens the client with the server filled in.
        case link(String)
        /// A path through the client's menus. At its end the user pastes the URL.
        case menu(String)
        /// A command for a terminal.
        case command(String)
        /// The path of a configuration file, and a text for it.
        case file(String, String)

        var isCommand: Bool { if case .command = self { true } else { false } }
    }

    /// Nil: every client that supports only stdio.
    let client: String?
    let steps: [Step]
    /// Whether the client calls from servers of its vendor, which cannot reach a program on this machine.
    var needsPublicAddress = false

    /// - Parameters:
    ///   - name: The name of the server in the client.
    ///   - url: The URL of the MCP endpoint.
    static func all(name: String, url: String) -> [ClientGuide] {
        let name = identifier(name)
        let entry: JSONValue = ["url": .string(url)]
        let codeEntry: JSONValue = ["name": .string(name), "type": "http", "url": .string(url)]
        func servers(_ key: String, _ entry: JSONValue) -> String {
            JSONValue.object([key: .object([name: entry])]).text
        }
        let httpEntry: JSONValue = ["type": "http", "url": .string(url)]
        let bridge: JSONValue = ["command": "mcp-auth", "args": ["bridge", .string(url)]]
        return [
            ClientGuide(
                client: "Claude", steps: [.link("https://claude.ai/settings/connectors"), .menu("Settings → Connectors → Add custom connector")],
                needsPublicAddress: true),
            ClientGuide(
                client: "Claude Code",
                steps: [.command("claude mcp add --transport http \(name) \(url)"), .command("claude"), .menu("/mcp → \(name) → Authenticate")]),
            ClientGuide(
                client: "ChatGPT",
                steps: [
                    .link("https://chatgpt.com/#settings/Connectors"), .menu("Settings → Apps & Connectors → Advanced → Developer mode → Create"),
                ],
                needsPublicAddress: true),
            ClientGuide(
                client: "Cursor",
                steps: [
                    .link("cursor://anysphere.cursor-deeplink/mcp/install?name=\(name)&config=" + Form.encode(base64(entry.text))),
                    .file("~/.cursor/mcp.json", servers("mcpServers", entry)),
                ]),
            ClientGuide(
                client: "VS Code",
                steps: [
                    .link("vscode:mcp/install?" + percentEncoded(codeEntry.text)), .command("code --add-mcp '\(codeEntry.text)'"),
                    .file(".vscode/mcp.json", servers("servers", httpEntry)),
                ]),
            ClientGuide(client: "Codex", steps: [.command("codex mcp add \(name) --url \(url)"), .command("codex mcp login \(name)")]),
            ClientGuide(
                client: "Goose",
                steps: [
                    .menu("goose configure → Add Extension → Remote Extension (Streamable HTTP)"),
                    .file(
                        "~/.config/goose/config.yaml",
                        "extensions:\n  \(name):\n    name: \(name)\n    type: streamable_http\n    uri: \(url)\n    enabled: true\n    timeout: 300"),
                ]),
            ClientGuide(
                client: "Gemini CLI",
                steps: [
                    .command("gemini mcp add --transport http \(name) \(url)"),
                    .file("~/.gemini/settings.json", servers("mcpServers", ["httpUrl": .string(url)])),
                ]),
            ClientGuide(
                client: "MCP Inspector",
                steps: [
                    .command("npx @modelcontextprotocol/inspector"),
                    .link("http://localhost:6274/?transport=streamable-http&serverUrl=" + Form.encode(url)),
                ]),
            ClientGuide(
                client: nil,
                steps: [.command("mcp-auth bridge \(url)"), .file("mcp.json", servers("mcpServers", bridge)), .command("npx -y mcp-remote \(url)")]),
        ]
    }

    /// A name that needs no quotes in a shell, in YAML and in a URL.
    private static func identifier(_ name: String) -> String {
        let bytes = name.utf8.map { URLBytes.isLetter($0) || URLBytes.isDigit($0) || $0 == 0x2D ? URLBytes.lowercased($0) : 0x2D }
        let text = String(decoding: bytes.prefix(40), as: UTF8.self)
        return text.isEmpty ? "mcp" : text
    }

    private static func base64(_ text: String) -> String {
        // Base64 with padding, as Cursor reads it.
        let plain = Base64URL.encode(Array(text.utf8)).replacing("-", with: "+").replacing("_", with: "/")
        return plain + String(repeating: "=", count: (4 - plain.utf8.count % 4) % 4)
    }

    /// Every byte that is not unreserved (RFC 3986 §2.3).
    private static func percentEncoded(_ text: String) -> String { Form.encode(text).replacing("+", with: "%20") }
}
