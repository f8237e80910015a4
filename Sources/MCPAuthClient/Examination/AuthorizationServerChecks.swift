import HTTPTypes
import JOSE
import OAuth

// The endpoints of the authorization server, as a client that registers itself sees them.

extension DeploymentExamination {
    /// Registers a client as the profile does, looks at the authorization endpoint, and deletes the client.
    mutating func checkRegistration() async {
        guard let issuer, let metadata = issuer.metadata, let endpoint = metadata.registrationEndpoint, endpoint.isSecure || endpoint.isLoopback
        else {
            return
        }
        steps.append("a registration as \(profile.name)")
        let body: JSONObject = [
            "client_name": "mcp-auth doctor", "redirect_uris": .strings(profile.redirectURIs), "application_type": .string(profile.applicationType),
            "grant_types": .strings(profile.grantTypes), "response_types": ["code"], "token_endpoint_auth_method": "none",
        ]
        let reply = await fetch(
            OutboundRequest(
                .post, endpoint, fields: [.contentType: "application/json", .accept: "application/json"], body: JSONValue.object(body).serialized))
        guard let reply else {
            return add(
                .error, "registration_unreachable", "the registration endpoint does not answer", effect: "Clients cannot register themselves.",
                remedy: "Check that \(endpoint.text) can be reached from outside.", clause: "RFC 7591 §3")
        }
        if Self.leaks(reply.body) { addLeak("the registration endpoint") }
        let requested = profile.redirectURIs.compactMap { try? RedirectURI($0) }
        guard reply.response.status == .created || reply.response.status == .ok,
            let registration = try? Registrar.registration(reply.body, issuer: issuer.issuer, requested: requested)
        else {
            let words = (try? JSONValue(parsing: reply.body))?["error"]?.string.map { ", \(DisplayText.clean($0, limit: 80))" } ?? ""
            return add(
                .error, "registration_rejected", "the registration as \(profile.name) is rejected (\(reply.response.status.code)\(words))",
                effect: "\(profile.name == "native" ? "Programs on users' machines" : profile.name) cannot sign in.",
                remedy: "Allow the redirect URI \(profile.redirectURIs[0]) for clients that register themselves, or register this client by hand.",
                clause: "RFC 7591 §3.2.2")
        }
        if reply.response.status != .created {
            add(
                .note, "registration_status", "a registration is answered with \(reply.response.status.code) instead of 201",
                effect: "Strict clients reject it.", remedy: "Answer 201.", clause: "RFC 7591 §3.2.1")
        }
        // What works counts more than what the metadata says.
        if case .none = registration.authentication { findings.removeAll { $0.code == "public_clients_not_supported" } }
        await checkAuthorizationEndpoint(metadata, registration, requested[0])
        await delete(registration, endpoint)
    }

    func delete(_ registration: Registration, _ endpoint: WebURL) async {
        guard let management = registration.management, management.url.origin.utf8.elementsEqual(endpoint.origin.utf8) else { return }
        _ = await fetch(OutboundRequest(.delete, management.url, fields: [.authorization: "Bearer \(management.token)"]))
    }

