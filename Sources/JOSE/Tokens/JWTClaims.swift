/// The claims set of a JWT (RFC 7519 §4). The registered claims have the right types: a claim of a wrong type is an
/// error and never counts as absent.
public struct JWTClaims: Sendable {
    /// The whole claims set.
    public let document: JSONDocument
    private let issuerNode, subjectNode, identifierNode, audienceNode: Int?
    private let ignoresNulls: Bool
    /// `exp`, rounded down to a second. Nil when it is absent.
    public let expiration: NumericDate?
    /// `nbf`, rounded up to a second. Nil when it is absent.
    public let notBefore: NumericDate?
    /// `iat`, rounded up to a second. Nil when it is absent.
    public let issuedAt: NumericDate?

    /// Parses a payload. Checks no claim against a policy; see `JWTRequirements`.
    ///
    /// Throws `malformed_json`, or `malformed_claims` when a part has the wrong type. The payload is an object. `iss`,
    /// `sub` and `jti` are strings. `aud` is a string or an array of strings. `exp`, `nbf` and `iat` are numbers within
    /// 2^53 of zero.
    ///
    /// - Parameter ignoresNulls: Whether a claim that is `null` counts as absent, as in introspection responses
    ///   (RFC 7662). In a signed token a null registered claim is an error.
    public init(parsing payload: [UInt8], ignoresNulls: Bool = false) throws(JOSEError) {
        let document = try JSONDocument(parsing: payload)
        guard document.root.isObject else { throw JOSEError(.malformedClaims, "the payload is not a JSON object") }
        var (issuer, subject, identifier, audience): (Int?, Int?, Int?, Int?)
        var (expiration, notBefore, issuedAt): (Int?, Int?, Int?)
        document.root.forEachMember { nameIndex, value in
            guard let name = document.shortName(nameIndex) else { return }
            if ignoresNulls, document.nodes[value].kind == .null { return }
            switch name {
            case "iss": issuer = value
            case "sub": subject = value
            case "aud": audience = value
            case "exp": expiration = value
            case "nbf": notBefore = value
            case "iat": issuedAt = value
            case "jti": identifier = value
            default: break
            }
        }
        func isStringOrAbsent(_ index: Int?) -> Bool { index.map { document.nodes[$0].kind == .string } ?? true }
        guard isStringOrAbsent(issuer), isStringOrAbsent(subject), isStringOrAbsent(identifier) else {
            throw JOSEError(.malformedClaims, "iss, sub and jti are strings")
        }
        if let audience, document.nodes[audience].kind != .string {
            guard JSONView(document: document, index: audience).strings != nil else {
                throw JOSEError(.malformedClaims, "aud is a string or an array of strings")
            }
        }
        self.expiration = try Self.date(expiration, in: document, rounded: .down)
        self.notBefore = try Self.date(notBefore, in: document, rounded: .up)
        self.issuedAt = try Self.date(issuedAt, in: document, rounded: .up)
        issuerNode = issuer
        subjectNode = subject
        identifierNode = identifier
        audienceNode = audience
        self.document = document
        self.ignoresNulls = ignoresNulls
    }

    /// `iss`. Nil when it is absent.
    public var issuer: String? { string(issuerNode) }
    /// `sub`. Nil when it is absent.
    public var subject: String? { string(subjectNode) }
    /// `jti`. Nil when it is absent.
    public var identifier: String? { string(identifierNode) }

    /// `aud` as a list, which is empty when the claim is absent.
    public var audience: [String] {
        guard let audienceNode else { return [] }
        let view = JSONView(document: document, index: audienceNode)
        return view.strings ?? view.string.map { [$0] } ?? []
    }

    /// Any claim, including the registered ones. Nil when it is absent, or when it is `null` and nulls are ignored.
    public subscript(name: String) -> JSONView? {
        guard let index = document.member(name, of: 0), !(ignoresNulls && document.nodes[index].kind == .null) else { return nil }
        return JSONView(document: document, index: index)
    }

    /// Whether `iss` has exactly these bytes.
    package func isIssued(by issuer: String) -> Bool {
        issuerNode.map { document.hasText(issuer, $0) } ?? false
    }

    /// Whether `aud` is exactly these bytes, or an array that contains them.
    package func isMeant(for audience: String) -> Bool {
        guard let audienceNode else { return false }
        if document.hasText(audience, audienceNode) { return true }
        return JSONView(document: document, index: audienceNode).array?.contains { $0.hasText(audience) } ?? false
    }

    private func string(_ node: Int?) -> String? { node.flatMap { JSONView(document: document, index: $0).string } }

    private static func date(_ index: Int?, in document: JSONDocument, rounded rule: FloatingPointRoundingRule) throws(JOSEError) -> NumericDate? {
        guard let index else { return nil }
        if let seconds = document.smallInteger(index) { return NumericDate(seconds: seconds) }
        let number = JSONView(document: document, index: index).number
        if let seconds = number?.int64, seconds.magnitude <= 1 << 53 { return NumericDate(seconds: seconds) }
        guard let seconds = number?.double?.rounded(rule), seconds.magnitude <= 9_007_199_254_740_992 else {
            throw JOSEError(.malformedClaims, "exp, nbf and iat are numbers of seconds within 2^53 of zero")
        }
        return NumericDate(seconds: Int64(seconds))
    }
}

