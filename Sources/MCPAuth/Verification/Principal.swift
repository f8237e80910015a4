public import JOSE
public import OAuth

/// Who is calling: what a verified token says, in one shape whoever issued it.
///
/// Immutable, and one reference: it is copied into every context and every call without cost.
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

    public init(
        issuer: String, subject: String, clientID: String? = nil, scopes: ScopeSet = [], roles: [String] = [], expiration: NumericDate,
        tokenID: String? = nil, keyThumbprint: String? = nil, claims: JSONDocument
    ) {
        storage = Storage(issuer, subject, clientID, scopes, roles, expiration, tokenID, keyThumbprint, claims)
    }

    /// Who vouches for `subject`. Comes from the configuration of the verifier that accepted the token, never from an
    /// unchecked claim.
    public var issuer: String { storage.issuer }
    /// The user, or the client itself when it acts for nobody else. Unique within `issuer` only: use `owner` to keep
    /// data apart.
    public var subject: String { storage.subject }
    /// The client that sent the token: `client_id`, else `azp`, `cid` or `appid`.
    public var clientID: String? { storage.clientID }
    /// What the token grants: `scope`, `scp` and `permissions` together.
    public var scopes: ScopeSet { storage.scopes }
    /// `roles`, `groups`, `realm_access.roles` and `cognito:groups` together.
    public var roles: [String] { storage.roles }
    /// After this moment the token is worth nothing.
    public var expiration: NumericDate { storage.expiration }
    /// The `jti` of the token.
    public var tokenID: String? { storage.tokenID }
    /// The key that whoever sends the token has to prove (RFC 9449 §6.1). Nil: the token is good for whoever holds it.
    public var keyThumbprint: String? { storage.keyThumbprint }
    /// Everything that the issuer said, as strict JSON: `principal.claims["department"]?.string`.
    public var claims: JSONDocument { storage.claims }

    /// Issuer and subject in one text: the key under which to store what belongs to this user. No two users share one,
    /// since a `|` in the issuer's part is escaped. Databases must compare it as bytes.
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

    /// Whether the client acts for itself (RFC 9068 §2.2): then `subject` is not a user.
    public var isClient: Bool { clientID.map { $0.utf8.elementsEqual(subject.utf8) } ?? false }

    /// Whether both are the same user of the same issuer, byte for byte.
    public func isSameUser(as other: Principal) -> Bool {
        issuer.utf8.elementsEqual(other.issuer.utf8) && subject.utf8.elementsEqual(other.subject.utf8)
    }
}

/// The person behind a principal, in words: what the issuer says of them (OpenID Connect Core §5.1). Read from the
/// claims each time; nothing is asked or stored.
///
/// These are for people to read. Nil where the issuer says nothing, as most do without the scopes `profile` and
/// `email`. Data belongs to `owner`, never to a name or an e-mail address: those change, and are given to other people
/// later.
extension Principal {
    /// The full name, such as `Ada Lovelace`.
    public var name: String? { text("name") }
    /// What the person signs in with, or is known by: `preferred_username`, else `username`.
    public var preferredUsername: String? { text("preferred_username") ?? text("username") }
    /// Whether it belongs to the person is another question: `isEmailVerified`.
    public var email: String? { text("email") }
    /// Whether the issuer says that it has checked that the address is this person's. False where it says nothing.
    public var isEmailVerified: Bool {
        guard email != nil, let verified = claims["email_verified"] else { return false }
        return verified.bool ?? (verified.string == "true")
    }
    /// A language tag (BCP 47), such as `de-CH`.
    public var locale: String? { text("locale") }
    /// The address of a picture. Anybody may have chosen it: a page that shows it tells that server who looks.
    public var picture: String? { text("picture") }

    private func text(_ claim: String) -> String? { claims[claim]?.string.flatMap { $0.isEmpty ? nil : $0 } }
}

extension Principal {
    /// The principal of a claims set, or nil when nobody is named in it.
    ///
    /// - Parameter username: who the user is where there is no `sub`, as introspection answers may say; the issuer is
    ///   then one for such names alone.
    package init?(issuer: String, claims: JWTClaims, username: String? = nil, expiration: NumericDate) {
        let clientID = claims["client_id"]?.string ?? claims["azp"]?.string ?? claims["cid"]?.string ?? claims["appid"]?.string
        guard let subject = claims.subject ?? username ?? clientID, !subject.isEmpty else { return nil }
        self.init(
            issuer: issuer, subject: subject, clientID: clientID, scopes: Self.scopes(claims), roles: Self.roles(claims),
            expiration: expiration, tokenID: claims.identifier, keyThumbprint: claims["cnf"]?["jkt"]?.string, claims: claims.document)
    }

    /// Whether a token is bound to nothing, or to a key in the one way that is known here. Any other confirmation
    /// (RFC 7800 §3.1), such as a certificate, would not be checked, and a token that is bound must never pass as one
    /// that is not.
    package static func isBindingKnown(_ claims: JWTClaims) -> Bool {
        guard let confirmation = claims["cnf"] else { return true }
        guard let members = confirmation.members, members.count == 1, let thumbprint = confirmation["jkt"]?.string else { return false }
        return DPoPProof.isThumbprint(thumbprint)
    }

    /// `scope` is a string (RFC 9068 §2.2.3), which some issuers write as an array; `scp` a string or an array;
    /// `permissions` an array. Anything else grants nothing.
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
