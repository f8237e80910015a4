import JOSE
import OAuth

/// Validates authorization requests, for the authorization endpoint and for pushed requests.
struct AuthorizationRequestValidation: ServerComponent {
    let context: ServerContext
    let clients: ClientDirectory

    /// Checks client and redirect URI first, because nothing may be sent anywhere before both are certain (RFC 9700
    /// §2.1).
    func request(_ form: Form, _ call: HTTPCall) async throws(AuthorizationRequestError) -> (
        request: AuthorizationRequest, client: Client
    ) {
        let (client, redirectURI, state) = try await clientAndRedirect(form, call)
        do throws(OAuthError) {
            return (try validated(form, client, redirectURI, state), client)
        } catch { throw .redirectable(error, client: client, redirectURI: redirectURI, state: state) }
    }

    private func clientAndRedirect(_ form: Form, _ call: HTTPCall) async throws(AuthorizationRequestError) -> (Client, String, String?) {
        var facts: [ErrorFact] = []
        do throws(OAuthError) {
            guard let text = try form.single("client_id") else { throw OAuthError(.invalidRequest, "client_id is missing") }
            guard let clientID = ClientID(text) else { throw OAuthError(.invalidClient, "client_id is not printable ASCII") }
            let client = try await clients.client(clientID, call)
            facts = [ErrorFact(name: "client_id", value: clientID.text)]
            guard let client, !client.isDisabled else { throw OAuthError(.invalidClient, "this client is not registered here; register it again") }
            let requested = try form.single("redirect_uri")
            guard let redirectURI = requested ?? (client.redirectURIs.count == 1 ? client.redirectURIs[0].text : nil) else {
                throw OAuthError(
                    .invalidRequest,
                    client.redirectURIs.isEmpty
                        ? "this client has no redirect URI, so it cannot sign users in with a browser"
                        : "redirect_uri is missing, and the client has registered several")
            }
            facts = [ErrorFact(name: "redirect_uri", value: redirectURI)]
            // The metadata that a client published or registered by itself is not secret. The operator's configuration
            // could name internal hosts.
            if client.origin != .configured {
                facts += client.redirectURIs.prefix(5).map { ErrorFact(name: "redirect_uri", value: $0.text, isRegistered: true) }
            }
            guard let registered = client.redirectURIs.first(where: { $0.matches(redirectURI) }) else {
                throw OAuthError(.invalidRequest, "redirect_uri is not one that this client has registered")
            }
            guard configuration.privateUseSchemes.allows(registered) else {
                throw OAuthError(.invalidRequest, "redirect URIs with the scheme \(registered.scheme.prefix(64)): are not allowed here")
            }
            facts = []
            let state = try form.single("state")
            guard (state?.utf8.count ?? 0) <= AuthorizationRequest.maximumStateBytes else {
                throw OAuthError(.invalidRequest, "state is longer than \(AuthorizationRequest.maximumStateBytes) bytes")
            }
            return (client, redirectURI, state)
        } catch { throw .local(error, facts) }
    }

    private func validated(_ form: Form, _ client: Client, _ redirectURI: String, _ state: String?) throws(OAuthError) -> AuthorizationRequest {
        for name in Set(form.fields.map(\.name)) where name != "resource" { _ = try form.single(name) }
        guard client.grantTypes.contains(.authorizationCode) else {
            throw OAuthError(.unauthorizedClient, "the client is not registered for authorization codes")
        }
        guard try form.single("response_type") == "code" else { throw OAuthError(.unsupportedResponseType, "response_type must be code") }
        if let mode = try form.single("response_mode"), mode != "query" { throw OAuthError(.invalidRequest, "response_mode must be query") }
        for name in ["request", "request_uri"] where try form.single(name) != nil {
            throw OAuthError(.invalidRequest, name == "request" ? "request is not supported" : "request_uri has to be one that was pushed here")
        }
        guard let method = try form.single("code_challenge_method"), method.utf8.elementsEqual("S256".utf8),
            let text = try form.single("code_challenge"), let challenge = CodeChallenge(text)
        else { throw OAuthError(.invalidRequest, "PKCE is required: send code_challenge with code_challenge_method=S256") }
        let resource = try configuration.resource(named: form.all("resource"))
        let scopes = try RequestedScopes(
            try form.single("scope"), of: resource, for: client, identity: sharedScopes, unknown: configuration.unknownScopes)
        let prompt = Set((try form.single("prompt") ?? "").split(separator: " ").map(String.init))
        guard prompt.isSubset(of: ["none", "login", "consent", "select_account"]), !prompt.contains("none") || prompt.count == 1 else {
            throw OAuthError(.invalidRequest, "prompt is none, or some of login, consent and select_account")
        }
        var maximumAge: Int64?
        if let text = try form.single("max_age") {
            guard text.utf8.count <= 10, text.utf8.allSatisfy(URLBytes.isDigit), let seconds = Int64(text) else {
                throw OAuthError(.invalidRequest, "max_age is a number of seconds")
            }
            maximumAge = seconds
        }
        let nonce = try form.single("nonce")
        guard (nonce?.utf8.count ?? 0) <= 512 else { throw OAuthError(.invalidRequest, "nonce is longer than 512 bytes") }
        let thumbprint = try form.single("dpop_jkt")
        if let thumbprint { guard DPoPProof.isThumbprint(thumbprint) else { throw OAuthError(.invalidRequest, "dpop_jkt is no SHA-256 thumbprint") } }
        return AuthorizationRequest(
            clientID: client.id, redirectURI: redirectURI, state: state, challenge: challenge, scopes: scopes.scopes,
            isChoiceNeeded: scopes.areSubstituted, resource: resource.identifier.text, prompt: prompt,
            maximumAge: maximumAge, loginHint: try form.single("login_hint").flatMap { $0.utf8.count <= 64 ? $0 : nil }, nonce: nonce,
            keyThumbprint: thumbprint, locales: PageLanguage.tags(try form.single("ui_locales") ?? "", separator: UInt8(ascii: " ")))
    }
}
