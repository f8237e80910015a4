import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Workload identity federation: assertions of a platform about a program, which has no client here (requirements 110
/// to 116).
struct WorkloadAssertionGrant: ServerComponent {
    let context: ServerContext
    let proofs: ProofValidation
    let assertions: AssertionValidation

    /// Whether this request has no client: it names none, and workloads are configured.
    func handles(_ form: Form, _ call: HTTPCall) throws(OAuthError) -> Bool {
        guard !configuration.workloads.isEmpty, !call.request.headerFields.contains(.authorization) else { return false }
        for name in ["client_id", "client_secret", "client_assertion"] where try form.single(name) != nil { return false }
        return true
    }

    /// A token for a program that its platform identifies.
    func issue(_ form: Form, _ proof: DPoPProof?, _ call: HTTPCall) async throws(OAuthError) -> TokenResponse {
        func refuse(_ reason: String, _ message: String) -> OAuthError {
            record("token.issued", .denied, call, reason: reason, detail: message)
            return OAuthError(.invalidGrant, message)
        }
        let now = clock.now
        let (jws, claims) = try AssertionValidation.parse(form)
        guard jws.header.type == nil || jws.header.hasType("JWT") || jws.header.hasType("wit+jwt") else {
            throw refuse("wrong_type", "a JWT of this typ is meant for something else")
        }
        let candidates = configuration.workloads.filter {
            claims.isIssued(by: $0.issuer) && claims.subject?.utf8.elementsEqual($0.subject.utf8) == true
        }
        guard !candidates.isEmpty else { throw refuse("unknown_issuer", "no workload of this issuer and subject is trusted here") }
        let target = try configuration.target(form)
        guard
            let trust = candidates.first(where: { trust in
                claims.audience.count == 1 && claims.isMeant(for: trust.audience ?? issuer.text)
                    && trust.claims.allSatisfy { name, text in claims[name]?.string?.utf8.elementsEqual(text.utf8) == true }
                    && (target.map { $0.utf8.elementsEqual(trust.resource.utf8) } ?? true)
            })
        else { throw refuse("wrong_claims", "aud, resource or another claim of the assertion is not what is trusted of this workload") }
        let (identifier, expiration) = try assertions.checkTimes(claims, refuse)
        try await assertions.verify(jws, with: trust.keys, of: trust.issuer, refuse)
        if let proof { try await proofs.use(proof) }
        let resource = try configuration.grantedResource(trust.resource)
        var scopes = trust.scopes.intersection(resource.allScopes)
        if let requested = try RequestedScopes.named(in: form) { scopes = scopes.intersection(requested) }
        guard let clientID = ClientID("workload:" + trust.name) else { throw OAuthError(.serverError, "no client identifier") }
        let grant = assertions.grant(clientID, nil, scopes, resource, authenticatedAt: nil, at: now)
        return try await assertions.issue(
            grant, .elsewhere, resource, proof, consuming: "workload \(trust.issuer) \(identifier)", until: expiration, reason: "workload", call,
            refuse)
    }
}