/// The requirements that the claims and the `typ` of a JWT must meet. `CompactJWS.verify` checks the signature.
public struct JWTRequirements: Sendable {
    /// The accepted `typ` headers.
    public enum TokenType: Sendable, Hashable {
        /// One of these media types, ignoring case and the prefix `application/`.
        case oneOf([String])
        /// No `typ`, or `JWT`, or one of these, for issuers that do not follow RFC 9068.
        case absentOrJWT(or: [String])
    }

    /// The exact `iss`, compared as bytes.
    public var issuer: String
    /// The accepted audiences, compared as bytes. The token must name at least one. Nil: the audience is not checked,
    /// which an operator must have chosen explicitly.
    public var audiences: [String]?
    /// Clients whose tokens are accepted without `aud`, for issuers whose access tokens name no audience. Such a token
    /// must name one of them in `client_id`, or in `azp` if `client_id` is absent. A token that has an `aud` must still
    /// match `audiences`.
    public var clientsWithoutAudience: [String] = []
    /// The accepted `typ` headers.
    public var type: TokenType
    /// The tolerated clock difference in seconds, for `exp`, `nbf` and `iat`. The initializer limits it to 0 to 60.
    public let leeway: Int64
    /// The longest lifetime of a token in seconds, from `iat` (or from now, without one) to `exp`. Nil: not limited.
    public var maximumLifetime: Int64?

    /// `leeway` and `maximumLifetime` are seconds.
    public init(issuer: String, audiences: [String]?, type: TokenType, leeway: Int64 = 30, maximumLifetime: Int64? = nil) {
        self.issuer = issuer
        self.audiences = audiences
        self.type = type
        self.leeway = min(max(leeway, 0), 60)
        self.maximumLifetime = maximumLifetime
    }

    /// The first requirement that is not met, or nil. The order is `typ`, `iss`, `aud`, `exp`, `nbf`, `iat`, lifetime.
    public func violation(header: JWSHeader, claims: JWTClaims, now: NumericDate) -> JWTViolation? {
        isAccepted(header) ? violation(claims: claims, now: now) : .wrongType
    }

    /// The same for claims without a header. `typ` is not checked.
    package func violation(claims: JWTClaims, now: NumericDate) -> JWTViolation? {
        guard claims.isIssued(by: issuer) else { return .wrongIssuer }
        guard isMeantForUs(claims) else { return .wrongAudience }
        guard let expiration = claims.expiration, expiration.seconds > 0 else { return .noExpiration }
        guard now < expiration.advanced(by: leeway) else { return .expired }
        if let notBefore = claims.notBefore, notBefore.advanced(by: -leeway) > now { return .notYetValid }
        if let issuedAt = claims.issuedAt, issuedAt.advanced(by: -leeway) > now { return .issuedInTheFuture }
        if let maximumLifetime, expiration.seconds(since: claims.issuedAt ?? now) > maximumLifetime { return .livesTooLong }
        return nil
    }

    /// Whether an audience is one of `audiences`, or there is none and the client is one of `clientsWithoutAudience`.
    package func isMeantForUs(_ claims: JWTClaims) -> Bool {
        guard let audiences else { return true }
        if audiences.contains(where: claims.isMeant) { return true }
        guard !clientsWithoutAudience.isEmpty, claims["aud"] == nil, let client = (claims["client_id"] ?? claims["azp"])?.string else { return false }
        return clientsWithoutAudience.contains { $0.utf8.elementsEqual(client.utf8) }
    }

    private func isAccepted(_ header: JWSHeader) -> Bool {
        switch type {
        case .oneOf(let types): types.contains(where: header.hasType)
        case .absentOrJWT(let types): header.type == nil || header.hasType("JWT") || types.contains(where: header.hasType)
        }
    }
}

/// The reason why the claims of a correctly signed JWT are rejected.
public enum JWTViolation: String, Error, Sendable, Hashable {
    /// The `typ` header is not accepted.
    case wrongType = "wrong_type"
    /// `iss` is absent or another issuer.
    case wrongIssuer = "wrong_issuer"
    /// `aud` names none of the accepted audiences, or is absent and the client is not exempt.
    case wrongAudience = "wrong_audience"
    /// `exp` is absent, or not after 1970-01-01T00:00:00Z.
    case noExpiration = "no_expiration"
    /// `exp` has passed, including the leeway.
    case expired = "expired"
    /// `nbf` is in the future, beyond the leeway.
    case notYetValid = "not_yet_valid"
    /// `iat` is in the future, beyond the leeway.
    case issuedInTheFuture = "issued_in_the_future"
    /// The token lives longer than `maximumLifetime`.
    case livesTooLong = "lives_too_long"
}
