extension Catalog {
    private static func openIDSteps(_ first: String) -> [String] {
        [first, "Redirect URI: {callback}", "Copy the client ID and the client secret."]
    }

    static let hosted: [CatalogEntry] = [
        CatalogEntry(
            "auth0", "Auth0", settings: [.init("domain", "acme.eu.auth0.com", "The domain of the tenant, or a custom domain.")],
            steps: [
                "Applications, Create Application, Regular Web Application.", "Allowed Callback URLs: {callback}",
                "Copy the client ID and the client secret.", "To trust its tokens: create an API whose identifier is the audience.",
            ],
            notes: [
                "The issuer ends with a slash.",
                "Access tokens are JWTs only if an audience was requested. Their typ is at+jwt with the RFC 9068 profile of the API only.",
            ],
            server: .init("OAuth and OpenID", registration: .depends, documents: .yes, resources: .depends),
            facts: [
                .init("the issuer ends with a slash", Source.betterAuth), .init("typ depends on the token dialect", Source.fastMCP),
                .init("permissions are an array", Source.fastMCP),
            ]
        ) { values in .auth0(domain: values["domain"] ?? "") },
        CatalogEntry(
            "supabase", "Supabase", settings: [.init("project", "abcdefghijklmnopqrst", "The reference of the project.")],
            steps: openIDSteps("Authentication, OAuth Server: turn it on and create an OAuth client."),
            notes: ["Every access token of a project names the audience authenticated, also those of other servers of the project."],
            server: .init("OAuth", registration: .depends, documents: .unknown, resources: .depends),
            facts: [
                .init("aud is authenticated", Source.fastMCP), .init("resource is parsed, and aud does not follow it", Source.goTrue, Source.fastMCP),
            ]
        ) { values in .supabase(project: values["project"] ?? "") },
        CatalogEntry(
            "logto", "Logto", settings: [.init("endpoint", "https://acme.logto.app", "The endpoint of the tenant.")],
            steps: openIDSteps("Create an application of the type Traditional web."),
            notes: ["Access tokens are JWTs only if the client sent resource."],
            server: .init("OAuth and OpenID", registration: .unknown, documents: .unknown, resources: .yes),
            facts: [.init("scopes", Source.authJS), .init("RFC 8707", Source.mcpAuth)]
        ) { values in .logto(endpoint: values["endpoint"] ?? "") },
        CatalogEntry(
            "asgardeo", "Asgardeo", settings: [.init("organization", "acme", "The name of the organization.")],
            steps: openIDSteps("Applications, New Application, Traditional Web Application."),
            server: .init("OAuth and OpenID", registration: .yes, documents: .unknown, resources: .depends),
            facts: [.init("the issuer ends with /oauth2/token", Source.authJS), .init("registration", Source.mcpAuth)]
        ) { values in .asgardeo(organization: values["organization"] ?? "") },
        CatalogEntry(
            "authkit", "WorkOS AuthKit", settings: [.init("domain", "acme.authkit.app", "The AuthKit domain, or a custom domain.")],
            steps: openIDSteps("Connect, create an OAuth application."),
            notes: ["List the URL of your MCP server as a resource indicator; otherwise tokens name an audience of the environment."],
            server: .init("OAuth", registration: .yes, documents: .yes, resources: .yes),
            facts: [.init("endpoints below /oauth2", Source.fastMCP), .init("registered clients default to Basic", Source.fastMCP)]
        ) { values in .authKit(domain: values["domain"] ?? "") },
        CatalogEntry(
            "descope", "Descope",
            settings: [
                .init(
                    "issuer", "https://api.descope.com/v1/apps/P2abcdefghijklmnopqrstuvwxyz",
                    "The issuer, which has three forms; copy it from the metadata.")
            ],
            steps: openIDSteps("Inbound Apps: create an app."),
            server: .init("OAuth and OpenID", registration: .yes, documents: .yes, resources: .yes),
            facts: [.init("the issuer has three forms", Source.fastMCP, Source.authJS)]
        ) { values in .descope(issuer: values["issuer"] ?? "") },
        CatalogEntry(
            "scalekit", "Scalekit", settings: [.init("environment", "https://acme.scalekit.com", "The URL of the environment.")],
            steps: openIDSteps("Create an application."), notes: ["The audience is the resource identifier res_..., which is no URL."],
            server: .init("OAuth", registration: .yes, documents: .unknown, resources: .depends),
            facts: [.init("the audience is the resource identifier", Source.fastMCP)]
        ) { values in .scalekit(environment: values["environment"] ?? "") },
        CatalogEntry(
            "clerk", "Clerk", settings: [.init("domain", "clerk.acme.com", "The Frontend API domain.")],
            steps: openIDSteps("Configure, OAuth applications: add an application with the scopes openid, profile and email."),
            notes: ["Access tokens have no audience, and are opaque unless JWTs are turned on for the application."],
            server: .init("OAuth", registration: .depends, documents: .depends, resources: .no),
            facts: [.init("endpoints below /oauth", Source.fastMCP)]
        ) { values in .clerk(domain: values["domain"] ?? "") },
        CatalogEntry(
            "propelauth", "PropelAuth", settings: [.init("url", "https://auth.acme.com", "The Auth URL.")],
            steps: openIDSteps("MCP Authentication: create a client."), notes: ["Introspection has credentials of its own."],
            server: .init("OAuth", registration: .yes, documents: .unknown, resources: .yes),
            facts: [.init("metadata and introspection below /oauth/2.1", Source.fastMCP)]
        ) { values in .propelAuth(url: values["url"] ?? "") },
        CatalogEntry(
            "stytch", "Stytch Connected Apps", settings: [.init("domain", "acme.customers.stytch.com", "The project domain.")],
            steps: openIDSteps("Connected Apps: create a third-party confidential app."),
            server: .init("OAuth and OpenID", registration: .depends, documents: .yes, resources: .unknown),
            facts: [.init("the issuer is the project domain", "api-evangelist/stytch")]
        ) { values in .stytch(domain: values["domain"] ?? "") },
        CatalogEntry(
            "firebase", "Firebase Authentication", settings: [.init("project", "acme-prod", "The project ID.")],
            steps: ["Nothing to create. Sign-in is done by the Firebase SDK of your application."],
            notes: [
                "Firebase has no authorization server, so users cannot sign in through it here. Its ID tokens serve as access tokens; this needs an explicit setting, because every server of the project accepts them."
            ],
            server: .init("none", registration: .no, documents: .no, resources: .no),
            facts: [.init("issuer, audience and keys")]
        ) { values in .firebase(project: values["project"] ?? "") },
    ]

