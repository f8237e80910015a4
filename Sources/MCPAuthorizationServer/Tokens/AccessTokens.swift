import JOSE
import MCPAuth
import OAuth

/// The content of an access token beside its grant.
struct AccessTokenContents: Sendable {
    let grant: Grant
    /// A subset of the grant's scopes.
    var scopes: ScopeSet
    /// The grant's resource, or another one after an exchange.
    var resource: ProtectedResource
    /// The user whose claims it contains, if its scopes allow that.
    var user: User?
    /// The roles of the user.
    var roles: [String] = []
    /// The client that receives it. After an exchange, not the grant's client.
    var clientID: ClientID
    /// The key that it is bound to (RFC 9449 §6.1).
    var keyThumbprint: String?
    /// The party that acts for the subject (RFC 8693 §4.1).
    var actor: JSONValue?
    /// The latest expiration.
    var notAfter: NumericDate?

    init(_ grant: Grant, scopes: ScopeSet? = nil, resource: ProtectedResource, user: User? = nil, keyThumbprint: String?) {
        self.grant = grant
        self.scopes = scopes ?? grant.scopes
        self.resource = resource
        self.user = user
        self.clientID = grant.clientID
        self.keyThumbprint = keyThumbprint
    }
}

/// An access token, ready to send.
struct IssuedAccessToken: Sendable {
    let text: String
    let expiresIn: Int64
    let isBoundToKey: Bool
}

/// Issues access tokens, as JWTs (RFC 9068) or opaque, and reads its own.
struct AccessTokens: Sendable {
    let issuer: Issuer
    let keys: KeyRing
    let lifetime: Int64
    let random: RandomSource
    /// Whether `profile` and `email` are the scopes of OpenID Connect here.
    let sharesIdentity: Bool
    /// For opaque tokens, which are sealed claims and need no storage.
    let sealer: Sealer

    static let opaquePrefix = "mat_"

    /// Throws `server_error`.
    func issue(_ contents: AccessTokenContents, at now: NumericDate) throws(OAuthError) -> IssuedAccessToken {
        let grant = contents.grant
        var expiration = min(now.advanced(by: contents.resource.accessTokenLifetime ?? lifetime), grant.expiresAt)
        if let notAfter = contents.notAfter { expiration = min(expiration, notAfter) }
        var claims: JSONObject = [
            "iss": .string(issuer.text), "sub": .string(grant.subject), "aud": .string(contents.resource.identifier.text),
            "client_id": .string(contents.clientID.text), "iat": .int(now.seconds), "exp": .int(expiration.seconds),
            "jti": .string(TokenIdentifier.make(grantID: grant.id, random: random)),
        ]
        if !contents.scopes.isEmpty { claims["scope"] = .string(contents.scopes.text) }
        if let thumbprint = contents.keyThumbprint { claims["cnf"] = ["jkt": .string(thumbprint)] }
        claims["act"] = contents.actor
        if !contents.roles.isEmpty { claims["roles"] = .strings(contents.roles) }
        if sharesIdentity, let user = contents.user {
            for member in IdentityScope.claims(about: user, contents.scopes) { claims[member.name] = member.value }
        }
        let payload = JSONValue.object(claims).serialized
        let text: String
        switch contents.resource.tokenFormat {
        case .jwt: text = try sign(payload, type: "at+jwt", at: now)
        case .opaque: text = Self.opaquePrefix + Base64URL.encode(try sealer.seal(payload, owner: try owner(at: now)))
        }
        return IssuedAccessToken(text: text, expiresIn: expiration.seconds(since: now), isBoundToKey: contents.keyThumbprint != nil)
    }

    /// Opaque tokens are sealed for the key that would have signed them, so that they are invalid once that key is
    /// removed.
    private func owner(at now: NumericDate) throws(OAuthError) -> String {
        guard let keyID = keys.current(at: now)?.keyID else { throw OAuthError(.serverError, "there is no signing key") }
        return Self.owner(keyID)
    }

    private static func owner(_ keyID: String) -> String { "access token " + keyID }

    /// Throws `server_error`.
    func sign(_ payload: [UInt8], type: String, at now: NumericDate) throws(OAuthError) -> String {
        guard let key = keys.current(at: now) else { throw OAuthError(.serverError, "there is no signing key") }
        do throws(JOSEError) { return try CompactJWS.sign(payload, type: type, with: key) } catch {
            throw OAuthError(.serverError, "the token could not be signed")
        }
    }

    /// The claims of an access token that this server issued and that has not expired, otherwise nil. Revocation is not
    /// checked.
    func claims(of text: String, at now: NumericDate) -> JWTClaims? {
        let requirements = JWTRequirements(issuer: issuer.text, audiences: nil, type: .oneOf(["at+jwt"]), leeway: 0)
        if let claims = openedClaims(of: text) { return requirements.violation(claims: claims, now: now) == nil ? claims : nil }
        guard let jws = try? CompactJWS(parsing: text), (try? jws.verify(using: keys.published)) != nil,
            let claims = try? JWTClaims(parsing: jws.payload)
        else { return nil }
        return requirements.violation(header: jws.header, claims: claims, now: now) == nil ? claims : nil
    }

    /// The claims of an opaque token.
    func openedClaims(of text: String) -> JWTClaims? {
        guard text.utf8.starts(with: Self.opaquePrefix.utf8), text.utf8.count <= CompactJWS.maximumBytes,
            let sealed = try? Base64URL.decode(String(decoding: text.utf8.dropFirst(Self.opaquePrefix.utf8.count), as: UTF8.self)),
            let bytes = keys.published.keys.lazy.compactMap({ $0.keyID.flatMap { sealer.open(sealed, owner: Self.owner($0)) } }).first
        else { return nil }
        return try? JWTClaims(parsing: bytes)
    }
}
