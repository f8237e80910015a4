import HTTPTypes
import JOSE
import Logging
import OAuth

/// A client as one authorization server knows it.
struct Registration: Sendable {
    enum Source: String, Sendable {
        case registered, document, dynamic
    }

    let issuer: Issuer
    let authentication: ClientAuthentication
    let source: Source
    /// The redirect URIs that the authorization server knows. Empty: any loopback address.
    var redirectURIs: [RedirectURI] = []
    /// The moment at which the secret expires. Nil: never.
    var secretExpiresAt: NumericDate?
    /// The metadata document that the authorization server rejected, so that the client registered. Nil: none.
    var insteadOf: String?
    /// The client configuration endpoint (RFC 7592), with its token.
    var management: (url: WebURL, token: String)?

    var clientID: String { authentication.clientID }

    /// Whether a sign-in can be answered at this redirect URI. Any port of the same loopback literal will do for a
    /// registration without a port (RFC 8252 §7.3).
    func accepts(_ uri: RedirectURI) -> Bool { redirectURIs.isEmpty || redirectURIs.contains { $0.matches(uri.text) } }

    // MARK: Storage

    /// A device has a registration of its own: it has no redirect URI, and the other one has no device grant.
    static func storeKey(_ issuer: Issuer, isDevice: Bool) -> String { "client \(issuer.text)\(isDevice ? " device" : "")" }

    /// The stored form of a registration that the authorization server made.
    var record: JSONObject {
        var record: JSONObject = [
            "issuer": .string(issuer.text), "client_id": .string(clientID), "redirect_uris": .strings(redirectURIs.map(\.text)),
        ]
        switch authentication {
        case .none: record["token_endpoint_auth_method"] = "none"
        case .basic(_, let secret):
            record["token_endpoint_auth_method"] = "client_secret_basic"
            record["client_secret"] = .string(secret)
        case .post(_, let secret):
            record["token_endpoint_auth_method"] = "client_secret_post"
            record["client_secret"] = .string(secret)
        case .privateKeyJWT: break
        }
        record["client_secret_expires_at"] = secretExpiresAt.map { .int($0.seconds) }
        record["instead_of"] = insteadOf.map { .string($0) }
        record["registration_client_uri"] = management.map { .string($0.url.text) }
        record["registration_access_token"] = management.map { .string($0.token) }
        return record
    }

    /// Nil for a record that is not of this issuer, or cannot be used.
    init?(record: JSONValue, issuer: Issuer) {
        guard record["issuer"]?.string?.utf8.elementsEqual(issuer.text.utf8) == true, let id = record["client_id"]?.string.flatMap(ClientID.init)
        else {
            return nil
        }
        let secret = record["client_secret"]?.string
        switch (record["token_endpoint_auth_method"]?.string, secret) {
        case ("none", _): authentication = .none(clientID: id.text)
        case ("client_secret_basic", let secret?): authentication = .basic(clientID: id.text, secret: secret)
        case ("client_secret_post", let secret?): authentication = .post(clientID: id.text, secret: secret)
        default: return nil
        }
        self.issuer = issuer
        source = .dynamic
        redirectURIs = record["redirect_uris"]?.strings?.compactMap { try? RedirectURI($0) } ?? []
        insteadOf = record["instead_of"]?.string
        secretExpiresAt = record["client_secret_expires_at"]?.int.map { NumericDate(seconds: Int64($0)) }
        if let url = record["registration_client_uri"]?.string.flatMap(WebURL.init), let token = record["registration_access_token"]?.string {
            management = (url, token)
        }
    }

    init(issuer: Issuer, authentication: ClientAuthentication, source: Source, redirectURIs: [RedirectURI] = []) {
        self.issuer = issuer
        self.authentication = authentication
        self.source = source
        self.redirectURIs = redirectURIs
    }
}

/// Finds out as which client to act at an authorization server: registered beforehand, by metadata document, registered
/// earlier, or registered now (MCP authorization, "Client Registration Approaches").
struct Registrar: Sendable {
    let configuration: ClientConfiguration
    let store: any TokenStore
    let fetcher: any HTTPFetcher
    let clock: Clock
    let logger: Logger

