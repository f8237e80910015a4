public import JOSE

/// The metadata of a protected resource (RFC 9728 §2). A property that is nil is left out of the document. Nothing is
/// validated.
public struct ProtectedResourceMetadata: Sendable, Hashable {
    /// `resource`, the identifier of the resource.
    public var resource: String
    /// `authorization_servers`, the issuers whose tokens the resource accepts. An empty list is left out.
    public var authorizationServers: [String]
    /// `jwks_uri`, the keys of the resource itself, not those of its authorization servers.
    public var jwksURI: String?
    /// `scopes_supported`, the scopes that clients may request.
    public var scopesSupported: ScopeSet?
    /// `bearer_methods_supported`. The default is `["header"]`, the only method that this package accepts.
    public var bearerMethodsSupported: [String]? = ["header"]
    /// `resource_signing_alg_values_supported`, the algorithms with which the resource signs responses.
    public var resourceSigningAlgorithmsSupported: [String]?
    /// `resource_name`, for display to users.
    public var resourceName: String?
    /// `resource_documentation`, the URL of a page for developers.
    public var resourceDocumentation: String?
    /// `resource_policy_uri`, the URL of a page about the use of data.
    public var resourcePolicyURI: String?
    /// `resource_tos_uri`, the URL of the terms of service.
    public var resourceTermsOfServiceURI: String?
    /// `tls_client_certificate_bound_access_tokens` (RFC 8705). This package does not support such tokens.
    public var tlsClientCertificateBoundAccessTokens: Bool?
    /// `authorization_details_types_supported` (RFC 9396).
    public var authorizationDetailsTypesSupported: [String]?
    /// `dpop_signing_alg_values_supported` (RFC 9449).
    public var dpopSigningAlgorithmsSupported: [String]?
    /// `dpop_bound_access_tokens_required` (RFC 9449).
    public var dpopBoundAccessTokensRequired: Bool?
    /// `signed_metadata`, a JWT with the same members (RFC 9728 §2.2).
    public var signedMetadata: String?
    /// Members without a property here, such as translations (`resource_name#de`). They replace members of the same
    /// name.
    public var additional = JSONObject()

    /// Every other property is nil, except `bearerMethodsSupported`.
    public init(resource: String, authorizationServers: [String]) {
        self.resource = resource
        self.authorizationServers = authorizationServers
    }

    /// Parses a document as a client reads it (RFC 9728 §3.2). Members of a wrong type count as absent. It does not
    /// check that `resource` is the expected one.
    ///
    /// Throws `invalid_metadata` when the document is not a JSON object with a string `resource`.
    public init(parsing bytes: [UInt8]) throws(OAuthError) {
        guard let json = try? JSONValue(parsing: bytes), json.object != nil, let resource = json["resource"]?.string else {
            throw OAuthError(.invalidMetadata, "the document is not the metadata of a protected resource: it has no resource")
        }
        self.init(resource: resource, authorizationServers: json["authorization_servers"]?.strings ?? [])
        jwksURI = json["jwks_uri"]?.string
        scopesSupported = json["scopes_supported"]?.strings.map { ScopeSet($0.prefix(ScopeSet.maximumCount).compactMap { Scope($0) }) }
        bearerMethodsSupported = json["bearer_methods_supported"]?.strings
        resourceName = json["resource_name"]?.string
        resourceDocumentation = json["resource_documentation"]?.string
        dpopSigningAlgorithmsSupported = json["dpop_signing_alg_values_supported"]?.strings
        dpopBoundAccessTokensRequired = json["dpop_bound_access_tokens_required"]?.bool
        signedMetadata = json["signed_metadata"]?.string
    }

    /// The document as a JSON object.
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
