import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import OAuth

/// Ends the sessions of users who have signed out at their identity provider (OpenID Connect Back-Channel Logout §2.5).
/// Grants go on: applications work while their user is away.
struct ProviderLogoutEndpoint: ServerComponent {
    let context: ServerContext
    let store: any ConnectionStore & SessionStore
    let limits: RateLimiters
    let pipeline: EndpointPipeline
    let connections: Connections

    func reply(to call: HTTPCall) async -> HTTPReply {
        await pipeline.post(call, limit: limits.token) { form throws(OAuthError) in
            let id = call.path.split(separator: "/").last.map(String.init) ?? ""
            guard let client = connections.client(id), let text = try form.single("logout_token") else {
                throw OAuthError(.invalidRequest, "logout_token is missing")
            }
            let ended: ProviderLogout
            do throws(ProviderFailure) { ended = try await client.logout(text, at: clock.now) } catch {
                record("sessions.ended", .denied, call, reason: error.reason, detail: "\(id): \(error.detail)")
                if case .unavailable = error { throw OAuthError(.temporarilyUnavailable, "the keys of \(id) cannot be fetched at the moment") }
                guard case .invalid(let detail) = error else { throw OAuthError(.serverError, "the logout token cannot be verified") }
                throw OAuthError(.invalidRequest, detail)
            }
            for user in try await end(ended, client.provider.issuer) {
                record("sessions.ended", .allowed, call, reason: "signed_out_at_provider", detail: id, subject: user)
            }
            return HTTPReply(.ok, [.cacheControl: "no-store"])
        }
    }

    /// Ends the sessions that the token names, otherwise every session of the user. Returns the users.
    private func end(_ ended: ProviderLogout, _ issuer: String) async throws(OAuthError) -> [String] {
        if let session = ended.session {
            let users = try await stored { try await store.deleteSessions(ofProviderSession: session) }
            if !users.isEmpty { return users }
        }
        // A provider may name sessions that its ID tokens do not name.
        guard let subject = ended.subject,
            let connection = try await stored({ try await store.connection(ExternalIdentity(issuer: issuer, subject: subject)) })
        else { return [] }
        try await stored { try await store.deleteSessions(ofUser: connection.userID) }
        return [connection.userID]
    }
}
