import Crypto
import HTTPTypes
public import JOSE
public import OAuth

/// Validates tokens by asking their issuer (RFC 7662). For opaque tokens, and for resources where a revocation must
/// apply within a minute.
public final class IntrospectionVerifier: TokenVerifier {
    /// The authentication of this server at the issuer.
    public typealias ClientAuthentication = OAuth.ClientAuthentication

    private let issuer: String
    private let endpoint: EndpointSource
    private let authentication: ClientAuthentication
    private let requirements: JWTRequirements
    private let fetcher: any HTTPFetcher
    private let opaqueTokensOnly: Bool
    private let metadata: RemoteMetadata?
    /// The number of seconds for which an accepted token is cached, 0 to 60.
    public let cacheLifetime: Int64

    /// The location of the introspection endpoint.
    public enum EndpointSource: Sendable {
        /// This URL.
        case url(WebURL)
        /// The `introspection_endpoint` of the issuer's metadata (RFC 8414 §2), which is cached for ten minutes.
        case discovered(Issuer)
    }

    /// A verifier for the tokens of one issuer.
    ///
    /// - Parameters:
    ///   - issuer: The issuer of the subjects. An `iss` in a response must be the same.
    ///   - audiences: The accepted audiences. `aud` must name at least one. Nil: not checked, which an operator must
    ///     have chosen explicitly.
    ///   - clientsWithoutAudience: The clients whose tokens are accepted although the response has no `aud`.
    ///   - fetcher: Sends the introspection requests.
    ///   - cacheLifetime: The number of seconds for which an accepted token is cached, limited to 0 to 60. This is also
    ///     the longest delay of a revocation.
    ///   - opaqueTokensOnly: Whether tokens that look like a JWT are rejected without a request, for use beside a
    ///     `JWTVerifier` of the same issuer.
    public init(
        issuer: String, endpoint: EndpointSource, authentication: ClientAuthentication, audiences: [String]?,
        clientsWithoutAudience: [String] = [], fetcher: any HTTPFetcher,
        cacheLifetime: Int64 = 30, opaqueTokensOnly: Bool = false
    ) {
        self.opaqueTokensOnly = opaqueTokensOnly
        self.issuer = issuer
        self.endpoint = endpoint
        metadata = if case .discovered(let issuer) = endpoint { RemoteMetadata(issuer, fetcher: fetcher) } else { nil }
        self.authentication = authentication
        var requirements = JWTRequirements(issuer: issuer, audiences: audiences, type: .oneOf([]))
        requirements.clientsWithoutAudience = clientsWithoutAudience
        self.requirements = requirements
        self.fetcher = fetcher
        self.cacheLifetime = min(max(cacheLifetime, 0), 60)
    }

    /// `.undecided`, because every token needs a request. `.rejected` for a JWT if the verifier is for opaque tokens
    /// only.
    public func verify(_ token: AccessToken, at now: NumericDate) -> Verification {
        opaqueTokensOnly && token.looksLikeJWT ? .rejected(RejectionReason("unknown_token")) : .undecided
    }

    /// Sends one introspection request. `.unavailable` when the endpoint cannot be reached or does not answer as RFC
    /// 7662 §2.2 requires.
    public func resolve(_ token: AccessToken, at now: NumericDate) async -> Verification {
        let reply: HTTPReply
        do throws(OAuthError) {
            reply = try await fetcher.fetch(try request(for: token, to: try await url(at: now), at: now))
        } catch { return .unavailable(error.message) }
        guard reply.response.status == .ok else { return .unavailable("the introspection endpoint answers \(reply.response.status.code)") }
        guard let claims = try? JWTClaims(parsing: reply.body, ignoresNulls: true), let active = claims["active"]?.bool else {
            return .unavailable("the introspection endpoint does not answer as RFC 7662 §2.2 says")
        }
        return decide(claims, active, now)
    }

    private func decide(_ claims: JWTClaims, _ active: Bool, _ now: NumericDate) -> Verification {
        guard active else {
            return .rejected(
                RejectionReason("inactive", "the issuer says that the token is not active", issuer: issuer) {
                    "introspection says that it is not active: it expired, was revoked, or was issued by another server"
                })
        }
        func rejected(_ violation: JWTViolation) -> Verification {
            .rejected(RejectionAdvice(requirements, nil, claims).reason(violation, at: now))
        }
        if claims.issuer != nil, !claims.isIssued(by: issuer) { return rejected(.wrongIssuer) }
        guard requirements.isMeantForUs(claims) else { return rejected(.wrongAudience) }
        if let expiration = claims.expiration, expiration <= now { return rejected(.expired) }
        if let notBefore = claims.notBefore, notBefore > now.advanced(by: 60) { return rejected(.notYetValid) }
        guard Principal.isBindingKnown(claims) else {
            return .rejected(RejectionReason("sender_constrained", "the token is bound in a way that cannot be proven here"))
        }
        if let kind = claims["token_type"]?.string, ["refresh_token", "n_a"].contains(kind.lowercased()) {
            return .rejected(RejectionReason("wrong_type"))
        }
        let expiration = claims.expiration ?? now.advanced(by: max(cacheLifetime, 1))
        guard
            let principal = Principal(
                issuer: self.issuer(of: claims), claims: claims, username: claims["username"]?.string, expiration: expiration)
        else {
            return .rejected(RejectionReason("no_subject"))
        }
        return .accepted(principal)
    }

    /// The namespace of the subject. A response may name its user by `username` alone (RFC 7662 §2.2). Such a name is
    /// not a `sub`, and could equal another user's. So these names have their own namespace, which no issuer can have,
    /// since issuers have no fragment (RFC 8414 §2).
    private func issuer(of claims: JWTClaims) -> String {
        claims.subject == nil && claims["username"]?.string != nil ? issuer + "#username" : issuer
    }

    private func url(at now: NumericDate) async throws(OAuthError) -> WebURL {
        switch endpoint {
        case .url(let url): return url
        case .discovered(let issuer):
            guard let url = try await metadata?.current(at: now).introspectionEndpoint else {
                throw OAuthError(.invalidMetadata, "the metadata of \(issuer) has no introspection_endpoint")
            }
            return url
        }
    }

    private func request(for token: AccessToken, to url: WebURL, at now: NumericDate) throws(OAuthError) -> OutboundRequest {
        var fields: HTTPFields = [.accept: "application/json", .contentType: "application/x-www-form-urlencoded"]
        var form = Form([("token", token.text), ("token_type_hint", "access_token")])
        try authentication.add(to: &form, &fields, at: now)
        return OutboundRequest(.post, url, fields: fields, body: Array(form.encoded.utf8), maximumBytes: 64 * 1024)
    }
}
