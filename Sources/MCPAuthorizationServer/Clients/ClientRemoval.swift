import JOSE
import MCPAuth
import OAuth

/// Deletes clients.
struct ClientRemoval: ServerComponent {
    let context: ServerContext
    let store: any ClientStore
    let revocation: GrantRevocation

    /// Deletes a client, and reads its revocation, so that the resource server of this process rejects its tokens at
    /// once.
    func delete(client id: ClientID) async throws(OAuthError) {
        try await stored { try await store.deleteClient(id, at: clock.now) }
        try await stored { try await revocation.refresh() }
    }
}

extension Client {
    /// Creates a secret if the client needs one. It is shown once and stored as a hash.
    mutating func addSecret(_ random: RandomSource) -> String? {
        guard authenticationMethod.usesSecret else { return nil }
        let secret = random.token()
        secrets = [ClientSecret(SecretHash(of: secret))]
        return secret
    }
}

extension Client.AuthenticationMethod {
    var usesSecret: Bool { self == .basic || self == .post }
}
