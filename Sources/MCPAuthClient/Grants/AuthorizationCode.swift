import JOSE
import OAuth

/// One authorization request (RFC 6749 §4.1.1), with everything that its answer is compared with. The issuer is
/// recorded before the browser leaves (R34).
struct AuthorizationCodeRequest: Sendable {
    let issuer: Issuer
    let url: WebURL
    let redirectURI: RedirectURI
    let state: String
    let verifier: CodeVerifier
    private let promisesIssuer: Bool

    /// Throws `invalid_metadata` when the authorization server has no usable endpoint or does not promise PKCE.
    init(
        _ server: DiscoveredServer, clientID: String, redirectURI: RedirectURI, scopes: ScopeSet, resource: String, thumbprint: String?,
        configuration: ClientConfiguration, random: RandomSource
    ) throws(OAuthError) {
        try server.checkCodeChallenge(configuration)
        let endpoint = try server.endpoint("authorization_endpoint", server.authorizationServer.authorizationEndpoint)
        try SystemBrowser.check(endpoint)
        issuer = server.issuer
        self.redirectURI = redirectURI
        state = random.token()
        verifier = CodeVerifier(random: random)
        promisesIssuer = server.authorizationServer.isTrue("authorization_response_iss_parameter_supported")
        var form = Form([
            ("response_type", "code"), ("client_id", clientID), ("redirect_uri", redirectURI.text), ("state", state),
            ("code_challenge", CodeChallenge(of: verifier).text), ("code_challenge_method", "S256"), ("resource", resource),
        ])
        if !scopes.isEmpty { form.append("scope", scopes.text) }
        // Some authorization servers issue a refresh token only after consent was asked for (OpenID Connect Core §11).
        if scopes.contains("offline_access") { form.append("prompt", "consent") }
        form.append("dpop_jkt", thumbprint)
        guard endpoint.fragment == nil, let url = WebURL(endpoint.text + (endpoint.query == nil ? "?" : "&") + form.encoded) else {
            throw OAuthError(.invalidMetadata, "the authorization request at \(issuer) is longer than \(WebURL.maximumBytes) bytes, or not a URL")
        }
        self.url = url
    }

    /// The code of an answer. `state` was compared before; here the issuer is (RFC 9207 §2.4), also for errors, before
    /// anything else of the answer is read.
    ///
    /// Throws `invalid_response` when the answer is not of the issuer or has no code, else the error in it.
    func code(from query: String) throws(OAuthError) -> String {
        let form = try Form(parsing: query.utf8)
        if let stated = try form.single("iss") {
            guard stated.utf8.elementsEqual(issuer.text.utf8) else {
                throw OAuthError(
                    .invalidResponse, "the answer comes from another authorization server than \(issuer); nothing was sent. Sign in again")
            }
        } else if promisesIssuer {
            throw OAuthError(.invalidResponse, "the answer does not say that it comes from \(issuer), although its metadata promises that (iss)")
        }
        if let error = try form.single("error") {
            let words = try form.single("error_description").map { ": " + DisplayText.clean($0, limit: 300) } ?? ""
            throw OAuthError(
                OAuthError.Code(rawValue: DisplayText.clean(error, limit: 80)), "\(issuer) answers \(DisplayText.clean(error, limit: 80))\(words)")
        }
        guard let code = try form.single("code"), code.utf8.count <= 4096 else { throw OAuthError(.invalidResponse, "the answer has no code") }
        return code
    }
}
