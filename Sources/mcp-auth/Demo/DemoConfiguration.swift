import Foundation
import JOSE
import MCPAuthSQLite
import MCPAuthorizationServer
import OAuth

/// The demo's authorization server: everything is on that is safe on loopback, so that each of these can be tried.
enum DemoConfiguration {
    static func make(
        _ origin: String, _ resource: String, _ folder: DataFolder, _ tokenLifetime: Int64
    ) throws -> AuthorizationServerConfiguration {
        var configuration = AuthorizationServerConfiguration(resources: [try ProtectedResource(resource, scopes: TaskServer.scopes)])
        configuration.name = "Tasks (demo)"
        configuration.branding.logo = TaskServer.logo
        configuration.accessTokenLifetime = tokenLifetime
        configuration.grantTypes = [.authorizationCode, .refreshToken, .clientCredentials, .deviceCode, .tokenExchange, .jwtBearer]
        // A tool of this server that calls on to itself, with less than its caller has.
        configuration.exchanges = [TokenExchangeRule(from: resource, to: [resource])]
        let key = try identityProviderKey(folder).verificationKey
        configuration.identityProviders = [TrustedIdentityProvider(issuer: origin + "/demo-identity-provider", keys: .fixed([key]))]
        configuration.workloads = [
            try WorkloadTrust(
                name: "demo", issuer: origin + "/demo-platform", keys: .fixed([key]), subject: "demo-workload", resource: resource,
                scopes: ["read:tasks"])
        ]
        return configuration
    }

    /// The key of an identity provider, and of a platform, that exist only in the demo: whoever can read the folder can
    /// sign for them.
    private static func identityProviderKey(_ folder: DataFolder) throws -> SigningKey {
        let path = folder.path("demo-identity-provider.pem")
        if let data = FileManager.default.contents(atPath: path) { return try SigningKey(pem: String(decoding: data, as: UTF8.self), keyID: "demo") }
        let key = try SigningKey.generate(.es256, keyID: "demo")
        guard let pem = key.pem, FileManager.default.createFile(atPath: path, contents: Data(pem.utf8), attributes: [.posixPermissions: 0o600]) else {
            throw OAuthError(.invalidConfiguration, "\(path) cannot be written")
        }
        return key
    }
}
