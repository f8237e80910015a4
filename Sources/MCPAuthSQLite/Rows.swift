import Foundation
import GRDB
import JOSE
import MCPAuthorizationServer
import OAuth

/// A row with content that this program did not write: another program changed the file. It fails the request and not
/// the process.
struct CorruptRow: Error {}

extension Row {
    func hash(_ column: String) throws -> SecretHash {
        guard let data: Data = self[column], let hash = SecretHash(bytes: Array(data)) else { throw CorruptRow() }
        return hash
    }

    func date(_ column: String) -> NumericDate { NumericDate(seconds: self[column] ?? 0) }
    func optionalDate(_ column: String) -> NumericDate? { (self[column] as Int64?).map { NumericDate(seconds: $0) } }

    func text(_ column: String) throws -> String {
        guard let text: String = self[column] else { throw CorruptRow() }
        return text
    }

    func scopes(_ column: String) throws -> ScopeSet {
        guard let scopes = ScopeSet(try text(column)) else { throw CorruptRow() }
        return scopes
    }

    func clientID(_ column: String) throws -> ClientID {
        guard let id = ClientID(try text(column)) else { throw CorruptRow() }
        return id
    }

    var client: Client {
        get throws {
            guard let method = Client.AuthenticationMethod(rawValue: try text("auth_method")),
                let origin = Client.Origin(rawValue: try text("origin"))
            else { throw CorruptRow() }
            let secret: Data? = self["secret_hash"]
            var client = Client(
                id: try clientID("id"), name: self["name"],
                // A redirect URI that an earlier version accepted and this one rejects is left out. The client keeps
                // the others.
                redirectURIs: try text("redirect_uris").split(separator: " ").compactMap { try? RedirectURI(String($0)) },
                authenticationMethod: method, secrets: secret.flatMap { SecretHash(bytes: Array($0)) }.map { [ClientSecret($0)] } ?? [],
                grantTypes: try text("grant_types").split(separator: " ").map { GrantType(rawValue: String($0)) }, origin: origin,
                createdAt: date("created_at"), introspects: self["introspects"])
            if let details: String = self["details"] { try ClientDetails(parsing: details).apply(to: &client) }
            return client
        }
    }

    var user: User {
        get throws {
            let issuer: String? = self["identity_issuer"]
            let subject: String? = self["identity_subject"]
            let secret: Data? = self["one_time_secret"]
            return User(
                id: try text("id"), name: try text("name"), displayName: self["display_name"],
                email: self["email"], isEmailVerified: self["email_verified"] ?? false,
                passwordHash: (self["password"] as String?).flatMap(PasswordHash.init),
                identity: issuer.flatMap { issuer in subject.map { ExternalIdentity(issuer: issuer, subject: $0) } },
                sealedOneTimeSecret: secret.map { Array($0) }, recoveryCodes: RecoveryColumn.hashes(self["recovery_codes"]),
                isDisabled: self["is_disabled"] ?? true, createdAt: date("created_at"))
        }
    }

    var session: Session {
        get throws {
            Session(
                hash: try hash("hash"), userID: try text("user_id"), authenticatedAt: date("authenticated_at"), expiresAt: date("expires_at"),
                browser: self["browser"], providerSession: self["provider_session"] == nil ? nil : try hash("provider_session"))
        }
    }

    var device: DeviceAuthorization {
        get throws {
            let state: DeviceAuthorization.State
            switch try text("state") {
            case "pending": state = .pending
            case "denied": state = .denied
            case "redeemed": state = .redeemed
            case "approved":
                state = .approved(
                    userID: try text("user_id"), scopes: try scopes("approved_scope"), authenticatedAt: optionalDate("authenticated_at"))
            default: throw CorruptRow()
            }
            return DeviceAuthorization(
                hash: try hash("hash"), userCode: try hash("user_code"), clientID: try clientID("client_id"), scopes: try scopes("scope"),
                resource: try text("resource"), interval: self["interval"] ?? 5, expiresAt: date("expires_at"), state: state)
        }
    }

    var code: AuthorizationCode {
        get throws {
            guard let challenge = CodeChallenge(try text("challenge")) else { throw CorruptRow() }
            return AuthorizationCode(
                hash: try hash("hash"), clientID: try clientID("client_id"), userID: try text("user_id"), redirectURI: try text("redirect_uri"),
                challenge: challenge, scopes: try scopes("scope"), resource: try text("resource"), keyThumbprint: self["key_thumbprint"],
                nonce: self["nonce"], authenticatedAt: optionalDate("authenticated_at"), expiresAt: date("expires_at"))
        }
    }

    /// Reads the columns after those of a grant. Nil for grants without refresh tokens.
    var refreshChain: RefreshChain? {
        get throws {
            func hash(_ index: Int) throws -> SecretHash? {
                guard let data: Data = self[index] else { return nil }
                guard let hash = SecretHash(bytes: Array(data)) else { throw CorruptRow() }
                return hash
            }
            guard let latest = try hash(13), let expiry: Int64 = self[14] else { return nil }
            func date(_ index: Int) -> NumericDate? { (self[index] as Int64?).map { NumericDate(seconds: $0) } }
            return RefreshChain(
                latest: latest, expiresAt: NumericDate(seconds: expiry), predecessor: try hash(15), rotatedAt: date(16), youngestUse: date(17),
                isRecovered: (self[18] as Int) & 1 != 0, followsRecovery: (self[18] as Int) & 2 != 0)
        }
    }

