/// The documentation of the catalog, in Markdown. `docs/providers.md` is this text.
public enum CatalogDocument {
    /// The whole page.
    public static var markdown: String {
        var text = """
            # Identity providers

            People already have accounts somewhere. There are two ways to use them.

            - **Trust**: the resource server accepts the provider's access tokens, and tells clients where the provider is. The
              column *Trust* says which audience its tokens name.
            - **Sign-in**: your own authorization server signs users in through the provider. Consent is asked here, and tokens
              are issued here. The provider's tokens stay sealed in your store.

            Use sign-in where a provider has no dynamic registration, or where its tokens name no audience. A token without an
            audience works at every service that accepts the provider's tokens, so it must not be trusted.

            This page is written from the data in `Sources/IdentityProviders` by `mcp-auth providers --markdown`. The facts
            were read in the sources of other projects and in the providers' documentation, which each page names. No fact was
            tried with a real account. Where no source is named, the fact was not found in two independent projects.

            | provider | sign-in | trust | registration | metadata documents | resource indicators |
            |---|---|---|---|---|---|

            """
        for entry in Catalog.entries {
            let provider = try? entry.example()
            text += "| [\(entry.name)](#\(anchor(entry.name))) | \(provider?.signIn == nil ? "no" : "`\(entry.id)`") | \(trust(provider)) | "
            let server = entry.asAuthorizationServer
            text += "\(word(server.registration)) | \(word(server.clientDocuments)) | \(word(server.resourceIndicators)) |\n"
        }
        text += """

            The last three columns are about MCP clients that talk to the provider directly (trust): dynamic client registration
            (RFC 7591), client ID metadata documents, and `resource` (RFC 8707). *depends* is a version, a plan or a setting.

            ## In every case

            The redirect URI to register is `ISSUER/sign-in/callback/ID`, with the URL of your authorization server and the
            identifier of the provider.

            ```swift
            let issuer = try await AuthorizationServer(
                "https://mcp.example.com", configuration: configuration, in: DataFolder("data"),
                signIn: [.github(clientID: id, clientSecret: secret, organizations: ["acme"]), .password],
                fetcher: GuardedHTTPClient.shared)
            ```

            `Admission` restricts who may enter: domains, tenants, verified e-mail addresses, organizations, teams, groups, or a
            condition of your own. It is checked at every sign-in, and again at most an hour later when a grant is refreshed,
            as far as the provider can be asked (see the guide). Users who may no longer enter lose their sessions and grants.

            A tool uses the provider's API with the token of its caller:

            ```swift
            let token = try await call.upstreamToken(for: "github", scopes: ["repo"])
            ```

            On the command line, `mcp-auth demo --sign-in ID` reads the variables that each section names.

            """
        for entry in Catalog.entries { text += "\n" + section(entry) }
        return text
    }

    private static func section(_ entry: CatalogEntry) -> String {
        guard let provider = try? entry.example() else { return "" }
        var text = "## \(entry.name)\n\n"
        var variables = entry.settings.map { setting in
            "| `\(entry.variable(setting.name))` | \(setting.meaning) \(setting.defaultValue.flatMap { $0.isEmpty ? nil : "Default: `\($0)`." } ?? "Example: `\(setting.example)`.") |"
        }
        if provider.signIn != nil {
            variables += ["| `\(entry.variable("client-id"))` | the client ID |", "| `\(entry.variable("client-secret"))` | the client secret |"]
        }
        text += "| variable | meaning |\n|---|---|\n" + variables.joined(separator: "\n") + "\n\n"
        for (index, step) in entry.steps.enumerated() {
            let words = step.replacing("{callback}", with: "`https://mcp.example.com/sign-in/callback/\(entry.id)`")
            text += wrapped("\(index + 1). ", words) + "\n"
        }
        text += "\n"
        if let signIn = provider.signIn {
            var properties = ["scopes `\((signIn.scopes + signIn.offlineScopes).joined(separator: " "))`"]
            properties.append(signIn.supportsPKCE ? "PKCE" : "no PKCE")
            properties.append(signIn.clientAuthentication == .basic ? "client secret by Basic" : "client secret in the form")
            switch signIn.refresh {
            case .none: properties.append("no refresh tokens: users sign in again when the token has expired")
            case .rotating: properties.append("refresh tokens that rotate")
            case .stable: properties.append("refresh tokens that stay")
            }
            switch signIn.revocation {
            case .none: properties.append("no revocation")
            case .standard: properties.append("revocation")
            case .deleteWithJSON: properties.append("revocation by its API")
            }
            text += wrapped("", "Sign-in: " + properties.joined(separator: ", ") + ".") + "\n\n"
        }
        text += wrapped("", "Trust: \(trustAdvice(provider))") + "\n\n"
        for note in entry.notes { text += wrapped("- ", note) + "\n" }
        if !entry.notes.isEmpty { text += "\n" }
        if !entry.facts.isEmpty {
            let facts = entry.facts.map { fact in
                fact.text + (fact.sources.isEmpty ? " (not checked)" : " (\(fact.sources.joined(separator: "; ")))")
            }
            text += wrapped("", "Sources: " + facts.joined(separator: ". ") + ".") + "\n"
        }
        return text
    }

    private static func trust(_ provider: IdentityProvider?) -> String {
        guard let tokens = provider?.accessTokens else { return "no" }
        return switch (tokens.format, tokens.audience) {
        case (.opaque, _): "no"
        case (.idToken, _): "ID tokens only"
        case (.introspected, _): "introspection"
        case (_, .resource): "resource"
        case (_, .configured): "configured audience"
        case (_, .none): "client instead of audience"
        }
    }

    private static func trustAdvice(_ provider: IdentityProvider) -> String {
        switch (provider.accessTokens.format, provider.accessTokens.audience) {
        case (.opaque, _): return "no. Its access tokens name no audience that this server could check."
        case (.idToken, _): return "its ID tokens, with `insecureAllowIDTokens: true`, if no other server shares the audience."
        case (.introspected, _): return "by introspection: `.introspection(issuer: \"\(provider.issuer)\", authentication: ...)`."
        case (_, .resource): return "`.provider(...)`. The audience is the URL of your MCP server."
        case (_, .configured): return "`.provider(..., audience: \"...\")` with the audience that you configured there."
        case (_, .none): return "`.provider(..., clients: [\"...\"])` with the client identifiers that may call, because its tokens have no audience."
        }
    }

    private static func word(_ support: CatalogEntry.Support) -> String { support == .unknown ? "?" : support.rawValue }

    private static func anchor(_ name: String) -> String {
        String(
            name.lowercased().unicodeScalars.compactMap { scalar -> Character? in
                scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) ? Character(scalar) : scalar == " " ? "-" : nil
            })
    }

    /// Lines of at most 120 columns.
    private static func wrapped(_ prefix: String, _ text: String) -> String {
        let indent = String(repeating: " ", count: prefix.count)
        var lines: [String] = []
        var line = prefix
        for word in text.split(separator: " ") {
            if line.count + word.count + 1 > 118, line.count > prefix.count {
                lines.append(line)
                line = indent
            }
            line += (line.count == prefix.count || line == indent ? "" : " ") + word
        }
        return (lines + [line]).joined(separator: "\n")
    }
}