    /// The client that needs no request. Nil: it has to register.
    ///
    /// Throws `invalid_configuration` when clients were registered beforehand, but none at this issuer (R23), and
    /// `unauthorized_client` when there is no way to become a client.
    func known(at server: DiscoveredServer) async throws(OAuthError) -> Registration? {
        let issuer = server.issuer
        if let client = configuration.registered.first(where: { $0.issuer == issuer }) {
            return Registration(
                issuer: issuer, authentication: client.authentication, source: .registered, redirectURIs: client.redirectURI.map { [$0] } ?? [])
        }
        if let other = configuration.registered.first {
            throw OAuthError(
                .invalidConfiguration,
                "\(server.server) uses the authorization server \(issuer), but the client \(other.authentication.clientID) is registered at "
                    + "\(other.issuer). Nothing was sent. If the server has moved, register the client at the new issuer")
        }
        if let document = configuration.metadataDocument, server.authorizationServer.isTrue("client_id_metadata_document_supported") {
            if let registration = try await stored(at: issuer), registration.insteadOf == document.url.text { return registration }
            let authentication: ClientAuthentication =
                document.key.map { .privateKeyJWT(clientID: document.url.text, key: $0, audience: issuer.text) } ?? .none(clientID: document.url.text)
            return Registration(issuer: issuer, authentication: authentication, source: .document)
        }
        return try await stored(at: issuer)
    }

    /// The client to which tokens were issued. Nil when it is not known any more.
    func owner(of credentials: Credentials, at server: DiscoveredServer) async throws(OAuthError) -> Registration? {
        func owns(_ registration: Registration?) -> Bool { registration?.clientID.utf8.elementsEqual(credentials.clientID.utf8) == true }
        let known = try await known(at: server)
        if owns(known) { return known }
        for isDevice in [false, true] {
            let registration = try await stored(at: server.issuer, isDevice: isDevice)
            if owns(registration) { return registration }
        }
        return nil
    }

    private var isDevice: Bool { if case .device = configuration.grant { true } else { false } }

    /// The registration that was made earlier. Nil: there is none, or its secret has expired.
    func stored(at issuer: Issuer) async throws(OAuthError) -> Registration? { try await stored(at: issuer, isDevice: isDevice) }

    private func stored(at issuer: Issuer, isDevice: Bool) async throws(OAuthError) -> Registration? {
        guard let bytes = try await store.read(Registration.storeKey(issuer, isDevice: isDevice)), let record = try? JSONValue(parsing: bytes),
            let registration = Registration(record: record, issuer: issuer)
        else { return nil }
        if let expiry = registration.secretExpiresAt, expiry <= clock.now { return nil }
        return registration
    }

    func forget(_ registration: Registration) async throws(OAuthError) {
        guard registration.source == .dynamic else { return }
        for isDevice in [false, true] where try await stored(at: registration.issuer, isDevice: isDevice)?.clientID == registration.clientID {
            try await store.remove(Registration.storeKey(registration.issuer, isDevice: isDevice))
        }
    }

    /// Whether a client whose document is rejected can register instead. Says so in the log.
    func canReplace(_ client: Registration, at server: DiscoveredServer) -> Bool {
        guard client.source == .document, configuration.registersItself, server.authorizationServer.registrationEndpoint != nil else { return false }
        logger.warning(
            "the authorization server rejects the client metadata document, which it may be unable to fetch; the client registers itself",
            metadata: ["issuer": "\(client.issuer)", "document": "\(client.clientID)"])
        return true
    }