    private mutating func checkAuthorizationEndpoint(
        _ metadata: AuthorizationServerMetadata, _ registration: Registration, _ redirectURI: RedirectURI
    ) async {
        guard let endpoint = metadata.authorizationEndpoint, endpoint.isSecure || endpoint.isLoopback else { return }
        steps.append("authorization requests that must be refused")
        let verifier = CodeVerifier(random: .system)
        let good: [(String, String)] = [
            ("response_type", "code"), ("client_id", registration.clientID), ("redirect_uri", redirectURI.text), ("state", "doctor-state"),
            ("code_challenge", CodeChallenge(of: verifier).text), ("code_challenge_method", "S256"),
            ("resource", resourceMetadata?.resource ?? server.text),
        ]
        func request(_ change: [(String, String?)]) -> OutboundRequest? {
            var fields = good
            for (name, value) in change {
                fields.removeAll { $0.0 == name }
                if let value { fields.append((name, value)) }
            }
            return WebURL(endpoint.text + (endpoint.query == nil ? "?" : "&") + Form(fields).encoded).map {
                OutboundRequest(.get, $0, fields: [.accept: "text/html"], maximumBytes: 1 << 20)
            }
        }
        let evil = "https://evil.example/callback"
        for (what, change) in [
            ("a redirect URI that is not registered", [("redirect_uri", evil)]),
            ("an unknown client", [("client_id", "doctor-unknown-client"), ("redirect_uri", evil)]),
        ] {
            guard let request = request(change), let reply = await fetch(request) else { continue }
            if let location = reply.response.headerFields[.location], location.hasPrefix("https://evil.example") {
                add(
                    .critical, "open_redirect", "the authorization endpoint redirects to \(what)", effect: "Codes can be sent to an attacker.",
                    remedy: "Compare the redirect URI with the registered ones, byte for byte, and show an error page otherwise.",
                    clause: "RFC 9700 §4.1")
            }
        }
        if let request = request([("code_challenge", nil), ("code_challenge_method", nil)]), let reply = await fetch(request),
            !isRefusal(reply, redirectURI)
        {
            add(
                .error, "pkce_not_enforced", "an authorization request without PKCE is accepted",
                effect: "A stolen code can be used; clients of other makers may send no challenge at all.",
                remedy: "Reject requests without code_challenge.", clause: "OAuth 2.1 §4.1.1")
        }
        if let request = request([("code_challenge", verifier.text), ("code_challenge_method", "plain")]), let reply = await fetch(request),
            !isRefusal(reply, redirectURI)
        {
            add(
                .warning, "plain_accepted", "PKCE with the method plain is accepted", effect: "An attacker who sees the request can use the code.",
                remedy: "Accept S256 only.", clause: "OAuth 2.1 §4.1.1")
        }
        if let request = request([("response_type", "token")]), let reply = await fetch(request),
            reply.response.headerFields[.location]?.contains("access_token=") == true
        {
            add(
                .critical, "implicit_grant", "the authorization endpoint issues tokens in redirects (implicit grant)", effect: "Tokens leak by URLs.",
                remedy: "Switch the implicit grant off.", clause: "OAuth 2.1 §10.1")
        }
        guard let request = request([]), let reply = await fetch(request) else { return }
        if let refusal = refusal(reply, redirectURI) {
            let resource = DisplayText.clean(resourceMetadata?.resource ?? server.text, limit: 200)
            if refusal.code == "invalid_target" {
                add(
                    .error, "resource_not_accepted", "the authorization server issues no tokens for \(resource) (invalid_target)",
                    effect: "Users cannot sign in.",
                    remedy: "Configure this resource at the authorization server, in the same spelling. It says: \(refusal.description)",
                    clause: "RFC 8707 §2")
            } else {
                add(
                    .error, "authorization_rejected", "a correct authorization request gets the error \(refusal.code): \(refusal.description)",
                    effect: "Users cannot sign in.",
                    remedy:
                        "Look into the log of the authorization server; some reject the parameter resource, or clients that have just registered.",
                    clause: "RFC 6749 §4.1.2.1")
            }
            checkIssuerInAnswer(metadata, reply, redirectURI)
        } else if [400, 401, 403, 404].contains(reply.response.status.code) || reply.response.status.code >= 500 {
            add(
                .error, "authorization_rejected", "a correct authorization request gets \(reply.response.status.code)",
                effect: "Users cannot sign in.",
                remedy: "Look into the log of the authorization server; some reject the parameter resource, or clients that have just registered.",
                clause: "RFC 6749 §4.1.1")
        } else {
            checkIssuerInAnswer(metadata, reply, redirectURI)
            if reply.response.status == .ok { checkPage(reply) }
            checkCookies(reply, endpoint)
        }
        if Self.leaks(reply.body) { addLeak("the authorization endpoint") }
    }

    /// Whether a reply says that the request is refused: an error page, or a redirect with an error.
    private func isRefusal(_ reply: HTTPReply, _ redirectURI: RedirectURI) -> Bool {
        if reply.response.status.code >= 400 { return true }
        let location = reply.response.headerFields[.location] ?? ""
        return location.contains("error=")
    }

    /// The error by which a correct request was sent back to the client. A server that wants a user to be signed in
    /// first (`login_required`) has accepted the request.
    private func refusal(_ reply: HTTPReply, _ redirectURI: RedirectURI) -> (code: String, description: String)? {
        guard let location = reply.response.headerFields[.location], location.hasPrefix(redirectURI.text), let form = try? Form(queryOf: location),
            let code = try? form.single("error"), !["login_required", "interaction_required", "consent_required"].contains(code)
        else { return nil }
        let description = (try? form.single("error_description")) ?? "nothing more"
        return (DisplayText.clean(code, limit: 40), DisplayText.clean(description, limit: 200))
    }

