import HTTPTypes
public import JOSE
public import OAuth

/// A key pair that makes access tokens for tests, in two lines:
///
/// ```swift
/// let mint = try TokenMint()
/// let token = try mint.token(subject: "ada", audience: "https://mcp.example.com/mcp", scopes: "read:tasks")
/// ```
///
/// It is also the issuer's HTTP side: hand it to a `ResourceServer` as its fetcher, and discovery and keys are answered from memory.
public struct TokenMint: HTTPFetcher {
    public let issuer: String
    public let key: SigningKey
    private let clock: Clock

    /// Throws `JOSEError` when no key can be made.
    public init(issuer: String = "https://issuer.test", algorithm: SigningAlgorithm = .es256, keyID: String? = nil, clock: Clock = .system)
        throws(JOSEError)
    {
        self.issuer = issuer
        self.clock = clock
        key = try SigningKey.generate(algorithm, keyID: keyID)
    }

    /// The public key, for a configuration.
    public var publicKeyPEM: String { key.verificationKey.pem ?? "" }

    /// A signed access token (RFC 9068).
    ///
    /// - Parameters:
    ///   - expiresIn: seconds; negative for a token that has expired.
    ///   - claims: added last; they replace what is there, and `.null` removes it.
    ///   - type: the `typ` header; nil for none.
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
