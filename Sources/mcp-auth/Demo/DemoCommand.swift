import ArgumentParser
import Foundation
import HTTPTypes
import Hummingbird
import JOSE
import Logging
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPAuthSQLite
import MCPAuthorizationServer
import MCPServer
import NIOCore
import Metrics
import OAuth

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Run a protected task server with its own sign-in, everything on one port.",
        discussion: """
            Serves MCP at http://127.0.0.1:PORT/mcp and the authorization server beside it. On its first start it makes two users, ada and grace, and says
            how to sign in. It listens on loopback only.

            --origin is for when it is reached by another address: https://tasks.example.com, say, which a proxy passes on to this port, or another process of
            this program with the same data; say how many proxies there are, too. With a certificate and its key it speaks TLS itself.

            MCP_AUTH_DEMO_PASSWORD sets the password of both users on the first start, for unattended use.
            """)

    @Option(help: "The port to listen on.")
    var port = 8000

    @Option(help: ArgumentHelp("The address that clients know, if it is not the one above.", valueName: "url"))
    var origin: String?

    @Option(help: "How many proxies stand in front, each of which appends the address that it sees to X-Forwarded-For.")
    var trustedProxies = 0

    @Option(help: ArgumentHelp("The server's certificate and those above it, as a PEM file that may be replaced at any time.", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("The key of the certificate, as a PEM file.", valueName: "file"))
    var tlsKey: String?

    @Option(help: ArgumentHelp("Where the data is kept.", valueName: "folder"))
    var data = "data/demo"

    @Option(help: ArgumentHelp("Seconds that an access token lives.", valueName: "seconds"))
    var tokenLifetime: Int64 = 900

    @Option(help: ArgumentHelp("What clients are told to ask for at first, for trying out step-up; all scopes unless given.", valueName: "scopes"))
    var initialScope: String?

    @Option(
        help: ArgumentHelp(
            "A web page's origin that may call the server, such as https://app.example.com; may be given several times.", valueName: "origin"))
    var allowOrigin: [String] = []

    @Flag(help: "Count requests from this machine for rate limits, for a proxy on this machine that is not counted in --trusted-proxies.")
    var rateLimitLoopback = false

    @Flag(help: "Begin with an empty store; the old files are kept beside it under other names. Stop the server that uses them first.")
    var newStore = false

    @Flag(help: "Accept a master.key that other users of this machine can read, as containers mount secrets.")
    var insecureAllowReadableKey = false

    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel = "warning"

    func validate() throws {
        guard (1...65535).contains(port) else { throw ValidationError("--port is 1 to 65535") }
        guard (1...86400).contains(tokenLifetime) else { throw ValidationError("--token-lifetime is 1 to 86400 seconds") }
        guard (0...16).contains(trustedProxies) else { throw ValidationError("--trusted-proxies is 0 to 16") }
        guard (tlsCertificate == nil) == (tlsKey == nil) else { throw ValidationError("--tls-certificate and --tls-key go together") }
        if let origin, WebURL(origin)?.origin != origin {
            throw ValidationError("--origin is a scheme and a host, perhaps with a port, and nothing else: https://tasks.example.com")
        }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level is trace, debug, info, notice, warning, error or critical")
        }
        for origin in allowOrigin {
            guard WebURL(origin)?.origin == origin else {
                throw ValidationError("--allow-origin is a scheme and a host, with a port where it is not the default: https://app.example.com")
            }
        }
        if let initialScope, ScopeSet(initialScope) == nil { throw ValidationError("--initial-scope is a list of scopes separated by spaces") }
    }

    func run() async throws {
        let level = Logger.Level(rawValue: logLevel) ?? .warning
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let metrics = PrometheusMetrics()
        MetricsSystem.bootstrap(metrics)
        do {
            try await serve(metrics)
        } catch let error as OAuthError { throw Console.failure(error) } catch let error as StoreError {
            throw Console.failure(
                OAuthError(
                    error.kind == .unusable ? .invalidConfiguration : .temporarilyUnavailable, "the data in \(data) cannot be used: \(error.detail)"))
        }
    }

    /// The address is part of what is stored, so that data of one port is of no use on another.
    private func authorizationServer(
        _ origin: String, _ configuration: AuthorizationServerConfiguration, _ folder: DataFolder, _ audit: AuditLog
    ) async throws(OAuthError) -> AuthorizationServer {
        do throws(OAuthError) {
            return try await AuthorizationServer(origin, configuration: configuration, in: folder, fetcher: GuardedHTTPClient.shared, audit: audit)
        } catch {
            guard error.code == .invalidConfiguration else { throw error }
            let hint =
                error.message.contains("--new-store")
                ? "" : ". Start with the --port or --origin of that store, name another folder with --data, or begin anew with --new-store"
            throw OAuthError(error.code, error.message + hint)
        }
    }

    private func serve(_ metrics: PrometheusMetrics) async throws {
        let folder = try DataFolder(data, insecureAllowReadableKey: insecureAllowReadableKey)
        let certificate = tlsCertificate.flatMap { chain in tlsKey.map { ServerCertificate(chain: chain, key: $0) } }
        let origin = origin ?? "\(certificate == nil ? "http" : "https")://127.0.0.1:\(port)"
        let transport: MCPServer.Transport = certificate.map { .https(port: port, certificate: $0) } ?? .http(port: port)
        let resource = origin + "/mcp"
        let audit = AuditLog([try AuditFile(path: folder.path("audit.jsonl"))])
        if newStore {
            let moved = try folder.setAside(["auth.db", "tasks.db"])
            for name in moved { Console.note("kept the old file as \(name)") }
            audit.record(AuditEvent("store.set_aside", .allowed, at: Clock.system.now, detail: moved.joined(separator: " ")))
        }

        var configuration = try DemoConfiguration.make(origin, resource, folder, tokenLifetime)
        configuration.rateLimits.countsLoopback = rateLimitLoopback
        let issuer = try await authorizationServer(origin, configuration, folder, audit)
        let passwords = try await DemoUsers.create(on: issuer)

        var policy = TaskServer.policy
        policy.initialScopes = initialScope.flatMap { ScopeSet($0) }
        // Clients that ask for it let a tool greet its caller by name.
        policy.advertised = ["profile"]
        let tasks = TaskServer.make(try TaskStore(path: folder.path("tasks.db")))
        let auth = try ResourceServer(
            resource, trusting: .local(issuer), policy: policy, metadata: { $0.resourceName = "Tasks (demo)" },
            allowedOrigins: Set(allowOrigin), audit: audit)
        let application = try MCPApplication.make(tasks, transport, protectedBy: auth, authorizationServer: issuer, trustedProxies: trustedProxies) {
            router in
            for method in [HTTPRequest.Method.get, .head] {
                router.on("health", method: method) { _, _ in
                    Response(
                        status: .ok, headers: [.contentType: "application/json"],
                        body: method == .head ? .init() : .init(byteBuffer: .init(string: #"{"status":"ok"}"#)))
                }
            }
            router.get("metrics") { request, _ in
                // As everything else here, for this machine's own names only: a page elsewhere could rebind its name to this address.
                guard auth.transport.violation(request.head) == nil else { return Response(status: .forbidden) }
                return Response(
                    status: .ok, headers: [.contentType: "text/plain; version=0.0.4"], body: .init(byteBuffer: .init(string: metrics.text)))
            }
        } onRunning: { [data] _ in
            DemoWelcome.print(origin: origin, data: data, passwords: passwords)
        }
        do { try await MCPApplication.run(application) } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw OAuthError(.temporarilyUnavailable, "port \(port) is in use; stop what listens there, or choose another with --port")
        }
    }
}

/// The two people of the demo.
enum DemoUsers {
    /// The passwords of the users that were made now, by name.
    static func create(on issuer: AuthorizationServer) async throws(OAuthError) -> [(name: String, password: String)] {
        var made: [(String, String)] = []
        let chosen = ProcessInfo.processInfo.environment["MCP_AUTH_DEMO_PASSWORD"].flatMap { $0.isEmpty ? nil : $0 }
        for name in ["ada", "grace"] where try await issuer.user(named: name) == nil {
            let password = chosen ?? RandomSource.system.token(bytes: 9)
            try await issuer.addUser(named: name, password: password)
            made.append((name, chosen == nil ? password : "the one in MCP_AUTH_DEMO_PASSWORD"))
        }
        return made
    }
}
