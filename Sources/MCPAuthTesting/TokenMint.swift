import HTTPTypes
public import JOSE
public import OAuth

/// A key pair that issues access tokens for tests, in two lines:
///
/// ```swift
/// let mint = try TokenMint()
/// let token = try mint.token(subject: "ada", audience: "https://mcp.example.com/mcp", scopes: "read:tasks")
/// ```
///
/// It is also the fetcher for this issuer. Pass it to a `ResourceServer`, and it answers requests for metadata and keys
/// from memory.
public struct TokenMint: HTTPFetcher {
    /// The `iss` of the tokens.
    public let issuer: String
    /// The key that signs the tokens.
    public let key: SigningKey
    private let clock: Clock

    /// A new key pair. The issuer is not checked. Throws `algorithm_not_allowed` for HMAC, and `unusable_key` when no
    /// key can be generated.
    public init(issuer: String = "https://issuer.test", algorithm: SigningAlgorithm = .es256, keyID: String? = nil, clock: Clock = .system)
        throws(JOSEError)
    {
        self.issuer = issuer
        self.clock = clock
        key = try SigningKey.generate(algorithm, keyID: keyID)
    }

    /// The public key as PEM, for a configuration.
    public var publicKeyPEM: String { key.verificationKey.pem ?? "" }

    /// A signed access token (RFC 9068).
    ///
    /// - Parameters:
    ///   - expiresIn: The lifetime in seconds, negative for a token that has expired.
    ///   - claims: Added last. They replace the claims above, and `.null` removes one.
    ///   - type: The `typ` header. Nil: none.
    public func token(
        subject: String = "test-user", audience: String, scopes: ScopeSet = [], clientID: String = "test-client", expiresIn: Int64 = 3600,
        claims: JSONObject = [:], type: String? = "at+jwt"
    ) throws(JOSEError) -> String {
        let now = clock.now
        var all: JSONObject = [
            "iss": .string(issuer), "sub": .string(subject), "aud": .string(audience), "client_id": .string(clientID), "iat": .int(now.seconds),
            "exp": .int(now.advanced(by: expiresIn).seconds), "jti": .string(RandomSource.system.token(bytes: 12)),
        ]
        if !scopes.isEmpty { all["scope"] = .string(scopes.text) }
        for claim in claims { all[claim.name] = claim.value.isNull ? JSONValue?.none : claim.value }
        return try CompactJWS.sign(JSONValue.object(all).serialized, type: type, with: key)
    }

    /// Answers requests for the metadata (RFC 8414) and the key set of the issuer, and 404 for every other URL. Throws
    /// `invalid_identifier` when the issuer is not a valid one.
    public func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply {
        let identifier = try Issuer(issuer)
        switch request.url.text {
        case identifier.metadataURLs[0]:
            return .json(["issuer": .string(issuer), "jwks_uri": .string(identifier.url.origin + "/jwks")])
        case identifier.url.origin + "/jwks": return .json(JWKSet([key.verificationKey]).publicDocument)
        default: return HTTPReply(.notFound)
        }
    }
}
