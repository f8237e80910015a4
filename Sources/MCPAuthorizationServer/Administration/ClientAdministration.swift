import MCPAuth
public import JOSE
public import OAuth

/// Administration of clients, grants and keys. The audit log records every change.
extension AuthorizationServer {
    /// Registers a client of the operator. Returns its secret, which is not available again, or nil for a client
    /// without one. Throws `invalid_request`, `invalid_configuration` for a grant that the client can never use, or
    /// `temporarily_unavailable`.
    public func addClient(_ client: Client) async throws(OAuthError) -> String? {
        guard !ClientMetadataDocuments.isDocument(client.id), !client.id.text.hasPrefix("user-"), !client.id.text.hasPrefix("workload:") else {
            throw OAuthError(.invalidRequest, "a client_id does not begin with https:, user- or workload:, which stand for something else")
        }
        guard try await clients.client(client.id, nil) == nil else { throw OAuthError(.invalidRequest, "there is a client \(client.id) already") }
        try client.checkGrants()
        try checkScopes(client.scopes)
        var client = client
        client.origin = .configured
        let secret = client.addSecret(random)
        let added = client
        try await stored { try await store.save(added, limit: .max) }
        record("client.added", .allowed, nil, detail: client.name, client: client.id)
        return secret
    }

    /// Throws `invalid_request` for a scope that no resource of this server has. Not checked if the resources are not
    /// known.
    func checkScopes(_ scopes: ScopeSet?) throws(OAuthError) {
        let known = configuration.resourceScopes.union(configuration.identityScopes)
        guard let scopes, !configuration.resourceScopes.isEmpty, let unknown = scopes.subtracting(known).first(where: { $0.text != "offline_access" })
        else {
            return
        }
        let names = known.map(\.text)
        let separator = unknown.text.utf8.contains(UInt8(ascii: ",")) ? ". Scopes are separated by spaces, not by commas" : ""
        throw OAuthError(
            .invalidRequest,
            "there is no scope \(unknown.text)\(NearestName.hint(unknown.text, among: names))\(separator). The scopes are: \(names.sorted().joined(separator: ", "))"
        )
    }

    /// Creates a new secret, which is not available again. The old secret remains valid for `overlap` seconds. Throws
    /// `invalid_request` or `temporarily_unavailable`.
    public func rotateSecret(ofClient id: ClientID, overlap: Int64) async throws(OAuthError) -> String {
        let secret = random.token()
        let now = clock.now
        try await change(id) { client throws(OAuthError) in
            guard client.authenticationMethod.usesSecret else { throw OAuthError(.invalidRequest, "the client \(id) has no secret") }
            let old = client.secrets.filter { $0.isGood(at: now) }.map { secret in
                ClientSecret(secret.hash, expiresAt: min(secret.expiresAt ?? now.advanced(by: overlap), now.advanced(by: overlap)))
            }
            client.secrets = [ClientSecret(SecretHash(of: secret))] + (overlap > 0 ? old.prefix(3) : [])
        }
        record("client.secret_rotated", .allowed, nil, client: id)
        return secret
    }

    /// Changes a stored client: its name, redirect URIs, scopes and grants. Fewer permissions apply to new tokens.
    /// Existing tokens stay valid until they expire. Throws `invalid_request`, `invalid_configuration` or
    /// `temporarily_unavailable`.
    public func editClient(_ id: ClientID, _ body: (inout Client) -> Void) async throws(OAuthError) {
        try await change(id) { client throws(OAuthError) in
            let previous = client
            body(&client)
            try client.checkGrants()
            if client.scopes != previous.scopes { try checkScopes(client.scopes) }
            guard !client.grantTypes.contains(.authorizationCode) || !client.redirectURIs.isEmpty else {
                throw OAuthError(.invalidRequest, "the client \(id) uses authorization codes, so it needs at least one redirect URI")
            }
        }
        record("client.edited", .allowed, nil, client: id)
    }

    /// Disables a client, which ends its grants and access tokens, or enables it again. Throws `invalid_request` or
    /// `temporarily_unavailable`.
    public func setDisabled(_ isDisabled: Bool, client id: ClientID) async throws(OAuthError) {
        try await change(id) { client throws(OAuthError) in client.isDisabled = isDisabled }
        if isDisabled {
            try await stored { try await store.revokeGrants(ofClient: id, at: clock.now) }
            try await stored { try await revocation.refresh() }
        }
        record(isDisabled ? "client.disabled" : "client.enabled", .allowed, nil, client: id)
    }

