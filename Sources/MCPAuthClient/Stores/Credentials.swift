public import JOSE
public import OAuth

/// The tokens of a client for one server. Its description contains no token.
public struct Credentials: Sendable, CustomStringConvertible, CustomReflectable {
    /// The URL of the server, as it was asked for.
    public let server: String
    /// The value of `resource` in requests.
    public let resource: String
    /// The issuer of the tokens. They are sent to it and to the server only.
    public let issuer: Issuer
    /// The `client_id` for which they were issued.
    public let clientID: String
    /// The access token.
    public let accessToken: String
    /// How the access token is presented.
    public let tokenType: TokenResponse.TokenType
    /// The moment at which the access token expires. Nil: not known.
    public let expiresAt: NumericDate?
    /// The refresh token. Nil: none.
    public let refreshToken: String?
    /// The refresh tokens of earlier sign-ins, oldest first. Their grants are live until the user signs out: to revoke
    /// one at the next sign-in would end the new one too at some servers, which have one grant for a user and a client.
    var superseded: [String] = []
    /// What was granted.
    public let scopes: ScopeSet
    /// The moment at which the access token was obtained.
    public let obtainedAt: NumericDate
    /// The key that the tokens are bound to.
    let proofKey: DPoPKey?

    init(
        _ response: TokenResponse, server: String, resource: String, issuer: Issuer, clientID: String, requested: ScopeSet,
        proofKey: DPoPKey?, previous: Credentials? = nil, at now: NumericDate
    ) {
        self.server = server
        self.resource = resource
        self.issuer = issuer
        self.clientID = clientID
        accessToken = response.accessToken
        tokenType = response.tokenType
        expiresAt = response.expiresAt
        refreshToken = response.refreshToken ?? previous?.refreshToken
        scopes = response.scopes ?? previous?.scopes ?? requested
        obtainedAt = now
        self.proofKey = proofKey
        superseded = previous?.superseded ?? []
    }

    /// Remembers the grant of tokens that these replace, if it belongs to the same client.
    mutating func supersede(_ other: Credentials) {
        guard other.issuer == issuer, other.clientID.utf8.elementsEqual(clientID.utf8) else { return }
        let all = other.superseded + [other.refreshToken].compactMap(\.self)
        superseded = all.filter { $0 != refreshToken }.suffix(Self.maximumSuperseded)
    }

    private static let maximumSuperseded = 20

    /// Whether the access token is valid for `margin` more seconds, as far as is known. Of a short lifetime, the margin
    /// is at most a quarter.
    public func isFresh(at now: NumericDate, margin: Int64) -> Bool {
        guard let expiresAt else { return true }
        return expiresAt > now.advanced(by: min(margin, max(0, expiresAt.seconds(since: obtainedAt) / 4)))
    }

    /// The key of the tokens for a server. Every identity of the client has tokens of its own.
    static func storeKey(_ server: String, as identity: String? = nil) -> String { "tokens \(server)" + (identity.map { " \($0)" } ?? "") }

    var record: JSONObject {
        var record: JSONObject = [
            "server": .string(server), "resource": .string(resource), "issuer": .string(issuer.text), "client_id": .string(clientID),
            "access_token": .string(accessToken), "token_type": .string(tokenType.rawValue), "scope": .string(scopes.text),
            "obtained_at": .int(obtainedAt.seconds),
        ]
        record["expires_at"] = expiresAt.map { .int($0.seconds) }
        record["refresh_token"] = refreshToken.map { .string($0) }
        if !superseded.isEmpty { record["superseded"] = .strings(superseded) }
        record["dpop_key"] = proofKey?.key.pem.map { .string($0) }
        return record
    }

    /// Nil for a record that cannot be used.
    init?(record: JSONValue) {
        guard let server = record["server"]?.string, let resource = record["resource"]?.string,
            let issuer = record["issuer"]?.string.flatMap({ try? Issuer($0) }), let clientID = record["client_id"]?.string,
            let accessToken = record["access_token"]?.string, TokenResponse.isToken(accessToken),
            let tokenType = record["token_type"]?.string.flatMap(TokenResponse.TokenType.init), let obtained = record["obtained_at"]?.int
        else { return nil }
        self.server = server
        self.resource = resource
        self.issuer = issuer
        self.clientID = clientID
        self.accessToken = accessToken
        self.tokenType = tokenType
        superseded = (record["superseded"]?.strings ?? []).filter(TokenResponse.isToken).suffix(Self.maximumSuperseded)
        expiresAt = record["expires_at"]?.int.map { NumericDate(seconds: Int64($0)) }
        refreshToken = record["refresh_token"]?.string.flatMap { TokenResponse.isToken($0) ? $0 : nil }
        scopes = ScopeSet(lenient: record["scope"]?.string ?? "")
        obtainedAt = NumericDate(seconds: Int64(obtained))
        if let pem = record["dpop_key"]?.string {
            guard let key = try? SigningKey(pem: pem), let proof = try? DPoPKey(key) else { return nil }
            proofKey = proof
        } else {
            proofKey = nil
        }
    }

    public var description: String { "Credentials(\(server), \(issuer))" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension TokenStore {
    /// Removes the tokens of every identity. Nothing is revoked. Records that cannot be used are removed too.
    ///
    /// - Parameter server: The server for which they are. Nil: all servers.
    /// - Returns: The tokens that were there.
    @discardableResult
    public func removeCredentials(for server: ResourceIdentifier? = nil) async throws(OAuthError) -> [Credentials] {
        let found = try await credentials().filter { server?.text.utf8.elementsEqual($0.server.utf8) ?? true }
        let own = server.map { Credentials.storeKey($0.text) }
        for key in try await keys() where key.hasPrefix(Credentials.storeKey("")) {
            // The name of an identity follows a space, which no URL has.
            if own == nil || key == own || key.hasPrefix("\(own ?? "") ") { try await remove(key) }
        }
        return found
    }

    /// The tokens for every server, sorted by its URL. Throws like `keys` and `read`.
    public func credentials() async throws(OAuthError) -> [Credentials] {
        let prefix = Credentials.storeKey("")
        var found: [Credentials] = []
        for key in try await keys() where key.hasPrefix(prefix) {
            if let bytes = try await read(key), let record = try? JSONValue(parsing: bytes),
                let item = Credentials(record: record)
            {
                found.append(item)
            }
        }
        return found.sorted { $0.server < $1.server }
    }
}
