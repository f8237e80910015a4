// A verifier of your own: API keys that your users already have, as bearer tokens. Clients that sign in by themselves
// need an authorization server; these keys are for scripts and for clients with a fixed header.
//
//   API_KEYS="$(openssl rand -hex 32)=ada:read,write" swift run example-api-keys
import Crypto
import Foundation
import JOSE
import MCPAuth
import MCPAuthHummingbird
import MCPServer
import OAuth

/// Recognizes keys by their hash, so that the keys themselves are nowhere in memory or on disk, and a comparison
/// reveals nothing.
struct APIKeys: TokenVerifier {
    private let owners: [[UInt8]: (user: String, scopes: ScopeSet)]

    /// Reads `KEY=USER:SCOPE,SCOPE`, separated by spaces.
    init(_ text: String) throws {
        var owners: [[UInt8]: (String, ScopeSet)] = [:]
        for entry in text.split(separator: " ") {
            let parts = entry.split(separator: "=", maxSplits: 1)
            let owner = parts.last?.split(separator: ":", maxSplits: 1) ?? []
            guard parts.count == 2, parts[0].utf8.count >= 32, owner.count == 2,
                let scopes = ScopeSet(request: owner[1].replacingOccurrences(of: ",", with: " "))
            else { throw OAuthError(.invalidConfiguration, "API_KEYS has entries KEY=USER:SCOPE,SCOPE with keys of at least 32 characters") }
            owners[Self.hash(Array(parts[0].utf8))] = (String(owner[0]), scopes)
        }
        guard !owners.isEmpty else { throw OAuthError(.invalidConfiguration, "API_KEYS has no key") }
        self.owners = owners
    }

    private static func hash(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

    func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        guard let owner = owners[Self.hash(token.bytes)], let claims = try? JSONDocument(parsing: "{}") else {
            return .rejected(RejectionReason("unknown_key", "this API key is not known"))
        }
        return .accepted(
            Principal(
                issuer: "api-keys", subject: owner.user, scopes: owner.scopes, expiration: now.advanced(by: 300), claims: claims))
    }
}

@main
struct Server {
    static func main() async {
        await ServerProgram.run {
            ServerProgram.takesNoArguments(variables: [
                "API_KEYS": "entries KEY=USER:SCOPE,SCOPE, separated by spaces",
                "PORT": "the port to listen on (8000)",
            ])
            guard let keys = ProcessInfo.processInfo.environment["API_KEYS"] else {
                throw OAuthError(.invalidConfiguration, "set API_KEYS to KEY=USER:SCOPE,SCOPE with a key of at least 32 random characters")
            }
            let port = try ServerProgram.port(8000)
            let auth = try ResourceServer("http://127.0.0.1:\(port)/mcp", trusting: .verifier(try APIKeys(keys)))
            let server = MCPServer("reports", version: "1.0") {
                Tool("whoami", "Who is calling", requires: "read") { call in call.principal.subject }
                Tool("write-report", "Write a report", requires: "write") { call in "written by \(call.principal.subject)" }
            }
            try await server.run(.http(port: port), protectedBy: auth)
        }
    }
}
