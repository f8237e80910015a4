public import JOSE
public import OAuth

/// The content of a verified token, in one form for every issuer.
///
/// It is immutable and one reference, so copying it into contexts and calls is cheap.
public struct Principal: Sendable {
    private final class Storage: Sendable {
        let issuer: String
        let subject: String
        let clientID: String?
        let scopes: ScopeSet
        let roles: [String]
        let expiration: NumericDate
        let tokenID: String?
        let keyThumbprint: String?
        let claims: JSONDocument

        init(
            _ issuer: String, _ subject: String, _ clientID: String?, _ scopes: ScopeSet, _ roles: [String], _ expiration: NumericDate,
            _ tokenID: String?, _ keyThumbprint: String?, _ claims: JSONDocument
        ) {
            self.issuer = issuer
            self.subject = subject
            self.clientID = clientID
            self.scopes = scopes
            self.roles = roles
            self.expiration = expiration
            self.tokenID = tokenID
            self.keyThumbprint = keyThumbprint
            self.claims = claims
        }
    }

    private let storage: Storage

    /// A principal, for verifiers of your own and for tests. Nothing is checked: `issuer` must come from the
    /// configuration of the verifier, never from an unverified claim.
    public init(
        issuer: String, subject: String, clientID: String? = nil, scopes: ScopeSet = [], roles: [String] = [], expiration: NumericDate,
        tokenID: String? = nil, keyThumbprint: String? = nil, claims: JSONDocument
    ) {
        storage = Storage(issuer, subject, clientID, scopes, roles, expiration, tokenID, keyThumbprint, claims)
    }

    /// The issuer that vouches for `subject`. It comes from the configuration of the verifier that accepted the token,
    /// never from an unverified claim.
    public var issuer: String { storage.issuer }
    /// The user, or the client if it acts for itself. Unique within `issuer` only: use `owner` to separate data.
    public var subject: String { storage.subject }
    /// The client that sent the token: `client_id`, otherwise `azp`, `cid` or `appid`. Nil when the token names none.
    public var clientID: String? { storage.clientID }
    /// The scopes of the token: `scope`, `scp` and `permissions` together.
    public var scopes: ScopeSet { storage.scopes }
    /// The roles of the token: `roles`, `groups`, `realm_access.roles` and `cognito:groups` together.
    public var roles: [String] { storage.roles }
    /// The time from which the token is no longer accepted, including the leeway.
    public var expiration: NumericDate { storage.expiration }
    /// The `jti` of the token. Nil: none.
    public var tokenID: String? { storage.tokenID }
    /// The thumbprint of the key that the sender of the token must prove (RFC 9449 §6.1). Nil: the token is a bearer
    /// token.
    public var keyThumbprint: String? { storage.keyThumbprint }
    /// All claims of the token, as strict JSON: `principal.claims["department"]?.string`.
    public var claims: JSONDocument { storage.claims }

