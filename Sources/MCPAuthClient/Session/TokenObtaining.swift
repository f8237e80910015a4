import HTTPTypes
import JOSE
import OAuth

/// Obtains tokens for one server: discovery, registration, and the configured grant. It keeps nothing.
struct TokenObtaining: Sendable {
    let server: ResourceIdentifier
    let configuration: ClientConfiguration
    let registrar: Registrar
    let fetcher: any HTTPFetcher
    let clock: Clock
    let random: RandomSource
    let nonces: DPoPNonceMemory

    private var endpoint: TokenEndpointClient { TokenEndpointClient(fetcher: fetcher, clock: clock, random: random, nonces: nonces) }

    func discover(challenge: AuthenticationChallenge?) async throws(OAuthError) -> DiscoveredServer {
        var preferred = configuration.registered.map(\.issuer)
        if case .workload(let identity) = configuration.grant { preferred.append(identity.issuer) }
        return try await ServerDiscovery(fetcher: fetcher).discover(server, challenge: challenge, preferring: preferred)
    }

    /// The scopes of an authorization request (MCP authorization, "Scope Selection Strategy").
    func scopes(
        _ discovered: DiscoveredServer, challenge: AuthenticationChallenge?, additional: ScopeSet, granted: ScopeSet?
    ) -> ScopeSet {
        var scopes =
            configuration.scopes ?? challenge?["scope"].map { ScopeSet(lenient: $0) } ?? discovered.resourceMetadata?.scopesSupported ?? []
        if !additional.isEmpty { scopes = (granted ?? configuration.scopes ?? []).union(additional) }
        let offline: Scope = "offline_access"
        if configuration.requestsOfflineAccess, configuration.grant.isInteractive,
            discovered.authorizationServer.strings("scopes_supported")?.contains(offline.text) == true
        {
            scopes.insert(offline)
        }
        return scopes
    }

    // MARK: Refresh

    /// Exchanges the refresh token. Nil when the client that owns it is not known any more. Throws the error of the
    /// response.
    func refresh(_ credentials: Credentials, _ discovered: DiscoveredServer?) async throws(OAuthError) -> Credentials? {
        guard let refreshToken = credentials.refreshToken else { return nil }
        let found: DiscoveredServer
        if let discovered { found = discovered } else { found = try await discover(issuerOf: credentials) }
        guard let client = try await registrar.owner(of: credentials, at: found) else { return nil }
        let now = clock.now
        let url = try found.endpoint("token_endpoint", found.authorizationServer.tokenEndpoint)
        let form = Form([("grant_type", GrantType.refreshToken.rawValue), ("refresh_token", refreshToken), ("resource", credentials.resource)])
        let response: TokenResponse
        do throws(OAuthError) {
            response = try await endpoint.request(form, to: url, authentication: client.authentication, proof: credentials.proofKey)
        } catch {
            // The server has forgotten the client.
            if error.code == .invalidClient { try await registrar.forget(client) }
            throw error
        }
        try check(response, credentials.proofKey)
        return Credentials(
            response, server: server.text, resource: credentials.resource, issuer: credentials.issuer, clientID: credentials.clientID,
            requested: credentials.scopes, proofKey: response.tokenType == .dpop ? credentials.proofKey : nil, previous: credentials, at: now)
    }

    /// The authorization server of stored tokens. The server itself is asked only if the issuer has no metadata.
    private func discover(issuerOf credentials: Credentials) async throws(OAuthError) -> DiscoveredServer {
        do throws(OAuthError) {
            let metadata = try await AuthorizationServerMetadata.discover(credentials.issuer, with: fetcher)
            return DiscoveredServer(
                server: server, resource: credentials.resource, resourceMetadata: nil, authorizationServer: metadata, revision: .resourceMetadata)
        } catch {
            let found = try await discover(challenge: nil)
            guard found.issuer == credentials.issuer else { throw error }
            return found
        }
    }

    /// Whether the authorization server confirmed the revocation (RFC 7009). Grants of earlier sign-ins are revoked
    /// too.
    func revoke(_ credentials: Credentials) async -> Bool {
        guard let found = try? await discover(issuerOf: credentials), let client = try? await registrar.owner(of: credentials, at: found),
            let url = try? found.endpoint("revocation_endpoint", found.authorizationServer.revocationEndpoint)
        else { return false }
        let form =
            credentials.refreshToken.map { Form([("token", $0), ("token_type_hint", "refresh_token")]) }
            ?? Form([("token", credentials.accessToken), ("token_type_hint", "access_token")])
        let isRevoked = await revoke(form, client, url)
        for token in credentials.superseded {
            _ = await revoke(Form([("token", token), ("token_type_hint", "refresh_token")]), client, url)
        }
        return isRevoked
    }

