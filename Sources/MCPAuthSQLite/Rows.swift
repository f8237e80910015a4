import Foundation
import GRDB
import JOSE
import MCPAuthorizationServer
import OAuth

/// A row that does not hold what this program wrote: somebody else changed the file. Fails the request, not the process.
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
            else {
                throw CorruptRow()
            }
            let secret: Data? = self["secret_hash"]
            return Client(
                id: try clientID("id"), name: self["name"],
                redirectURIs: try text("redirect_uris").split(separator: " ").map { try RedirectURI(String($0)) },
                authenticationMethod: method, secretHash: secret.flatMap { SecretHash(bytes: Array($0)) },
                grantTypes: try text("grant_types").split(separator: " ").map(String.init), origin: origin, createdAt: date("created_at"),
                introspects: self["introspects"])
        }
    }

    var user: User {
        get throws {
            User(
                id: try text("id"), name: try text("name"), passwordHash: (self["password"] as String?).flatMap(PasswordHash.init),
                isDisabled: self["is_disabled"] ?? true, createdAt: date("created_at"))
        }
    }

    var code: AuthorizationCode {
        get throws {
            guard let challenge = CodeChallenge(try text("challenge")) else { throw CorruptRow() }
            return AuthorizationCode(
                hash: try hash("hash"), clientID: try clientID("client_id"), userID: try text("user_id"), redirectURI: try text("redirect_uri"),
                challenge: challenge, scopes: try scopes("scope"), resource: try text("resource"), expiresAt: date("expires_at"))
        }
    }

    /// From a row that begins with every column of `grants`, in their order: looking columns up by name is most of what a refresh would cost here.
    var grant: Grant {
        get throws {
            guard let id: String = self[0], let clientText: String = self[1], let clientID = ClientID(clientText), let userID: String = self[2],
                let scopeText: String = self[3], let scopes = ScopeSet(scopeText), let resource: String = self[4]
            else { throw CorruptRow() }
            func date(_ index: Int) -> NumericDate? { (self[index] as Int64?).map { NumericDate(seconds: $0) } }
            let none = NumericDate(seconds: 0)
            return Grant(
                id: id, clientID: clientID, userID: userID, scopes: scopes, resource: resource, createdAt: date(5) ?? none,
                expiresAt: date(6) ?? none, lastUsedAt: date(7) ?? none, revokedAt: date(8))
        }
    }
}

extension SecretHash {
    var data: Data { Data(bytes) }
}

extension ScopeSet {
    /// The same text for the same set, whatever the order.
    var canonicalText: String { map(\.text).sorted().joined(separator: " ") }
}
