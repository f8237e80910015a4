import ArgumentParser
import Foundation
import HTTPTypes
import JOSE
import Logging
import MCPAuthClient
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPClient
import OAuth

/// What every command takes that calls a protected server.
struct ClientOptions: ParsableArguments {
    enum Grant: String, ExpressibleByArgument, CaseIterable {
        case authorizationCode = "authorization-code"
        case device
        case clientCredentials = "client-credentials"
        case jwtBearer = "jwt-bearer"
        case enterprise
        case tokenExchange = "token-exchange"
    }

    enum CallbackHost: String, ExpressibleByArgument, CaseIterable {
        case address = "127.0.0.1"
        case localhost
    }

    @Option(help: ArgumentHelp("The issuer at which the client, key or assertion is registered. They are sent nowhere else.", valueName: "url"))
    var issuer: String?
    @Option(name: .customLong("client-id"), help: ArgumentHelp("A client that was registered beforehand. Needs --issuer.", valueName: "id"))
    var clientID: String?
    @Option(
        help: ArgumentHelp("Its secret: env:NAME, file:PATH, or the value itself, which other users of this machine can see.", valueName: "secret"))
    var clientSecret: String?
    @Option(help: ArgumentHelp("The private key of the client (PEM), for private_key_jwt.", valueName: "path"), completion: .file())
    var privateKey: String?
    @Option(help: ArgumentHelp("The algorithm of the key, such as ES256.", valueName: "alg"))
    var signingAlgorithm: String?
    @Option(
        name: .customLong("client-metadata-url"),
        help: ArgumentHelp("The client's metadata document, where the server supports it.", valueName: "url"))
    var clientMetadataURL: String?
    @Option(help: ArgumentHelp("authorization-code, device, client-credentials, jwt-bearer, enterprise or token-exchange.", valueName: "grant"))
    var grant: Grant?
    @Option(help: ArgumentHelp("The assertion of a workload, for jwt-bearer: env:NAME or file:PATH. Needs --issuer.", valueName: "jwt"))
    var assertion: String?
    @Option(help: ArgumentHelp("The access token to exchange, for token-exchange: env:NAME or file:PATH. Needs --issuer.", valueName: "token"))
    var subjectToken: String?
    @Option(help: ArgumentHelp("The identity provider, for enterprise.", valueName: "url"))
    var idpIssuer: String?
    @Option(help: ArgumentHelp("Its token endpoint. Default: from its metadata.", valueName: "url"))
    var idpTokenEndpoint: String?
    @Option(name: .customLong("idp-client-id"), help: ArgumentHelp("The client at the identity provider.", valueName: "id"))
    var idpClientID: String?
    @Option(help: ArgumentHelp("Its secret: env:NAME or file:PATH.", valueName: "secret"))
    var idpClientSecret: String?
    @Option(help: ArgumentHelp("The user's ID token: env:NAME or file:PATH.", valueName: "jwt"))
    var idToken: String?
    @Option(help: ArgumentHelp("The scopes to request. Default: those that the server asks for.", valueName: "scopes"))
    var scope: String?
    @Flag(help: "Bind tokens to a key (DPoP). Fails where the server has no support for it.")
    var dpop = false
    @Option(help: ArgumentHelp("The command that opens a browser. The address becomes its last argument. none prints it.", valueName: "command"))
    var browser: String?
    @Flag(help: "Sign in although --issuer does not promise PKCE in its metadata, as Microsoft Entra does not.")
    var allowUnadvertisedPKCE = false
    @Option(help: ArgumentHelp("127.0.0.1 or localhost. Default: what the server accepts.", valueName: "host"))
    var callbackHost: CallbackHost?
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The port at which the answer of the sign-in is received. Default: a free one.", valueName: "port"))
    var callbackPort: Int?
    @Option(help: ArgumentHelp("memory, keychain, or a folder.", valueName: "store"))
    var tokenStore: String?
    @Option(help: ArgumentHelp("The revision of MCP. Default: the newest that the server has.", valueName: "version"))
    var protocolVersion: String?
    @Option(help: ArgumentHelp("A header for this server, such as \"X-Api-Key: env:KEY\". Repeatable.", valueName: "header"))
    var header: [String] = []
    @Option(help: ArgumentHelp("A JSON file with these options. Default: ~/.config/mcp-auth/client.json", valueName: "path"), completion: .file())
    var config: String?
    @Flag(help: "Also reach private networks that the server names.")
    var allowPrivateNetworks = false
    @Flag(help: "Print JSON.")
    var json = false
    @Flag(help: "Print nothing but results and errors.")
    var quiet = false
    @Flag(help: "Print the exchange with servers, with secrets masked.")
    var verbose = false

    func validate() throws {
        if let callbackPort, !(1...65535).contains(callbackPort) { throw ValidationError("--callback-port is 1 to 65535") }
        if let version = protocolVersion, version != MCPClient.modernVersion, !MCPClient.handshakeVersions.contains(version) {
            let all = [MCPClient.modernVersion] + MCPClient.handshakeVersions
            throw ValidationError("--protocol-version is one of \(all.joined(separator: ", "))\(NearestName.hint(version, among: all))")
        }
    }
}