    /// Changes a client, and repeats the change if another process changed the client at the same time.
    private func change(_ id: ClientID, _ body: (inout Client) throws(OAuthError) -> Void) async throws(OAuthError) {
        for _ in 0..<20 {
            let client = try await storedClient(id)
            var changed = client
            try body(&changed)
            let updated = changed
            if try await stored({ try await store.replace(updated, expecting: client) }) { return }
        }
        throw OAuthError(.temporarilyUnavailable, "others keep changing this client; try again")
    }

    /// Deletes a client with all of its grants and access tokens. Throws `invalid_request` or
    /// `temporarily_unavailable`.
    public func removeClient(_ id: ClientID) async throws(OAuthError) {
        _ = try await storedClient(id)
        try await ClientRemoval(context: context, store: store, revocation: revocation).delete(client: id)
        record("client.deleted", .allowed, nil, client: id)
    }

    /// An initial access token (RFC 7591 §1.2), valid once, for `lifetime` seconds. Throws `server_error`.
    public func inviteClient(lifetime: Int64) throws(OAuthError) -> String {
        let invitation = Invitation(id: random.token(bytes: 16), expiresAt: clock.now.advanced(by: lifetime))
        let text = try invitation.text(invitations)
        record("client.invited", .allowed, nil)
        return text
    }

    private func storedClient(_ id: ClientID) async throws(OAuthError) -> Client {
        guard let client = try await stored({ try await store.client(id) }) else {
            let isConfigured = configuration.clients.contains { $0.id == id }
            throw OAuthError(
                .invalidRequest,
                isConfigured
                    ? "the client \(id) is part of the configuration; change it there" : "there is no client \(id); see mcp-auth clients list")
        }
        return client
    }

    // MARK: Grants

    /// Revokes a grant with every token of it, at once. Throws `invalid_request` or `temporarily_unavailable`.
    public func revokeGrant(_ id: String) async throws(OAuthError) {
        guard let grant = try await stored({ try await store.grant(id) }) else {
            throw OAuthError(.invalidRequest, "there is no grant \(id.prefix(64)); see mcp-auth grants list --all")
        }
        try await revocation.end(grant: id)
        record("grant.revoked", .allowed, nil, reason: "by_operator", subject: grant.subject, client: grant.clientID)
    }

    /// Ends every session, code, device code and grant, and replaces the signing keys, so that no access token remains
    /// valid. Call it after restoring a backup, because values that were used or revoked since would be valid again.
    /// Throws `temporarily_unavailable`.
    public func endEverything() async throws(OAuthError) {
        try await stored { try await store.endEverything(at: clock.now) }
        try await stored { try await revocation.refresh() }
        try await replaceKeys(isEmergency: true)
        record("everything.ended", .allowed, nil, reason: "restored")
    }

    // MARK: Keys

    /// Begins a rotation of the signing keys. The new keys are published now and sign when every cache can contain
    /// them. In an emergency they sign at once, the old ones are deleted, and every access token that they signed is
    /// rejected from now on. Throws `temporarily_unavailable`.
    public func replaceKeys(isEmergency: Bool) async throws(OAuthError) {
        let old = try await stored { try await store.signingKeys() }
        try await keys.replace(at: clock.now, isEmergency: isEmergency)
        if isEmergency {
            for key in old { try await stored { try await store.removeSigningKey(key.keyID) } }
            try await keys.turn(at: clock.now, removesOld: false)
        }
        record("keys.replaced", .allowed, nil, reason: isEmergency ? "emergency" : "by_operator")
    }

    /// Adds a private key that was created elsewhere, which signs from now on. Throws `invalid_configuration` when its
    /// algorithm is not one of this server's, or it is not a private key.
    public func importKey(_ key: SigningKey) async throws(OAuthError) {
        guard configuration.signingAlgorithms.contains(key.algorithm) else {
            throw OAuthError(
                .invalidConfiguration,
                "the key signs \(key.algorithm.rawValue); this server signs with \(configuration.signingAlgorithms.map(\.rawValue).joined(separator: ", "))"
            )
        }
        try await keys.add(key, at: clock.now, activeFrom: clock.now, unlessActiveAfter: NumericDate(seconds: .max))
        record("keys.imported", .allowed, nil, detail: key.keyID)
    }
}
