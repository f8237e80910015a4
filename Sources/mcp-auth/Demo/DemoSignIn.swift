import Foundation
import IdentityProviders
import MCPAuthHTTPClient
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth

/// The ways to sign in to the demo: passwords, identity providers from the environment, and a simulated one.
struct DemoSignIn: Sendable {
    let methods: [SignInMethod]
    let providers: [(id: String, name: String)]
    let hasPasswords: Bool
    let simulated: SimulatedProvider?
    let fetcher: any HTTPFetcher

    static let simulatedID = "simulated"

    /// Throws `invalid_configuration` that names every missing variable, and where its value is found.
    init(_ names: [String], origin: String, admission: Admission, environment: [String: String], usesProxy: Bool) throws {
        var methods: [SignInMethod] = []
        var providers: [(String, String)] = []
        var simulated: SimulatedProvider?
        var local: [String] = []
        for name in names {
            switch name {
            case "password": methods.append(.password)
            case Self.simulatedID:
                guard WebURL(origin)?.isLoopback == true else {
                    throw OAuthError(
                        .invalidConfiguration, "--sign-in simulated is for this machine: every visitor could sign in as any account at \(origin)")
                }
                let provider = try Self.simulator(origin)
                simulated = provider
                methods.append(
                    .provider(
                        .openID(issuer: provider.behaviour.issuer, id: Self.simulatedID, name: "Simulator"), clientID: provider.clientID,
                        clientSecret: ProviderSecret(provider.clientSecret), admission: admission))
                providers.append((Self.simulatedID, "Simulator"))
            default:
                guard let entry = Catalog.entry(name) else {
                    let known = ["password", Self.simulatedID] + Catalog.entries.map(\.id).sorted()
                    throw OAuthError(
                        .invalidRequest,
                        "--sign-in: there is no \(name)\(NearestName.hint(name, among: known)). Choose one of: \(known.joined(separator: ", "))")
                }
                let (provider, id, secret) = try Self.credentials(entry, origin, environment)
                methods.append(.provider(provider, clientID: id, clientSecret: ProviderSecret(secret), admission: admission))
                providers.append((provider.id, provider.name))
                // A provider on this machine, for development. Nothing else on it becomes reachable.
                if let url = WebURL(provider.issuer), url.isLoopback, WebURL(origin)?.isLoopback == true { local.append(url.origin) }
            }
        }
        self.methods = methods
        self.providers = providers
        hasPasswords = names.contains("password")
        self.simulated = simulated
        let strict = usesProxy ? try GuardedHTTPClient.environment(environment) : GuardedHTTPClient.shared
        let outside: any HTTPFetcher =
            local.isEmpty
            ? strict : LocalProviders(origins: local, local: GuardedHTTPClient(.development), others: strict)
        fetcher = simulated.map { InProcessProvider(provider: $0, others: outside) } ?? outside
    }

    private static func credentials(
        _ entry: CatalogEntry, _ origin: String, _ environment: [String: String]
    ) throws(OAuthError) -> (IdentityProvider, String, String) {
        // The generic provider also reads the variables that many servers use.
        func value(_ name: String) -> String? {
            let names = entry.id == "oidc" ? [name, name.replacing("OIDC_", with: "AUTH_")] : [name]
            return names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        let examples = Dictionary(entry.settings.map { ($0.name, $0.example) }, uniquingKeysWith: { first, _ in first })
        guard (try? entry.provider(examples))?.signIn != nil else {
            throw OAuthError(
                .invalidConfiguration, "users cannot sign in through \(entry.name); mcp-auth providers \(entry.id) says what it can do")
        }
        var settings: [String: String] = [:]
        var missing: [String] = []
        for setting in entry.settings {
            if let value = value(entry.variable(setting.name)) {
                guard setting.example.contains("://") || !value.contains("://") else {
                    throw OAuthError(
                        .invalidConfiguration, "\(entry.variable(setting.name)) is written without https://, such as \(setting.example)")
                }
                settings[setting.name] = value
            } else if setting.defaultValue == nil {
                missing.append("\(entry.variable(setting.name)) (\(setting.meaning) Example: \(setting.example))")
            }
        }
        let (idName, secretName) = (entry.variable("client-id"), entry.variable("client-secret"))
        if value(idName) == nil { missing.append(idName) }
        if value(secretName) == nil { missing.append(secretName) }
        guard missing.isEmpty, let id = value(idName), let secret = value(secretName) else {
            throw OAuthError(
                .invalidConfiguration,
                "--sign-in \(entry.id): set \(missing.joined(separator: ", ")). Where they come from: mcp-auth providers \(entry.id). The callback URL to "
                    + "register is \(origin)/sign-in/callback/\(entry.id)")
        }
        return (try entry.provider(settings), id, secret)
    }

    private static func simulator(_ origin: String) throws -> SimulatedProvider {
        try SimulatedProvider(
            .openID(issuer: origin + "/simulated"),
            accounts: [
                SimulatedAccount("1001", name: "Ada Lovelace", userName: "ada", email: "ada@acme.example", organizations: ["acme"]),
                SimulatedAccount("1002", name: "Grace Hopper", userName: "grace", email: "grace@navy.example", organizations: ["navy"]),
                SimulatedAccount("1003", name: "Lin Unverified", userName: "lin", email: "lin@acme.example", isEmailVerified: false),
            ])
    }
}

/// Answers requests to the simulated provider in this process, without a socket. All others go out.
struct InProcessProvider: ExplainingFetcher {
    let provider: SimulatedProvider
    let others: any HTTPFetcher

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        let prefix = provider.behaviour.issuer + "/"
        return request.url.text.hasPrefix(prefix) ? try await provider.fetch(request) : try await others.fetch(request)
    }

    var explaining: any HTTPFetcher { InProcessProvider(provider: provider, others: others.forConfiguredURLs) }
}

/// Lets requests reach the named origins on this machine. All others go through the strict fetcher.
struct LocalProviders: ExplainingFetcher {
    let origins: [String]
    let local: any HTTPFetcher
    let others: any HTTPFetcher

    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        try await (origins.contains(request.url.origin) ? local : others).fetch(request)
    }

    var explaining: any HTTPFetcher {
        LocalProviders(origins: origins, local: local.forConfiguredURLs, others: others.forConfiguredURLs)
    }
}
