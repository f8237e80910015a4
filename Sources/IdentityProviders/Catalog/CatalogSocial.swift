extension Catalog {
    private static let web = "Create an application of the type web application, with a client secret."
    private static let redirect = "Add the redirect URI {callback}."
    private static let none = CatalogEntry.AuthorizationServerSupport("none", registration: .no, documents: .no, resources: .no)

    static let social: [CatalogEntry] = [
        CatalogEntry(
            "github", "GitHub",
            settings: [.init("host", "github.com", "The host of GitHub Enterprise; github.com if it is not set.", default: "github.com")],
            steps: [
                "Open Settings, Developer settings, OAuth Apps, and choose New OAuth App.", "Authorization callback URL: {callback}",
                "Generate a client secret. Copy it together with the client ID.",
                "Keep token expiration on in the settings of the app: access tokens then end after eight hours and are refreshed.",
            ],
            notes: [
                "Access tokens have no audience: a token of any other app works at the API too. Sign users in through GitHub; do not trust its tokens.",
                "OAuth apps without token expiration have tokens that never expire and no refresh tokens.",
                "The membership of organizations needs the scope read:org, which is requested when organizations or teams are required.",
            ],
            server: .init("OAuth", registration: .no, documents: .no, resources: .no),
            facts: [
                .init("identified by the numeric id; a login can be renamed and reused", Source.kratos, Source.dex, Source.fastMCP),
                .init("only /user/emails says which address is verified", Source.oauth2Proxy, Source.pomerium),
                .init("errors of the token endpoint come with status 200", Source.betterAuth),
                .init("PKCE with S256 since 2025-07, never required", "github.blog changelog 2025-07-14", Source.pomerium),
                .init("revocation by DELETE with Basic and a JSON body", Source.pomerium),
            ]
        ) { values in .github(host: values["host"] == "github.com" ? nil : values["host"]) },
        CatalogEntry(
            "google", "Google",
            steps: [
                "Open the Google Cloud console, APIs & Services, Credentials, and create an OAuth client ID of the type web application.",
                "Authorized redirect URI: {callback}", "Copy the client ID and the client secret.",
                "While the consent screen is in testing, only its test users can sign in, and refresh tokens expire after seven days.",
            ],
            notes: [
                "The Workspace domain is the claim hd of the verified ID token. The parameter hd is only a hint and is not used.",
                "Access tokens are opaque. Sign users in through Google; do not trust its tokens.",
            ],
            server: .init("OpenID", registration: .no, documents: .no, resources: .no),
            facts: [
                .init("ID tokens may name accounts.google.com without https", Source.betterAuth),
                .init(
                    "a refresh token comes with access_type=offline, after the first time only with prompt=consent", Source.fastMCP, Source.authJS,
                    Source.pomerium, Source.dex),
                .init("there is no scope offline_access", Source.kratos, Source.pomerium),
                .init("restriction to a domain by the claim hd", Source.betterAuth, Source.goTrue),
            ]
        ) { _ in .google() },
        CatalogEntry(
            "apple", "Apple",
            steps: [
                "Create a Services ID and enable Sign in with Apple.", "Return URL: {callback}. Apple accepts no localhost and no http.",
                "Create a key for Sign in with Apple. The client secret is a JWT that you sign with it (ES256; iss is the team, sub the Services ID, aud https://appleid.apple.com) and renew at least every six months.",
            ],
            notes: ["Apple answers by form_post. Its userinfo endpoint does not exist. The name comes once, and not from the ID token."],
            server: none,
            facts: [
                .init("client secret only in the form", Source.authJS, Source.pomerium),
                .init("https://account.apple.com may be the issuer too", Source.goTrue),
                .init("email_verified may be the text true", Source.betterAuth),
            ]
        ) { _ in .apple() },
        CatalogEntry(
            "discord", "Discord",
            steps: [
                "Open the Discord developer portal, create an application, and open OAuth2.", "Add the redirect {callback}.",
                "Copy the client ID and the client secret.",
            ],
            notes: ["Organizations are the identifiers of servers, which need the scope guilds."],
            server: .init("OAuth and OpenID", registration: .no, documents: .no, resources: .no),
            facts: [
                .init("identified by the id of /users/@me", Source.authJS, Source.betterAuth),
                .init("verified says whether the address is verified", Source.authJS, Source.betterAuth, Source.goTrue),
            ]
        ) { _ in .discord() },
        CatalogEntry(
            "slack", "Slack",
            steps: [
                "Create an app at api.slack.com/apps.", "OAuth & Permissions: add the redirect URL {callback}. It must be https.",
                "Copy the client ID and the client secret of Basic Information.",
            ],
            notes: ["PKCE is not used: turning it on makes a Slack app public for good.", "There is no refresh token without token rotation."],
            server: .init("OpenID", registration: .no, documents: .no, resources: .no),
            facts: [
                .init("the workspace is https://slack.com/team_id", Source.betterAuth, Source.goTrue),
                .init("PKCE is an opt-in that makes the app public", "docs.slack.dev changelog 2026-03-30"),
            ]
        ) { _ in .slack() },
        CatalogEntry(
            "linkedin", "LinkedIn",
            steps: [
                "Create an app at developer.linkedin.com and add the product Sign In with LinkedIn using OpenID Connect.",
                "Auth: add the redirect URL {callback}.", "Copy the client ID and the client secret.",
            ],
            notes: ["The subject of a user is different for each application."],
            server: none,
            facts: [
                .init("the issuer is https://www.linkedin.com/oauth", Source.authJS, Source.goTrue, Source.kratos),
                .init("client secret only in the form", Source.authJS),
                .init("email_verified may be the text true", Source.goTrue),
            ]
        ) { _ in .linkedIn() },
        CatalogEntry(
            "bitbucket", "Bitbucket",
            steps: [
                "Open Workspace settings, OAuth consumers, and add a consumer with the permissions Account: Read and Email.",
                "Callback URL: {callback}", "Copy key (client ID) and secret.",
            ],
            server: none,
            facts: [
                .init("identified by uuid", Source.dex),
                .init("only /2.0/user/emails says which address is confirmed", Source.dex, Source.goTrue),
            ]
        ) { _ in .bitbucket() },
        CatalogEntry(
            "hugging-face", "Hugging Face",
            steps: [
                "Open Settings, Connected Apps, and create an app with a client secret.", "Redirect URL: {callback}",
                "Scopes: openid, profile, email.",
            ],
            server: .init("OpenID", registration: .unknown, documents: .yes, resources: .unknown),
            facts: [.init("userinfo names the organizations", Source.betterAuth), .init("PKCE", Source.authJS)]
        ) { _ in .huggingFace() },
        CatalogEntry(
            "gitlab", "GitLab",
            settings: [.init("url", "https://gitlab.com", "The URL of the instance.", default: "https://gitlab.com")],
            steps: [
                "Open Edit profile, Applications (or the group's or the instance's), and add an application.", "Redirect URI: {callback}",
                "Mark it as confidential, with the scopes openid, profile and email.",
            ],
            notes: ["Groups come from the userinfo answer. Inherited memberships are not in it."],
            server: .init("OpenID", registration: .depends, documents: .no, resources: .no),
            facts: [
                .init("email_verified is checked", Source.oauth2Proxy),
                .init("userinfo has groups", Source.dex, Source.oauth2Proxy),
            ]
        ) { values in .gitlab(url: values["url"] ?? "https://gitlab.com") },
    ]
}
