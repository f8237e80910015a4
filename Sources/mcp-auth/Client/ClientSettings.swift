import Foundation
import HTTPTypes
import JOSE
import MCPAuthClient
import MCPAuthHTTPClient
import OAuth

/// The options of a client: of the command line, else of the environment, else of the configuration file, there first
/// of the server's own section.
struct ClientSettings {
    private let options: ClientOptions
    private let server: ResourceIdentifier
    private let file: [JSONObject]
    private let environment = ProcessInfo.processInfo.environment

    static let names = [
        "issuer", "client-id", "client-secret", "private-key", "signing-algorithm", "client-metadata-url", "grant", "assertion", "subject-token",
        "idp-issuer",
        "idp-token-endpoint", "idp-client-id", "idp-client-secret", "id-token", "scope", "dpop", "allow-unadvertised-pkce", "browser",
        "callback-host", "callback-port",
        "token-store", "header",
    ]

    init(_ options: ClientOptions, server: ResourceIdentifier) throws(OAuthError) {
        self.options = options
        self.server = server
        file = try Self.read(options.config, server: server)
    }

    /// The section of the server, and the file as a whole. An unknown name is an error.
    private static func read(_ path: String?, server: ResourceIdentifier) throws(OAuthError) -> [JSONObject] {
        let standard = ProcessInfo.processInfo.environment["XDG_CONFIG_HOME"] ?? NSHomeDirectory() + "/.config"
        let place = path ?? ProcessInfo.processInfo.environment["MCP_AUTH_CLIENT_CONFIG"] ?? "\(standard)/mcp-auth/client.json"
        guard let data = FileManager.default.contents(atPath: place) else {
            guard path == nil else { throw OAuthError(.invalidConfiguration, "the configuration file \(place) cannot be read") }
            return []
        }
        guard let json = try? JSONValue(parsing: Array(data)), let whole = json.object else {
            throw OAuthError(
                .invalidConfiguration, "\(place) is not a JSON object, such as {\"browser\": \"firefox\", \"servers\": {\"\(server)\": {}}}")
        }
        let section = json["servers"]?[server.text]?.object ?? [:]
        for member in whole.members + section.members where member.name != "servers" && !names.contains(member.name) {
            throw OAuthError(
                .invalidConfiguration, "\(place): there is no option \(member.name)\(NearestName.hint(member.name, among: names))")
        }
        return [section, whole]
    }

    /// The value of an option as text.
    private func text(_ name: String, _ option: String?) -> String? {
        if let option { return option }
        let variable = "MCP_AUTH_" + name.uppercased().replacing("-", with: "_")
        if let value = environment[variable], !value.isEmpty { return value }
        return file.lazy.compactMap { $0[name]?.string ?? $0[name]?.number?.description ?? $0[name]?.bool.map { "\($0)" } }.first
    }

