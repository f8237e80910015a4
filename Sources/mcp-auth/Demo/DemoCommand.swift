import ArgumentParser
import Foundation
import HTTPTypes
import Hummingbird
import JOSE
import Logging
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPAuthMetrics
import MCPAuthSQLite
import MCPAuthTesting
import MCPAuthorizationServer
import MCPServer
import Metrics
import OAuth

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Run a protected task server with its own sign-in on one port.",
        discussion: """
            Serves MCP at http://127.0.0.1:PORT/mcp, with its authorization server.
            The first start creates two users, ada and grace, and prints their
            passwords once. It listens on loopback only.

            --origin is the URL that clients use when it is not that one, such as
            https://tasks.example.com behind a reverse proxy; see --trusted-proxies.
            With --tls-certificate and --tls-key the server speaks TLS itself.

            MCP_AUTH_DEMO_PASSWORD sets the password of both users on the first
            start, for unattended use.

            EXAMPLES
              mcp-auth demo --port 8001 --data data/second
              mcp-auth demo --initial-scope read:tasks     try step-up authorization
              mcp-auth demo --sign-in simulated            try sign-in through a provider
              mcp-auth demo --sign-in github --sign-in password --admit-organization acme

            SIGN-IN
              --sign-in takes password, simulated, or a provider: github, google,
              entra, okta, auth0, keycloak, oidc and others (see docs/providers.md).
              A provider reads GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET, and its
              settings, such as AUTH0_DOMAIN. The error names those that are missing.
              simulated needs no account: a provider on this machine, to see the flow.
            """)

    @Option(parsing: .unconditional, help: "The port to listen on, 1 to 65535.")
    var port = 8000

    @Option(help: ArgumentHelp("The URL that clients use, without a path. Default: http://127.0.0.1:PORT.", valueName: "url"))
    var origin: String?

    @Flag(help: "A port mapping or a tunnel leads from --origin, on this machine, to this server.")
    var forwarded = false

    @Option(parsing: .unconditional, help: "Reverse proxies in front that append to X-Forwarded-For.")
    var trustedProxies = 0

    @Option(help: ArgumentHelp("Certificate chain (PEM). Renewed files are read while the server runs.", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("Private key of the certificate (PEM).", valueName: "file"))
    var tlsKey: String?

    @Option(help: ArgumentHelp("The folder for the data. Also MCP_AUTH_DATA.", valueName: "folder"), completion: .directory)
    var data = DataOption.standard

    @Option(parsing: .unconditional, help: ArgumentHelp("Lifetime of access tokens in seconds.", valueName: "seconds"))
    var tokenLifetime: Int64 = 900

    @Option(help: ArgumentHelp("Scopes that clients request at first. Default: all.", valueName: "scopes"))
    var initialScope: String?

    @Option(
        help: ArgumentHelp(
            "Web origin that may call the server (CORS). Repeatable.", valueName: "origin"))
    var allowOrigin: [String] = []

    @Option(help: ArgumentHelp("How users sign in: password, simulated, or a provider. Repeatable. Default: password.", valueName: "method"))
    var signIn: [String] = []

    @Option(help: ArgumentHelp("With a provider: only users of this domain. Repeatable.", valueName: "domain"))
    var admitDomain: [String] = []

    @Option(help: ArgumentHelp("With a provider: only members of this organization. Repeatable.", valueName: "name"))
    var admitOrganization: [String] = []

    @Option(help: ArgumentHelp("With a provider: only this verified e-mail address. Repeatable.", valueName: "address"))
    var admitEmail: [String] = []

    @Flag(help: "Send requests through HTTPS_PROXY, with NO_PROXY and SSL_CERT_FILE. Without it they are ignored.")
    var environmentProxy = false

    @Flag(help: "Apply rate limits to requests from this machine too.")
    var rateLimitLoopback = false

    @Flag(help: "Start with an empty store. The old files are kept under other names. Stop the other server first.")
    var newStore = false

    @Flag(help: "Accept a master.key that other users can read, as container secrets are.")
    var insecureAllowReadableKey = false

    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel = "notice"

    func validate() throws {
        guard (1...65535).contains(port) else { throw ValidationError("--port is 1 to 65535") }
        guard (1...86400).contains(tokenLifetime) else { throw ValidationError("--token-lifetime is 1 to 86400 seconds") }
        guard (0...16).contains(trustedProxies) else { throw ValidationError("--trusted-proxies is 0 to 16") }
        guard (tlsCertificate == nil) == (tlsKey == nil) else { throw ValidationError("--tls-certificate and --tls-key go together") }
        if let origin, let problem = OriginText.problem(origin) {
            throw ValidationError("--origin is a scheme and a host, perhaps with a port, such as https://tasks.example.com. \(problem)")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level is trace, debug, info, notice, warning, error or critical")
        }
        guard admitDomain.isEmpty && admitEmail.isEmpty && admitOrganization.isEmpty || signIn.contains(where: { $0 != "password" }) else {
            throw ValidationError("--admit-domain, --admit-email and --admit-organization need a provider: --sign-in google, for example")
        }
        if let url = origin.flatMap(WebURL.init), !url.isSecure, !url.isLoopback {
            throw ValidationError("--origin is https, except on this machine: https://\(url.hostForURL)")
        }
        for origin in allowOrigin {
            if let problem = OriginText.problem(origin) {
                throw ValidationError("--allow-origin is a scheme and a host, such as https://app.example.com. \(problem)")
            }
        }
        if let initialScope {
            guard let scopes = ScopeSet(initialScope) else { throw ValidationError("--initial-scope is a list of scopes separated by spaces") }
            let known = TaskServer.scopes.map(\.scope.text) + ["openid", "profile", "email"]
            for scope in scopes where !known.contains(scope.text) {
                throw ValidationError(
                    "--initial-scope: there is no scope \(scope.text)\(NearestName.hint(scope.text, among: known)). The scopes are: "
                        + known.joined(separator: ", "))
            }
        }
    }

    func run() async throws {
        let level = Logger.Level(rawValue: logLevel) ?? .notice
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            // Hummingbird's own lines say what the welcome says.
            handler.logLevel = label.hasPrefix("mcp-auth.http") ? max(level, .warning) : level
            return handler
        }
        let metrics = PrometheusMetrics()
        MetricsSystem.bootstrap(metrics)
        do { try await serve(metrics) } catch let error as ExitCode { throw error } catch let error as StoreError {
            throw Console.failure(
                OAuthError(
                    error.kind == .unusable ? .invalidConfiguration : .temporarilyUnavailable, "the data in \(data) cannot be used: \(error.detail)"))
        } catch { throw Console.failure(error) }
    }

    private var certificate: ServerCertificate? { tlsCertificate.flatMap { chain in tlsKey.map { ServerCertificate(chain: chain, key: $0) } } }

    /// How this program was started, so that advice can be followed as it stands.
    private enum Started {
        static let byMake = ProcessInfo.processInfo.environment["MCP_AUTH_MAKE"] != nil
        /// - Parameter hasData: Whether there is data already, which belongs to the port of its first start.
        static func otherPort(hasData: Bool) -> String {
            let data = hasData ? (byMake ? " DATA=data/other" : " --data data/other") : ""
            return (byMake ? "make run PORT=8001" : "--port 8001") + data
        }
        static func otherData(_ port: Int) -> String {
            byMake ? "make run PORT=\(port) DATA=data/other" : "--data data/other), or begin with an empty store in this one (--new-store"
        }
    }

    private func transport() throws(OAuthError) -> MCPServer.Transport {
        let transport: MCPServer.Transport = certificate.map { .https(port: port, certificate: $0) } ?? .http(port: port)
        do throws(OAuthError) { try transport.check() } catch {
            guard error.code == .temporarilyUnavailable else { throw error }
            let hasData = FileManager.default.fileExists(atPath: URL(fileURLWithPath: data).appendingPathComponent("auth.db").path)
            throw OAuthError(
                error.code,
                "port \(port) is already in use. Stop the other process, or choose another port: \(Started.otherPort(hasData: hasData))")
        }
        return transport
    }

    /// The address is part of what is stored, so the data of one port cannot be used with another one.
    private func authorizationServer(
        _ origin: String, _ configuration: AuthorizationServerConfiguration, _ folder: DataFolder, _ signIn: DemoSignIn, _ audit: AuditLog
    ) async throws(OAuthError) -> AuthorizationServer {
        do throws(OAuthError) {
            return try await AuthorizationServer(
                origin, configuration: configuration, in: folder, signIn: signIn.methods, fetcher: signIn.fetcher, audit: audit)
        } catch {
            guard error.code == .invalidConfiguration, error.message.hasPrefix("the data belongs to") else { throw error }
            let end = ". If nothing is in it that you need, delete the folder"
            throw OAuthError(error.code, error.message.replacing(end, with: "") + " (\(Started.otherData(port)))")
        }
    }

    /// Compares --origin with the address to listen on, before the data becomes that of a mistyped address.
    private func checkAddress(_ own: String) throws(OAuthError) {
        guard trustedProxies == 0, !forwarded, let url = origin.flatMap(WebURL.init), let own = WebURL(own) else { return }
        guard url.isSecure != own.isSecure || url.effectivePort != own.effectivePort else { return }
        let difference = "--origin is \(url.origin), but this server listens with \(own.isSecure ? "https" : "http") on port \(own.effectivePort)"
        if url.isLoopback {
            throw OAuthError(
                .invalidConfiguration,
                "\(difference). Leave --origin out, or say --forwarded if a port mapping or a tunnel leads there, or --trusted-proxies 1 if a proxy "
                    + "does. Nothing was written")
        }
        if own.isSecure { Console.note("\(difference). That is right only if a port mapping leads there") }
    }

    /// Everything that can be wrong is checked before the first file is written.
    private func serve(_ metrics: PrometheusMetrics) async throws {
        let transport = try transport()
        let own = "\(certificate == nil ? "http" : "https")://127.0.0.1:\(port)"
        // Without the scheme's own port, as clients write it.
        let origin = origin ?? WebURL(own)?.origin ?? own
        let resource = origin + "/mcp"
        if let certificate, let host = WebURL(origin)?.host { try certificate.check(covers: host) }
        _ = try (Issuer(origin), ResourceIdentifier(resource))
        if certificate != nil, WebURL(origin)?.isSecure == false {
            throw OAuthError(
                .invalidConfiguration,
                "--origin is \(origin), but with --tls-certificate this server speaks https: \(origin.replacing("http:", with: "https:")). Nothing was written"
            )
        }
        let signIn = try DemoSignIn(
            signIn.isEmpty ? ["password"] : signIn, origin: origin,
            admission: Admission(domains: admitDomain, emails: admitEmail, organizations: admitOrganization),
            environment: ProcessInfo.processInfo.environment, usesProxy: environmentProxy)
        if signIn.hasPasswords { try DemoUsers.check() }
        if self.origin != nil, certificate == nil, trustedProxies == 0, WebURL(origin)?.isLoopback == false {
            Console.note(
                "\(origin) needs a reverse proxy that speaks https. Behind one, say --trusted-proxies 1; otherwise all clients share one rate limit")
        }
        try checkAddress(own)
        let folder = try DataFolder(data, insecureAllowReadableKey: insecureAllowReadableKey)
        let audit = try folder.auditLog()
        if newStore {
            let moved = try folder.setAside(["auth.db", "tasks.db"])
            for name in moved { Console.note("kept the old file as \(name)") }
            audit.record(AuditEvent("store.set_aside", .allowed, at: Clock.system.now, detail: moved.joined(separator: " ")))
        }

        var configuration = try DemoConfiguration.make(origin, resource, folder, tokenLifetime)
        configuration.rateLimits.countsLoopback = rateLimitLoopback
        let issuer = try await authorizationServer(origin, configuration, folder, signIn, audit)
        let passwords = signIn.hasPasswords ? try await DemoUsers.create(on: issuer, in: folder) : []

        var policy = TaskServer.policy
        policy.initialScopes = initialScope.flatMap { ScopeSet($0) }
        // Clients that ask for it let a tool greet its caller by name.
        policy.advertised = ["profile"]
        let tasks = TaskServer.make(try TaskStore(path: folder.path("tasks.db")), provider: signIn.providers.first)
        let auth = try ResourceServer(
            resource, trusting: .local(issuer), policy: policy, metadata: { $0.resourceName = "Tasks (demo)" },
            allowedOrigins: Set(allowOrigin), audit: audit)
        let application = try MCPApplication.make(
            tasks, transport, protectedBy: auth, authorizationServer: issuer, trustedProxies: trustedProxies, frontPage: TaskServer.frontPage,
            isForwarded: forwarded
        ) { router in
            router.get("metrics") { request, _ in
                // As everything else here, for this machine's own names only: a page elsewhere could rebind its name to
                // this address.
                guard auth.transport.violation(request.head) == nil else { return Response(status: .forbidden) }
                return metrics.response
            }
            if let provider = signIn.simulated {
                router.get("simulated/authorize") { request, _ in
                    guard auth.transport.violation(request.head) == nil, let reply = provider.reply(to: HTTPCall(request.head)) else {
                        return Response(status: .forbidden)
                    }
                    return Response(
                        status: reply.response.status, headers: reply.response.headerFields, body: .init(byteBuffer: ByteBuffer(bytes: reply.body)))
                }
            }
        } onRunning: { [data] _ in
            DemoWelcome.print(origin: origin, listening: own, data: data, passwords: passwords, signIn: signIn)
            DemoUsers.haveBeenShown(folder)
        }
        try await MCPApplication.run(application)
        Console.note("Stopped.")
    }
}

