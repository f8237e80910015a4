import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The metadata document and the key set.
struct MetadataEndpoint: ServerComponent {
    let context: ServerContext
    let keys: KeyRing
    /// Whether clients can be identified by the URL of a metadata document.
    let acceptsClientDocuments: Bool

    /// The metadata document (RFC 8414 §2 and its extensions). It lists exactly the features that are on (R129).
    var metadata: JSONValue {
        let methods = Client.AuthenticationMethod.allCases.map(\.rawValue)
        let algorithms = SigningAlgorithm.asymmetric.map(\.rawValue).sorted()
        let has = configuration.grantTypes.contains
        var json: JSONObject = ["issuer": .string(issuer.text)]
        func add(_ path: String, as name: String) { if routes.route(for: routes.path(path)) != nil { json[name] = .string(routes.url(path)) } }
        add("/authorize", as: "authorization_endpoint")
        add("/token", as: "token_endpoint")
        add("/jwks", as: "jwks_uri")
        add("/revoke", as: "revocation_endpoint")
        add("/introspect", as: "introspection_endpoint")
        add("/register", as: "registration_endpoint")
        add("/par", as: "pushed_authorization_request_endpoint")
        add("/device_authorization", as: "device_authorization_endpoint")
        add("/userinfo", as: "userinfo_endpoint")
        json["scopes_supported"] = .strings(
            configuration.resourceScopes.union(has(.authorizationCode) ? configuration.identityScopes : []).map(\.text))
        json["response_types_supported"] = has(.authorizationCode) ? ["code"] : []
        if has(.authorizationCode) {
            json["response_modes_supported"] = ["query"]
            json["code_challenge_methods_supported"] = ["S256"]
            json["authorization_response_iss_parameter_supported"] = true
            json["prompt_values_supported"] = ["none", "login", "consent", "select_account"]
            json["require_pushed_authorization_requests"] = .bool(configuration.requiresPushedRequests)
            json["ui_locales_supported"] = .strings(configuration.languages.map(\.tag))
            if acceptsClientDocuments { json["client_id_metadata_document_supported"] = true }
        }
        json["grant_types_supported"] = .strings(configuration.grantTypes.map(\.rawValue).sorted())
        json["token_endpoint_auth_methods_supported"] = .strings(methods)
        json["token_endpoint_auth_signing_alg_values_supported"] = .strings(algorithms)
        json["revocation_endpoint_auth_methods_supported"] = .strings(methods)
        json["revocation_endpoint_auth_signing_alg_values_supported"] = .strings(algorithms)
        json["introspection_endpoint_auth_methods_supported"] = .strings(methods.filter { $0 != "none" })
        json["introspection_endpoint_auth_signing_alg_values_supported"] = .strings(algorithms)
        json["introspection_signing_alg_values_supported"] = .strings(configuration.signingAlgorithms.prefix(1).map(\.rawValue))
        json["dpop_signing_alg_values_supported"] = .strings(DPoPProof.algorithms.map(\.rawValue).sorted())
        if !configuration.identityProviders.isEmpty {
            json["authorization_grant_profiles_supported"] = ["urn:ietf:params:oauth:grant-profile:id-jag"]
        }
        if routes.route(for: routes.path("/userinfo")) != nil {
            json["subject_types_supported"] = ["public"]
            json["id_token_signing_alg_values_supported"] = .strings(configuration.signingAlgorithms.prefix(1).map(\.rawValue))
            json["claims_supported"] = [
                "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "name", "preferred_username", "email", "email_verified",
            ]
        }
        json["protected_resources"] = .strings(configuration.resources.map(\.identifier.text))
        if let documentation = configuration.documentation { json["service_documentation"] = .string(documentation) }
        return .object(json)
    }

    func metadataReply(_ call: HTTPCall) -> HTTPReply { PublicDocument.reply(to: call.request, metadata.serialized) }

    func keysReply(_ call: HTTPCall) -> HTTPReply { PublicDocument.reply(to: call.request, keys.published.publicDocument.serialized) }
}
