import HTTPTypes
import JOSE
import MCPAuth
import OAuth

extension AuthorizationServer {
    /// Dynamic client registration (RFC 7591 §3). Nothing that a client sends gives it more than any client has.
    func register(_ call: HTTPCall) async -> HTTPReply {
        guard configuration.dynamicRegistration == .open else {
            return .error(OAuthError(.invalidRequest, "clients are registered by the operator of this server"), status: .notFound)
        }
        guard call.request.method == .post else { return methodNotAllowed("POST") }
        if let seconds = limits.registration.wait(for: limitKey(call), at: clock.now) {
            return HTTPReply.error(OAuthError(.slowDown, "too many registrations; wait \(seconds) seconds"), status: .tooManyRequests)
                .with(.retryAfter, "\(seconds)")
        }
        do throws(OAuthError) {
            guard call.body.count <= 65536 else { throw OAuthError(.invalidClientMetadata, "the document is longer than 64 KiB") }
            let document: JSONDocument
            do throws(JOSEError) {
                document = try JSONDocument(parsing: call.body, limits: JSONLimits(maximumBytes: 65536, maximumDepth: 16))
            } catch { throw OAuthError(.invalidClientMetadata, "the document is not JSON: \(error.message)") }
            let request = try RegistrationRequest(document.root)
            let secret = request.method == .none ? nil : random.token()
            guard let id = ClientID("client-" + random.token(bytes: 16)) else { throw OAuthError(.serverError, "no identifier") }
            let client = Client(
                id: id, name: request.name, redirectURIs: request.redirectURIs, authenticationMethod: request.method,
                secretHash: secret.map { SecretHash(of: $0) }, grantTypes: request.grantTypes, origin: .dynamic, createdAt: clock.now)
            do throws(StoreError) { try await store.save(client, limit: configuration.maximumDynamicClients) } catch {
                if error.kind == .full { throw OAuthError(.temporarilyUnavailable, "this server has as many clients as it takes") }
                throw unavailable(error)
            }
            record("client.registered", .allowed, call, detail: request.name, client: id)
            return HTTPReply.json(Self.response(client, secret), status: .created)
        } catch { return failure(error, call) }
    }

    /// What was really registered (RFC 7591 §3.2.1).
    private static func response(_ client: Client, _ secret: String?) -> JSONValue {
        var json: JSONObject = [
            "client_id": .string(client.id.text), "client_id_issued_at": .int(client.createdAt.seconds),
            "redirect_uris": .strings(client.redirectURIs.map(\.text)), "token_endpoint_auth_method": .string(client.authenticationMethod.rawValue),
            "grant_types": .strings(client.grantTypes), "response_types": ["code"],
        ]
        json["client_name"] = client.name.map { .string($0) }
        if let secret {
            json["client_secret"] = .string(secret)
            json["client_secret_expires_at"] = 0
        }
        return .object(json)
    }
}

/// The metadata that a client sent, checked. What is not known is ignored (RFC 7591 §2).
private struct RegistrationRequest {
    let name: String?
    let redirectURIs: [RedirectURI]
    let method: Client.AuthenticationMethod
    let grantTypes: [String]

    init(_ root: JSONView) throws(OAuthError) {
        func fail(_ message: String) -> OAuthError { OAuthError(.invalidClientMetadata, message) }
        guard root.isObject else { throw fail("the document is not a JSON object") }
        func strings(_ name: String, _ fallback: [String]) throws(OAuthError) -> [String] {
            guard let view = root[name] else { return fallback }
            guard let values = view.strings, values.count <= 32 else { throw fail("\(name) is an array of at most 32 strings") }
            return values
        }
        guard root["redirect_uris"] != nil else { throw OAuthError(.invalidRedirectURI, "redirect_uris is missing") }
        let uris = try strings("redirect_uris", [])
        guard (1...16).contains(uris.count) else { throw OAuthError(.invalidRedirectURI, "redirect_uris has 1 to 16 entries") }
        var redirectURIs: [RedirectURI] = []
        for uri in uris { redirectURIs.append(try RedirectURI(uri)) }
        self.redirectURIs = redirectURIs

        if let view = root["client_name"] {
            guard let text = view.string, text.utf8.count <= 512 else { throw fail("client_name is a string of at most 512 bytes") }
            name = DisplayText.clean(text, limit: 100)
        } else {
            name = nil
        }
        if let view = root["token_endpoint_auth_method"] {
            guard let known = view.string.flatMap(Client.AuthenticationMethod.init(rawValue:)) else {
                throw fail("token_endpoint_auth_method is none, client_secret_basic or client_secret_post")
            }
            method = known
        } else {
            method = .basic  // RFC 7591 §2
        }
        let requested = try strings("grant_types", ["authorization_code", "refresh_token"])
        guard requested.contains("authorization_code"), Set(requested).isSubset(of: ["authorization_code", "refresh_token"]) else {
            throw fail("grant_types may hold authorization_code and refresh_token, and must hold the first")
        }
        grantTypes = Array(Set(requested)).sorted()
        guard try strings("response_types", ["code"]) == ["code"] else { throw fail("response_types is [code]") }
        for name in ["software_statement", "jwks", "jwks_uri"] where root[name] != nil { throw fail("\(name) is not supported here") }
        for name in root.members?.map(\.name) ?? [] where Self.isWebPage(name) {
            guard let url = root[name]?.string.flatMap(WebURL.init), url.isSecure || url.isLoopback else { throw fail("\(name) is an https URL") }
        }
    }

    /// Also in translation, such as `client_uri#fr`.
    private static func isWebPage(_ name: String) -> Bool {
        let plain = name.utf8.prefix { $0 != UInt8(ascii: "#") }
        return ["client_uri", "logo_uri", "tos_uri", "policy_uri"].contains { $0.utf8.elementsEqual(plain) }
    }
}