    /// From a row that begins with every column of `grants`, in their order. Looking columns up by name would be most
    /// of the cost of a refresh here.
    var grant: Grant {
        get throws {
            guard let id: String = self[0], let clientText: String = self[1], let clientID = ClientID(clientText), let userID: String = self[2],
                let scopeText: String = self[3], let scopes = ScopeSet(scopeText), let resource: String = self[4]
            else { throw CorruptRow() }
            func date(_ index: Int) -> NumericDate? { (self[index] as Int64?).map { NumericDate(seconds: $0) } }
            let none = NumericDate(seconds: 0)
            return Grant(
                id: id, type: GrantType(rawValue: self[9] ?? ""), clientID: clientID, userID: userID.isEmpty ? nil : userID, scopes: scopes,
                resource: resource, keyThumbprint: self[10], authenticatedAt: date(11), createdAt: date(5) ?? none, expiresAt: date(6) ?? none,
                lastUsedAt: date(7) ?? none, lastOperation: self[12], revokedAt: date(8))
        }
    }
}

/// The properties that few clients have, as one JSON object in one column.
struct ClientDetails {
    private let json: JSONValue

    init(parsing text: String) throws { json = try JSONValue(parsing: text) }

    init(_ client: Client) {
        var json = JSONObject()
        json["secrets"] = .array(
            client.secrets.map { secret in
                var entry: JSONObject = ["hash": .string(Base64URL.encode(secret.hash.bytes))]
                entry["expires_at"] = secret.expiresAt.map { .int($0.seconds) }
                return .object(entry)
            })
        switch client.keys {
        case .inline(let text): json["jwks"] = .string(text)
        case .url(let url): json["jwks_uri"] = .string(url.text)
        case nil: break
        }
        json["assertion_alg"] = client.assertionAlgorithm.map { .string($0.rawValue) }
        json["scope"] = client.scopes.map { .string($0.text) }
        if client.requiresPushedRequests { json["requires_par"] = true }
        if client.requiresDPoP { json["requires_dpop"] = true }
        json["web_page"] = client.webPage.map { .string($0.text) }
        if client.isDisabled { json["is_disabled"] = true }
        if client.acceptsEitherSecretMethod { json["either_secret_method"] = true }
        json["registration_token"] = client.registrationToken.map { .string(Base64URL.encode($0.bytes)) }
        self.json = .object(json)
    }

    var text: String { String(decoding: json.serialized, as: UTF8.self) }

    func apply(to client: inout Client) throws {
        func hash(_ value: JSONValue?) throws -> SecretHash {
            guard let text = value?.string, let hash = SecretHash(bytes: try Base64URL.decode(text)) else { throw CorruptRow() }
            return hash
        }
        client.secrets = try (json["secrets"]?.array ?? []).map { entry in
            ClientSecret(try hash(entry["hash"]), expiresAt: entry["expires_at"]?.int.map { NumericDate(seconds: Int64($0)) })
        }
        client.keys = json["jwks"]?.string.map { .inline($0) } ?? json["jwks_uri"]?.string.flatMap(WebURL.init).map { .url($0) }
        client.assertionAlgorithm = json["assertion_alg"]?.string.flatMap(SigningAlgorithm.init)
        client.scopes = json["scope"]?.string.flatMap { ScopeSet($0) }
        client.requiresPushedRequests = json["requires_par"]?.bool ?? false
        client.requiresDPoP = json["requires_dpop"]?.bool ?? false
        client.webPage = json["web_page"]?.string.flatMap(WebURL.init)
        client.isDisabled = json["is_disabled"]?.bool ?? false
        client.acceptsEitherSecretMethod = json["either_secret_method"]?.bool ?? false
        if json["registration_token"] != nil { client.registrationToken = try hash(json["registration_token"]) }
    }
}

/// The hashes of a user's recovery codes, separated by spaces.
enum RecoveryColumn {
    static func text(_ hashes: [SecretHash]) -> String? {
        hashes.isEmpty ? nil : hashes.map { Base64URL.encode($0.bytes) }.joined(separator: " ")
    }

    static func hashes(_ text: String?) -> [SecretHash] {
        (text ?? "").split(separator: " ").compactMap { (try? Base64URL.decode(String($0))).flatMap(SecretHash.init(bytes:)) }
    }
}

extension SecretHash {
    var data: Data { Data(bytes) }
}

extension ScopeSet {
    /// The same text for the same set, in any order.
    var canonicalText: String { map(\.text).sorted().joined(separator: " ") }
}

extension RefreshChain {
    /// The column of that name: 1 for this generation, plus 2 for the previous one.
    var recoveries: Int { (isRecovered ? 1 : 0) + (followsRecovery ? 2 : 0) }
}