    /// RFC 9207, where an answer is there to look at.
    private mutating func checkIssuerInAnswer(_ metadata: AuthorizationServerMetadata, _ reply: HTTPReply, _ redirectURI: RedirectURI) {
        guard let location = reply.response.headerFields[.location], location.hasPrefix(redirectURI.text), let form = try? Form(queryOf: location)
        else {
            return
        }
        let stated = try? form.single("iss")
        if metadata.isTrue("authorization_response_iss_parameter_supported"), stated == nil {
            add(
                .error, "iss_promised_and_missing", "the answer has no iss, although the metadata promises it",
                effect: "Careful clients reject every sign-in.",
                remedy: "Send iss in every answer, also with errors.", clause: "RFC 9207 §2.4")
        } else if let stated, !stated.utf8.elementsEqual(metadata.issuer.text.utf8) {
            add(
                .error, "iss_differs", "iss of the answer is \(DisplayText.clean(stated, limit: 200)), not \(metadata.issuer)",
                effect: "Careful clients reject every sign-in.", remedy: "Send exactly the issuer of the metadata.", clause: "RFC 9207 §2.4")
        }
    }

    private mutating func checkPage(_ reply: HTTPReply) {
        let fields = reply.response.headerFields
        let policy = fields[.contentSecurityPolicy] ?? ""
        if !policy.contains("frame-ancestors"), fields[HTTPField.Name("X-Frame-Options")!] == nil {
            add(
                .warning, "page_can_be_framed", "the sign-in page can be shown inside other pages",
                effect: "Users can be made to click Allow unseen.",
                remedy: "Send Content-Security-Policy: frame-ancestors 'none'.", clause: "RFC 9700 §4.16")
        }
        if fields[.cacheControl]?.contains("no-store") != true {
            add(
                .note, "page_can_be_cached", "the sign-in page may be kept in caches", effect: "Values of a sign-in can stay on shared machines.",
                remedy: "Send Cache-Control: no-store.", clause: "RFC 9700 §4.2")
        }
    }

    private mutating func checkCookies(_ reply: HTTPReply, _ endpoint: WebURL) {
        for cookie in reply.response.headerFields[values: .setCookie] {
            let lower = cookie.lowercased()
            let name = DisplayText.clean(String(cookie.prefix { $0 != "=" }), limit: 60)
            if !lower.contains("httponly") || (endpoint.isSecure && !lower.contains("secure")) || !lower.contains("samesite") {
                add(
                    .warning, "cookie_attributes", "the cookie \(name) lacks HttpOnly, Secure or SameSite",
                    effect: "Scripts or other sites can use the session.", remedy: "Set all three; Lax is enough for SameSite.",
                    clause: "RFC 9700 §4.7")
            }
        }
    }

    /// The token endpoint, with a request that cannot succeed.
    mutating func checkTokenEndpoint() async {
        guard let endpoint = issuer?.metadata?.tokenEndpoint, endpoint.isSecure || endpoint.isLoopback else { return }
        steps.append("a token request that must fail")
        let form = Form([
            ("grant_type", "authorization_code"), ("code", "doctor"), ("client_id", "doctor-unknown-client"),
            ("redirect_uri", profile.redirectURIs[0]),
            ("code_verifier", CodeVerifier(random: .system).text),
        ])
        guard
            let reply = await fetch(
                OutboundRequest(
                    .post, endpoint, fields: [.contentType: "application/x-www-form-urlencoded", .accept: "application/json"],
                    body: Array(form.encoded.utf8)))
        else {
            return add(
                .error, "token_endpoint_unreachable", "the token endpoint does not answer", effect: "No sign-in can be finished.",
                remedy: "Check that \(endpoint.text) can be reached from outside.", clause: "RFC 6749 §3.2")
        }
        if Self.leaks(reply.body) { addLeak("the token endpoint") }
        if reply.response.status == .ok {
            add(
                .critical, "token_without_grant", "the token endpoint answers a made-up code with success", effect: "Anyone gets tokens.",
                remedy: "Check client and code.", clause: "RFC 6749 §4.1.3")
        } else if reply.response.status.code >= 500 {
            add(
                .error, "token_endpoint_fails", "the token endpoint answers \(reply.response.status.code) to a wrong code",
                effect: "Clients take it for an outage and try again and again.", remedy: "Answer 400 with invalid_grant.", clause: "RFC 6749 §5.2")
        } else if (try? JSONValue(parsing: reply.body))?["error"]?.string == nil {
            add(
                .error, "token_error_not_json", "an error of the token endpoint is not an OAuth error in JSON",
                effect: "Clients cannot tell why a sign-in failed, and do not register again.", remedy: "Answer {\"error\": \"invalid_grant\"}.",
                clause: "RFC 6749 §5.2")
        }
        if reply.response.headerFields[.cacheControl]?.contains("no-store") != true {
            add(
                .note, "token_endpoint_cacheable", "answers of the token endpoint lack Cache-Control: no-store", effect: "Tokens may stay in caches.",
                remedy: "Send Cache-Control: no-store.", clause: "RFC 6749 §5.1")
        }
    }
}
