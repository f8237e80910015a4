import Crypto
public import JOSE

/// A key pair that makes DPoP proofs for tests (RFC 9449 §4.2).
public struct ProofMint: Sendable {
    /// The key that signs the proofs.
    public let key: SigningKey
    private let clock: Clock

    /// A new key pair. Throws `algorithm_not_allowed` for HMAC, and `unusable_key` when no key can be generated.
    public init(algorithm: SigningAlgorithm = .es256, clock: Clock = .system) throws(JOSEError) {
        key = try SigningKey.generate(algorithm)
        self.clock = clock
    }

    /// The `cnf.jkt` of a token that is bound to this key.
    public var thumbprint: String { key.verificationKey.thumbprint ?? "" }

    /// A signed proof for one request, in compact serialization. Every call makes a new `jti`.
    ///
    /// - Parameters:
    ///   - accessToken: The access token of the request, whose hash becomes `ath`. Nil: no `ath`.
    ///   - nonce: The nonce that the server supplied. Nil: no nonce.
    ///   - claims: Added last. They replace the claims above, and `.null` removes one.
    ///   - header: The same for the header.
    public func proof(
        _ method: String, _ url: String, accessToken: String? = nil, nonce: String? = nil, claims: JSONObject = [:], header: JSONObject = [:]
    ) throws(JOSEError) -> String {
        var payload: JSONObject = [
            "jti": .string(RandomSource.system.token(bytes: 12)), "htm": .string(method), "htu": .string(url), "iat": .int(clock.now.seconds),
        ]
        if let accessToken { payload["ath"] = .string(Base64URL.encode(SHA256.hash(data: Array(accessToken.utf8)))) }
        payload["nonce"] = nonce.map { .string($0) }
        for claim in claims { payload[claim.name] = claim.value.isNull ? nil : claim.value }
        var jwk = key.verificationKey.publicJWK?.object ?? [:]
        for name in ["kid", "use", "alg"] { jwk[name] = nil }
        var head: JSONObject = ["typ": "dpop+jwt", "alg": .string(key.algorithm.rawValue), "jwk": .object(jwk)]
        for member in header { head[member.name] = member.value.isNull ? nil : member.value }
        return try CompactJWS.sign(JSONValue.object(payload).serialized, header: head, with: key)
    }
}
