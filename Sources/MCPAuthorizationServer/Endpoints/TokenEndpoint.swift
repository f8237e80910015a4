import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// A token request of an authenticated client, with its checked proof if it has one.
struct TokenRequest: Sendable {
    let form: Form
    let client: Client
    let proof: DPoPProof?
    let call: HTTPCall
    let now: NumericDate
}

/// A grant of the token endpoint (RFC 6749 §1.3): the rule by which one grant type turns a request into tokens.
protocol TokenGrant: ServerComponent {
    /// The tokens for a request whose client may use this grant type. Throws the error of the response.
    func issue(_ request: TokenRequest) async throws(OAuthError) -> TokenResponse
}

/// The token endpoint (RFC 6749 §3.2): authenticates the client and passes the request to its grant.
struct TokenEndpoint: ServerComponent {
    let context: ServerContext
    let pipeline: EndpointPipeline
    let limits: RateLimiters
    let clients: ClientAuthentication
    let proofs: ProofValidation
    let grants: [GrantType: any TokenGrant]
    let workloads: WorkloadAssertionGrant

    func reply(to call: HTTPCall) async -> HTTPReply {
        await pipeline.post(call, limit: limits.token) { form throws(OAuthError) in
            guard let text = try form.single("grant_type") else { throw OAuthError(.invalidRequest, "grant_type is missing") }
            let type = GrantType(rawValue: text)
            guard configuration.grantTypes.contains(type), let grant = grants[type] else {
                throw OAuthError(
                    .unsupportedGrantType, "grant_type is one of \(configuration.grantTypes.map(\.rawValue).sorted().joined(separator: ", "))")
            }
            // A workload has no client. The assertion of its platform is the only evidence (requirement 110).
            if type == .jwtBearer, try workloads.handles(form, call) {
                let proof = try proofs.checkedProof(call, at: "/token", isRequired: configuration.dpop.isRequired)
                return response(try await workloads.issue(form, proof, call))
            }
            let client = try await clients.client(form, call)
            guard client.grantTypes.contains(type) else { throw OAuthError(.unauthorizedClient, "the client is not registered for \(type)") }
            let proof = try await proofs.proof(call, for: client)
            return response(try await grant.issue(TokenRequest(form: form, client: client, proof: proof, call: call, now: clock.now)))
        }
    }

    /// RFC 6749 §5.1, RFC 9449 §8.
    private func response(_ tokens: TokenResponse) -> HTTPReply { proofs.withNonce(.json(tokens.json)) }
}