    private func revoke(_ form: Form, _ client: Registration, _ url: WebURL) async -> Bool {
        var reply = try? await endpoint.post(form, to: url, authentication: client.authentication)
        if reply?.response.status == .badRequest, let secret = client.authentication.secretParameter {
            // The official Python SDK demands the parameter here, also beside Basic, and of clients without a secret.
            var form = form
            form.append("client_secret", secret)
            reply = try? await endpoint.post(form, to: url, authentication: client.authentication)
        }
        return reply?.response.status == .ok
    }

    // MARK: Grants

    /// Obtains tokens by the configured grant. A rejected machine grant is not tried again or in another way (R111).
    func obtain(_ discovered: DiscoveredServer, scopes: ScopeSet) async throws(OAuthError) -> Credentials {
        let key = try proofKey(discovered)
        let now = clock.now
        let (response, clientID): (TokenResponse, String)
        switch configuration.grant {
        case .authorizationCode(let agent): (response, clientID) = try await authorizationCode(discovered, agent, scopes, key)
        case .device(let show):
            var client = try await client(at: discovered, scopes: scopes)
            let grant = DeviceGrant(endpoint: endpoint, server: discovered, sleep: { try await Task.sleep(for: .seconds($0)) })
            do throws(OAuthError) {
                response = try await grant.token(
                    client.authentication, scopes: scopes, resource: discovered.resource, proof: key, show: show)
            } catch {
                guard error.code == .invalidClient, registrar.canReplace(client, at: discovered) else { throw error }
                client = try await registrar.register([], scopes: scopes, at: discovered, replacing: client)
                response = try await grant.token(
                    client.authentication, scopes: scopes, resource: discovered.resource, proof: key, show: show)
            }
            clientID = client.clientID
        case .clientCredentials:
            guard let client = try await registrar.known(at: discovered), client.source != .dynamic else {
                throw OAuthError(.invalidConfiguration, "client credentials need a client that is registered at \(discovered.issuer)")
            }
            var form = Form([("grant_type", GrantType.clientCredentials.rawValue), ("resource", discovered.resource)])
            if !scopes.isEmpty { form.append("scope", scopes.text) }
            response = try await request(form, discovered, client.authentication, key)
            clientID = client.clientID
        case .workload(let identity):
            guard identity.issuer == discovered.issuer else {
                throw OAuthError(
                    .invalidConfiguration,
                    "\(server) uses the authorization server \(discovered.issuer), but the assertion is for \(identity.issuer). Nothing was sent")
            }
            var form = Form([
                ("grant_type", GrantType.jwtBearer.rawValue), ("assertion", try await identity.assertion()), ("resource", discovered.resource),
            ])
            if !scopes.isEmpty { form.append("scope", scopes.text) }
            response = try await request(form, discovered, nil, key)
            clientID = ""
        case .enterprise(let identity):
            guard let client = try await registrar.known(at: discovered) else {
                throw OAuthError(.invalidConfiguration, "enterprise-managed authorization needs a client at \(discovered.issuer)")
            }
            response = try await EnterpriseGrant(endpoint: endpoint, server: discovered, fetcher: fetcher)
                .token(identity, client: client.authentication, scopes: scopes, resource: discovered.resource, proof: key)
            clientID = client.clientID
        case .tokenExchange(let subject):
            guard subject.issuer == discovered.issuer else {
                throw OAuthError(
                    .invalidConfiguration,
                    "\(server) uses the authorization server \(discovered.issuer), but the token is to be exchanged at \(subject.issuer). "
                        + "Nothing was sent")
            }
            guard let client = try await registrar.known(at: discovered), client.source != .dynamic else {
                throw OAuthError(.invalidConfiguration, "a token exchange needs a client that is registered at \(discovered.issuer)")
            }
            var form = Form([
                ("grant_type", GrantType.tokenExchange.rawValue), ("subject_token", try await subject.token()), ("subject_token_type", subject.type),
                ("requested_token_type", SubjectToken.accessTokenType), ("resource", discovered.resource),
            ])
            if !scopes.isEmpty { form.append("scope", scopes.text) }
            response = try await request(form, discovered, client.authentication, key)
            clientID = client.clientID
        case .headers: throw OAuthError(.invalidToken, "\(server) rejects the configured headers")
        }
        try check(response, key)
        return Credentials(
            response, server: server.text, resource: discovered.resource, issuer: discovered.issuer, clientID: clientID, requested: scopes,
            proofKey: response.tokenType == .dpop ? key : nil, at: now)
    }

