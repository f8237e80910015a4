import Foundation
import HTTPTypes
import JOSE
import MCPAuthTesting
import MCPAuthorizationServer
import OAuth
import Testing

@Suite("docs/openapi.json is true")
struct InterfaceTests {
    /// What the file has beside the authorization server: the demo's own endpoints.
    static let demo: Set = ["/mcp", "/health", "/metrics", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]

    let description: JSONValue
    let harness: Harness

    init() async throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/openapi.json").standardized
        description = try JSONValue(parsing: Array(try Data(contentsOf: file)))
        harness = try await Harness { configuration in
            configuration.grantTypes = [.authorizationCode, .refreshToken, .clientCredentials, .deviceCode, .tokenExchange, .jwtBearer]
        }
    }

    var paths: JSONObject { description["paths"]?.object ?? [:] }

    @Test("X-21, R129: it lists every path there is, and no other")
    func listed() {
        let described = Set(paths.map(\.name)).subtracting(Self.demo)
        #expect(described == Set(harness.server.paths))
    }

    @Test("every method that it lists is answered, every other one is refused, and the status of each answer is one that it lists")
    func methods() async throws {
        for path in paths where !Self.demo.contains(path.name) {
            let operations = path.value.object ?? [:]
            for method in ["get", "head", "post", "put", "delete", "options", "patch"] {
                let request = try #require(HTTPRequest.Method(rawValue: method.uppercased()))
                let reply = try await harness.send(request, path.name)
                // HEAD is answered wherever GET is, as GET would be, and not listed by itself.
                if method == "head", operations["head"] == nil, operations["get"] != nil {
                    let get = try await harness.send(.get, path.name)
                    #expect(reply.status == get.status && reply.body.isEmpty, "\(path.name)")
                    continue
                }
                guard let operation = operations[method] else {
                    #expect(reply.status == 405, "\(method) \(path.name): \(reply.status)")
                    continue
                }
                let listed = (operation["responses"]?.object ?? [:]).map(\.name)
                #expect(listed.contains("\(reply.status)"), "\(method) \(path.name): \(reply.status), of \(listed)")
                #expect(operation["summary"]?.string?.isEmpty == false)
            }
        }
    }

    @Test("every endpoint of the metadata is in it")
    func metadata() {
        for member in harness.server.metadata.object ?? [:] where member.name.hasSuffix("_endpoint") || member.name == "jwks_uri" {
            let path = member.value.string?.replacing(Harness.issuer, with: "") ?? ""
            #expect(paths[path] != nil, "\(member.name)")
        }
    }
}
