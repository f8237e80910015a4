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
            let subject: String
            do throws(ProviderFailure) { subject = try await client.subject(ofLogoutToken: text, at: clock.now) } catch {
                record("sessions.ended", .denied, call, reason: error.reason, detail: "\(id): \(error.detail)")
                if case .unavailable = error { throw OAuthError(.temporarilyUnavailable, "the keys of \(id) cannot be fetched at the moment") }
                guard case .invalid(let detail) = error else { throw OAuthError(.serverError, "the logout token cannot be verified") }
                throw OAuthError(.invalidRequest, detail)
            }
            let identity = ExternalIdentity(issuer: client.provider.issuer, subject: subject)
            if let connection = try await stored({ try await store.connection(identity) }) {
                try await stored { try await store.deleteSessions(ofUser: connection.userID) }
                record("sessions.ended", .allowed, call, reason: "signed_out_at_provider", detail: id, subject: connection.userID)
            }
            return HTTPReply(.ok, [.cacheControl: "no-store"])
        }
    }
}