    static let selfHosted: [CatalogEntry] = [
        CatalogEntry(
            "keycloak", "Keycloak",
            settings: [.init("url", "https://id.example.com", "The URL of the server."), .init("realm", "acme", "The realm.")],
            steps: [
                "Clients, Create client, OpenID Connect, with Client authentication on.", "Valid redirect URI: {callback}",
                "Credentials: copy the client secret.",
                "To trust its tokens: add an audience mapper with the URL of your MCP server.",
            ],
            notes: [
                "Access tokens name the audience account, or none, until a mapper is added.", "Before version 25, access tokens repeat a nonce.",
            ],
            server: .init("OAuth and OpenID", registration: .depends, documents: .depends, resources: .depends),
            facts: [.init("the issuer is URL/realms/REALM", Source.authJS, Source.betterAuth), .init("roles in realm_access", Source.oauth2Proxy)]
        ) { values in .keycloak(url: values["url"] ?? "", realm: values["realm"] ?? "") },
        CatalogEntry(
            "wso2", "WSO2 Identity Server", settings: [.init("url", "https://id.example.com:9443", "The URL of the server.")],
            steps: openIDSteps("Applications, New Application, Traditional Web Application."),
            server: .init("OAuth and OpenID", registration: .yes, documents: .unknown, resources: .depends),
            facts: [.init("registration", Source.mcpAuth)]
        ) { values in .wso2(url: values["url"] ?? "") },
        CatalogEntry(
            "zitadel", "Zitadel", settings: [.init("instance", "acme.zitadel.cloud", "The domain of the instance.")],
            steps: openIDSteps("Create an application of the type Web, with the authentication method Code and Basic."),
            notes: ["Roles need the setting Assert Roles on Authentication of the project."],
            server: .init("OpenID", registration: .depends, documents: .unknown, resources: .no),
            facts: [.init("roles are an object, not an array", "zitadel.com claims")]
        ) { values in .zitadel(instance: values["instance"] ?? "") },
        CatalogEntry(
            "authentik", "authentik",
            settings: [.init("host", "id.example.com", "The host of the server."), .init("application", "mcp", "The slug of the application.")],
            steps: [
                "Create an OAuth2/OpenID provider and an application with it.", "Redirect URI, strict: {callback}",
                "Copy the client ID and the client secret.",
            ],
            notes: ["The issuer ends with a slash."],
            server: .init("OpenID", registration: .depends, documents: .no, resources: .no),
            facts: [.init("the audience is the client ID", Source.agentgateway)]
        ) { values in .authentik(host: values["host"] ?? "", application: values["application"] ?? "") },
        CatalogEntry(
            "ory", "Ory", settings: [.init("issuer", "https://acme.projects.oryapis.com", "The issuer, as the metadata names it.")],
            steps: openIDSteps("Create an OAuth2 client with the grant types authorization_code and refresh_token."),
            notes: ["Access tokens are opaque unless the JWT strategy is configured."],
            server: .init("OAuth and OpenID", registration: .depends, documents: .no, resources: .no),
            facts: [.init("registration is off by default", "docs.rs ory-hydra-client")]
        ) { values in .ory(issuer: values["issuer"] ?? "") },
        CatalogEntry(
            "fusionauth", "FusionAuth", settings: [.init("url", "https://id.example.com", "The issuer that the tenant configures.")],
            steps: openIDSteps("Applications: add one, with the grants Authorization Code and Refresh Token."),
            server: .init("OpenID", registration: .no, documents: .no, resources: .no), facts: [.init("endpoints below /oauth2", Source.authJS)]
        ) { values in .fusionAuth(url: values["url"] ?? "") },
        CatalogEntry(
            "oidc", "Any provider with OpenID Connect",
            settings: [
                .init("issuer", "https://id.example.com", "The exact issuer, as its metadata document names it."),
                .init("name", "Example", "The name on the button; the host of the issuer if it is not set.", default: ""),
            ],
            steps: openIDSteps("Create a confidential client for the authorization code grant."),
            server: .init("OpenID", registration: .unknown, documents: .unknown, resources: .unknown), facts: []
        ) { values in .openID(issuer: values["issuer"] ?? "", name: values["name"].flatMap { $0.isEmpty ? nil : $0 }) },
    ]
}
