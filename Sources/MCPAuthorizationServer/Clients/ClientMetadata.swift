import JOSE
import OAuth

/// The metadata that a client states about itself (RFC 7591 §2), after validation: in a registration, in an update of
/// one, or in a metadata document.
///
/// Unknown members are ignored. A member that is `null` counts as absent, and so does an empty text or list of an
/// optional member, because clients send these from typed models. Members that are only displayed never cause a
/// rejection (RFC 7591 §3.2.1): they are left out, and the response says what was registered. Metadata gives a client
/// no more than every client has, and nothing that it names is fetched here.
struct ClientMetadata: Sendable, Hashable {
    let name: String?
    let redirectURIs: [RedirectURI]
    let method: Client.AuthenticationMethod
    /// Whether the method is the default, since the client named none.
    let isDefaultMethod: Bool
    let keys: Client.Keys?
    let assertionAlgorithm: SigningAlgorithm?
    let grantTypes: [GrantType]
    let requiresPushedRequests: Bool
    let requiresDPoP: Bool
    let webPage: WebURL?

    /// The metadata that may be requested.
    struct Rules {
        let grantTypes: Set<GrantType>
        let privateUseSchemes: PrivateUseSchemes
        /// Whether the client may have a secret. A public document cannot contain one.
        let allowsSecrets: Bool
        /// RFC 7591 §2 says `client_secret_basic`. A document means `none`.
        let defaultMethod: Client.AuthenticationMethod

        /// The rules for dynamic clients: never a grant without a user.
        static func registration(_ configuration: AuthorizationServerConfiguration) -> Rules {
            Rules(
                grantTypes: configuration.grantTypes.intersection([.authorizationCode, .refreshToken, .deviceCode]),
                privateUseSchemes: configuration.privateUseSchemes, allowsSecrets: true, defaultMethod: .basic)
        }

        static func document(_ configuration: AuthorizationServerConfiguration) -> Rules {
            let registration = registration(configuration)
            return Rules(
                grantTypes: registration.grantTypes, privateUseSchemes: registration.privateUseSchemes, allowsSecrets: false, defaultMethod: .none)
        }
    }

    static let maximumKeys = 8

    /// Throws `invalid_redirect_uri` or `invalid_client_metadata`. The message says what to change.
    init(_ root: JSONView, _ rules: Rules) throws(OAuthError) {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidClientMetadata, message) }
        guard root.isObject else { throw fail("the document is not a JSON object") }
        func strings(_ name: String, _ fallback: [String]) throws(OAuthError) -> [String] {
            guard let view = root.optional(name) else { return fallback }
            guard let values = view.strings, values.count <= 32 else { throw fail("\(name) is an array of at most 32 strings") }
            return values.isEmpty ? fallback : values
        }
        func text(_ name: String, _ limit: Int) throws(OAuthError) -> String? {
            guard let view = root.optional(name) else { return nil }
            guard let text = view.string, text.utf8.count <= limit else { throw fail("\(name) is a string of at most \(limit) bytes") }
            return text.isEmpty ? nil : text
        }
        func flag(_ name: String) throws(OAuthError) -> Bool {
            guard let view = root.optional(name) else { return false }
            guard let value = view.bool else { throw fail("\(name) is true or false") }
            return value
        }

        // A client sends the same metadata to every server. Grants that this server does not have are left out, and the
        // response says so (RFC 7591 §3.2.1).
        var requested = try strings("grant_types", ["authorization_code", "refresh_token"]).map { GrantType(rawValue: $0) }
            .filter(rules.grantTypes.contains)
        // Clients that register for codes alone still use refresh tokens if they receive them. Without one, their users
        // would sign in again every quarter of an hour.
        if !requested.isEmpty, rules.grantTypes.contains(.refreshToken) { requested.append(.refreshToken) }
        guard requested.contains(.authorizationCode) || requested.contains(.deviceCode) else {
            throw fail(
                "grant_types holds none that this server gives to a stranger to begin with: "
                    + rules.grantTypes.subtracting([.refreshToken]).map(\.rawValue).sorted().joined(separator: ", "))
        }
        grantTypes = Set(requested).sorted { $0.rawValue < $1.rawValue }

        if requested.contains(.authorizationCode) {
            guard root.optional("redirect_uris") != nil else { throw OAuthError(.invalidRedirectURI, "redirect_uris is missing") }
        }
        let uris = try strings("redirect_uris", [])
        guard (requested.contains(.authorizationCode) ? 1 : 0)...16 ~= uris.count else {
            throw OAuthError(.invalidRedirectURI, "redirect_uris has 1 to 16 entries")
        }
        var redirectURIs: [RedirectURI] = []
        var refused: OAuthError?
        for uri in uris {
            let redirectURI = try RedirectURI(uri)
            guard rules.privateUseSchemes.allows(redirectURI) else {
                // A client with another redirect URI keeps that one.
                refused = OAuthError(.invalidRedirectURI, "redirect URIs with the scheme \(redirectURI.scheme.prefix(64)): are not allowed here")
                continue
            }
            redirectURIs.append(redirectURI)
        }
        if redirectURIs.isEmpty, let refused { throw refused }
        self.redirectURIs = redirectURIs
        // Other response types are left out.
        guard try strings("response_types", ["code"]).contains("code") || !requested.contains(.authorizationCode) else {
            throw fail("response_types is [code]")
        }

        name = root["client_name"]?.string.map { DisplayText.clean($0, limit: 100) }.flatMap { $0.isEmpty ? nil : $0 }
        if let text = try text("scope", 4096) {
            // It limits nothing. The user decides each time, and a client that needs more later requests more (R32).
            guard ScopeSet(request: text) != nil else { throw fail("scope is a list of scope tokens separated by spaces") }
        }

        let stated = root.optional("token_endpoint_auth_method")
        isDefaultMethod = stated == nil || stated?.string?.isEmpty == true
        if let stated, !isDefaultMethod {
            guard let known = stated.string.flatMap(Client.AuthenticationMethod.init(rawValue:)),
                rules.allowsSecrets || known == .none || known == .privateKeyJWT
            else {
                throw fail(
                    rules.allowsSecrets
                        ? "token_endpoint_auth_method is none, client_secret_basic, client_secret_post or private_key_jwt"
                        : "token_endpoint_auth_method is none or private_key_jwt: a document that everybody can read keeps no secret")
            }
            method = known
        } else {
            method = rules.defaultMethod
        }
        if !rules.allowsSecrets, root.optional("client_secret") != nil { throw fail("a document that everybody can read keeps no client_secret") }
        keys = try Self.keys(root)
        guard method != .privateKeyJWT || keys != nil else { throw fail("private_key_jwt needs jwks, or jwks_uri") }
        if let name = try text("token_endpoint_auth_signing_alg", 16) {
            guard let algorithm = SigningAlgorithm(rawValue: name), !algorithm.isSymmetric else {
                throw fail("token_endpoint_auth_signing_alg is an asymmetric algorithm such as ES256")
            }
            assertionAlgorithm = algorithm
        } else {
            assertionAlgorithm = nil
        }
        requiresPushedRequests = try flag("require_pushed_authorization_requests")
        requiresDPoP = try flag("dpop_bound_access_tokens")
        webPage = root["client_uri"]?.string.flatMap(WebURL.init).flatMap { Self.isShown($0) ? $0 : nil }
    }

    /// Whether the URL of a page about a client may be registered. Others are left out.
    private static func isShown(_ url: WebURL) -> Bool {
        (url.isSecure || url.isLoopback) && IPAddress(url.host).map { $0.isPublic || $0.isLoopback } ?? true
    }

    /// `jwks` or `jwks_uri`, not both (RFC 7591 §2). Every key of a set must be usable, public and asymmetric.
    private static func keys(_ root: JSONView) throws(OAuthError) -> Client.Keys? {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidClientMetadata, message) }
        let address = root.optional("jwks_uri").flatMap { $0.string?.isEmpty == true ? nil : $0 }
        switch (root.optional("jwks"), address) {
        case (nil, nil): return nil
        case (_?, _?): throw fail("jwks and jwks_uri exclude each other")
        case (nil, let uri?):
            guard let url = uri.string.flatMap(WebURL.init), url.isSecure, IPAddress(url.host).map(\.isPublic) ?? true else {
                throw fail("jwks_uri is an https URL")
            }
            return .url(url)
        case (let view?, nil):
            guard let entries = view["keys"]?.array, (1...maximumKeys).contains(entries.count) else {
                throw fail("jwks is a JWK set of 1 to \(maximumKeys) keys")
            }
            for entry in entries {
                guard !["d", "p", "q", "k"].contains(where: { entry.optional($0) != nil }) else {
                    throw fail("jwks holds a secret or private key; send public keys only")
                }
                do throws(JOSEError) { _ = try VerificationKey(jwk: entry) } catch {
                    throw fail("jwks holds a key that cannot be used: \(error.message)")
                }
            }
            return .inline(String(decoding: view.value.serialized, as: UTF8.self))
        }
    }
}

