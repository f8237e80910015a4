import JOSE
import MCPAuth
import OAuth

/// A tool's need for an account of its user at an identity provider, as the link that the user opens carries it.
///
/// The link authenticates no one. It works for the user whose call needed it, once that user is signed in (MCP
/// elicitation, requirements 80 and 81).
struct ConnectionRequest: Sendable, Equatable {
    let userID: String
    let provider: String
    /// The scopes at the provider that the tool needs beyond those of the sign-in.
    let scopes: [String]
    /// The client whose call needed it.
    let clientID: String?
    let expiresAt: NumericDate

    /// An hour, for users who are away when an agent asks.
    static let lifetime: Int64 = 3600

    var json: JSONValue {
        var json: JSONObject = ["user": .string(userID), "provider": .string(provider), "exp": .int(expiresAt.seconds)]
        if !scopes.isEmpty { json["scopes"] = .strings(scopes) }
        json["client"] = clientID.map { .string($0) }
        return .object(json)
    }

    init(userID: String, provider: String, scopes: [String], clientID: String?, expiresAt: NumericDate) {
        self.userID = userID
        self.provider = provider
        self.scopes = scopes
        self.clientID = clientID
        self.expiresAt = expiresAt
    }

    init?(json: JSONValue) {
        guard let userID = json["user"]?.string, let provider = json["provider"]?.string, let expiry = json["exp"]?.int else { return nil }
        self.init(
            userID: userID, provider: provider, scopes: json["scopes"]?.strings ?? [], clientID: json["client"]?.string,
            expiresAt: NumericDate(seconds: Int64(expiry)))
    }
}

/// Seals connection requests into links, and opens them.
struct ConnectionRequestSealer: Sendable {
    let sealer: Sealer

    func seal(_ request: ConnectionRequest) throws(OAuthError) -> String {
        Base64URL.encode(try sealer.seal(request.json.serialized, owner: "connection request"))
    }

    /// Nil for a text that was not sealed here, and for a request that has expired.
    func open(_ text: String, at now: NumericDate) -> ConnectionRequest? {
        guard text.utf8.count <= 8192, let sealed = try? Base64URL.decode(text), let bytes = sealer.open(sealed, owner: "connection request"),
            let json = try? JSONValue(parsing: bytes), let request = ConnectionRequest(json: json), now < request.expiresAt
        else { return nil }
        return request
    }
}
