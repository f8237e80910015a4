import HTTPTypes
public import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// The metadata document (RFC 8414 §2, RFC 9207 §3). Everything in it is true, and everything that works is in it (R129).
    public var metadata: JSONValue {
        var json: JSONObject = [
            "issuer": .string(issuer.text), "authorization_endpoint": .string(routes.url("/authorize")),
            "token_endpoint": .string(routes.url("/token")),
            "jwks_uri": .string(routes.url("/jwks")), "revocation_endpoint": .string(routes.url("/revoke")),
            "introspection_endpoint": .string(routes.url("/introspect")), "scopes_supported": .strings(scopesSupported.map(\.text)),
            "response_types_supported": ["code"], "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": .strings(Client.AuthenticationMethod.allCases.map(\.rawValue)),
            "revocation_endpoint_auth_methods_supported": .strings(Client.AuthenticationMethod.allCases.map(\.rawValue)),
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true, "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "protected_resources": .strings(configuration.resources.map(\.identifier.text)),
        ]
        if configuration.dynamicRegistration == .open { json["registration_endpoint"] = .string(routes.url("/register")) }
        if let documentation = configuration.documentation { json["service_documentation"] = .string(documentation) }
        return .object(json)
    }

    var scopesSupported: ScopeSet { configuration.resources.reduce([]) { $0.union($1.allScopes) } }

    func metadataReply(_ call: HTTPCall) -> HTTPReply { PublicDocument.reply(to: call.request.method, metadata.serialized) }

    func keysReply(_ call: HTTPCall) -> HTTPReply { PublicDocument.reply(to: call.request.method, keys.published.publicDocument.serialized) }
}
