package import Crypto
public import JOSE

/// A proof that the sender of one request holds a private key (RFC 9449 §4): its own signature, its method and URL, its moment.
///
/// Not checked here, since only whoever keeps state can: that `identifier` is new within the window, and `nonce`.
public struct DPoPProof: Sendable, Hashable {
    /// The SHA-256 thumbprint of the key, as `cnf.jkt` has it (RFC 9449 §6.1).
    public let thumbprint: String
    /// `jti`: new in every proof.
    public let identifier: String
    public let issuedAt: NumericDate
    /// What the server had asked to be repeated.
    public let nonce: String?

    /// Seconds by which `iat` may differ from now, either way (requirement 105).
    public static let tolerance: Int64 = 300
    static let maximumBytes = 8192

    /// The algorithms that a proof may be signed with: none of them symmetric.
    public static let algorithms = SigningAlgorithm.asymmetric

    /// - Parameters:
    ///   - url: the URL of the request as its sender knows it, which is the server's configured one, never one made of `Host` headers.
    ///   - accessToken: the token that the request carries, whose hash the proof must hold. Nil: it carries none.
    ///
    /// Throws `invalid_dpop_proof` saying what is wrong.
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

    /// Without query and fragment, with scheme and host in lower case and without the scheme's own port (RFC 9449 §4.3).
    private static func normalized(_ url: WebURL) -> String { url.origin + url.requestPath }

    /// Whether a text could be a thumbprint: the base64url of 32 bytes.
    public static func isThumbprint(_ text: String) -> Bool { text.utf8.count == 43 && (try? Base64URL.decode(text))?.count == 32 }

    /// What marks this proof as used, as one short text: its key and its `jti`.
    package var useText: String { "dpop \(thumbprint) \(identifier)" }
}

/// Values for `DPoP-Nonce` (RFC 9449 §8): the time, sealed with a key of the server, so that they cost no memory and every instance knows them.
package struct DPoPNonces: Sendable {
    private let key: SymmetricKey
    /// Seconds for which one is handed out; it is taken for as long again.
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
