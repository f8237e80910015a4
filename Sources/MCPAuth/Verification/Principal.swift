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

    /// Who vouches for `subject`. Comes from the configuration of the verifier that accepted the token, never from an unchecked claim.
    public var issuer: String { storage.issuer }
    /// The user, or the client itself when it acts for nobody else. Unique within `issuer` only: use `owner` to keep data apart.
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
    /// Everything else that the issuer said, as strict JSON.
    public var claims: JSONDocument { storage.claims }

    /// Issuer and subject in one text: the key under which to store what belongs to this user. No two users share one, since a `|` in the issuer's
    /// part is escaped. Databases must compare it as bytes.
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

extension Principal {
    /// The principal of a claims set, or nil when nobody is named in it.
    package init?(issuer: String, claims: JWTClaims, expiration: NumericDate) {
        let clientID = claims["client_id"]?.string ?? claims["azp"]?.string ?? claims["cid"]?.string ?? claims["appid"]?.string
        guard let subject = claims.subject ?? clientID, !subject.isEmpty else { return nil }
        self.init(
            issuer: issuer, subject: subject, clientID: clientID, scopes: Self.scopes(claims), roles: Self.roles(claims),
            expiration: expiration, tokenID: claims.identifier, keyThumbprint: claims["cnf"]?["jkt"]?.string, claims: claims.document)
    }

    /// Whether a token is bound to nothing, or to a key in the one way that is known here. Any other confirmation (RFC 7800 §3.1), such as a certificate,
    /// would not be checked, and a token that is bound must never pass as one that is not.
    package static func isBindingKnown(_ claims: JWTClaims) -> Bool {
        guard let confirmation = claims["cnf"] else { return true }
        guard let members = confirmation.members, members.count == 1, let thumbprint = confirmation["jkt"]?.string else { return false }
        return DPoPProof.isThumbprint(thumbprint)
    }

    /// `scope` is a string (RFC 9068 §2.2.3); `scp` a string or an array; `permissions` an array. Anything else grants nothing.
    private static func scopes(_ claims: JWTClaims) -> ScopeSet {
        var scopes = claims["scope"].flatMap { ScopeSet(lenient: $0) } ?? []
        if let scp = claims["scp"] {
            if let text = scp.string { scopes = scopes.union(ScopeSet(lenient: text)) }
            for text in scp.strings?.prefix(ScopeSet.maximumCount) ?? [] { if let scope = Scope(text) { scopes.insert(scope) } }
        }
        for text in claims["permissions"]?.strings?.prefix(ScopeSet.maximumCount) ?? [] { if let scope = Scope(text) { scopes.insert(scope) } }
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
