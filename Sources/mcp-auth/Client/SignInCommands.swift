import ArgumentParser
import Foundation
import JOSE
import MCPAuth
import MCPAuthClient
import OAuth

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Sign in to a protected MCP server.",
        discussion: """
            Opens a browser, and keeps the tokens for the other commands, which sign in
            by themselves on a terminal. Without a browser on this machine, it prints the
            address, and takes the answer by paste; or use --grant device.

            EXAMPLES
              mcp-auth login https://mcp.example.com/mcp
              mcp-auth login http://127.0.0.1:8000/mcp --scope "read:tasks" --browser none

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String
    @Option(help: ArgumentHelp("Ask for these scopes beside those that were granted before.", valueName: "scopes"))
    var addScope: String?
    @OptionGroup var options: ClientOptions

    func run() async throws {
        try await ClientContext.run(url, options, asksUser: true) { context in
            guard let further = ScopeSet(request: addScope ?? "") else {
                throw OAuthError(.invalidRequest, "--add-scope is a list of scopes separated by spaces")
            }
            try await Self.check([options.scope ?? "", addScope ?? ""].flatMap { $0.split(separator: " ").map(String.init) }, context)
            let credentials = try await context.session.signIn(scopes: further)
            if options.json { return Console.output(JSONValue.object(StatusCommand.object(credentials)).text) }
            guard !options.quiet else { return }
            Console.output("Signed in to \(credentials.server)")
            Console.output("  at      \(credentials.issuer)")
            Console.output("  scopes  \(credentials.scopes.isEmpty ? "none" : credentials.scopes.text)")
            let requested = further.union(ScopeSet(request: options.scope ?? "") ?? [])
            let missing = requested.subtracting(credentials.scopes)
            if !missing.isEmpty { Console.output(Console.item("  not granted: ", missing.text)) }
            if case .bearer = credentials.tokenType {} else { Console.output("  bound to a key (DPoP)") }
            Console.output("Next: mcp-auth tools \(credentials.server)")
        }
    }

    /// Refuses a scope that is nearly one of the server's: its authorization server may ignore it, and the tokens would
    /// lack it. Servers need not list every scope, so others pass.
    private static func check(_ scopes: [String], _ context: ClientContext) async throws(OAuthError) {
        guard !scopes.isEmpty else { return }
        let found = try await context.session.discover()
        let known =
            (found.resourceMetadata?.scopesSupported?.map(\.text) ?? []) + (found.authorizationServer.strings("scopes_supported") ?? [])
        for scope in scopes where !known.contains(scope) {
            let hint = NearestName.hint(scope, among: known)
            guard hint.isEmpty else { throw OAuthError(.invalidRequest, "\(context.server) does not list the scope \(scope)\(hint)") }
        }
    }
}

struct LogoutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout", abstract: "Revoke the tokens for a server and forget them.",
        discussion: """
            Forgets the tokens of machines for that server too.

            EXAMPLES
              mcp-auth logout https://mcp.example.com/mcp
              mcp-auth logout --all

            \(ClientFailure.text)
            """)
    @Argument(help: ArgumentHelp("The URL of the server.", valueName: "url"))
    var url: String?
    @Flag(help: "Of every server.")
    var all = false
    @OptionGroup var options: ClientOptions

    func validate() throws { guard (url != nil) != all else { throw ValidationError("name a server, or give --all") } }

    private func say(_ text: String) { if !options.json, !options.quiet { Console.output(text) } }

    func run() async throws {
        var servers: [String] = url.map { [$0] } ?? []
        if all {
            do { servers = Set(try await ClientSettings.store(options.tokenStore).credentials().map(\.server)).sorted() } catch {
                throw ClientFailure.exit(error)
            }
        }
        var results: [JSONValue] = []
        for server in servers {
            try await ClientContext.run(server, options, asksUser: false) { context in
                let wasSignedIn = try await context.session.stored() != nil
                if wasSignedIn {
                    let isRevoked = try await context.session.signOut()
                    results.append(["server": .string(server), "revoked": .bool(isRevoked)])
                    say(
                        isRevoked
                            ? "Signed out of \(server)."
                            : "Forgot the tokens for \(server). Its authorization server did not confirm the revocation, so they end by themselves.")
                }
                // Those of other identities, such as a machine, which only its credentials could revoke.
                let others = try await context.store.removeCredentials(for: context.server)
                guard wasSignedIn || !others.isEmpty || all else {
                    throw OAuthError(.invalidRequest, "there is no sign-in to \(server); see mcp-auth status")
                }
                for item in others {
                    results.append(["server": .string(item.server), "revoked": false])
                    say("Forgot the tokens of \(item.clientID.isEmpty ? "a workload" : item.clientID) for \(item.server). They end by themselves.")
                }
            }
        }
        if all {
            // Records that cannot be used are of no server.
            do { try await ClientSettings.store(options.tokenStore).removeCredentials() } catch { throw ClientFailure.exit(error) }
        }
        if options.json { Console.output(JSONValue.array(results).text) }
    }
}

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the servers that you are signed in to.",
        discussion: """
            Shows no token. Nothing is sent.

            EXAMPLES
              mcp-auth status
              mcp-auth status --json

            EXIT CODES
              0 success, 78 the token store cannot be used
            """)
    @Option(help: ArgumentHelp("keychain, or a folder.", valueName: "store"))
    var tokenStore: String?
    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let store: any TokenStore
        let found: [Credentials]
        var plain = 0
        do {
            // A look creates no folder.
            store = try ClientSettings.hasStore(tokenStore) ? ClientSettings.store(tokenStore) : MemoryTokenStore()
            found = try await store.credentials()
            plain = try (store as? FileTokenStore)?.unsealedCount() ?? 0
        } catch { throw ClientFailure.exit(error) }
        let file = store as? FileTokenStore
        if json {
            var object: JSONObject = ["servers": .array(found.map { .object(Self.object($0)) })]
            object["store"] = file.map { .string($0.folder) }
            object["sealed"] = file.map { .bool($0.isSealed && plain == 0) }
            return Console.output(JSONValue.object(object).text)
        }
        if found.isEmpty {
            Console.note("You are not signed in to any server. Sign in: mcp-auth login URL")
        } else {
            let now = Clock.system.now
            Table(
                ["server", "access_token", "renewable", "client_id", "issuer", "scopes"],
                found.map { item in
                    [
                        .string(item.server), .string(Self.age(item, now)), .bool(item.refreshToken != nil), .string(item.clientID),
                        .string(item.issuer.text), .string(item.scopes.text),
                    ]
                }
            ).print()
        }
        if let file {
            Console.note(
                file.isSealed && plain > 0
                    ? "New tokens in \(file.folder) are sealed, but \(plain) \(plain == 1 ? "file was" : "files were") written before and \(plain == 1 ? "is" : "are") plain text. To seal the tokens, sign in again."
                    : file.isSealed
                        ? "The tokens are in \(file.folder), sealed."
                        : "The tokens are in \(file.folder), readable by you alone (mode 0600), and not sealed. To seal them: --token-store keychain, or MCP_AUTH_TOKEN_STORE_PASSPHRASE."
            )
        }
    }

    private static func age(_ item: Credentials, _ now: NumericDate) -> String {
        guard let expiry = item.expiresAt else { return "valid" }
        let seconds = expiry.seconds(since: now)
        return seconds <= 0 ? "expired" : seconds < 120 ? "\(seconds) s" : seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
    }

    static func object(_ item: Credentials) -> JSONObject {
        var object: JSONObject = [
            "server": .string(item.server), "resource": .string(item.resource), "issuer": .string(item.issuer.text),
            "client_id": .string(item.clientID), "scopes": .strings(item.scopes.map(\.text)), "token_type": .string(item.tokenType.rawValue),
            "renewable": .bool(item.refreshToken != nil),
        ]
        object["expires_at"] = item.expiresAt.map { .string($0.iso8601) }
        return object
    }
}