    /// A secret: `env:NAME`, `file:PATH`, or the value itself.
    static func secret(_ text: String, _ name: String) throws(OAuthError) -> String {
        if text.hasPrefix("env:") {
            let variable = String(text.dropFirst(4))
            guard let value = ProcessInfo.processInfo.environment[variable], !value.isEmpty else {
                throw OAuthError(.invalidConfiguration, "--\(name): the variable \(variable) is not set")
            }
            return value
        }
        if text.hasPrefix("file:") {
            let path = String(text.dropFirst(5))
            guard let data = FileManager.default.contents(atPath: path) else {
                throw OAuthError(.invalidConfiguration, "--\(name): \(path) cannot be read")
            }
            return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return text
    }

    private func secret(_ name: String, _ option: String?) throws(OAuthError) -> String? {
        guard let text = text(name, option) else { return nil }
        return try Self.secret(text, name)
    }

    private func issuer(for name: String) throws(OAuthError) -> Issuer {
        guard let text = text("issuer", options.issuer) else {
            throw OAuthError(
                .invalidRequest, "\(name) needs --issuer, so that it is sent to no other server. mcp-auth discover \(server) shows the issuer")
        }
        return try Issuer(text)
    }

    // MARK: Store

    /// The folder of tokens. It has no version in it.
    static var standardFolder: String {
        #if os(macOS)
            return NSHomeDirectory() + "/Library/Application Support/mcp-auth/tokens"
        #else
            let data = ProcessInfo.processInfo.environment["XDG_DATA_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory() + "/.local/share"
            return data + "/mcp-auth/tokens"
        #endif
    }

    func makeStore() throws(OAuthError) -> any TokenStore { try Self.store(text("token-store", options.tokenStore)) }

    /// Whether there is a store already. True where this can be seen only by opening it.
    static func hasStore(_ choice: String?) -> Bool {
        let choice = choice ?? ProcessInfo.processInfo.environment["MCP_AUTH_TOKEN_STORE"]
        return choice == "keychain" || FileManager.default.fileExists(atPath: choice ?? standardFolder)
    }

    static func store(_ choice: String?) throws(OAuthError) -> any TokenStore {
        switch choice ?? ProcessInfo.processInfo.environment["MCP_AUTH_TOKEN_STORE"] {
        case "memory": return MemoryTokenStore()
        case "keychain":
            do throws(OAuthError) {
                return try FileTokenStore(folder: standardFolder + "-sealed", sealing: .key(try Keychain.key()), onWait: announce)
            } catch {
                // A keyring that does not answer must not keep users out; they are told where the tokens are now.
                guard error.code == .temporarilyUnavailable else { throw error }
                Console.note("\(error.message). For now the tokens are in \(standardFolder), readable by you alone.")
                return try FileTokenStore(folder: standardFolder, onWait: announce)
            }
        case let path:
            let passphrase = ProcessInfo.processInfo.environment["MCP_AUTH_TOKEN_STORE_PASSPHRASE"]
            return try FileTokenStore(
                folder: path ?? standardFolder, sealing: passphrase.map { .passphrase($0) } ?? .none, onWait: announce)
        }
    }

    /// Says for what a command waits: a sign-in may have been left open in another terminal.
    @Sendable private static func announce(_ process: Int32?) {
        let name = process.map { "Another mcp-auth (process \($0))" } ?? "Another mcp-auth"
        let end = process.map { ", or stop it: kill \($0)" } ?? ""
        Console.note("\(name) is signing in to this server or renews its token; waiting for it. Finish its sign-in in the browser\(end)")
    }

    // MARK: Configuration

    func configuration(asksUser: Bool) throws(OAuthError) -> ClientConfiguration {
        var configuration = ClientConfiguration(name: "mcp-auth (\(Host.name))", grant: try grant(asksUser: asksUser))
        if let scope = text("scope", options.scope) {
            guard let scopes = ScopeSet(request: scope) else { throw OAuthError(.invalidRequest, "--scope is a list of scopes separated by spaces") }
            configuration.scopes = scopes
        }
        if options.dpop || text("dpop", nil) == "true" { configuration.proofOfPossession = .required }
        if options.allowUnadvertisedPKCE || text("allow-unadvertised-pkce", nil) == "true" {
            configuration.issuersWithUnadvertisedPKCE = [try issuer(for: "--allow-unadvertised-pkce")]
        }
        let key = try privateKey()
        if let id = text("client-id", options.clientID) {
            let issuer = try issuer(for: "--client-id")
            guard ClientID(id) != nil else { throw OAuthError(.invalidRequest, "--client-id is 1 to 512 printable ASCII characters") }
            let authentication: ClientAuthentication
            if let key {
                authentication = .privateKeyJWT(clientID: id, key: key, audience: issuer.text)
            } else if let secret = try secret("client-secret", options.clientSecret) {
                authentication = .basic(clientID: id, secret: secret)
            } else {
                authentication = .none(clientID: id)
            }
            configuration.registered = [RegisteredClient(issuer: issuer, authentication: authentication)]
        } else if text("client-secret", options.clientSecret) != nil {
            throw OAuthError(.invalidRequest, "--client-secret needs --client-id and --issuer")
        }
        if let url = text("client-metadata-url", options.clientMetadataURL) {
            configuration.metadataDocument = try ClientMetadataDocument(url, key: key)
        }
        return configuration
    }

    private func privateKey() throws(OAuthError) -> SigningKey? {
        guard let path = text("private-key", options.privateKey) else { return nil }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw OAuthError(.invalidConfiguration, "--private-key: \(path) cannot be read")
        }
        var algorithm: SigningAlgorithm?
        if let name = text("signing-algorithm", options.signingAlgorithm) {
            let names = SigningAlgorithm.asymmetric.map(\.rawValue)
            guard let known = SigningAlgorithm(rawValue: name), SigningAlgorithm.asymmetric.contains(known) else {
                throw OAuthError(
                    .invalidRequest, "--signing-algorithm is one of \(names.joined(separator: ", "))\(NearestName.hint(name, among: names))")
            }
            algorithm = known
        }
        do throws(JOSEError) { return try SigningKey(pem: String(decoding: data, as: UTF8.self), algorithm: algorithm) } catch {
            throw OAuthError(.invalidConfiguration, "--private-key \(path): \(error.message)")
        }
    }

    private func grant(asksUser: Bool) throws(OAuthError) -> ClientGrant {
        let headers = try fixedHeaders()
        if let headers { return .headers(headers) }
        var grant = options.grant ?? .authorizationCode
        if options.grant == nil, let name = text("grant", nil) {
            let names = ClientOptions.Grant.allCases.map(\.rawValue)
            guard let known = ClientOptions.Grant(rawValue: name) else {
                throw OAuthError(.invalidConfiguration, "grant is one of \(names.joined(separator: ", "))\(NearestName.hint(name, among: names))")
            }
            grant = known
        }
        switch grant {
        case .authorizationCode:
            guard asksUser else { return .authorizationCode(nil) }
            var host = options.callbackHost
            if host == nil, let name = text("callback-host", nil) {
                guard let known = ClientOptions.CallbackHost(rawValue: name) else {
                    throw OAuthError(.invalidConfiguration, "callback-host is 127.0.0.1 or localhost")
                }
                host = known
            }
            let port = text("callback-port", options.callbackPort.map { "\($0)" }).flatMap { Int($0) } ?? 0
            return .authorizationCode(
                TerminalUserAgent(
                    host: host.flatMap { LoopbackUserAgent.Host(rawValue: $0.rawValue) }, port: port, browser: text("browser", options.browser),
                    isQuiet: options.quiet))
        case .device:
            guard asksUser else { return .authorizationCode(nil) }
            return .device { prompt in
                Console.note("To sign in, open \(Console.bold(prompt.verificationURL.text, on: .error)) on any device and enter the code")
                Console.note("  \(Console.bold(Console.printable(prompt.userCode), on: .error))")
                if let url = prompt.completeURL { Console.note("Or open \(url.text), and compare the code.") }
            }
        case .clientCredentials:
            guard text("client-id", options.clientID) != nil else {
                throw OAuthError(.invalidRequest, "the grant client-credentials needs --client-id, --issuer, and --client-secret or --private-key")
            }
            return .clientCredentials
        case .jwtBearer:
            guard let assertion = text("assertion", options.assertion) else {
                throw OAuthError(.invalidRequest, "the grant jwt-bearer needs --assertion and --issuer")
            }
            return .workload(
                WorkloadIdentity(issuer: try issuer(for: "--assertion")) { () throws(OAuthError) in try Self.secret(assertion, "assertion") })
        case .tokenExchange:
            guard let token = text("subject-token", options.subjectToken), text("client-id", options.clientID) != nil else {
                throw OAuthError(
                    .invalidRequest, "the grant token-exchange needs --subject-token, --client-id, --issuer, and --client-secret or --private-key")
            }
            return .tokenExchange(
                SubjectToken(issuer: try issuer(for: "--subject-token")) { () throws(OAuthError) in try Self.secret(token, "subject-token") })
        case .enterprise:
            guard let idp = text("idp-issuer", options.idpIssuer), let id = text("idp-client-id", options.idpClientID),
                let token = text("id-token", options.idToken)
            else { throw OAuthError(.invalidRequest, "the grant enterprise needs --idp-issuer, --idp-client-id and --id-token") }
            let endpoint = text("idp-token-endpoint", options.idpTokenEndpoint)
            let url = endpoint.flatMap(WebURL.init)
            if endpoint != nil, url == nil { throw OAuthError(.invalidRequest, "--idp-token-endpoint is a URL") }
            let secret = try secret("idp-client-secret", options.idpClientSecret)
            return .enterprise(
                EnterpriseIdentity(
                    identityProvider: try Issuer(idp), tokenEndpoint: url,
                    authentication: secret.map { .basic(clientID: id, secret: $0) } ?? .none(clientID: id),
                    idToken: { () throws(OAuthError) in try Self.secret(token, "id-token") }))
        }
    }

    /// Header fields for this server.
    private func fixedHeaders() throws(OAuthError) -> FixedHeaders? {
        let lines = options.header.isEmpty ? file.first?["header"]?.strings ?? file.first?["header"]?.string.map { [$0] } ?? [] : options.header
        guard !lines.isEmpty else { return nil }
        var fields = HTTPFields()
        for line in lines {
            guard let colon = line.firstIndex(of: ":"), let name = HTTPField.Name(String(line[..<colon])) else {
                throw OAuthError(.invalidRequest, "--header is a name and a value, such as \"X-Api-Key: env:KEY\"")
            }
            let value = try Self.secret(line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces), "header")
            guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
                throw OAuthError(.invalidRequest, "--header: the value has characters that no header can carry")
            }
            fields[name] = value
        }
        return FixedHeaders(for: server, fields)
    }
}

/// The name of this machine, as users see it on a consent page.
private enum Host {
    static var name: String { ProcessInfo.processInfo.hostName.split(separator: ".").first.map { String($0.prefix(40)) } ?? "this machine" }
}