extension Client {
    init(_ metadata: ClientMetadata, id: ClientID, origin: Origin, createdAt: NumericDate) {
        self.init(
            id: id, name: metadata.name, redirectURIs: metadata.redirectURIs, authenticationMethod: metadata.method, keys: metadata.keys,
            assertionAlgorithm: metadata.assertionAlgorithm, grantTypes: metadata.grantTypes,
            requiresPushedRequests: metadata.requiresPushedRequests, requiresDPoP: metadata.requiresDPoP, webPage: metadata.webPage, origin: origin,
            createdAt: createdAt)
        acceptsEitherSecretMethod = metadata.isDefaultMethod && metadata.method.usesSecret
    }

    /// Applies the metadata. Permissions that the operator gave or withheld stay unchanged (RFC 7592 §2.2, requirement
    /// 128).
    mutating func update(_ metadata: ClientMetadata) {
        self = {
            var updated = Client(metadata, id: id, origin: origin, createdAt: createdAt)
            updated.secrets = updated.authenticationMethod.usesSecret && authenticationMethod.usesSecret ? secrets : []
            updated.registrationToken = registrationToken
            updated.introspects = introspects
            updated.scopes = scopes
            updated.isDisabled = isDisabled
            return updated
        }()
    }

    /// The registered metadata (RFC 7591 §3.2.1), without secrets.
    var metadata: JSONObject {
        var json: JSONObject = [
            "client_id": .string(id.text), "client_id_issued_at": .int(createdAt.seconds), "redirect_uris": .strings(redirectURIs.map(\.text)),
            "token_endpoint_auth_method": .string(authenticationMethod.rawValue), "grant_types": .strings(grantTypes.map(\.rawValue)),
            "response_types": grantTypes.contains(.authorizationCode) ? ["code"] : [],
        ]
        json["client_name"] = name.map { .string($0) }
        json["scope"] = scopes.map { .string($0.text) }
        json["client_uri"] = webPage.map { .string($0.text) }
        json["token_endpoint_auth_signing_alg"] = assertionAlgorithm.map { .string($0.rawValue) }
        switch keys {
        case .inline(let text): json["jwks"] = try? JSONValue(parsing: text)
        case .url(let url): json["jwks_uri"] = .string(url.text)
        case nil: break
        }
        if requiresPushedRequests { json["require_pushed_authorization_requests"] = true }
        if requiresDPoP { json["dpop_bound_access_tokens"] = true }
        return json
    }
}
