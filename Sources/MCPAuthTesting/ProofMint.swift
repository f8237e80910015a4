import Crypto
public import JOSE

/// A key pair that makes DPoP proofs for tests (RFC 9449 §4.2).
public struct ProofMint: Sendable {
    public let key: SigningKey
    private let clock: Clock

    /// Throws `JOSEError` when no key can be made.
    public init(algorithm: SigningAlgorithm = .es256, clock: Clock = .system) throws(JOSEError) {
        key = try SigningKey.generate(algorithm)
        self.clock = clock
    }

    /// What a token that is bound to this key has as `cnf.jkt`.
    public var thumbprint: String { key.verificationKey.thumbprint ?? "" }

    /// A proof for one request.
    ///
    /// - Parameters:
    ///   - claims: added last; they replace what is there, and `.null` removes it.
    ///   - header: the same for the header.
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