    private func request(
        _ form: Form, _ discovered: DiscoveredServer, _ authentication: ClientAuthentication?, _ key: DPoPKey?
    ) async throws(OAuthError) -> TokenResponse {
        let url = try discovered.endpoint("token_endpoint", discovered.authorizationServer.tokenEndpoint)
        return try await endpoint.request(form, to: url, authentication: authentication, proof: key)
    }

    private func client(at discovered: DiscoveredServer, scopes: ScopeSet) async throws(OAuthError) -> Registration {
        if let known = try await registrar.known(at: discovered) { return known }
        return try await registrar.register([], scopes: scopes, at: discovered)
    }

    /// A new key if tokens are to be bound to one.
    private func proofKey(_ discovered: DiscoveredServer) throws(OAuthError) -> DPoPKey? {
        guard configuration.proofOfPossession != .never else { return nil }
        if discovered.authorizationServer.strings("dpop_signing_alg_values_supported")?.contains("ES256") == true { return try DPoPKey() }
        guard configuration.proofOfPossession == .whereSupported else {
            throw OAuthError(.invalidMetadata, "\(discovered.issuer) does not promise DPoP with ES256 (dpop_signing_alg_values_supported)")
        }
        return nil
    }

    private func check(_ response: TokenResponse, _ key: DPoPKey?) throws(OAuthError) {
        if response.tokenType == .dpop, key == nil {
            throw OAuthError(.invalidResponse, "the token is bound to a key, and no key was sent")
        }
        if response.tokenType == .bearer, configuration.proofOfPossession == .required {
            throw OAuthError(.invalidResponse, "the token is not bound to a key, although that is required; it is not used")
        }
    }

    // MARK: Authorization code

    private func authorizationCode(
        _ discovered: DiscoveredServer, _ agent: (any UserAgent)?, _ scopes: ScopeSet, _ key: DPoPKey?
    ) async throws(OAuthError) -> (TokenResponse, String) {
        guard let agent else {
            throw OAuthError(.loginRequired, "a user has to sign in to \(server)")
        }
        let known = try await registrar.known(at: discovered)
        let receiver = try await agent.begin(preferring: known?.redirectURIs.first)
        do throws(OAuthError) {
            let result: (TokenResponse, String)
            do throws(OAuthError) { result = try await authorizationCode(discovered, receiver, known, scopes, key) } catch {
                // Some servers limit a client to the scopes of its registration (official Python SDK).
                guard error.code == .invalidScope, let known, known.source == .dynamic else { throw error }
                try await registrar.forget(known)
                result = try await authorizationCode(discovered, receiver, nil, scopes, key)
            }
            await receiver.close()
            return result
        } catch {
            await receiver.close()
            throw error
        }
    }

    private func authorizationCode(
        _ discovered: DiscoveredServer, _ receiver: any AuthorizationReceiver, _ known: Registration?, _ scopes: ScopeSet, _ key: DPoPKey?
    ) async throws(OAuthError) -> (TokenResponse, String) {
        var (client, redirectURI) = try await client(discovered, receiver, known, scopes)
        var authorization = try makeRequest(discovered, client, redirectURI, scopes, key)
        var url = authorization.url
        // A client that registered earlier may be forgotten, and a metadata document rejected.
        var isRejected = false
        if discovered.authorizationServer.isTrue("require_pushed_authorization_requests") {
            do throws(OAuthError) { url = try await push(authorization, discovered, client) } catch {
                guard known != nil, error.code == .invalidClient || error.code == .unauthorizedClient,
                    client.source == .dynamic || registrar.canReplace(client, at: discovered)
                else { throw error }
                isRejected = true
            }
        } else if known != nil, client.source != .registered, await isForgotten(authorization) {
            isRejected = client.source == .dynamic || registrar.canReplace(client, at: discovered)
        }
        if isRejected {
            let replaced = client.source == .document ? client : nil
            try await registrar.forget(client)
            (client, redirectURI) = try await register(discovered, receiver, scopes, replacing: replaced)
            authorization = try makeRequest(discovered, client, redirectURI, scopes, key)
            url = authorization.url
            if discovered.authorizationServer.isTrue("require_pushed_authorization_requests") {
                url = try await push(authorization, discovered, client)
            }
        }
        let query = try await receiver.authorize(url, state: authorization.state)
        let code = try authorization.code(from: query)
        let form = Form([
            ("grant_type", GrantType.authorizationCode.rawValue), ("code", code), ("redirect_uri", redirectURI.text),
            ("code_verifier", authorization.verifier.text), ("resource", discovered.resource),
        ])
        return (try await request(form, discovered, client.authentication, key), client.clientID)
    }

