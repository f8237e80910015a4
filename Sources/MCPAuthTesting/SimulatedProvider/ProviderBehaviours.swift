import JOSE

extension ProviderBehaviour {
    /// GitHub with an OAuth app. Its tokens expire if `expires` is set, as the setting of the app says.
    public static func github(expires: Bool = false) -> ProviderBehaviour {
        github(web: "https://github.com", api: "https://api.github.com", expires: expires)
    }

    /// GitHub Enterprise Server, whose API is below the host of the pages.
    public static func githubEnterprise() -> ProviderBehaviour {
        github(web: "https://github.acme.example", api: "https://github.acme.example/api/v3", expires: false)
    }

    /// GitHub Enterprise Cloud with data residency, whose API has a host of its own.
    public static func githubResident() -> ProviderBehaviour { github(web: "https://acme.ghe.com", api: "https://api.acme.ghe.com", expires: true) }

    private static func github(web: String, api: String, expires: Bool) -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "\(web)/login/oauth")
        behaviour.metadata = nil
        behaviour.authorization = "\(web)/login/oauth/authorize"
        behaviour.token = "\(web)/login/oauth/access_token"
        behaviour.userInfo = nil
        behaviour.keys = nil
        behaviour.idToken = nil
        behaviour.revocation = "\(api)/applications/{client_id}/grant"
        behaviour.revokesByDelete = true
        behaviour.errorsComeAs200 = true
        behaviour.answersFormsByDefault = true
        behaviour.scopeSeparator = ","
        behaviour.lifetime = expires ? 28_800 : nil
        behaviour.refresh = expires ? .always : .never
        behaviour.api = [
            "\(api)/user": { account in
                [
                    "login": .string(account.userName), "id": .int(Int64(account.subject) ?? 0), "node_id": "MDQ6VXNlcjE=",
                    "name": .string(account.name), "email": "public-address@elsewhere.example",
                ]
            },
            "\(api)/user/emails": { account in
                [
                    ["email": "other@elsewhere.example", "primary": false, "verified": true],
                    ["email": .string(account.email), "primary": true, "verified": .bool(account.isEmailVerified)],
                ]
            },
            "\(api)/user/orgs?per_page=100": { account in .array(account.organizations.map { ["login": .string($0)] }) },
            "\(api)/user/teams?per_page=100": { account in
                .array(
                    account.teams.map { team in
                        let parts = team.split(separator: "/").map(String.init)
                        return ["slug": .string(parts[1]), "name": "A team", "organization": ["login": .string(parts[0])]]
                    })
            },
        ]
        return behaviour
    }

    /// Google: ID tokens may name the issuer without `https://`, and a refresh token comes with `prompt=consent`.
    public static func google() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://accounts.google.com")
        behaviour.authorization = "https://accounts.google.com/o/oauth2/v2/auth"
        behaviour.token = "https://oauth2.googleapis.com/token"
        behaviour.userInfo = "https://openidconnect.googleapis.com/v1/userinfo"
        behaviour.keys = "https://www.googleapis.com/oauth2/v3/certs"
        behaviour.revocation = "https://oauth2.googleapis.com/revoke"
        behaviour.idTokenIssuer = { _ in "accounts.google.com" }
        behaviour.refresh = .withParameter("prompt", "consent")
        behaviour.rotates = false
        behaviour.idToken = { account in
            var claims: JSONObject = [
                "sub": .string(account.subject), "name": .string(account.name), "email": .string(account.email),
                "email_verified": .bool(account.isEmailVerified),
            ]
            claims["hd"] = account.tenant.map { .string($0) }
            return claims
        }
        return behaviour
    }

    /// Apple: form_post, no userinfo, no PKCE, `email_verified` as a text.
    public static func apple() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://appleid.apple.com")
        behaviour.metadata = nil
        behaviour.authorization = "https://appleid.apple.com/auth/authorize"
        behaviour.token = "https://appleid.apple.com/auth/token"
        behaviour.userInfo = nil
        behaviour.keys = "https://appleid.apple.com/auth/keys"
        behaviour.revocation = "https://appleid.apple.com/auth/revoke"
        behaviour.postsAnswers = true
        behaviour.supportsPKCE = false
        behaviour.authentication = ["client_secret_post"]
        behaviour.rotates = false
        behaviour.scopeSeparator = nil
        behaviour.idToken = { account in
            [
                "sub": .string(account.subject), "email": .string(account.email), "email_verified": account.isEmailVerified ? "true" : "false",
                "is_private_email": "false",
            ]
        }
        return behaviour
    }

    /// Microsoft Entra, for one tenant: no userinfo at its host, no `email_verified`, no revocation, and `resource` is
    /// rejected. `isMultiTenant`: the authority is `organizations`, and ID tokens name the tenant of the account.
    /// `host`: that of a national cloud.
    public static func entra(
        tenant: String, isMultiTenant: Bool = false, host: String = "login.microsoftonline.com", graph: String = "graph.microsoft.com"
    ) -> ProviderBehaviour {
        let authority = "https://\(host)/\(isMultiTenant ? "organizations" : tenant)"
        var behaviour = ProviderBehaviour(issuer: "\(authority)/v2.0")
        behaviour.authorization = "\(authority)/oauth2/v2.0/authorize"
        behaviour.token = "\(authority)/oauth2/v2.0/token"
        behaviour.userInfo = "https://\(graph)/oidc/userinfo"
        behaviour.keys = "\(authority)/discovery/v2.0/keys"
        behaviour.revocation = nil
        behaviour.rejectsResource = true
        behaviour.rotates = true
        behaviour.refresh = .withScope("offline_access")
        behaviour.idTokenIssuer = { "https://\(host)/\($0.tenant ?? tenant)/v2.0" }
        behaviour.idToken = { account in
            [
                "sub": .string("pairwise-" + account.subject), "oid": .string(account.subject), "tid": .string(account.tenant ?? tenant),
                "name": .string(account.name), "preferred_username": .string(account.userName), "email": .string(account.email), "ver": "2.0",
            ]
        }
        return behaviour
    }

    /// Microsoft Entra External ID: as Entra, at a host of the tenant's own name. The identifier of the tenant is the
    /// subdomain of the issuer.
    public static func entraExternalID(name: String, tenant: String) -> ProviderBehaviour {
        var behaviour = entra(tenant: tenant, host: "\(name).ciamlogin.com")
        behaviour.idTokenIssuer = { _ in "https://\(name).ciamlogin.com/\(tenant)/v2.0" }
        return behaviour
    }

    /// Azure AD B2C with one user flow: the issuer has a final slash and no policy, addresses come as a list without
    /// any word on their verification, `resource` is rejected, and there is no revocation.
    public static func azureB2C(tenant: String, policy: String, issuer: String) -> ProviderBehaviour {
        let base = "https://\(tenant).b2clogin.com/\(tenant).onmicrosoft.com/\(policy)"
        var behaviour = ProviderBehaviour(issuer: issuer)
        behaviour.metadata = "\(base)/v2.0/.well-known/openid-configuration"
        behaviour.authorization = "\(base)/oauth2/v2.0/authorize"
        behaviour.token = "\(base)/oauth2/v2.0/token"
        behaviour.userInfo = nil
        behaviour.keys = "\(base)/discovery/v2.0/keys"
        behaviour.revocation = nil
        behaviour.rejectsResource = true
        behaviour.refresh = .withScope("offline_access")
        behaviour.idToken = { account in
            [
                "sub": .string(account.subject), "name": .string(account.name), "emails": [.string(account.email)], "tfp": .string(policy),
                "ver": "1.0",
            ]
        }
        return behaviour
    }

    /// Slack: errors with status 200 and `ok: false`, no PKCE, no refresh tokens.
    public static func slack() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://slack.com")
        behaviour.authorization = "https://slack.com/openid/connect/authorize"
        behaviour.token = "https://slack.com/api/openid.connect.token"
        behaviour.userInfo = "https://slack.com/api/openid.connect.userInfo"
        behaviour.keys = "https://slack.com/openid/connect/keys"
        behaviour.revocation = nil
        behaviour.supportsPKCE = false
        behaviour.authentication = ["client_secret_post"]
        behaviour.errorsComeAs200 = true
        behaviour.refresh = .never
        behaviour.lifetime = nil
        behaviour.idToken = { account in
            var claims = account.standardClaims
            claims["https://slack.com/team_id"] = account.tenant.map { .string($0) }
            return claims
        }
        return behaviour
    }

    /// Discord: opaque tokens, the person by API.
    public static func discord() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://discord.com")
        behaviour.authorization = "https://discord.com/api/oauth2/authorize"
        behaviour.token = "https://discord.com/api/oauth2/token"
        behaviour.revocation = "https://discord.com/api/oauth2/token/revoke"
        behaviour.idToken = nil
        behaviour.lifetime = 604_800
        behaviour.api = [
            "https://discord.com/api/users/@me": { account in
                [
                    "id": .string(account.subject), "username": .string(account.userName), "global_name": .string(account.name),
                    "email": .string(account.email), "verified": .bool(account.isEmailVerified),
                ]
            },
            "https://discord.com/api/users/@me/guilds": { account in .array(account.organizations.map { ["id": .string($0), "name": "A server"] }) },
        ]
        return behaviour
    }

    /// LinkedIn: the secret in the form only, `email_verified` as a text, no refresh tokens.
    public static func linkedIn() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://www.linkedin.com/oauth")
        behaviour.authorization = "https://www.linkedin.com/oauth/v2/authorization"
        behaviour.token = "https://www.linkedin.com/oauth/v2/accessToken"
        behaviour.userInfo = "https://api.linkedin.com/v2/userinfo"
        behaviour.keys = "https://www.linkedin.com/oauth/openid/jwks"
        behaviour.revocation = nil
        behaviour.supportsPKCE = false
        behaviour.authentication = ["client_secret_post"]
        behaviour.refresh = .never
        behaviour.lifetime = 5_184_000
        behaviour.idToken = { account in
            ["sub": .string(account.subject), "name": .string(account.name), "email": .string(account.email), "email_verified": "true"]
        }
        return behaviour
    }

    /// Bitbucket: no OpenID Connect, the person by API, Basic only.
    public static func bitbucket() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://bitbucket.org")
        behaviour.metadata = nil
        behaviour.authorization = "https://bitbucket.org/site/oauth2/authorize"
        behaviour.token = "https://bitbucket.org/site/oauth2/access_token"
        behaviour.keys = nil
        behaviour.userInfo = nil
        behaviour.revocation = nil
        behaviour.idToken = nil
        behaviour.supportsPKCE = false
        behaviour.authentication = ["client_secret_basic"]
        behaviour.rotates = false
        behaviour.lifetime = 7200
        behaviour.api = [
            "https://api.bitbucket.org/2.0/user": { account in
                ["uuid": .string(account.subject), "display_name": .string(account.name), "username": .string(account.userName)]
            },
            "https://api.bitbucket.org/2.0/user/emails": { account in
                [
                    "values": [
                        ["email": "old@elsewhere.example", "is_primary": false, "is_confirmed": true],
                        ["email": .string(account.email), "is_primary": true, "is_confirmed": .bool(account.isEmailVerified)],
                    ]
                ]
            },
            "https://api.bitbucket.org/2.0/user/workspaces": { account in
                ["values": .array(account.organizations.map { ["workspace": ["slug": .string($0)]] })]
            },
        ]
        return behaviour
    }

    /// AWS Cognito: endpoints on another host, `email_verified` as a text, no rotation.
    public static func cognito() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI")
        behaviour.authorization = "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/authorize"
        behaviour.token = "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/token"
        behaviour.userInfo = "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/userInfo"
        behaviour.keys = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI/.well-known/jwks.json"
        behaviour.revocation = "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/revoke"
        behaviour.rotates = false
        behaviour.idToken = { account in
            [
                "sub": .string(account.subject), "cognito:username": .string(account.userName), "email": .string(account.email),
                "email_verified": .string(account.isEmailVerified ? "true" : "false"), "cognito:groups": .strings(account.groups), "token_use": "id",
            ]
        }
        return behaviour
    }

    /// Zitadel: roles are an object.
    public static func zitadel() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://acme.zitadel.cloud")
        behaviour.refresh = .withScope("offline_access")
        behaviour.idToken = { account in
            var claims = account.standardClaims
            claims["groups"] = nil
            claims["urn:zitadel:iam:org:project:roles"] = .object(JSONObject(account.groups.map { ($0, ["12345": "acme.zitadel.cloud"]) }))
            claims["urn:zitadel:iam:user:resourceowner:id"] = account.tenant.map { .string($0) }
            return claims
        }
        return behaviour
    }

    /// Keycloak: roles in `realm_access`.
    public static func keycloak() -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: "https://id.example.com/realms/acme")
        let base = behaviour.issuer + "/protocol/openid-connect"
        behaviour.authorization = base + "/auth"
        behaviour.token = base + "/token"
        behaviour.userInfo = base + "/userinfo"
        behaviour.keys = base + "/certs"
        behaviour.revocation = base + "/revoke"
        behaviour.rotates = false
        behaviour.idToken = { account in
            var claims = account.standardClaims
            claims["groups"] = nil
            claims["realm_access"] = ["roles": .strings(account.groups)]
            claims["typ"] = "ID"
            claims["azp"] = "client-at-provider"
            return claims
        }
        return behaviour
    }

    /// A provider with OpenID Connect whose refresh tokens rotate, with the scope `offline_access`.
    public static func openID(issuer: String) -> ProviderBehaviour {
        var behaviour = ProviderBehaviour(issuer: issuer)
        behaviour.refresh = .withScope("offline_access")
        return behaviour
    }
}
