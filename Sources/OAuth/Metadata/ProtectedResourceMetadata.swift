public import JOSE

/// The metadata of a protected resource (RFC 9728 §2).
public struct ProtectedResourceMetadata: Sendable, Hashable {
    public var resource: String
    public var authorizationServers: [String]
    public var jwksURI: String?
    public var scopesSupported: ScopeSet?
    public var bearerMethodsSupported: [String]? = ["header"]
    public var resourceSigningAlgorithmsSupported: [String]?
    public var resourceName: String?
    public var resourceDocumentation: String?
    public var resourcePolicyURI: String?
    public var resourceTermsOfServiceURI: String?
    public var tlsClientCertificateBoundAccessTokens: Bool?
    public var authorizationDetailsTypesSupported: [String]?
    public var dpopSigningAlgorithmsSupported: [String]?
    public var dpopBoundAccessTokensRequired: Bool?
    public var signedMetadata: String?
    /// Members that this type has no property for, such as translations (`resource_name#de`).
    public var additional = JSONObject()

    public init(resource: String, authorizationServers: [String]) {
        self.resource = resource
        self.authorizationServers = authorizationServers
    }

    public var json: JSONValue {
        var json = JSONObject()
        json["resource"] = .string(resource)
        if !authorizationServers.isEmpty { json["authorization_servers"] = .strings(authorizationServers) }
        json["jwks_uri"] = jwksURI.map { .string($0) }
        json["scopes_supported"] = scopesSupported.map { .strings($0.map(\.text)) }
        json["bearer_methods_supported"] = bearerMethodsSupported.map { .strings($0) }
        json["resource_signing_alg_values_supported"] = resourceSigningAlgorithmsSupported.map { .strings($0) }
        json["resource_name"] = resourceName.map { .string($0) }
        json["resource_documentation"] = resourceDocumentation.map { .string($0) }
        json["resource_policy_uri"] = resourcePolicyURI.map { .string($0) }
        json["resource_tos_uri"] = resourceTermsOfServiceURI.map { .string($0) }
        json["tls_client_certificate_bound_access_tokens"] = tlsClientCertificateBoundAccessTokens.map { .bool($0) }
        json["authorization_details_types_supported"] = authorizationDetailsTypesSupported.map { .strings($0) }
        json["dpop_signing_alg_values_supported"] = dpopSigningAlgorithmsSupported.map { .strings($0) }
        json["dpop_bound_access_tokens_required"] = dpopBoundAccessTokensRequired.map { .bool($0) }
        json["signed_metadata"] = signedMetadata.map { .string($0) }
        for member in additional { json[member.name] = member.value }
        return .object(json)
    }
}
