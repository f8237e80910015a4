/// The claims set of a JWT (RFC 7519 §4), with the types of the registered claims checked: a claim of a wrong type is an error, never absent.
public struct JWTClaims: Sendable {
    public let document: JSONDocument
    private let issuerNode, subjectNode, identifierNode, audienceNode: Int?
    private let ignoresNulls: Bool
    /// `exp`, rounded down.
    public let expiration: NumericDate?
    /// `nbf`, rounded up.
    public let notBefore: NumericDate?
    /// `iat`, rounded up.
    public let issuedAt: NumericDate?

    /// Throws `malformed_json`, or `malformed_claims` when the payload is not an object, or `iss`, `sub`, `jti` are not strings, `aud` is neither a
    /// string nor an array of strings, or `exp`, `nbf`, `iat` are not numbers within 2^53 of zero.
    ///
    /// - Parameter ignoresNulls: a claim that is `null` counts as absent, as introspection answers write it (RFC 7662). In a signed token it is an
    ///   error.
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

    public var issuer: String? { string(issuerNode) }
    public var subject: String? { string(subjectNode) }
    public var identifier: String? { string(identifierNode) }

    public var audience: [String] {
        guard let audienceNode else { return [] }
        let view = JSONView(document: document, index: audienceNode)
        return view.strings ?? view.string.map { [$0] } ?? []
    }

    /// Any claim.
    public subscript(name: String) -> JSONView? {
        guard let index = document.member(name, of: 0), !(ignoresNulls && document.nodes[index].kind == .null) else { return nil }
        return JSONView(document: document, index: index)
    }

    /// Whether `iss` has exactly these bytes.
    package func isIssued(by issuer: String) -> Bool {
        issuerNode.map { document.hasText(issuer, $0) } ?? false
    }

    /// Whether `aud` is, or holds, exactly these bytes.
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

/// What a JWT must say before it counts: policy, apart from the mechanism that checked its signature.
public struct JWTRequirements: Sendable {
    /// Which `typ` headers are taken.
    public enum TokenType: Sendable, Hashable {
        /// One of these media types, `application/` optional, without regard to case.
        case oneOf([String])
        /// No `typ`, or `JWT`, or one of these: for issuers that do not follow RFC 9068.
        case absentOrJWT(or: [String])
    }

    /// The exact `iss`.
    public var issuer: String
    /// The token must be meant for one of these, byte for byte. Nil: the audience is not checked, which the caller must have been told to do.
    public var audiences: [String]?
    /// The clients whose tokens are taken although they have no `aud`: one of them must be named in `client_id`, or in `azp` where that is missing.
    /// For issuers whose access tokens name no audience. A token that has an `aud` has to meet `audiences`.
    public var clientsWithoutAudience: [String] = []
    public var type: TokenType
    /// Seconds by which clocks may differ, for `exp`, `nbf` and `iat`: 0 to 60.
    public let leeway: Int64
    /// The longest life of a token, in seconds from its `iat` (or from now, if it has none) to its `exp`.
    public var maximumLifetime: Int64?

    public init(issuer: String, audiences: [String]?, type: TokenType, leeway: Int64 = 30, maximumLifetime: Int64? = nil) {
        self.issuer = issuer
        self.audiences = audiences
        self.type = type
        self.leeway = min(max(leeway, 0), 60)
        self.maximumLifetime = maximumLifetime
    }

    /// The first requirement that is not met, or nil.
    public func violation(header: JWSHeader, claims: JWTClaims, now: NumericDate) -> JWTViolation? {
        isAccepted(header) ? violation(claims: claims, now: now) : .wrongType
    }

    /// The same for claims that came without a header.
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

    /// Whether the audience is one of `audiences`; or there is none, and the client is one of `clientsWithoutAudience`.
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

/// Why the claims of a rightly signed JWT do not count.
public enum JWTViolation: String, Error, Sendable, Hashable {
    case wrongType = "wrong_type"
    case wrongIssuer = "wrong_issuer"
    case wrongAudience = "wrong_audience"
    case noExpiration = "no_expiration"
    case expired = "expired"
    case notYetValid = "not_yet_valid"
    case issuedInTheFuture = "issued_in_the_future"
    case livesTooLong = "lives_too_long"
}
