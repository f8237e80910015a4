package import Crypto
public import JOSE

/// A DPoP proof (RFC 9449 §4): the sender of a request holds a private key. The initializer checks signature, method,
/// URL, time and access token.
///
/// It does not check that `identifier` is new, nor that `nonce` is expected, because both need state. The caller must.
public struct DPoPProof: Sendable, Hashable {
    /// The SHA-256 thumbprint of the key, as in `cnf.jkt` of a bound token (RFC 9449 §6.1).
    public let thumbprint: String
    /// `jti`, 1 to 512 bytes, different in every proof.
    public let identifier: String
    /// `iat`, within `tolerance` of the time of the check.
    public let issuedAt: NumericDate
    /// The nonce that the server supplied. Nil when the proof has none.
    public let nonce: String?

    /// The largest difference between `iat` and now, in seconds, in either direction (requirement 105).
    public static let tolerance: Int64 = 300
    static let maximumBytes = 8192

    /// The algorithms that a proof may be signed with. All of them are asymmetric.
    public static let algorithms = SigningAlgorithm.asymmetric

    /// Parses and checks a proof. Throws `invalid_dpop_proof`; the message says what is wrong.
    ///
    /// - Parameters:
    ///   - url: The URL of the request, made from the configuration of the server and never from a `Host` header.
    ///   - accessToken: The access token of the request, whose hash the proof must contain (`ath`). Nil: the request
    ///     has none.
    public init(parsing text: String, method: String, url: WebURL, accessToken: String?, at now: NumericDate) throws(OAuthError) {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidDPoPProof, message) }
        guard text.utf8.count <= Self.maximumBytes else { throw fail("the proof is longer than \(Self.maximumBytes) bytes") }
        let jws: CompactJWS
        let claims: JWTClaims
        do throws(JOSEError) {
            jws = try CompactJWS(parsing: text)
            claims = try JWTClaims(parsing: jws.payload)
        } catch { throw fail("the proof is not a signed JWT: \(error.message)") }
        guard jws.header.hasType("dpop+jwt") else { throw fail("the typ of the proof is not dpop+jwt") }
        guard Self.algorithms.contains(jws.header.algorithm) else { throw fail("the alg of the proof is not asymmetric") }
        guard let jwk = jws.header["jwk"], jwk.isObject else { throw fail("the header of the proof has no jwk") }
        guard !["d", "p", "q", "dp", "dq", "qi", "oth", "k"].contains(where: { jwk[$0] != nil }) else {
            throw fail("the jwk of the proof holds a private key; make a new one, this one is known now")
        }
        let key: VerificationKey
        do throws(JOSEError) { key = try VerificationKey(jwk: jwk) } catch { throw fail("the jwk of the proof cannot be used: \(error.message)") }
        guard let thumbprint = key.thumbprint else { throw fail("the jwk of the proof is not a public key") }
        guard jws.isSigned(by: key) else { throw fail("the proof is not signed with its jwk") }
        guard let identifier = claims.identifier, (1...512).contains(identifier.utf8.count) else { throw fail("the proof has no jti") }
        guard claims["htm"]?.string?.utf8.elementsEqual(method.utf8) == true else { throw fail("htm is not the method of this request") }
        guard let target = claims["htu"]?.string.flatMap(WebURL.init), Self.normalized(target) == Self.normalized(url) else {
            throw fail("htu is not the URL of this request: \(Self.normalized(url))")
        }
        guard let issuedAt = claims.issuedAt, abs(issuedAt.seconds(since: now)) <= Self.tolerance else {
            throw fail("the iat of the proof is missing, or differs from the server's clock by more than \(Self.tolerance) seconds")
        }
        if let expiration = claims.expiration, expiration <= now { throw fail("the proof has expired") }
        if let accessToken {
            let hash = Base64URL.encode(SHA256.hash(data: Array(accessToken.utf8)))
            guard let stated = claims["ath"]?.string, ConstantTime.areEqual(Array(stated.utf8), Array(hash.utf8)) else {
                throw fail("ath is not the hash of the access token")
            }
        }
        if let nonce = claims["nonce"] { guard nonce.string != nil else { throw fail("nonce is not a string") } }
        self.thumbprint = thumbprint
        self.identifier = identifier
        self.issuedAt = issuedAt
        nonce = claims["nonce"]?.string
    }

    /// The URL without query and fragment, with scheme and host in lower case and without the default port (RFC 9449
    /// §4.3).
    private static func normalized(_ url: WebURL) -> String { url.origin + url.requestPath }

    /// Whether a text has the form of a thumbprint: the base64url of 32 bytes.
    public static func isThumbprint(_ text: String) -> Bool { text.utf8.count == 43 && (try? Base64URL.decode(text))?.count == 32 }

    /// The text that identifies the use of this proof: its key and its `jti`.
    package var useText: String { "dpop \(thumbprint) \(identifier)" }
}

/// Values for `DPoP-Nonce` (RFC 9449 §8). A nonce is a keyed hash of the time, so that it needs no memory and every
/// instance with the key accepts it.
package struct DPoPNonces: Sendable {
    private let key: SymmetricKey
    /// The number of seconds for which the server hands out one nonce. It accepts the nonce for as long again.
    private static let window: Int64 = 150

    package init(key: SymmetricKey) { self.key = key }

    package func current(at now: NumericDate) -> String { text(now.seconds / Self.window) }

    package func isGood(_ nonce: String, at now: NumericDate) -> Bool {
        let number = now.seconds / Self.window
        return [number, number - 1].contains { ConstantTime.areEqual(Array(text($0).utf8), Array(nonce.utf8)) }
    }

    private func text(_ number: Int64) -> String {
        Base64URL.encode(Array(HMAC<SHA256>.authenticationCode(for: Array("dpop nonce \(number)".utf8), using: key)).prefix(18))
    }
}
