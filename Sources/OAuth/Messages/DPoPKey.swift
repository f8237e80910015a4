import Crypto
public import JOSE

/// The private key of a client that binds its tokens to the key (RFC 9449). It makes a new proof for each request.
public struct DPoPKey: Sendable {
    /// The key that signs the proofs.
    public let key: SigningKey
    /// The public key as it stands in the header of each proof.
    private let jwk: JSONObject

    /// A new ES256 key. Throws `invalid_configuration` when none can be made.
    public init() throws(OAuthError) {
        let key: SigningKey
        do throws(JOSEError) { key = try SigningKey.generate(.es256) } catch { throw OAuthError(.invalidConfiguration, error.message) }
        try self.init(key)
    }

    /// An existing key. Throws `invalid_configuration` for a shared secret.
    public init(_ key: SigningKey) throws(OAuthError) {
        guard DPoPProof.algorithms.contains(key.algorithm), var jwk = key.verificationKey.publicJWK?.object else {
            throw OAuthError(.invalidConfiguration, "a DPoP key is a private key, not a shared secret")
        }
        for name in ["kid", "use", "alg"] { jwk[name] = nil }
        self.key = key
        self.jwk = jwk
    }

    /// The thumbprint of the public key, as in `dpop_jkt` and `cnf.jkt`.
    public var thumbprint: String { key.verificationKey.thumbprint ?? "" }

    /// A proof for one request. Every proof has a new `jti`. Throws `invalid_configuration` when the key cannot sign.
    ///
    /// - Parameters:
    ///   - accessToken: The access token of the request, whose hash becomes `ath`. Nil at a token endpoint.
    ///   - nonce: The nonce that the server supplied.
    public func proof(
        _ method: String, _ url: WebURL, accessToken: String? = nil, nonce: String? = nil, at now: NumericDate, random: RandomSource = .system
    ) throws(OAuthError) -> String {
        var payload: JSONObject = [
            "jti": .string(random.token(bytes: 16)), "htm": .string(method), "htu": .string(url.origin + url.requestPath), "iat": .int(now.seconds),
        ]
        if let accessToken { payload["ath"] = .string(Base64URL.encode(SHA256.hash(data: Array(accessToken.utf8)))) }
        payload["nonce"] = nonce.map { .string($0) }
        let header: JSONObject = ["typ": "dpop+jwt", "alg": .string(key.algorithm.rawValue), "jwk": .object(jwk)]
        do throws(JOSEError) { return try CompactJWS.sign(JSONValue.object(payload).serialized, header: header, with: key) } catch {
            throw OAuthError(.invalidConfiguration, error.message)
        }
    }
}
