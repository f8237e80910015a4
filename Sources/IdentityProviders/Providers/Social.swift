import OAuth
import JOSE

extension IdentityProvider {
    /// GitHub, with an OAuth app or a GitHub App. Users are identified by their numeric `id`, because a login name can
    /// be renamed and reused.
    ///
    /// - Parameter host: The host of a GitHub Enterprise Server, such as `github.example.com`, or of data residency,
    ///   such as `acme.ghe.com`. Nil: github.com.
    public static func github(host: String? = nil) -> IdentityProvider {
        let web = host ?? "github.com"
        let isResident = web.hasSuffix(".ghe.com")
        let api = host == nil ? "https://api.github.com" : isResident ? "https://api.\(web)" : "https://\(web)/api/v3"
        var signIn = ProviderSignIn(
            scopes: ["read:user", "user:email"],
            identity: .requests([
                ProfileRequest("user", "\(api)/user"), ProfileRequest("emails", "\(api)/user/emails"),
                ProfileRequest("organizations", "\(api)/user/orgs?per_page=100", isForMembership: true),
                ProfileRequest("teams", "\(api)/user/teams?per_page=100", isForMembership: true),
            ])
        ) { documents throws(OAuthError) in
            guard let user = documents.profiles["user"], let id = user["id"]?.number?.int64 else {
                throw OAuthError(.invalidToken, "GitHub does not name the user: id is missing")
            }
            // Only the list of addresses says which one is verified.
            let email = documents.profiles["emails"]?.array?.first { $0["primary"]?.bool == true && $0["verified"]?.bool == true }?["email"]?.string
            return ProviderPerson(
                subject: "\(id)", name: ProviderPerson.text(user["name"]), userName: ProviderPerson.text(user["login"]), email: email,
                isEmailVerified: email != nil, organizations: documents.profiles["organizations"]?.array?.compactMap { $0["login"]?.string } ?? [],
                teams: documents.profiles["teams"]?.array?.compactMap { team in
                    guard let slug = team["slug"]?.string, let owner = team["organization"]?["login"]?.string else { return nil }
                    return owner + "/" + slug
                } ?? [])
        }
        signIn.clientAuthentication = .post
        signIn.scopeSeparator = ","
        signIn.membershipScopes = ["read:org"]
        signIn.revocation = .deleteWithJSON(url: "\(api)/applications/{client_id}/grant")
        return IdentityProvider(
            id: "github", name: host == nil ? "GitHub" : "GitHub Enterprise", mark: ProviderMark(letters: "GH", colour: "#24292f"),
            endpoints: .fixed(
                issuer: "https://\(web)/login/oauth",
                FixedEndpoints(
                    authorization: "https://\(web)/login/oauth/authorize", token: "https://\(web)/login/oauth/access_token")),
            signIn: signIn, accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// Google accounts and Google Workspace. `tenant` of a person is the Workspace domain (`hd`).
    public static func google() -> IdentityProvider {
        var signIn = ProviderSignIn.openID(offlineScopes: [])
        signIn.identity = .idToken
        // A refresh token comes at the first consent only, unless the user is asked again.
        signIn.parameters = [("access_type", "offline"), ("prompt", "consent")]
        signIn.parametersToSignInAgain = [("access_type", "offline"), ("prompt", "consent select_account")]
        signIn.vouchesForDomains = true
        signIn.clientAuthentication = .post
        signIn.issuers = .also(["accounts.google.com"])
        signIn.refresh = .stable
        signIn.person = { documents throws(OAuthError) in
            var person = try ProviderPerson(standardClaims: documents)
            person.tenant = ProviderPerson.text(documents.idToken["hd"])
            return person
        }
        return IdentityProvider(
            id: "google", name: "Google", mark: ProviderMark(letters: "G", colour: "#1a73e8"),
            endpoints: .discovered(issuer: "https://accounts.google.com"), signIn: signIn,
            accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// Sign in with Apple. The client secret is a JWT that expires after at most six months.
    public static func apple() -> IdentityProvider {
        var signIn = ProviderSignIn.openID(scopes: ["openid", "name", "email"], offlineScopes: [])
        signIn.identity = .idToken
        signIn.responseMode = .formPost
        signIn.supportsPKCE = false
        signIn.clientAuthentication = .post
        signIn.issuers = .also(["https://account.apple.com"])
        signIn.refresh = .stable
        return IdentityProvider(
            id: "apple", name: "Apple", mark: ProviderMark(letters: "A", colour: "#1d1d1f"),
            endpoints: .fixed(
                issuer: "https://appleid.apple.com",
                FixedEndpoints(
                    authorization: "https://appleid.apple.com/auth/authorize", token: "https://appleid.apple.com/auth/token",
                    keys: "https://appleid.apple.com/auth/keys", revocation: "https://appleid.apple.com/auth/revoke")),
            signIn: signIn, accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// Discord. Organizations of a person are the identifiers of the servers ("guilds").
    public static func discord() -> IdentityProvider {
        var signIn = ProviderSignIn(
            scopes: ["identify", "email"],
            identity: .requests([
                ProfileRequest("user", "https://discord.com/api/users/@me"),
                ProfileRequest("guilds", "https://discord.com/api/users/@me/guilds", isForMembership: true),
            ])
        ) { documents throws(OAuthError) in
            guard let user = documents.profiles["user"], let id = user["id"]?.string, !id.isEmpty else {
                throw OAuthError(.invalidToken, "Discord does not name the user: id is missing")
            }
            return ProviderPerson(
                subject: id, name: ProviderPerson.text(user["global_name"]), userName: ProviderPerson.text(user["username"]),
                email: ProviderPerson.text(user["email"]), isEmailVerified: user["verified"]?.bool == true,
                organizations: documents.profiles["guilds"]?.array?.compactMap { $0["id"]?.string } ?? [])
        }
        signIn.membershipScopes = ["guilds"]
        return IdentityProvider(
            id: "discord", name: "Discord", mark: ProviderMark(letters: "D", colour: "#5865f2"),
            endpoints: .fixed(
                issuer: "https://discord.com",
                FixedEndpoints(
                    authorization: "https://discord.com/api/oauth2/authorize", token: "https://discord.com/api/oauth2/token",
                    revocation: "https://discord.com/api/oauth2/token/revoke")),
            signIn: signIn, accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// Slack. `tenant` of a person is the workspace (`team_id`).
    public static func slack() -> IdentityProvider {
        var signIn = ProviderSignIn.openID(offlineScopes: [])
        signIn.supportsPKCE = false
        signIn.clientAuthentication = .post
        signIn.refresh = .none
        signIn.revocation = .none
        signIn.person = { documents throws(OAuthError) in
            var person = try ProviderPerson(standardClaims: documents)
            person.tenant = ProviderPerson.text(documents["https://slack.com/team_id"])
            return person
        }
        return IdentityProvider(
            id: "slack", name: "Slack", mark: ProviderMark(letters: "S", colour: "#611f69"),
            endpoints: .discovered(issuer: "https://slack.com"), signIn: signIn, accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// LinkedIn. Subjects are different for each application.
    public static func linkedIn() -> IdentityProvider {
        var signIn = ProviderSignIn.openID(offlineScopes: [])
        signIn.supportsPKCE = false
        signIn.clientAuthentication = .post
        signIn.refresh = .none
        signIn.revocation = .none
        return IdentityProvider(
            id: "linkedin", name: "LinkedIn", mark: ProviderMark(letters: "in", colour: "#0a66c2"),
            endpoints: .discovered(
                issuer: "https://www.linkedin.com/oauth",
                fixed: FixedEndpoints(
                    authorization: "https://www.linkedin.com/oauth/v2/authorization", token: "https://www.linkedin.com/oauth/v2/accessToken",
                    userInfo: "https://api.linkedin.com/v2/userinfo")),
            signIn: signIn, accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// Bitbucket Cloud. Organizations of a person are workspaces.
    public static func bitbucket() -> IdentityProvider {
        var signIn = ProviderSignIn(
            scopes: ["account", "email"],
            identity: .requests([
                ProfileRequest("user", "https://api.bitbucket.org/2.0/user"), ProfileRequest("emails", "https://api.bitbucket.org/2.0/user/emails"),
                ProfileRequest("workspaces", "https://api.bitbucket.org/2.0/user/workspaces", isForMembership: true),
            ])
        ) { documents throws(OAuthError) in
            guard let user = documents.profiles["user"], let id = user["uuid"]?.string, !id.isEmpty else {
                throw OAuthError(.invalidToken, "Bitbucket does not name the user: uuid is missing")
            }
            let email = documents.profiles["emails"]?["values"]?.array?.first {
                $0["is_primary"]?.bool == true && $0["is_confirmed"]?.bool == true
            }?["email"]?.string
            return ProviderPerson(
                subject: id, name: ProviderPerson.text(user["display_name"]), userName: ProviderPerson.text(user["username"]), email: email,
                isEmailVerified: email != nil,
                organizations: documents.profiles["workspaces"]?["values"]?.array?.compactMap { ($0["workspace"] ?? $0)["slug"]?.string } ?? [])
        }
        signIn.supportsPKCE = false
        signIn.refresh = .stable
        signIn.revocation = .none
        return IdentityProvider(
            id: "bitbucket", name: "Bitbucket", mark: ProviderMark(letters: "B", colour: "#0052cc"),
            endpoints: .fixed(
                issuer: "https://bitbucket.org",
                FixedEndpoints(
                    authorization: "https://bitbucket.org/site/oauth2/authorize", token: "https://bitbucket.org/site/oauth2/access_token")),
            signIn: signIn, accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// Hugging Face. Organizations of a person are their identifiers.
    public static func huggingFace() -> IdentityProvider {
        var signIn = ProviderSignIn.openID(offlineScopes: [])
        signIn.refresh = .none
        signIn.revocation = .none
        signIn.person = { documents throws(OAuthError) in
            var person = try ProviderPerson(standardClaims: documents)
            person.organizations = documents["orgs"]?.array?.compactMap { $0["preferred_username"]?.string ?? $0["name"]?.string } ?? []
            return person
        }
        return IdentityProvider(
            id: "hugging-face", name: "Hugging Face", mark: ProviderMark(letters: "HF", colour: "#b45309"),
            endpoints: .discovered(issuer: "https://huggingface.co"), signIn: signIn,
            accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }

    /// GitLab, hosted or your own.
    ///
    /// - Parameter url: The URL of the instance.
    public static func gitlab(url: String = "https://gitlab.com") -> IdentityProvider {
        let signIn = ProviderSignIn.openID(offlineScopes: [])
        return IdentityProvider(
            id: "gitlab", name: "GitLab", mark: ProviderMark(letters: "GL", colour: "#c2410c"), endpoints: .discovered(issuer: url),
            signIn: signIn, accessTokens: ProviderAccessTokens(.opaque, audience: .none))
    }
}
