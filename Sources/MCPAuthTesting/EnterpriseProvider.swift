import HTTPTypes
public import JOSE
public import OAuth

/// The identity provider of an enterprise, in memory: it signs users in and exchanges their ID tokens for assertions
/// (ID-JAG), the first leg of enterprise-managed authorization.
///
/// It is also the fetcher for its own URLs, and answers every other URL with 404.
public struct EnterpriseProvider: HTTPFetcher {
    /// The issuer.
    public let issuer: Issuer
    /// The client that may exchange, with its secret.
    public let client: (id: String, secret: String)
    /// The key that signs ID tokens and assertions.
    public let key: SigningKey
    /// The client at the authorization server to which the assertions are given.
    public let downstreamClientID: String
    /// Which audiences users may reach. Nil: all.
    public var audiences: [String]?
    private let clock: Clock

    /// A provider with a new key. Throws `OAuthError` for an issuer that is none, and `JOSEError`.
    public init(
        issuer: String = "https://idp.test", clientID: String = "mcp-client", secret: String = "idp-secret", downstreamClientID: String,
        clock: Clock = .system
    ) throws {
        self.issuer = try Issuer(issuer)
        client = (clientID, secret)
        self.downstreamClientID = downstreamClientID
        self.clock = clock
        key = try SigningKey.generate(.es256, keyID: "idp")
    }

    /// The ID token of a user who has signed in.
    public func idToken(subject: String) throws(JOSEError) -> String {
        let now = clock.now
        let claims: JSONObject = [
            "iss": .string(issuer.text), "sub": .string(subject), "aud": .string(client.id), "iat": .int(now.seconds),
            "exp": .int(now.advanced(by: 600).seconds), "auth_time": .int(now.seconds),
        ]
        return try CompactJWS.sign(JSONValue.object(claims).serialized, type: "JWT", with: key)
    }

    /// Answers requests for the metadata, the keys, and the token endpoint.
    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        switch request.url.text {
        case issuer.metadataURLs[0]:
            return .json([
                "issuer": .string(issuer.text), "token_endpoint": .string(issuer.url.origin + "/token"),
                "jwks_uri": .string(issuer.url.origin + "/jwks"),
            ])
        case issuer.url.origin + "/jwks": return .json(["keys": [key.verificationKey.publicJWK ?? .null]])
        case issuer.url.origin + "/token": return try exchange(request)
        default: return HTTPReply(.notFound)
        }
    }

    private func exchange(_ request: OutboundRequest) throws(OAuthError) -> HTTPReply {
        let form = try Form(parsing: request.body)
        guard request.fields[.authorization] == "Basic " + Base64.encode(Array("\(client.id):\(client.secret)".utf8)) else {
            return .error(OAuthError(.invalidClient, "wrong secret"), status: .unauthorized)
        }
        guard try form.single("grant_type") == GrantType.tokenExchange.rawValue,
            try form.single("requested_token_type") == "urn:ietf:params:oauth:token-type:id-jag",
            try form.single("subject_token_type") == "urn:ietf:params:oauth:token-type:id_token", let audience = try form.single("audience")
        else { return .error(OAuthError(.invalidRequest, "not the request of RFC 8693 for an ID-JAG")) }
        guard let jws = try form.single("subject_token").flatMap({ try? CompactJWS(parsing: $0) }),
            (try? jws.verify(using: JWKSet([key.verificationKey]))) != nil, let claims = try? JWTClaims(parsing: jws.payload),
            let subject = claims.subject, claims.expiration.map({ $0 > clock.now }) ?? false
        else { return .error(OAuthError(.invalidGrant, "not an ID token of this provider")) }
        if let audiences {
            guard audiences.contains(audience) else { return .error(OAuthError(.accessDenied, "the enterprise does not allow this server")) }
        }
        let now = clock.now
        var assertion: JSONObject = [
            "iss": .string(issuer.text), "sub": .string(subject), "aud": .string(audience), "client_id": .string(downstreamClientID),
            "iat": .int(now.seconds), "exp": .int(now.advanced(by: 300).seconds), "jti": .string(RandomSource.system.token(bytes: 12)),
        ]
        assertion["resource"] = try form.single("resource").map { .string($0) }
        assertion["scope"] = try form.single("scope").map { .string($0) }
        let text: String
        do throws(JOSEError) { text = try CompactJWS.sign(JSONValue.object(assertion).serialized, type: "oauth-id-jag+jwt", with: key) } catch {
            throw OAuthError(.serverError, error.message)
        }
        return .json([
            "issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "access_token": .string(text), "token_type": "N_A", "expires_in": 300,
        ])
    }
}