/// The two people of the demo.
enum DemoUsers {
    private static var chosenPassword: String? {
        ProcessInfo.processInfo.environment["MCP_AUTH_DEMO_PASSWORD"].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Throws `invalid_configuration` when MCP_AUTH_DEMO_PASSWORD cannot be a password.
    static func check() throws(OAuthError) {
        guard let chosenPassword else { return }
        do throws(OAuthError) { try PasswordRules.check(chosenPassword) } catch {
            throw OAuthError(.invalidConfiguration, "MCP_AUTH_DEMO_PASSWORD: \(error.message)")
        }
    }

    /// The path of a file that exists until the passwords were shown.
    private static func mark(_ folder: DataFolder) -> String { folder.path("passwords-not-shown") }

    /// The passwords of the users that were made now, by name. A first start that was interrupted before it showed them
    /// sets new ones.
    static func create(on issuer: AuthorizationServer, in folder: DataFolder) async throws(OAuthError) -> [(name: String, password: String)] {
        var made: [(String, String)] = []
        let chosen = chosenPassword
        let wasInterrupted = FileManager.default.fileExists(atPath: mark(folder))
        for name in ["ada", "grace"] {
            let exists = try await issuer.user(named: name) != nil
            guard !exists || wasInterrupted else { continue }
            _ = FileManager.default.createFile(atPath: mark(folder), contents: nil, attributes: [.posixPermissions: 0o600])
            let password = chosen ?? RandomSource.system.token(bytes: 9)
            if exists { try await issuer.setPassword(password, ofUser: name) } else { try await issuer.addUser(named: name, password: password) }
            made.append((name, chosen == nil ? password : "the one in MCP_AUTH_DEMO_PASSWORD"))
        }
        return made
    }

    static func haveBeenShown(_ folder: DataFolder) { try? FileManager.default.removeItem(atPath: mark(folder)) }
}
