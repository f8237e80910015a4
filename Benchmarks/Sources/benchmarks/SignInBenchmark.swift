import Foundation
import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth

/// A whole sign-in, from the authorization request to the tokens: through a simulated identity provider, beside one with a password. The work of the
/// simulator, an RSA signature for each ID token, counts too.
enum SignInBenchmark {
    static let issuer = "https://mcp.example.com"

    static func run() async throws {
        let world = try await World()
        try await world.signIn(throughProvider: true)
        try await world.signIn(throughProvider: false)
        var ratios: [Double] = []
        for _ in 0..<11 {
            let password = try await cost(count: 3) { try await world.signIn(throughProvider: false) }
            let provider = try await cost(count: 20) { try await world.signIn(throughProvider: true) }
            ratios.append(provider / password)
        }
        print(#"{"provider_against_password":\#(median(ratios))}"#)
    }

    private static func cost(count: Int, _ body: () async throws -> Void) async throws -> Double {
        let before = processNanoseconds()
        for _ in 0..<count { try await body() }
        return Double(processNanoseconds() - before) / Double(count)
    }

    private struct World {
        let server: AuthorizationServer
        let provider: SimulatedProvider
        let password = RandomSource.system.token(bytes: 12)

        init() async throws {
            provider = try SimulatedProvider(
                .openID(issuer: "https://id.example.com"), accounts: [SimulatedAccount("7", name: "Ada", userName: "ada", email: "ada@acme.example")])
            guard let client = ClientID("bench"), let redirect = try? RedirectURI("https://client.example.com/callback") else { throw Unexpected() }
            var configuration = AuthorizationServerConfiguration(resources: [
                try ProtectedResource(RefreshBenchmark.resource, scopes: [.init("read", "Read")])
            ])
            configuration.clients = [
                Client(id: client, name: "Bench", redirectURIs: [redirect], origin: .configured, createdAt: Clock.system.now)
            ]
            server = try await AuthorizationServer(
                SignInBenchmark.issuer, configuration: configuration, store: MemoryStore(), master: .random(),
                signIn: [
                    .provider(
                        .openID(issuer: "https://id.example.com"), clientID: provider.clientID,
                        clientSecret: ProviderSecret(provider.clientSecret)), .password,
                ], fetcher: provider)
            try await server.addUser(named: "ada", password: password)
        }

        func signIn(throughProvider: Bool) async throws {
            let browser = Browser(server)
            let verifier = CodeVerifier(random: .system)
            let query = Form([
                ("response_type", "code"), ("client_id", "bench"), ("redirect_uri", "https://client.example.com/callback"), ("scope", "read"),
                ("code_challenge", CodeChallenge(of: verifier).text), ("code_challenge_method", "S256"),
            ])
            _ = try await browser.go(.get, "/authorize?" + query.encoded)
            var location: String
            if throughProvider {
                _ = try await browser.submit("/sign-in/provider", [("provider", "oidc")])
                let departure = try await browser.submit("/consent", [("decision", "allow")])
                guard case .redirect(let answer) = try provider.authorize(departure, as: "7") else { throw Unexpected() }
                location = try await browser.go(.get, String(answer.dropFirst(SignInBenchmark.issuer.count)))
            } else {
                _ = try await browser.submit("/sign-in", [("username", "ada"), ("password", password)])
                location = try await browser.submit("/consent", [("decision", "allow")])
            }
            guard let code = try Form(queryOf: location).single("code") else { throw Unexpected() }
            let form = Form([
                ("grant_type", "authorization_code"), ("client_id", "bench"), ("code", code),
                ("redirect_uri", "https://client.example.com/callback"), ("code_verifier", verifier.text),
            ])
            location = try await browser.go(.post, "/token", form)
            guard browser.page.contains("access_token") else { throw Unexpected() }
        }
    }

    /// Cookies, forms and redirects, as far as a sign-in needs them.
    private final class Browser {
        private let server: AuthorizationServer
        private var cookies: [String: String] = [:]
        private(set) var page = ""

        init(_ server: AuthorizationServer) { self.server = server }

        /// Follows redirects on the server. The URL elsewhere to which the last one leads, or an empty text.
        func go(_ method: HTTPRequest.Method, _ target: String, _ form: Form? = nil) async throws -> String {
            var (method, target, form) = (method, target, form)
            while true {
                var fields: HTTPFields = [HTTPField.Name("Sec-Fetch-Site")!: "same-origin"]
                if form != nil { fields[.contentType] = "application/x-www-form-urlencoded" }
                if method == .post { fields[.origin] = SignInBenchmark.issuer }
                fields[.cookie] = cookies.map { "\($0)=\($1)" }.joined(separator: "; ")
                let request = HTTPRequest(method: method, scheme: "https", authority: "mcp.example.com", path: target, headerFields: fields)
                guard let reply = await server.reply(to: HTTPCall(request, body: Array((form?.encoded ?? "").utf8), peer: "127.0.0.1")) else {
                    throw Unexpected()
                }
                for header in reply.response.headerFields[values: .setCookie] {
                    let pair = header.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                    cookies[pair[0]] = pair[1]
                }
                page = String(decoding: reply.body, as: UTF8.self)
                guard let location = reply.response.headerFields[.location] else { return "" }
                guard location.hasPrefix("/") else { return location }
                (method, target, form) = (.get, location, nil)
            }
        }

        func submit(_ path: String, _ fields: [(String, String)]) async throws -> String {
            let transaction = page.firstMatch(of: /name="transaction" value="([^"]*)"/).map { String($0.1) } ?? ""
            return try await go(.post, path, Form([("transaction", transaction)] + fields))
        }
    }
}
