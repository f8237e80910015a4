// A resource server that accepts the access tokens of a provider by name.

import IdentityProviders
import MCPAuth
import MCPAuthHTTPClient

// Auth0: the identifier of the API is the audience.
let auth0 = try ResourceServer(
    "https://mcp.example.com/mcp", trusting: .auth0(domain: "acme.eu.auth0.com", audience: "https://api.acme.com"),
    fetcher: GuardedHTTPClient.shared)

// Entra: tokens of versions 1 and 2 of one tenant.
let entra = try ResourceServer(
    "https://mcp.example.com/mcp", trusting: .entra(tenant: "9a8b7c6d-1111-2222-3333-444455556666", audience: "api-client-id"),
    fetcher: GuardedHTTPClient.shared)

// Keycloak: the audience of a mapper.
let keycloak = try ResourceServer(
    "https://mcp.example.com/mcp",
    trusting: .keycloak(url: "https://id.example.com", realm: "acme", audience: "https://mcp.example.com/mcp"),
    fetcher: GuardedHTTPClient.shared)

for server in [auth0, entra, keycloak] { print(server.metadata.authorizationServers) }
