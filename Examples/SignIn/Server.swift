// Users sign in with the accounts that their company already has: at Google Workspace, Microsoft Entra or Keycloak.
//
//   PROVIDER=google CLIENT_ID=... CLIENT_SECRET=... COMPANY=acme.com swift run example-sign-in
//   PROVIDER=entra CLIENT_ID=... CLIENT_SECRET=... COMPANY=TENANT-ID swift run example-sign-in
//   PROVIDER=keycloak CLIENT_ID=... CLIENT_SECRET=... COMPANY=https://id.acme.com REALM=acme swift run example-sign-in
//
// The callback URL to register there is http://127.0.0.1:8000/sign-in/callback/ and the name of the provider.
import Foundation
import IdentityProviders
import MCPAuth
import MCPAuthHTTPClient
import MCPAuthHummingbird
import MCPAuthSQLite
import MCPAuthorizationServer
import MCPServer
import OAuth

struct Me: Codable { let name: String?, roles: [String], scopes: [String] }

@main
struct Server {
    static func main() async {
        await ServerProgram.run {
            ServerProgram.takesNoArguments(variables: [
                "PROVIDER": "google, entra or keycloak",
                "CLIENT_ID": "the client ID there",
                "CLIENT_SECRET": "the client secret there",
                "COMPANY": "the domain (google), tenant ID (entra) or URL (keycloak) of the company",
                "REALM": "the realm, with keycloak",
                "PORT": "the port to listen on (8000)",
                "HOST": "the address to listen on (127.0.0.1)",
                "ORIGIN": "the public address, such as https://mcp.example.com",
            ])
            let transport = try ServerProgram.transport(port: 8000)
            try transport.check()

            // Before any file is created.
            let method = try method(ProcessInfo.processInfo.environment)
            let origin = try ServerProgram.origin(of: transport)
            let resource = try ProtectedResource(origin + "/mcp", scopes: [.init("read", "See reports"), .init("write", "Write reports")])
            let issuer = try await AuthorizationServer(
                origin, configuration: .init(resources: [resource]), in: DataFolder("data/sign-in"),
                signIn: [method], fetcher: GuardedHTTPClient.shared)
            let auth = try ResourceServer(origin + "/mcp", trusting: .local(issuer))
            let server = MCPServer("reports", version: "1.0") {
                Tool("me", "Who is calling, with which roles", requires: .authenticated) { call in
                    Me(name: call.principal.preferredUsername, roles: call.principal.roles, scopes: call.principal.scopes.map(\.text))
                }
            }
            try await server.run(
                transport, protectedBy: auth, authorizationServer: issuer, trustedProxies: origin.hasPrefix("https:") ? 1 : 0)
        }
    }

    /// The one way to sign in.
    static func method(_ environment: [String: String]) throws -> SignInMethod {
        let needed = ["PROVIDER", "CLIENT_ID", "CLIENT_SECRET", "COMPANY"] + (environment["PROVIDER"] == "keycloak" ? ["REALM"] : [])
        let missing = needed.filter { (environment[$0] ?? "").isEmpty }
        func value(_ name: String) throws -> String {
            guard missing.isEmpty, let value = environment[name] else {
                throw OAuthError(.invalidConfiguration, "set \(missing.joined(separator: ", ")); --help says what they mean")
            }
            return value
        }
        let (id, secret) = (try value("CLIENT_ID"), ProviderSecret(try value("CLIENT_SECRET")))
        switch try value("PROVIDER") {
        case "google":
            // Google vouches for the Workspace domain. An e-mail address would not be enough.
            return .google(clientID: id, clientSecret: secret, hostedDomain: try value("COMPANY"))
        case "entra":
            // One tenant. The application's groups claim has to be switched on there to use groups.
            guard !["common", "organizations", "consumers"].contains(try value("COMPANY")) else {
                throw OAuthError(
                    .invalidConfiguration, "COMPANY is the ID of your tenant; with \(try value("COMPANY")), users of every tenant could enter")
            }
            return .provider(.entra(tenant: try value("COMPANY")), clientID: id, clientSecret: secret, roles: { $0.groups })
        case "keycloak":
            // Editors may write; everyone else may read. Realm roles become roles here.
            return .provider(
                .keycloak(url: try value("COMPANY"), realm: try value("REALM")), clientID: id, clientSecret: secret,
                permissions: { $0.groups.contains("editors") ? ["read", "write"] : ["read"] }, roles: { $0.groups })
        case let other: throw OAuthError(.invalidConfiguration, "PROVIDER is google, entra or keycloak, not \(other)")
        }
    }
}