    /// Registers the client (RFC 7591). The response decides how it authenticates.
    ///
    /// Throws `unauthorized_client` when the authorization server has no registration, and the error of its response.
    /// - Parameter scopes: What the client is about to request. It registers for everything that the server names,
    ///   since some servers grant no scope for which a client is not registered.
    /// - Parameter replaced: The client whose metadata document was rejected.
    func register(
        _ redirectURIs: [RedirectURI], scopes: ScopeSet, at server: DiscoveredServer, replacing replaced: Registration? = nil
    ) async throws(OAuthError) -> Registration {
        let issuer = server.issuer
        guard configuration.registersItself, server.authorizationServer.registrationEndpoint != nil else {
            throw OAuthError(
                .unauthorizedClient,
                "\(issuer) does not let clients register themselves. Register a client there, and configure its client ID with this issuer")
        }
        if configuration.metadataDocument != nil, replaced == nil {
            logger.notice(
                "the authorization server does not support client metadata documents; the client registers itself",
                metadata: ["issuer": "\(issuer)"])
        }
        let endpoint = try server.endpoint("registration_endpoint", server.authorizationServer.registrationEndpoint)
        var metadata: JSONObject = [
            "client_name": .string(configuration.name), "application_type": "native",
            "token_endpoint_auth_method": .string(method(server.authorizationServer)),
        ]
        switch configuration.grant {
        case .device:
            metadata["grant_types"] = .strings([GrantType.deviceCode.rawValue, GrantType.refreshToken.rawValue])
            metadata["response_types"] = []
        default:
            metadata["redirect_uris"] = .strings(redirectURIs.map(\.text))
            metadata["grant_types"] = ["authorization_code", "refresh_token"]
            metadata["response_types"] = ["code"]
        }
        let all = scopes.union(server.resourceMetadata?.scopesSupported ?? [])
        if !all.isEmpty { metadata["scope"] = .string(all.text) }
        metadata["client_uri"] = configuration.homePage.map { .string($0) }
        let reply = try await fetcher.fetch(
            OutboundRequest(
                .post, endpoint, fields: [.contentType: "application/json", .accept: "application/json"],
                body: JSONValue.object(metadata).serialized, timeout: TokenEndpointClient.timeout))
        guard reply.response.status == .created || reply.response.status == .ok else {
            let error = TokenEndpointClient.failure(reply, of: endpoint)
            guard error.code == .invalidResponse else { throw error }
            guard server.revision != .defaultEndpoints else {
                throw OAuthError(
                    .unauthorizedClient,
                    "\(server.server) asks for a token, but neither it nor \(issuer) has metadata that says where to sign in, and the endpoints of older "
                        + "servers are not there either: \(error.message). Ask its operator; mcp-auth doctor \(server.server) says what is missing")
            }
            throw OAuthError(.unauthorizedClient, "\(issuer) did not register the client: \(error.message)")
        }
        var registration = try Self.registration(reply.body, issuer: issuer, requested: redirectURIs)
        registration.insteadOf = replaced?.clientID
        try await store.write(JSONValue.object(registration.record).serialized, for: Registration.storeKey(issuer, isDevice: isDevice))
        return registration
    }

    /// The weakest method that suffices: a program on a user's machine cannot keep a secret from its user.
    private func method(_ metadata: AuthorizationServerMetadata) -> String {
        let supported = metadata.strings("token_endpoint_auth_methods_supported") ?? ["none"]
        return ["none", "client_secret_basic", "client_secret_post"].first(where: supported.contains) ?? "none"
    }

    /// Reads the response of a registration (RFC 7591 §3.2.1). Throws `invalid_response`.
    static func registration(_ bytes: [UInt8], issuer: Issuer, requested: [RedirectURI]) throws(OAuthError) -> Registration {
        func wrong(_ what: String) -> OAuthError { OAuthError(.invalidResponse, "the registration at \(issuer) \(what)") }
        guard let json = try? JSONValue(parsing: bytes), json.object != nil, let id = json["client_id"]?.string.flatMap(ClientID.init) else {
            throw wrong("has no usable client_id")
        }
        if let uris = json["redirect_uris"]?.strings {
            guard requested.allSatisfy({ uri in uris.contains { $0.utf8.elementsEqual(uri.text.utf8) } }) else {
                throw wrong("has other redirect URIs than requested")
            }
        }
        // Some servers give public clients an empty secret (authlib).
        let secret = json["client_secret"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        if let secret { guard TokenResponse.isToken(secret) else { throw wrong("has a secret that cannot be sent") } }
        let authentication: ClientAuthentication
        switch (json["token_endpoint_auth_method"]?.string, secret) {
        case ("none", _), (nil, nil): authentication = .none(clientID: id.text)
        case ("client_secret_post", let secret?): authentication = .post(clientID: id.text, secret: secret)
        case ("client_secret_basic", let secret?), (nil, let secret?): authentication = .basic(clientID: id.text, secret: secret)
        case (let method?, _): throw wrong("demands the authentication \(DisplayText.clean(method, limit: 80)), which this client does not have")
        }
        var registration = Registration(issuer: issuer, authentication: authentication, source: .dynamic, redirectURIs: requested)
        if let seconds = json["client_secret_expires_at"]?.int, seconds > 0 { registration.secretExpiresAt = NumericDate(seconds: Int64(seconds)) }
        if let url = json["registration_client_uri"]?.string.flatMap(WebURL.init), url.isSecure || url.isLoopback,
            let token = json["registration_access_token"]?.string, TokenResponse.isToken(token)
        {
            registration.management = (url, token)
        }
        return registration
    }
}
