import JOSE
import MCPAuth
import OAuth

/// Ends grants, in the store and for the resource server of this process.
struct GrantRevocation: ServerComponent {
    let context: ServerContext
    let store: any GrantStore
    let list: RevocationList

    /// Revokes a grant here and in the store. Throws `temporarily_unavailable` when it could not be stored; then
    /// nothing is revoked.
    func end(grant id: String) async throws(OAuthError) {
        try await stored { try await store.revokeGrant(id, at: clock.now) }
        list.insert(.grant(id), at: clock.now)
    }

    /// Revokes every grant of a user, at once.
    func endGrants(ofUser id: String) async throws(OAuthError) {
        // In batches, because a store lists a limited number at a time.
        while true {
            let grants = try await stored { try await store.grants(ofUser: id, at: clock.now) }
            guard !grants.isEmpty else { return }
            for grant in grants { try await end(grant: grant.id) }
        }
    }

    /// Reads the revocations of other instances. The window is as long as any access token can live, so that a shorter
    /// lifetime after a restart loses none.
    func refresh() async throws(StoreError) {
        let now = clock.now
        let window = now.advanced(by: -AuthorizationServerConfiguration.maximumAccessTokenLifetime - 120)
        for revocation in try await store.revocations(since: window) { list.insert(revocation, at: now) }
        list.forget(before: window, at: now)
    }
}
