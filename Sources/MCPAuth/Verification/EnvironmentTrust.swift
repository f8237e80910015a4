public import OAuth
import JOSE

extension Trust {
    /// Trust from the environment variables that many small MCP servers use.
    ///
    /// | variables | meaning |
    /// |---|---|
    /// | `AUTH0_DOMAIN`, `AUTH0_AUDIENCE` | the issuer `https://DOMAIN/`, tokens for that audience |
    /// | `AUTH_ISSUER`, `AUTH_AUDIENCE` | any issuer, by discovery |
    /// | `JWT_PUBLIC_KEY` with `AUTH_ISSUER` | its tokens, verified with this PEM key (`\n` for line breaks) |
    /// | `AUTH_CLIENT_ID`, `AUTH_CLIENT_SECRET`, `AUTH_ISSUER` | also opaque tokens, by introspection |
    ///
    /// Without an audience variable the audience is the resource itself. JWTs need not follow RFC 9068, since few of
    /// these issuers do. Nil when none of the variables is set. Throws `invalid_configuration`. The message names the
    /// variable that is missing or wrong.
    public static func environment(_ environment: [String: String]) throws(OAuthError) -> Trust? {
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let domain = value("AUTH0_DOMAIN") {
            guard let url = WebURL("https://\(domain)/"), url.path == "/", url.port == nil, url.host.contains(".") else {
                throw OAuthError(.invalidConfiguration, "AUTH0_DOMAIN is a host name such as acme.eu.auth0.com, without https:// and without a path")
            }
            let audience = value("AUTH0_AUDIENCE").map { Audience.exactly([$0]) } ?? .resource
            return .issuer(url.text, audience: audience, tokens: .anyJWT)
        }
        let publicKey = value("JWT_PUBLIC_KEY")
        guard let issuer = value("AUTH_ISSUER") else {
            if publicKey != nil || value("AUTH_AUDIENCE") != nil || value("AUTH_CLIENT_ID") != nil {
                throw OAuthError(.invalidConfiguration, "set AUTH_ISSUER too: the exact iss of the tokens, such as https://auth.example.com")
            }
            return nil
        }
        let audience = value("AUTH_AUDIENCE").map { Audience.exactly([$0]) } ?? .resource
        var trusts: [Trust] = []
        if let publicKey {
            do throws(JOSEError) {
                let key = try VerificationKey(pem: publicKey.replacing("\\n", with: "\n"))
                trusts.append(.keys([key], issuer: issuer, audience: audience, tokens: .anyJWT))
            } catch { throw OAuthError(.invalidConfiguration, "JWT_PUBLIC_KEY: \(error.message)") }
        } else {
            _ = try Issuer(issuer)
            trusts.append(.issuer(issuer, audience: audience, tokens: .anyJWT))
        }
        switch (value("AUTH_CLIENT_ID"), value("AUTH_CLIENT_SECRET")) {
        case (let clientID?, let secret?):
            trusts.append(
                .introspection(issuer: issuer, authentication: .basic(clientID: clientID, secret: secret), audience: audience, opaqueTokensOnly: true)
            )
        case (nil, nil), (_?, nil): break  // a client ID alone belongs to tools that log in; nothing is verified with it
        case (nil, _?): throw OAuthError(.invalidConfiguration, "AUTH_CLIENT_SECRET is set but AUTH_CLIENT_ID is not")
        }
        return trusts.count == 1 ? trusts[0] : .anyOf(trusts)
    }
}
