import HTTPTypes
import IdentityProviders
import JOSE
import MCPAuth
import OAuth

/// Talks to one identity provider.
final class ProviderClient: Sendable {
    let method: ProviderMethod
    let signIn: ProviderSignIn
    private let fetcher: any HTTPFetcher
    private let metadata: RemoteMetadata?
    private let keys: (any KeySource)?

    var provider: IdentityProvider { method.provider }

    static let maximumAnswerBytes = 256 * 1024
    private static let timeout: Duration = .seconds(10)

    /// Throws `invalid_configuration`.
    init(_ method: ProviderMethod, fetcher: any HTTPFetcher) throws(OAuthError) {
        try method.check()
        guard let signIn = method.provider.signIn else { throw OAuthError(.invalidConfiguration, "no sign-in") }
        self.method = method
        self.signIn = signIn
        let fetcher = fetcher.forConfiguredURLs
        self.fetcher = fetcher
        switch method.provider.endpoints {
        case .discovered(let issuer, let fixed):
            let issuer = try Issuer(issuer)
            metadata = RemoteMetadata(issuer, at: method.provider.metadata, fetcher: fetcher)
            keys =
                fixed.keys.flatMap(WebURL.init).map { RemoteKeySet(.url($0), fetcher: fetcher) }
                ?? RemoteKeySet(.issuer(issuer, method.provider.metadata), fetcher: fetcher)
        case .fixed(_, let fixed):
            metadata = nil
            keys = fixed.keys.flatMap(WebURL.init).map { RemoteKeySet(.url($0), fetcher: fetcher) }
        }
    }

    // MARK: Endpoints

    private enum Endpoint { case authorization, token, userInfo, revocation }

    private var fixed: FixedEndpoints {
        switch provider.endpoints {
        case .discovered(_, let fixed), .fixed(_, let fixed): fixed
        }
    }

    private func url(_ endpoint: Endpoint, at now: NumericDate) async throws(ProviderFailure) -> WebURL? {
        let known: String? =
            switch endpoint {
            case .authorization: fixed.authorization
            case .token: fixed.token
            case .userInfo: fixed.userInfo
            case .revocation: fixed.revocation
            }
        if let known { return WebURL(known) }
        guard let document = try await document(at: now) else { return nil }
        return switch endpoint {
        case .authorization: document.authorizationEndpoint
        case .token: document.tokenEndpoint
        case .userInfo: document.document.root["userinfo_endpoint"]?.string.flatMap(WebURL.init)
        case .revocation: document.document.root["revocation_endpoint"]?.string.flatMap(WebURL.init)
        }
    }

    private func document(at now: NumericDate) async throws(ProviderFailure) -> AuthorizationServerMetadata? {
        guard let metadata else { return nil }
        do throws(OAuthError) { return try await metadata.current(at: now) } catch {
            throw error.code == .invalidMetadata ? .misconfigured(error.message) : .unavailable(error.message)
        }
    }

    /// Why its metadata cannot be used now. Nil: it can, or it needs none.
    func problem(at now: NumericDate) async -> String? {
        do throws(ProviderFailure) {
            _ = try await document(at: now)
            return nil
        } catch { return error.detail }
    }

    // MARK: The authorization request

    /// The URL at the provider to which the browser goes.
    func authorizationURL(
        state: String, nonce: String, challenge: CodeChallenge, redirectURI: String, furtherScopes: [String], mustSignInAgain: Bool,
        at now: NumericDate
    ) async throws(ProviderFailure) -> String {
        guard let url = try await url(.authorization, at: now) else { throw .misconfigured("\(provider.name) has no authorization endpoint") }
        var form = Form([
            ("response_type", "code"), ("client_id", method.clientID), ("redirect_uri", redirectURI),
            ("scope", scopes(and: furtherScopes).joined(separator: signIn.scopeSeparator)), ("state", state),
        ])
        if signIn.usesIDToken { form.append("nonce", nonce) }
        if signIn.supportsPKCE {
            form.append("code_challenge", challenge.text)
            form.append("code_challenge_method", "S256")
        }
        if signIn.responseMode == .formPost { form.append("response_mode", "form_post") }
        for (name, value) in mustSignInAgain ? signIn.parametersToSignInAgain : signIn.parameters { form.append(name, value) }
        return url.text + (url.query == nil ? "?" : "&") + form.encoded
    }

