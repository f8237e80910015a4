import Crypto
import HTTPTypes
import JOSE
import OAuth

// What the MCP endpoint itself answers.

extension DeploymentExamination {
    /// The request without a token. False when there is nothing more to look at.
    mutating func checkChallenge() async -> Bool {
        steps.append("a request without a token")
        if !server.url.isSecure, !server.url.isLoopback {
            add(
                .error, "not_https", "the server is reached by http", effect: "Tokens can be read on the way; clients refuse to connect.",
                remedy: "Serve it with https, or behind a proxy that does.", clause: "OAuth 2.1 §1.5")
        }
        let reply: HTTPReply
        do throws(OAuthError) { reply = try await fetcher.fetch(ping()) } catch {
            add(
                .error, "server_unreachable", error.message, effect: "No client can connect.",
                remedy: "Mend that, and examine the server again: nothing else could be seen.")
            return false
        }
        checkClock(reply)
        if Self.leaks(reply.body) { addLeak("an answer without a token") }
        let status = reply.response.status.code
        if Self.isWebPage(reply), [200..<300, 400..<401, 405..<407, 415..<416, 501..<502].contains(where: { $0.contains(status) }) {
            add(
                .error, "not_mcp", "an MCP request is answered with a web page (\(status)), so this does not look like an MCP server",
                effect: "No client can connect.", remedy: "The endpoint often has the path /mcp; check host, port and path of the URL.")
            return false
        }
        switch status {
        case 401: isProtected = true
        case 200..<300, 400, 406:
            add(
                .critical, "not_protected", "the server answers a request without a token (\(status))", effect: "Anyone can call it.",
                remedy: "Put the token check in front of the MCP endpoint; it answers 401 with a challenge.",
                clause: "MCP authorization, Token Handling")
            return true
        case 301, 302, 303, 307, 308:
            let location = reply.response.headerFields[.location].map { DisplayText.clean($0, limit: 200) } ?? "nowhere"
            add(
                .error, "redirects", "the server redirects to \(location)", effect: "Many clients follow no redirect with a POST.",
                remedy: "Give users the final URL, or serve this one without a redirect.")
            return false
        case 403:
            add(
                .error, "forbidden_without_token", "a request without a token gets 403 instead of 401",
                effect: "Clients do not learn that and where they have to sign in.",
                remedy:
                    "Answer 401 with WWW-Authenticate; 403 is for tokens without the scope. A firewall or a host check may answer instead of the server.",
                clause: "RFC 6750 §3")
            return false
        case 404, 405, 501:
            add(
                .error, "endpoint_not_found", "there is no MCP endpoint at this URL (\(status))", effect: "No client can connect.",
                remedy: "The endpoint often has the path /mcp; check the URL, and that the proxy passes it on.")
            return false
        case 502, 503, 504:
            add(
                .error, "server_error", "a proxy answers in place of the server (\(status))", effect: "No client can connect.",
                remedy: "Start the server behind the proxy, and check the address to which the proxy sends requests.")
            return false
        case 421:
            let words = (try? JSONValue(parsing: reply.body))?["error_description"]?.string.map { DisplayText.clean($0, limit: 300) }
            add(
                .error, "wrong_host", words ?? "the server is not to be reached by this name (421)", effect: "Clients that use this URL fail.",
                remedy: "Use the URL that the server names, or configure the proxy to pass the name on.", clause: "RFC 9110 §15.5.20")
            return false
        default:
            add(
                .error, "server_error", "a request without a token gets \(status)", effect: "Clients cannot begin to sign in.",
                remedy: "Look into the server's log; the answer should be 401 with a challenge.")
            return status < 500
        }
        checkChallengeHeader(reply)
        return true
    }

    /// Whether a reply is a page for people.
    private static func isWebPage(_ reply: HTTPReply) -> Bool {
        reply.response.headerFields[.contentType]?.lowercased().hasPrefix("text/html") == true
    }

    private mutating func checkChallengeHeader(_ reply: HTTPReply) {
        let headers = reply.response.headerFields[values: .wwwAuthenticate]
        guard !headers.isEmpty else {
            add(
                .error, "challenge_missing", "the 401 has no WWW-Authenticate header", effect: "Clients do not learn where to sign in; some give up.",
                remedy: "Send WWW-Authenticate: Bearer resource_metadata=\"\(server.metadataURL)\". If the server sends it, a proxy drops it.",
                clause: "RFC 9728 §5.1")
            return
        }
        let challenges = headers.flatMap(AuthenticationChallenge.parse)
        challenge = challenges.first { URLBytes.equalIgnoringCase($0.scheme, "Bearer") }
        guard let challenge else {
            add(
                .error, "challenge_not_bearer",
                "the challenge is \(DisplayText.clean(challenges.first?.scheme ?? headers[0], limit: 40)), not Bearer",
                effect: "MCP clients cannot answer it.", remedy: "Protect the endpoint with OAuth, and answer with a Bearer challenge.",
                clause: "RFC 6750 §3")
            return
        }
        if challenge["resource_metadata"] == nil {
            add(
                .warning, "resource_metadata_not_in_challenge", "the challenge has no resource_metadata",
                effect: "Clients have to guess the well-known URL; clients that only follow the header cannot sign in.",
                remedy: "Add resource_metadata=\"\(server.metadataURL)\" to the challenge.", clause: "RFC 9728 §5.1")
        }
        if challenge["error"] != nil {
            add(
                .note, "error_without_token", "the challenge of a request without a token has an error code",
                effect: "Some clients take it for a rejected token.", remedy: "Leave error out when there is no token.", clause: "RFC 6750 §3.1")
        }
    }

