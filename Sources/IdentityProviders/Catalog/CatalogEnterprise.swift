import OAuth

extension Catalog {
    static let enterprise: [CatalogEntry] = [
        CatalogEntry(
            "entra", "Microsoft Entra ID",
            settings: [
                .init("tenant", "9a8b7c6d-1111-2222-3333-444455556666", "The tenant ID of the Overview page, or organizations for every tenant."),
                .init("cloud", "login.microsoftonline.com", "The sign-in host of a national cloud.", default: "login.microsoftonline.com"),
            ],
            steps: [
                "Open App registrations and choose New registration.", "Redirect URI of the platform Web: {callback}",
                "Certificates & secrets: create a client secret and copy its value.",
                "To trust its tokens: Expose an API, add the scopes, and set requestedAccessTokenVersion to 2 in the manifest.",
            ],
            notes: [
                "An e-mail address of Entra is never verified, so it cannot decide who may enter, except with the optional claim xms_edov.",
                "The metadata does not advertise PKCE, although it works, and a foreign resource parameter is rejected (AADSTS9010010). This matters for clients that talk to Entra directly.",
                "There is no revocation endpoint.",
            ],
            server: .init("OpenID", registration: .no, documents: .no, resources: .no),
            facts: [
                .init("PKCE is not in the discovery document", Source.agentgateway),
                .init("the issuer of several tenants is a template", Source.pomerium, Source.kratos, Source.betterAuth),
                .init("the person is oid within tid", Source.kratos),
                .init("xms_edov is the only proof of an address", Source.goTrue),
                .init("version 1 tokens name sts.windows.net", Source.agentgateway),
            ]
        ) { values throws(OAuthError) in
            guard let cloud = IdentityProvider.EntraCloud(rawValue: values["cloud"] ?? "") else {
                throw OAuthError(
                    .invalidConfiguration,
                    "cloud is one of \(IdentityProvider.EntraCloud.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return .entra(tenant: values["tenant"] ?? "", cloud: cloud)
        },
        CatalogEntry(
            "entra-external-id", "Microsoft Entra External ID",
            settings: [
                .init("name", "acme", "The subdomain of ciamlogin.com."),
                .init("tenant", "9a8b7c6d-1111-2222-3333-444455556666", "The tenant ID of the Overview page."),
            ],
            steps: [
                "App registrations, New registration.", "Redirect URI of the platform Web: {callback}",
                "Certificates & secrets: create a client secret.",
            ],
            server: .init("OpenID", registration: .no, documents: .no, resources: .no),
            facts: [.init("the issuer is https://NAME.ciamlogin.com/TENANT/v2.0", Source.goTrue)]
        ) { values in .entraExternalID(name: values["name"] ?? "", tenant: values["tenant"] ?? "") },
        CatalogEntry(
            "azure-b2c", "Azure AD B2C",
            settings: [
                .init("tenant", "acme", "The name of the tenant, without .onmicrosoft.com."), .init("policy", "B2C_1_signin", "The user flow."),
                .init(
                    "issuer", "https://acme.b2clogin.com/9a8b7c6d-1111-2222-3333-444455556666/v2.0/",
                    "The issuer in the metadata document of the user flow."),
            ],
            steps: [
                "App registrations, New registration.", "Redirect URI of the platform Web: {callback}",
                "Certificates & secrets: create a client secret.",
            ],
            notes: ["Addresses are verified by policy only, so they do not count as verified here."],
            server: .init("OpenID", registration: .no, documents: .no, resources: .no),
            facts: [.init("the issuer differs from the authority", Source.fastMCP), .init("addresses are in the array emails", Source.authJS)]
        ) { values in .azureB2C(tenant: values["tenant"] ?? "", policy: values["policy"] ?? "", issuer: values["issuer"] ?? "") },
        CatalogEntry(
            "okta", "Okta",
            settings: [
                .init("domain", "acme.okta.com", "The domain of the organization."),
                .init("server", "default", "The identifier of the custom authorization server.", default: "default"),
            ],
            steps: [
                "Applications, Create App Integration, OIDC, Web Application, with the grant types Authorization Code and Refresh Token.",
                "Sign-in redirect URI: {callback}", "Copy the client ID and the client secret.",
            ],
            notes: [
                "Tokens of the organization's own authorization server are for Okta only; never trust them.",
                "The audience is set once for each authorization server.",
            ],
            server: .init("OpenID", registration: .depends, documents: .depends, resources: .no),
            facts: [
                .init("Basic at the token endpoint", Source.spring), .init("the issuer is https://DOMAIN/oauth2/SERVER", Source.betterAuth),
                .init("registration needs an API token", Source.agentgateway),
            ]
        ) { values in .okta(domain: values["domain"] ?? "", server: values["server"] ?? "default") },
        CatalogEntry(
            "cognito", "Amazon Cognito",
            settings: [
                .init("region", "eu-central-1", "The region of the user pool."), .init("pool", "eu-central-1_AbCdEfGhI", "The user pool ID."),
                .init("domain", "acme.auth.eu-central-1.amazoncognito.com", "The domain of the user pool's pages."),
            ],
            steps: [
                "Create an app client of the type confidential client, with the authorization code grant.", "Allowed callback URL: {callback}",
                "Scopes: openid, profile and email.",
            ],
            notes: [
                "Access tokens name an audience only if the client sent resource, on the plans Essentials and Plus with managed login. Otherwise the client ID is checked."
            ],
            server: .init("OpenID", registration: .no, documents: .no, resources: .depends),
            facts: [
                .init("the issuer is the user pool", Source.authJS, Source.betterAuth, Source.fastMCP),
                .init("endpoints are on another host", Source.betterAuth, Source.pomerium),
                .init("aud follows resource", "AWS documentation, resource binding"),
            ]
        ) { values in .cognito(region: values["region"] ?? "", pool: values["pool"] ?? "", domain: values["domain"] ?? "") },
        CatalogEntry(
            "pingone", "PingOne",
            settings: [
                .init("environment", "5f6e7d8c-1111-2222-3333-444455556666", "The environment ID."),
                .init("top-level-domain", "com", "The region: com, eu, asia, ca.", default: "com"),
            ],
            steps: ["Add an application of the type OIDC Web App.", "Redirect URI: {callback}", "Copy the client ID and the client secret."],
            server: .init("OAuth and OpenID", registration: .unknown, documents: .unknown, resources: .unknown),
            facts: [.init("the issuer is https://auth.pingone.DOMAIN/ENVIRONMENT/as")]
        ) { values in .pingOne(environment: values["environment"] ?? "", topLevelDomain: values["top-level-domain"] ?? "com") },
        CatalogEntry(
            "onelogin", "OneLogin", settings: [.init("subdomain", "acme", "The subdomain of onelogin.com.")],
            steps: ["Add the app OpenId Connect (OIDC).", "Redirect URI: {callback}", "SSO: copy the client ID and the client secret."],
            notes: ["Version 2 has no offline_access, so there are no refresh tokens."],
            server: .init("OpenID", registration: .no, documents: .no, resources: .unknown),
            facts: [
                .init("the issuer of version 2", Source.authJS), .init("no offline_access in version 2", Source.pomerium),
                .init("the scope groups", Source.pomerium),
            ]
        ) { values in .oneLogin(subdomain: values["subdomain"] ?? "") },
        CatalogEntry(
            "oci", "Oracle Cloud (OCI)",
            settings: [
                .init(
                    "domain-url", "https://idcs-0123456789abcdef.identity.oraclecloud.com",
                    "The URL of the identity domain, as its discovery document names the issuer.")
            ],
            steps: [
                "Integrated applications, Add application, Confidential Application, with the grants Authorization Code and Refresh Token.",
                "Redirect URL: {callback}",
            ],
            server: .init("OpenID", registration: .unknown, documents: .unknown, resources: .unknown),
            facts: [.init("endpoints by discovery", Source.fastMCP)]
        ) { values in .oci(domainURL: values["domain-url"] ?? "") },
    ]
}