    /// The `iss` of the provider's answer must be the provider (RFC 9207 §2.4).
    func checkIssuer(_ stated: String?, at now: NumericDate) async throws(ProviderFailure) {
        if let stated {
            guard stated.utf8.elementsEqual(provider.issuer.utf8) || signIn.admits(issuer: stated, tenant: nil, of: provider.issuer) else {
                throw .invalid("the answer names another issuer: \(stated.prefix(200))")
            }
            return
        }
        guard try await document(at: now)?.document.root["authorization_response_iss_parameter_supported"]?.bool != true else {
            throw .invalid("iss is missing from the answer, although the provider's metadata promises it")
        }
    }

    // MARK: The token endpoint

    /// The scopes of every sign-in, and further ones.
    private func scopes(and further: [String]) -> [String] {
        let scopes = method.scopes(signIn)
        return scopes + further.filter { !scopes.contains($0) }
    }

    func exchange(
        code: String, verifier: CodeVerifier, redirectURI: String, furtherScopes: [String], at now: NumericDate
    ) async throws(ProviderFailure) -> (tokens: ProviderTokens, idToken: String?) {
        var form = Form([("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirectURI)])
        if signIn.supportsPKCE { form.append("code_verifier", verifier.text) }
        return try tokens(try await post(form, at: now), previous: nil, requested: scopes(and: furtherScopes), at: now)
    }

    func refresh(_ tokens: ProviderTokens, at now: NumericDate) async throws(ProviderFailure) -> ProviderTokens {
        guard let refreshToken = tokens.refreshToken else { throw .rejected("there is no refresh token") }
        var form = Form([("grant_type", "refresh_token"), ("refresh_token", refreshToken)])
        // Without it, some providers answer with a token for another audience.
        let requested = scopes(and: tokens.scopes)
        if signIn.repeatsScopesAtRefresh { form.append("scope", requested.joined(separator: signIn.scopeSeparator)) }
        return try self.tokens(try await post(form, at: now), previous: tokens, requested: requested, at: now).0
    }

    private func post(_ form: Form, at now: NumericDate) async throws(ProviderFailure) -> JSONValue {
        guard let url = try await url(.token, at: now) else { throw .misconfigured("\(provider.name) has no token endpoint") }
        var form = form
        var fields: HTTPFields = [.contentType: "application/x-www-form-urlencoded", .accept: "application/json"]
        let secret: String
        do throws(OAuthError) { secret = try method.secretText(at: now) } catch { throw .misconfigured(error.message) }
        switch signIn.clientAuthentication {
        case .basic: fields[.authorization] = Self.basic(method.clientID, secret)
        case .post:
            form.append("client_id", method.clientID)
            form.append("client_secret", secret)
        }
        let reply = try await send(OutboundRequest(.post, url, fields: fields, body: Array(form.encoded.utf8), timeout: Self.timeout))
        let json = try? JSONValue(parsing: reply.body, limits: JSONLimits(maximumBytes: Self.maximumAnswerBytes, maximumDepth: 32))
        // Some providers answer 200 with an error.
        let error = json?["error"]?.string ?? (json?["ok"]?.bool == false ? "not ok" : nil)
        if reply.response.status == .ok, let json, json.object != nil, error == nil { return json }
        throw failure(error, json?["error_description"]?.string, reply)
    }

    private func failure(_ error: String?, _ description: String?, _ reply: HTTPReply) -> ProviderFailure {
        let status = reply.response.status.code
        let words =
            "\(provider.name) answers \(status)" + (error.map { ", \(DisplayText.clean($0, limit: 80))" } ?? "")
            + (description.map { ": \(DisplayText.clean($0, limit: 300))" } ?? "")
        if Self.isTransient(reply) { return .unavailable(words) }
        switch error {
        case "invalid_grant", "bad_verification_code", "bad_refresh_token", "token_expired", "invalid_code", "code_already_used", "token_revoked":
            return .rejected(words)
        case "invalid_client", "unauthorized_client", "incorrect_client_credentials", "invalid_client_id", "bad_client_secret":
            return .misconfigured("\(words). Check the client ID and the client secret of \(provider.name)")
        case "redirect_uri_mismatch", "bad_redirect_uri":
            return .misconfigured("\(words). Register the redirect URI of this server at \(provider.name)")
        case "temporarily_unavailable", "server_error", "slow_down", "ratelimited": return .unavailable(words)
        case .some: return .misconfigured(words)
        case nil: return .unavailable(words)
        }
    }

    /// Whether an answer says nothing about the user or the token: limits, and failures of the provider.
    static func isTransient(_ reply: HTTPReply) -> Bool {
        let status = reply.response.status.code
        return status >= 500 || status == 429 || status == 408 || reply.response.headerFields[.retryAfter] != nil
            || reply.response.headerFields[.rateLimitRemaining] == "0"
    }

    private func tokens(
        _ json: JSONValue, previous: ProviderTokens?, requested: [String], at now: NumericDate
    ) throws(ProviderFailure) -> (ProviderTokens, String?) {
        guard let access = json["access_token"]?.string, Self.isToken(access) else {
            throw .invalid("the answer of \(provider.name) has no usable access_token")
        }
        let refresh = json["refresh_token"]?.string
        if let refresh {
            guard Self.isToken(refresh) else { throw .invalid("the refresh_token of \(provider.name) has characters that no token has") }
        }
        var expiresAt: NumericDate?
        if let stated = json["expires_in"], !stated.isNull {
            // A number as a text is accepted, as some providers send it.
            let seconds = stated.int ?? stated.string.flatMap { Int($0) }
            guard let seconds, (1...315_360_000).contains(seconds) else {
                throw .invalid("expires_in of \(provider.name) is not a number of seconds")
            }
            expiresAt = now.advanced(by: Int64(seconds))
        }
        let separators = Set(" ,".utf8).intersection(Set((signIn.scopeSeparator + " ").utf8))
        let scopes = json["scope"]?.string.map { $0.utf8.split { separators.contains($0) }.map { String(decoding: $0, as: UTF8.self) } }
        let tokens = ProviderTokens(
            accessToken: access, refreshToken: refresh ?? previous?.refreshToken, expiresAt: expiresAt,
            scopes: scopes ?? previous?.scopes ?? requested)
        return (tokens, json["id_token"]?.string)
    }

    /// Visible ASCII, so that a token cannot break a header.
    private static func isToken(_ text: String) -> Bool {
        (1...16_384).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    static func basic(_ id: String, _ secret: String) -> String {
        "Basic " + Base64.encode(Array("\(Form.encode(id)):\(Form.encode(secret))".utf8))
    }

    private func send(_ request: OutboundRequest) async throws(ProviderFailure) -> HTTPReply {
        do throws(OAuthError) { return try await fetcher.fetch(request) } catch { throw .unavailable("\(provider.name): \(error.message)") }
    }

    // MARK: The user

    /// The user of new tokens.
    func person(_ tokens: ProviderTokens, idToken: String?, nonce: String?, at now: NumericDate) async throws(ProviderFailure) -> ProviderPerson {
        var documents = ProviderDocuments()
        switch signIn.identity {
        case .idToken: documents.idToken = try await claims(idToken, nonce: nonce, at: now)
        case .idTokenAndUserInfo:
            documents.idToken = try await claims(idToken, nonce: nonce, at: now)
            // A failure is not fatal: who the user is, is known. Rules that need more reject the user.
            if let url = try await url(.userInfo, at: now) { documents.userInfo = (try? await profile(url, tokens)) ?? .null }
        case .userInfo:
            guard let url = try await url(.userInfo, at: now) else { throw .misconfigured("\(provider.name) has no userinfo endpoint") }
            documents.userInfo = try await profile(url, tokens)
        case .requests(let requests):
            for request in requests where !request.isForMembership || method.readsMembership {
                guard let url = WebURL(request.url) else { throw .misconfigured("\(request.url) is no URL") }
                documents.profiles[request.name] = try await request.isForMembership ? pages(url, tokens) : profile(url, tokens)
            }
        }
        do throws(OAuthError) {
            var person = try signIn.person(documents)
            person.sessionID = documents.idToken["sid"]?.string.flatMap { $0.isEmpty ? nil : $0 }
            person.authenticatedAt = documents.idToken["auth_time"]?.number?.int64.map { NumericDate(seconds: $0) }
            return person
        } catch { throw .invalid(error.message) }
    }

    /// Whether the provider can be asked about a user without an ID token.
    var canAskAgain: Bool { if case .idToken = signIn.identity { false } else { true } }

    /// The user of tokens that were obtained before, without an ID token. Nil when the provider has no way to ask.
    func personAgain(_ tokens: ProviderTokens, at now: NumericDate) async throws(ProviderFailure) -> ProviderPerson? {
        switch signIn.identity {
        case .idToken: return nil
        case .idTokenAndUserInfo, .userInfo:
            guard let url = try await url(.userInfo, at: now) else { return nil }
            let documents = ProviderDocuments(userInfo: try await profile(url, tokens))
            do throws(OAuthError) { return try signIn.person(documents) } catch { throw .invalid(error.message) }
        case .requests: return try await person(tokens, idToken: nil, nonce: nil, at: now)
        }
    }

    /// A list with its further pages (RFC 8288, `rel="next"`), of the same origin only: the token goes nowhere else.
    private func pages(_ first: WebURL, _ tokens: ProviderTokens) async throws(ProviderFailure) -> JSONValue {
        var items: [JSONValue] = []
        var url = first
        for number in 0..<Self.maximumPages {
            let (json, next) = try await page(url, tokens)
            guard let page = json.array else {
                if number == 0 { return json }
                throw .invalid("\(url.hostForURL)\(url.path) answers with a page that is no list")
            }
            items += page
            guard let next, next.origin.utf8.elementsEqual(first.origin.utf8), next != url else { break }
            url = next
        }
        return .array(items)
    }

    private func profile(_ url: WebURL, _ tokens: ProviderTokens) async throws(ProviderFailure) -> JSONValue { try await page(url, tokens).json }

    private func page(_ url: WebURL, _ tokens: ProviderTokens) async throws(ProviderFailure) -> (json: JSONValue, next: WebURL?) {
        let fields: HTTPFields = [.accept: "application/json", .authorization: "Bearer \(tokens.accessToken)", .userAgent: "mcp-auth"]
        let reply = try await send(
            OutboundRequest(.get, url, fields: fields, maximumBytes: Self.maximumAnswerBytes, timeout: Self.timeout))
        let words = "\(url.hostForURL)\(url.path) answers \(reply.response.status.code)"
        if reply.response.status != .ok, Self.isTransient(reply) { throw .unavailable(words) }
        switch reply.response.status.code {
        case 200:
            guard let json = try? JSONValue(parsing: reply.body, limits: JSONLimits(maximumBytes: Self.maximumAnswerBytes, maximumDepth: 32)) else {
                throw .invalid("\(url.hostForURL)\(url.path) answers with something that is not JSON")
            }
            return (json, Self.next(in: reply.response))
        case 401: throw .rejected(words)
        case 403: throw .misconfigured("\(words); the client may need further permissions at \(provider.name)")
        default: throw .unavailable(words)
        }
    }

    /// At most so many pages of a hundred organizations or teams are read.
    private static let maximumPages = 20

    private static func next(in response: HTTPResponse) -> WebURL? {
        for value in response.headerFields[values: HTTPField.Name("Link")!] {
            for link in value.split(separator: ",") where link.contains("rel=\"next\"") {
                guard let begin = link.firstIndex(of: "<"), let end = link.firstIndex(of: ">"), begin < end else { continue }
                return WebURL(String(link[link.index(after: begin)..<end]))
            }
        }
        return nil
    }

    /// The claims of an ID token, validated (OpenID Connect Core §3.1.3.7).
    private func claims(_ text: String?, nonce: String?, at now: NumericDate) async throws(ProviderFailure) -> JSONValue {
        guard let text else { throw .misconfigured("\(provider.name) sent no ID token; request the scope openid") }
        let claims = try await signedClaims(text, "the ID token", type: .absentOrJWT(or: []), maximumLifetime: 30 * 86400, at: now)
        guard claims.subject?.isEmpty == false else { throw .invalid("the ID token has no subject") }
        if let party = claims["azp"]?.string {
            guard party.utf8.elementsEqual(method.clientID.utf8) else { throw .invalid("the ID token was issued to another client (azp)") }
        } else if claims.audience.count > 1 {
            throw .invalid("the ID token has several audiences and no azp")
        }
        if let nonce {
            guard let stated = claims["nonce"]?.string, ConstantTime.areEqual(Array(stated.utf8), Array(nonce.utf8)) else {
                throw .invalid("the nonce of the ID token is not the one that was sent")
            }
        }
        return claims.document.root.value
    }

    /// The claims of a JWT of the provider for this client: its issuer, audience, times and signature are right.
    private func signedClaims(
        _ text: String, _ what: String, type: JWTRequirements.TokenType, maximumLifetime: Int64, at now: NumericDate
    ) async throws(ProviderFailure) -> JWTClaims {
        guard let keys else { throw .misconfigured("\(provider.name) has no key set") }
        let jws: CompactJWS
        let claims: JWTClaims
        do throws(JOSEError) {
            jws = try CompactJWS(parsing: text)
            claims = try JWTClaims(parsing: jws.payload)
        } catch { throw .invalid("\(what) is malformed: \(error.message)") }
        guard let issuer = claims.issuer, signIn.admits(issuer: issuer, tenant: claims["tid"]?.string, of: provider.issuer) else {
            throw .invalid("\(what) names another issuer: \(claims.issuer?.prefix(200) ?? "none")")
        }
        let requirements = JWTRequirements(
            issuer: issuer, audiences: [method.clientID], type: type, leeway: 60, maximumLifetime: maximumLifetime)
        if let violation = requirements.violation(header: jws.header, claims: claims, now: now) {
            throw .invalid("\(what) is not acceptable: \(violation.rawValue)")
        }
        do throws(OAuthError) {
            try await AssertionKeySets.verify(jws, with: keys, algorithms: SigningAlgorithm.asymmetric, at: now)
        } catch {
            throw error.code == .temporarilyUnavailable
                ? .unavailable("the keys of \(provider.name) cannot be fetched") : .invalid("the signature of \(what) does not verify")
        }
        return claims
    }

    // MARK: Logout

    /// The longest lifetime of a logout token in seconds.
    private static let logoutTokenLifetime: Int64 = 900

    /// Whose sessions end, from a logout token (OpenID Connect Back-Channel Logout §2.6).
    func logout(_ text: String, at now: NumericDate) async throws(ProviderFailure) -> ProviderLogout {
        let claims = try await signedClaims(
            text, "the logout token", type: .absentOrJWT(or: ["logout+jwt"]), maximumLifetime: Self.logoutTokenLifetime, at: now)
        guard claims["events"]?["http://schemas.openid.net/event/backchannel-logout"]?.value.object != nil else {
            throw .invalid("the token is no logout token: events does not name it")
        }
        // Otherwise an ID token would serve as one.
        guard claims["nonce"] == nil else { throw .invalid("a logout token has no nonce") }
        let (subject, sessionID) = (claims.subject ?? "", claims["sid"]?.string ?? "")
        guard !subject.isEmpty || !sessionID.isEmpty else { throw .invalid("the logout token has neither sub nor sid") }
        return ProviderLogout(
            subject: subject.isEmpty ? nil : subject, session: sessionID.isEmpty ? nil : Self.sessionHash(sessionID, of: provider.issuer))
    }

    /// What is stored of a session at a provider.
    static func sessionHash(_ sessionID: String, of issuer: String) -> SecretHash {
        SecretHash(of: JSONValue.array([.string(issuer), .string(sessionID)]).text)
    }

    /// The page at which users end their session at the provider (OpenID Connect RP-Initiated Logout §2). Nil when its
    /// metadata names none, or cannot be fetched now.
    func logoutPage(at now: NumericDate) async -> String? {
        guard let document = try? await document(at: now), let url = document.document.root["end_session_endpoint"]?.string.flatMap(WebURL.init),
            url.isSecure || url.isLoopback
        else { return nil }
        return url.text + (url.query == nil ? "?" : "&") + Form([("client_id", method.clientID)]).encoded
    }

    // MARK: Leaving

    /// Revokes the tokens at the provider. Failures are not fatal: the tokens are deleted here in any case.
    func revoke(_ tokens: ProviderTokens, at now: NumericDate) async throws(ProviderFailure) {
        let secret: String
        do throws(OAuthError) { secret = try method.secretText(at: now) } catch { throw .misconfigured(error.message) }
        switch signIn.revocation {
        case .none: return
        case .standard:
            guard let url = try await url(.revocation, at: now) else { return }
            var form = Form([("token", tokens.refreshToken ?? tokens.accessToken)])
            var fields: HTTPFields = [.contentType: "application/x-www-form-urlencoded", .accept: "application/json"]
            switch signIn.clientAuthentication {
            case .basic: fields[.authorization] = Self.basic(method.clientID, secret)
            case .post:
                form.append("client_id", method.clientID)
                form.append("client_secret", secret)
            }
            let reply = try await send(OutboundRequest(.post, url, fields: fields, body: Array(form.encoded.utf8), timeout: Self.timeout))
            guard reply.response.status.kind == .successful else { throw .unavailable("\(provider.name) answers \(reply.response.status.code)") }
        case .deleteWithJSON(let template):
            guard let url = WebURL(template.replacing("{client_id}", with: Form.encode(method.clientID))) else { return }
            let body = JSONValue.object(["access_token": .string(tokens.accessToken)]).serialized
            let fields: HTTPFields = [
                .contentType: "application/json", .accept: "application/json", .authorization: Self.basic(method.clientID, secret),
                .userAgent: "mcp-auth",
            ]
            let reply = try await send(OutboundRequest(.delete, url, fields: fields, body: body, timeout: Self.timeout))
            // 404: the user has revoked it there already.
            guard reply.response.status.kind == .successful || reply.response.status == .notFound else {
                throw .unavailable("\(provider.name) answers \(reply.response.status.code)")
            }
        }
    }
}

extension ProviderSignIn {
    var usesIDToken: Bool {
        switch identity {
        case .idToken, .idTokenAndUserInfo: true
        case .userInfo, .requests: false
        }
    }

    /// Whether an ID token may name this issuer.
    func admits(issuer: String, tenant: String?, of expected: String) -> Bool {
        switch issuers {
        case .exact: return issuer.utf8.elementsEqual(expected.utf8)
        case .also(let others): return ([expected] + others).contains { $0.utf8.elementsEqual(issuer.utf8) }
        case .tenantTemplate(let template):
            guard let tenant, Self.isUUID(tenant) else { return false }
            return template.replacing("{tenantid}", with: tenant).utf8.elementsEqual(issuer.utf8)
        }
    }

    private static func isUUID(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        return parts.map(\.count) == [8, 4, 4, 4, 12] && parts.allSatisfy { $0.allSatisfy { URLBytes.hexValue($0) != nil } }
    }
}

extension HTTPField.Name {
    static let rateLimitRemaining = HTTPField.Name("X-RateLimit-Remaining")!
}

/// What a provider says has ended (OpenID Connect Back-Channel Logout §2.4). At least one of the two is there.
struct ProviderLogout {
    /// The user at the provider.
    let subject: String?
    /// The session at the provider, as it is stored.
    let session: SecretHash?
}