/// The URL of a server as a user types it.
enum ServerURL {
    /// Throws `invalid_identifier`, saying what is missing.
    static func resource(_ text: String, insecureAllowHTTP: Bool = false) throws(OAuthError) -> ResourceIdentifier {
        guard text.contains("://") else {
            let isLocal = ["localhost", "127.", "[::1]"].contains { text.hasPrefix($0) }
            throw OAuthError(.invalidIdentifier, "the URL begins with https:// or http://, such as \(isLocal ? "http" : "https")://\(text)")
        }
        return try ResourceIdentifier(text, insecureAllowHTTP: insecureAllowHTTP)
    }
}

/// One server with everything to call it.
struct ClientContext {
    let server: ResourceIdentifier
    let session: AuthorizedSession
    let client: GuardedHTTPClient
    let store: any TokenStore
    let options: ClientOptions

    /// Runs a command, and turns what it throws into a message and an exit code.
    static func run(_ url: String, _ options: ClientOptions, asksUser: Bool, _ work: (ClientContext) async throws -> Void) async throws {
        do {
            let context = try await ClientContext(url, options, asksUser: asksUser)
            do {
                try await work(context)
                await context.client.shutdown()
            } catch {
                await context.client.shutdown()
                throw error
            }
        } catch {
            throw ClientFailure.exit(error, server: url)
        }
    }

    /// - Parameter asksUser: Whether the command may open a browser. Otherwise `login_required` is thrown.
    init(_ url: String, _ options: ClientOptions, asksUser: Bool) async throws(OAuthError) {
        server = try ServerURL.resource(url)
        let settings = try ClientSettings(options, server: server)
        var policy = await OutboundPolicy.zone(of: server.url)
        if options.allowPrivateNetworks { policy.allowPrivateNetworks = true }
        client = try GuardedHTTPClient.environment(ProcessInfo.processInfo.environment, policy: policy, explainsFailures: true)
        store = try settings.makeStore()
        self.options = options
        let configuration = try settings.configuration(asksUser: asksUser)
        let exchange: any HTTPFetcher & HTTPExchange = options.verbose ? VerboseExchange(client) : client
        var logger = Logger(label: "mcp-auth") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = options.verbose ? .debug : options.quiet ? .error : .notice
        session = try AuthorizedSession(
            for: url, configuration: configuration, store: store, fetcher: exchange, exchange: exchange, logger: logger)
    }

    func makeClient() -> MCPClient {
        let isQuiet = options.quiet
        let canAsk = isatty(0) == 1 && isatty(2) == 1
        return MCPClient(
            session, name: "mcp-auth", version: Version.text, protocolVersion: options.protocolVersion, timeout: .seconds(300),
            handlers: MCPClient.Handlers(
                notification: isQuiet ? nil : { @Sendable method, params in ClientProgress.show(method, params) },
                elicitation: canAsk ? { @Sendable params in ElicitationPrompt.answer(params) } : nil))
    }
}

/// Progress and log messages of a server, on standard error.
enum ClientProgress {
    @Sendable static func show(_ method: String, _ params: JSONValue) {
        switch method {
        case "notifications/progress":
            let total = params["total"]?.number.map { "/\($0)" } ?? ""
            let words = params["message"]?.string.map { " " + $0 } ?? ""
            Console.note(Console.printable("  \(params["progress"]?.number?.description ?? "")\(total)\(words)"))
        case "notifications/message":
            let text = params["data"]?.string ?? params["data"]?.text ?? ""
            Console.note(Console.printable("  \(params["level"]?.string ?? "info"): \(text.prefix(1000))"))
        default: break
        }
    }
}

/// Asks the user at the terminal for what a server wants to know during a call.
enum ElicitationPrompt {
    static func answer(_ params: JSONValue) -> JSONValue {
        Console.note("")
        Console.note("The server asks: " + Console.printable(String((params["message"]?.string ?? "").prefix(1000))))
        if let text = params["url"]?.string {
            guard let url = WebURL(text), url.isSecure || url.isLoopback else { return ["action": "decline"] }
            // The whole address, with the host alone first: that is what the user has to trust (R82).
            Console.note("It wants to open a page of \(Console.bold(url.hostForURL, on: .error)):\n  \(url.text)")
            guard Console.confirms("Open it?") else { return ["action": "decline"] }
            try? SystemBrowser().open(url)
            return ["action": "accept"]
        }
        var content = JSONObject()
        for property in params["requestedSchema"]?["properties"]?.object?.members ?? [] {
            let title = property.value["title"]?.string ?? property.name
            StandardOutput.printError("  \(Console.printable(title)): ")
            guard let line = readLine(), !line.isEmpty else { continue }
            content[property.name] = ToolArguments.value(line, schema: property.value)
        }
        return Console.confirms("Send this?") ? ["action": "accept", "content": .object(content)] : ["action": "decline"]
    }
}