    /// Tokens that no server issued.
    mutating func checkBadTokens() async {
        guard isProtected else { return }
        steps.append("made-up tokens")
        guard let reply = await fetch(ping(token: "not-a-token")) else { return }
        if Self.leaks(reply.body) { addLeak("an answer to a bad token") }
        if Self.isAccepted(reply) {
            add(
                .critical, "any_token_accepted", "a made-up token is accepted (\(reply.response.status.code))", effect: "Anyone can call the server.",
                remedy: "Validate tokens before the request is handled.", clause: "MCP authorization, Token Handling")
            return
        }
        if reply.response.status.code != 401 {
            add(
                .error, "bad_token_status", "a bad token gets \(reply.response.status.code) instead of 401",
                effect: "Clients do not renew their token, and users see errors until they reconnect by hand.",
                remedy: "Answer 401 with error=\"invalid_token\".", clause: "RFC 6750 §3.1")
        } else if reply.response.headerFields[values: .wwwAuthenticate].flatMap(AuthenticationChallenge.parse).first?["error"] != "invalid_token" {
            add(
                .note, "bad_token_without_error", "the challenge for a bad token has no error=\"invalid_token\"",
                effect: "Clients cannot tell an expired token from a missing one.", remedy: "Add error=\"invalid_token\".", clause: "RFC 6750 §3.1")
        }
        guard let url = WebURL(server.text + (server.url.query == nil ? "?" : "&") + "access_token=not-a-token") else { return }
        var inQuery = ping()
        inQuery.url = url
        if let reply = await fetch(inQuery), Self.isAccepted(reply) {
            add(
                .critical, "query_token_accepted", "a token in the query is accepted", effect: "Tokens end in logs and histories.",
                remedy: "Accept tokens in the Authorization header only.", clause: "MCP authorization, Token Requirements")
        }
        if let reply = await fetch(ping([HTTPField.Name("Mcp-Session-Id")!: "00000000-0000-0000-0000-000000000000"])), Self.isAccepted(reply),
            reply.response.status.code != 404
        {
            add(
                .critical, "session_replaces_token", "a request with a session ID and without a token is answered (\(reply.response.status.code))",
                effect: "An attacker who learns a session ID is its user.",
                remedy: "Demand a token with every request; a session is no authentication.",
                clause: "MCP security best practices, Session Hijacking")
        }
    }

    /// Tokens with all the right claims and the wrong signature.
    mutating func checkForgedTokens() async {
        guard isProtected, let issuer = issuer?.issuer else { return }
        steps.append("forged tokens with the right issuer and audience")
        let now = clock.now
        let resource = resourceMetadata?.resource ?? server.text
        let scopes = resourceMetadata?.scopesSupported ?? []
        let claims: JSONValue = [
            "iss": .string(issuer.text), "sub": "doctor", "aud": [.string(resource), .string(server.text)], "client_id": "doctor", "azp": "doctor",
            "scope": .string(scopes.text), "iat": .int(now.seconds), "nbf": .int(now.seconds), "exp": .int(now.advanced(by: 300).seconds),
            "jti": .string(RandomSource.system.token(bytes: 12)),
        ]
        let payload = Base64URL.encode(claims.serialized)
        for algorithm in ["none", "None"] {
            let header: JSONValue = ["alg": .string(algorithm), "typ": "at+jwt"]
            if let reply = await fetch(ping(token: "\(Base64URL.encode(header.serialized)).\(payload).")), Self.isAccepted(reply) {
                add(
                    .critical, "unsigned_token_accepted", "a token without a signature (alg none) is accepted", effect: "Anyone can be anyone.",
                    remedy: "Allow the algorithms of your issuer only, and never none.", clause: "RFC 8725 §3.2")
            }
        }
        guard let key = try? SigningKey.generate(.es256), let forged = try? CompactJWS.sign(claims.serialized, type: "at+jwt", with: key) else {
            return
        }
        if let reply = await fetch(ping(token: forged)), Self.isAccepted(reply) {
            add(
                .critical, "forged_token_accepted", "a token that the issuer did not sign is accepted", effect: "Anyone can be anyone.",
                remedy: "Verify the signature with the keys of the issuer (jwks_uri).", clause: "RFC 9068 §4")
        }
        guard let url = issuer.url.isLoopback || issuer.url.isSecure ? self.issuer?.metadata?.jwksURI : nil,
            let reply = await fetch(OutboundRequest(.get, url)), let set = try? JWKSet(parsing: reply.body)
        else { return }
        for key in set.keys.prefix(2) {
            guard let pem = key.pem, let secret = try? SigningKey.hmac(secret: Array(pem.utf8), algorithm: .hs256, keyID: key.keyID),
                let token = try? CompactJWS.sign(claims.serialized, type: "at+jwt", with: secret), let reply = await fetch(ping(token: token)),
                Self.isAccepted(reply)
            else { continue }
            add(
                .critical, "confused_key_accepted", "a token that is signed with the public key as a shared secret (HS256) is accepted",
                effect: "Anyone who reads the key set can be anyone.", remedy: "Bind each key to its algorithm.", clause: "RFC 8725 §3.1")
        }
    }

