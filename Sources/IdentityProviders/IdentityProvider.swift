public import OAuth

/// What is known of an identity provider, as data: its endpoints, how it names users, and what its tokens look like.
///
/// A provider is used in two ways. A resource server trusts its access tokens (`accessTokens`), or an authorization
/// server signs users in through it (`signIn`). Every value can be changed before use, for an installation that
/// differs.
public struct IdentityProvider: Sendable {
    /// A short name in paths, commands and logs, such as `github`: lower-case ASCII letters, digits and hyphens.
    public var id: String
    /// The name for users, such as `GitHub`.
    public var name: String
    /// The mark on sign-in buttons.
    public var mark: ProviderMark
    /// The location of its endpoints.
    public var endpoints: Endpoints
    /// The location of its metadata, for an installation that publishes it elsewhere or incorrectly.
    public var metadata: MetadataLocation = .wellKnown
    /// Sign-in through this provider. Nil: it has none for other servers.
    public var signIn: ProviderSignIn?
    /// Its access tokens, for resource servers that trust them.
    public var accessTokens: ProviderAccessTokens

    /// The endpoints of a provider.
    public enum Endpoints: Sendable {
        /// Found in the metadata of this issuer (RFC 8414, OpenID Connect Discovery), unless `fixed` names them.
        case discovered(issuer: String, fixed: FixedEndpoints = FixedEndpoints())
        /// Known. `issuer` is a name under which users are stored; the provider has no metadata document.
        case fixed(issuer: String, FixedEndpoints)
    }

    /// The issuer identifier, which is also the namespace of the provider's subjects.
    public var issuer: String {
        switch endpoints {
        case .discovered(let issuer, _), .fixed(let issuer, _): issuer
        }
    }

    /// A provider. Nothing is checked; see `check()`.
    public init(
        id: String, name: String, mark: ProviderMark? = nil, endpoints: Endpoints, signIn: ProviderSignIn?, accessTokens: ProviderAccessTokens
    ) {
        self.id = id
        self.name = name
        self.mark = mark ?? ProviderMark(letters: String(name.prefix(1)), colour: "#5b6470")
        self.endpoints = endpoints
        self.signIn = signIn
        self.accessTokens = accessTokens
    }

    /// Throws `invalid_configuration` when the identifier, the issuer or an endpoint is not valid.
    public func check() throws(OAuthError) {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidConfiguration, "identity provider \(id.prefix(64)): \(message)") }
        let isID =
            (1...40).contains(id.utf8.count)
            && id.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "-")
            }
        guard isID else { throw fail("its id has 1 to 40 of a-z, 0-9 and -") }
        guard let url = WebURL(issuer) else { throw fail("its issuer \(issuer.prefix(200)) is not a URL, which begins with https://") }
        guard url.isSecure || url.isLoopback else { throw fail("its issuer \(issuer.prefix(200)) is not https") }
        let fixed: FixedEndpoints =
            switch endpoints {
            case .discovered(_, let fixed), .fixed(_, let fixed): fixed
            }
        try metadata.check()
        for text in [fixed.authorization, fixed.token, fixed.userInfo, fixed.keys, fixed.revocation].compactMap(\.self) {
            guard let url = WebURL(text), url.isSecure || url.isLoopback else { throw fail("\(text.prefix(200)) is not an https URL") }
        }
        if case .fixed = endpoints, signIn != nil {
            guard fixed.authorization != nil, fixed.token != nil else { throw fail("name its authorization and token endpoints") }
        }
    }
}

/// Endpoints that are known without a metadata document. Nil: discovered, or absent.
public struct FixedEndpoints: Sendable {
    /// The authorization endpoint.
    public var authorization: String?
    /// The token endpoint.
    public var token: String?
    /// The userinfo endpoint.
    public var userInfo: String?
    /// The JWK set.
    public var keys: String?
    /// The revocation endpoint (RFC 7009).
    public var revocation: String?

    /// Endpoints. Each is an absolute URL.
    public init(authorization: String? = nil, token: String? = nil, userInfo: String? = nil, keys: String? = nil, revocation: String? = nil) {
        self.authorization = authorization
        self.token = token
        self.userInfo = userInfo
        self.keys = keys
        self.revocation = revocation
    }
}

/// A mark for buttons: a few letters on the provider's colour. It is drawn here, so that no page loads an image of
/// another server, and it is not the provider's logo.
public struct ProviderMark: Sendable, Hashable {
    /// One or two letters.
    public var letters: String
    /// The colour behind them, as `#rrggbb`.
    public var colour: String

    /// A mark.
    public init(letters: String, colour: String) {
        self.letters = letters
        self.colour = colour
    }
}