    private func makeRequest(
        _ discovered: DiscoveredServer, _ client: Registration, _ redirectURI: RedirectURI, _ scopes: ScopeSet, _ key: DPoPKey?
    ) throws(OAuthError) -> AuthorizationCodeRequest {
        try AuthorizationCodeRequest(
            discovered, clientID: client.clientID, redirectURI: redirectURI, scopes: scopes, resource: discovered.resource,
            thumbprint: key?.thumbprint, configuration: configuration, random: random)
    }

    /// The client, and the redirect URI at which it receives the answer.
    private func client(
        _ discovered: DiscoveredServer, _ receiver: any AuthorizationReceiver, _ known: Registration?, _ scopes: ScopeSet
    ) async throws(OAuthError) -> (Registration, RedirectURI) {
        if let known {
            if let uri = receiver.redirectURIs.first(where: known.accepts) { return (known, uri) }
            guard known.source == .dynamic else {
                throw OAuthError(
                    .invalidConfiguration,
                    "the client \(known.clientID) is registered with \(known.redirectURIs.map(\.text).joined(separator: ", ")), "
                        + "where no answer can be received now; choose that host, port and path, or free the port")
            }
        }
        try discovered.checkCodeChallenge(configuration)
        return try await register(discovered, receiver, scopes)
    }

    /// Registers with one redirect URI, and with the next when the authorization server rejects it: some take
    /// `127.0.0.1` only, others `localhost` only (R29).
    private func register(
        _ discovered: DiscoveredServer, _ receiver: any AuthorizationReceiver, _ scopes: ScopeSet, replacing replaced: Registration? = nil
    ) async throws(OAuthError) -> (Registration, RedirectURI) {
        var problem: OAuthError?
        for uri in receiver.redirectURIs {
            do throws(OAuthError) { return (try await registrar.register([uri], scopes: scopes, at: discovered, replacing: replaced), uri) } catch {
                guard error.code == .invalidRedirectURI || error.code == .invalidClientMetadata else { throw error }
                problem = problem ?? error
            }
        }
        throw problem ?? OAuthError(.invalidConfiguration, "there is no redirect URI")
    }

    /// Whether the authorization endpoint does not know the client. Its answer without a browser says so; nothing is
    /// followed, and a failure of the network says nothing.
    private func isForgotten(_ authorization: AuthorizationCodeRequest) async -> Bool {
        let reply = try? await fetcher.fetch(OutboundRequest(.get, authorization.url, fields: [.accept: "text/html"], maximumBytes: 1 << 20))
        return reply.map { [400, 401, 403].contains($0.response.status.code) } ?? false
    }

    /// Sends the request beforehand (RFC 9126), and returns the URL that refers to it.
    private func push(
        _ authorization: AuthorizationCodeRequest, _ discovered: DiscoveredServer, _ client: Registration
    ) async throws(OAuthError) -> WebURL {
        let url = try discovered.endpoint(
            "pushed_authorization_request_endpoint", discovered.authorizationServer.pushedAuthorizationEndpoint)
        var form = try Form(parsing: (authorization.url.query ?? "").utf8)
        form = Form(form.fields.filter { $0.name != "client_id" }.map { ($0.name, $0.value) })
        let reply = try await endpoint.post(form, to: url, authentication: client.authentication)
        guard reply.response.status == .created || reply.response.status == .ok,
            let reference = (try? JSONValue(parsing: reply.body))?["request_uri"]?.string
        else { throw TokenEndpointClient.failure(reply, of: url) }
        let endpoint = try discovered.endpoint("authorization_endpoint", discovered.authorizationServer.authorizationEndpoint)
        let query = Form([("client_id", client.clientID), ("request_uri", reference)]).encoded
        guard let target = WebURL(endpoint.text + (endpoint.query == nil ? "?" : "&") + query) else {
            throw OAuthError(.invalidResponse, "the request_uri of \(discovered.issuer) cannot be used")
        }
        return target
    }
}

extension ClientAuthentication {
    /// The secret for a parameter that repeats it. Nil where it is a parameter already, or there is a key instead.
    fileprivate var secretParameter: String? {
        switch self {
        case .none: ""
        case .basic(_, let secret): secret
        case .post, .privateKeyJWT: nil
        }
    }
}