    /// Web pages, and requests that a web page could make a browser send.
    mutating func checkBrowsers() async {
        steps.append("requests of web pages")
        let foreign = "https://inspector.example"
        func preflight(_ origin: String) -> OutboundRequest {
            OutboundRequest(
                .options, server.url,
                fields: [
                    .origin: origin, .accessControlRequestMethod: "POST",
                    .accessControlRequestHeaders: "authorization, content-type, mcp-protocol-version",
                ])
        }
        let severity: Finding.Severity = profile.isWebPage ? .error : .note
        // The clients of a server on this machine are web pages on this machine.
        if let reply = await fetch(preflight(server.url.isLoopback ? "http://localhost:6274" : foreign)) {
            let allowed = reply.response.headerFields[.accessControlAllowOrigin]
            if reply.response.status.code == 401 {
                add(
                    profile.isWebPage ? .error : .warning, "preflight_needs_token", "a CORS preflight gets 401",
                    effect: "Clients in web pages (MCP Inspector, playgrounds) cannot connect.",
                    remedy: "Answer OPTIONS without a token.", clause: "Fetch standard, CORS preflight")
            } else if allowed == nil {
                add(
                    severity, "cors_missing", "the endpoint allows no web page (no CORS headers)",
                    effect: "Clients in web pages (MCP Inspector, playgrounds) cannot connect. Programs are not affected.",
                    remedy: "If web pages shall connect, allow their origins, and expose WWW-Authenticate and Mcp-Session-Id.")
            }
        }
        // On every server: a page of a stranger must not come in with the cookies of the user.
        if let reply = await fetch(preflight(foreign)), reply.response.headerFields[.accessControlAllowOrigin] == foreign,
            reply.response.headerFields[.accessControlAllowCredentials] == "true"
        {
            add(
                .error, "cors_with_credentials", "any web page may send requests with cookies (CORS)",
                effect: "A page that a user visits can act as the user, if anything behind this origin uses cookies.",
                remedy: "Do not send Access-Control-Allow-Credentials, or allow known origins only.")
        }
        if server.url.isLoopback, isProtected {
            if let reply = await fetch(ping([HTTPField.Name("Host")!: "rebinding.example"])),
                reply.response.status.code == 401 || Self.isAccepted(reply),
                ![400, 403, 421].contains(reply.response.status.code)
            {
                add(
                    .warning, "host_not_checked", "a request with a foreign Host header is not rejected",
                    effect: "A web page can reach this local server by DNS rebinding; the token still protects it.",
                    remedy: "Reject requests whose Host is not one of this server's names.", clause: "MCP transports, Security Warning")
            }
        }
    }

    mutating func addLeak(_ place: String) {
        add(
            .warning, "error_leaks", "\(place) shows internals of the program (a stack trace or a path)", effect: "Attackers learn what runs here.",
            remedy: "Answer with a short error, and write the details to the log.", clause: "OWASP ASVS 7.4")
    }

    private mutating func checkClock(_ reply: HTTPReply) {
        guard let text = reply.response.headerFields[.date], let date = HTTPDate.parse(text) else { return }
        let distance = date.seconds(since: clock.now)
        if abs(distance) > 60 {
            add(
                .warning, "clock_differs", "the clock of the server differs by \(abs(distance)) seconds from this machine's",
                effect: "Tokens are rejected as expired or as not yet valid.", remedy: "Synchronize the clocks (NTP).", clause: "RFC 9068 §4")
        }
    }
}

/// Dates in headers (RFC 9110 §5.6.7), in the one form that servers send.
enum HTTPDate {
    static func parse(_ text: String) -> NumericDate? {
        let parts = text.split(separator: " ")
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard parts.count == 6, let day = Int(parts[1]), let month = months.firstIndex(of: String(parts[2])), let year = Int(parts[3]),
            (1970...9999).contains(year), (1...31).contains(day)
        else { return nil }
        let time = parts[4].split(separator: ":").compactMap { Int($0) }
        guard time.count == 3, (0..<24).contains(time[0]), (0..<60).contains(time[1]), (0...60).contains(time[2]) else { return nil }
        // Days since 1970 in the proleptic Gregorian calendar, with years that begin in March.
        let shifted = month < 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 10) % 12) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return NumericDate(seconds: Int64(days * 86400 + time[0] * 3600 + time[1] * 60 + time[2]))
    }
}