    /// Issuer and subject in one text: the key under which to store the data of this user. No two users share one,
    /// because `|` and `%` in the issuer are escaped. Databases must compare it as bytes.
    public var owner: String {
        guard issuer.utf8.contains(where: { $0 == UInt8(ascii: "|") || $0 == UInt8(ascii: "%") }) else { return issuer + "|" + subject }
        var escaped = ""
        for scalar in issuer.unicodeScalars {
            switch scalar {
            case "%": escaped += "%25"
            case "|": escaped += "%7C"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped + "|" + subject
    }

    /// Whether the client acts for itself (RFC 9068 §2.2). Then `subject` is not a user.
    public var isClient: Bool { clientID.map { $0.utf8.elementsEqual(subject.utf8) } ?? false }

    /// Whether both have the same issuer and subject, compared byte by byte.
    public func isSameUser(as other: Principal) -> Bool {
        issuer.utf8.elementsEqual(other.issuer.utf8) && subject.utf8.elementsEqual(other.subject.utf8)
    }
}

/// The user behind a principal, as the issuer describes them (OpenID Connect Core §5.1). Read from the claims each
/// time. Nothing is requested or stored.
///
/// These texts are for display. They are nil if the issuer does not send them, as most do without the scopes `profile`
/// and `email`. Key data by `owner`, never by a name or an e-mail address, because those change and are reassigned.
extension Principal {
    /// The full name, such as `Ada Lovelace`.
    public var name: String? { text("name") }
    /// The sign-in name: `preferred_username`, otherwise `username`.
    public var preferredUsername: String? { text("preferred_username") ?? text("username") }
    /// The e-mail address. `isEmailVerified` says whether it belongs to the user.
    public var email: String? { text("email") }
    /// Whether the issuer says that the address was verified. False if it does not say so.
    public var isEmailVerified: Bool {
        guard email != nil, let verified = claims["email_verified"] else { return false }
        return verified.bool ?? (verified.string == "true")
    }
    /// A language tag (BCP 47), such as `de-CH`.
    public var locale: String? { text("locale") }
    /// The URL of a picture. Any user may have chosen it: a page that shows it reveals its visitors to that server.
    public var picture: String? { text("picture") }

    private func text(_ claim: String) -> String? { claims[claim]?.string.flatMap { $0.isEmpty ? nil : $0 } }
}

extension Principal {
    /// The principal of a claims set, or nil when the claims name neither user nor client.
    ///
    /// - Parameter username: The user if there is no `sub`, as in introspection responses. The issuer is then a
    ///   namespace for such names.
    package init?(issuer: String, claims: JWTClaims, username: String? = nil, expiration: NumericDate) {
        let clientID = claims["client_id"]?.string ?? claims["azp"]?.string ?? claims["cid"]?.string ?? claims["appid"]?.string
        guard let subject = claims.subject ?? username ?? clientID, !subject.isEmpty else { return nil }
        self.init(
            issuer: issuer, subject: subject, clientID: clientID, scopes: Self.scopes(claims), roles: Self.roles(claims),
            expiration: expiration, tokenID: claims.identifier, keyThumbprint: claims["cnf"]?["jkt"]?.string, claims: claims.document)
    }

    /// Whether a token is bound to nothing, or to a key by `jkt` alone. Any other confirmation (RFC 7800 §3.1), such as
    /// a certificate, would not be checked, and a bound token must never be accepted as a bearer token.
    package static func isBindingKnown(_ claims: JWTClaims) -> Bool {
        guard let confirmation = claims["cnf"] else { return true }
        guard let members = confirmation.members, members.count == 1, let thumbprint = confirmation["jkt"]?.string else { return false }
        return DPoPProof.isThumbprint(thumbprint)
    }

    /// `scope` is a string (RFC 9068 §2.2.3), which some issuers write as an array. `scp` is a string or an array.
    /// `permissions` is an array. Any other type grants nothing.
    private static func scopes(_ claims: JWTClaims) -> ScopeSet {
        let scope = claims["scope"]
        var scopes = scope.flatMap { ScopeSet(lenient: $0) } ?? []
        func add(_ list: JSONView?) {
            for text in list?.strings?.prefix(ScopeSet.maximumCount) ?? [] { if let scope = Scope(text) { scopes.insert(scope) } }
        }
        if scope?.isArray == true { add(scope) }
        if let scp = claims["scp"] {
            if let text = scp.string { scopes = scopes.union(ScopeSet(lenient: text)) }
            add(scp)
        }
        add(claims["permissions"])
        return scopes
    }

    private static func roles(_ claims: JWTClaims) -> [String] {
        var roles: [String] = []
        if let own = claims["roles"]?.strings { roles += own }
        if let groups = claims["groups"]?.strings { roles += groups }
        if let realm = claims["realm_access"]?["roles"]?.strings { roles += realm }
        if let groups = claims["cognito:groups"]?.strings { roles += groups }
        return roles
    }
}
