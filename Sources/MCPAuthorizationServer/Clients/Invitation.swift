import JOSE
import MCPAuth
import OAuth

/// An initial access token (RFC 7591 §1.2). It is sealed, so it is not stored, and valid once.
struct Invitation: Sendable {
    let id: String
    let expiresAt: NumericDate

    init(id: String, expiresAt: NumericDate) {
        self.id = id
        self.expiresAt = expiresAt
    }

    init?(_ text: String, _ sealer: Sealer) {
        guard let sealed = try? Base64URL.decode(text), let bytes = sealer.open(sealed, owner: "invitation"),
            let json = try? JSONValue(parsing: bytes),
            let id = json["id"]?.string, let expiry = json["exp"]?.int
        else { return nil }
        self.init(id: id, expiresAt: NumericDate(seconds: Int64(expiry)))
    }

    static func sealer(_ master: MasterKey) -> Sealer { master.sealer(for: "invitations") }

    func text(_ sealer: Sealer) throws(OAuthError) -> String {
        let json: JSONValue = ["id": .string(id), "exp": .int(expiresAt.seconds)]
        return Base64URL.encode(try sealer.seal(json.serialized, owner: "invitation"))
    }
}
