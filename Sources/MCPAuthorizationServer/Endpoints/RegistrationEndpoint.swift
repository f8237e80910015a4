import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// Dynamic client registration (RFC 7591) and its management by the client (RFC 7592).
struct RegistrationEndpoint: ServerComponent {
    let context: ServerContext
    let pipeline: EndpointPipeline
    let limits: RateLimiters
    let store: any ClientStore & SingleUseStore
    let clients: ClientRemoval
    let invitations: Sealer

    /// Dynamic client registration (RFC 7591 §3). A registration gives a client no more than every client has.
    func register(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .post else { return .methodNotAllowed("POST") }
        if let seconds = limits.registration.wait(for: call.limitKey, at: clock.now) {
            return HTTPReply.error(OAuthError(.tooManyRequests, "too many registrations; wait \(seconds) seconds"), status: .tooManyRequests)
                .with(.retryAfter, "\(seconds)")
        }
        do throws(OAuthError) {
            // A page of another site can make a browser send anything but JSON without a preflight.
            guard isJSON(call) else {
                return HTTPReply.error(
                    OAuthError(.invalidClientMetadata, "send Content-Type: application/json"), status: .unsupportedMediaType)
            }
            let document = try registrationDocument(call)
            let stated = try softwareStatement(document.root)
            let metadata = try ClientMetadata(stated ?? document.root, .registration(configuration))
            let invitation = try invitation(call)
            guard let id = ClientID("client-" + random.token(bytes: 16)) else { throw OAuthError(.serverError, "no identifier") }
            var client = Client(metadata, id: id, origin: .dynamic, createdAt: clock.now)
            let secret = client.addSecret(random)
            let registrationToken = random.token()
            client.registrationToken = SecretHash(of: registrationToken)
            if let invitation {
                guard try await stored({ try await store.consume(invitation) }) else {
                    throw OAuthError(.invalidToken, "the initial access token was used before; ask the operator for another")
                }
            }
            let registered = client
            do throws(StoreError) { try await store.save(registered, limit: configuration.maximumDynamicClients) } catch {
                if error.kind == .full { throw OAuthError(.temporarilyUnavailable, "this server has as many clients as it takes") }
                throw unavailable(error)
            }
            record("client.registered", .allowed, call, reason: stated == nil ? nil : "software_statement", detail: metadata.name, client: id)
            return HTTPReply.json(response(registered, secret, registrationToken), status: .created)
        } catch { return registrationFailure(error, call) }
    }

    /// Management of a client's own registration (RFC 7592): read, change, delete.
    func manageRegistration(_ call: HTTPCall) async -> HTTPReply {
        guard [.get, .put, .delete].contains(call.request.method) else { return .methodNotAllowed("GET, PUT, DELETE") }
        let refusal = OAuthError(.invalidToken, "the registration access token is not one for this client")
        if let reply = limits.tooMany(call, limits.begin) { return reply }
        do throws(OAuthError) {
            let form = try Form(queryOf: call.request.path ?? "")
            guard case .bearer(let token) = Credential(call.request) else { throw refusal }
            // The response does not reveal whether the client exists (D-06).
            guard let id = try form.single("client_id").flatMap(ClientID.init), var client = try await stored({ try await store.client(id) }),
                client.origin == .dynamic, let hash = client.registrationToken, hash.isHash(of: token.text)
            else {
                if let seconds = limits.clientSecret.wait(for: call.limitKey, at: clock.now) {
                    throw OAuthError(.tooManyRequests, "too many attempts; wait \(seconds) seconds")
                }
                record("client.management", .denied, call, reason: "wrong_registration_token")
                throw refusal
            }
            switch call.request.method {
            case .get: return .json(response(client, nil, nil))
            case .put:
                guard isJSON(call) else {
                    return HTTPReply.error(
                        OAuthError(.invalidClientMetadata, "send Content-Type: application/json"), status: .unsupportedMediaType)
                }
                let document = try registrationDocument(call)
                guard document.root["client_id"]?.string?.utf8.elementsEqual(id.text.utf8) == true else {
                    throw OAuthError(.invalidClientMetadata, "client_id is the one of this registration")
                }
                for name in ["registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"]
                where document.root.optional(name) != nil {
                    throw OAuthError(.invalidClientMetadata, "\(name) cannot be changed (RFC 7592 §2.2)")
                }
                if let stated = document.root.optional("client_secret") {
                    guard let text = stated.string, client.hasSecret(text, at: clock.now) else {
                        throw OAuthError(.invalidClientMetadata, "a client does not choose its client_secret")
                    }
                }
                let metadata = try ClientMetadata(try softwareStatement(document.root) ?? document.root, .registration(configuration))
                let previous = client
                client.update(metadata)
                let secret = client.authenticationMethod.usesSecret && client.secrets.isEmpty ? client.addSecret(random) : nil
                let updated = client
                // The client may have been disabled meanwhile. Then nothing enables it again.
                guard try await stored({ try await store.replace(updated, expecting: previous) }) else { throw refusal }
                record("client.updated", .allowed, call, detail: metadata.name, client: id)
                return .json(response(updated, secret, nil))
            default:
                // Its tokens are revoked too.
                try await clients.delete(client: id)
                record("client.deleted", .allowed, call, client: id)
                return HTTPReply(.noContent, [.cacheControl: "no-store"])
            }
        } catch { return registrationFailure(error, call) }
    }

    private func isJSON(_ call: HTTPCall) -> Bool {
        call.request.headerFields[values: .contentType].count == 1 && call.mediaType == "application/json"
    }

    private func registrationDocument(_ call: HTTPCall) throws(OAuthError) -> JSONDocument {
        guard call.body.count <= 65536 else { throw OAuthError(.invalidClientMetadata, "the document is longer than 64 KiB") }
        do throws(JOSEError) { return try JSONDocument(parsing: call.body, limits: JSONLimits(maximumBytes: 65536, maximumDepth: 16)) } catch {
            throw OAuthError(.invalidClientMetadata, "the document is not JSON: \(error.message)")
        }
    }

    /// The document, with the claims of a trusted software statement in place of the client's own (RFC 7591 §2.3). Nil
    /// without a statement.
    private func softwareStatement(_ root: JSONView) throws(OAuthError) -> JSONView? {
        guard let view = root.optional("software_statement"), view.string?.isEmpty != true else { return nil }
        guard let text = view.string, let jws = try? CompactJWS(parsing: text), let claims = try? JWTClaims(parsing: jws.payload) else {
            throw OAuthError(.invalidSoftwareStatement, "software_statement is not a signed JWT")
        }
        guard let trusted = configuration.softwareStatements.first(where: { claims.isIssued(by: $0.issuer) }) else {
            throw OAuthError(.unapprovedSoftwareStatement, "software statements of this issuer are not accepted here")
        }
        guard (try? jws.verify(using: JWKSet(trusted.keys), allowing: SigningAlgorithm.asymmetric)) != nil else {
            throw OAuthError(.invalidSoftwareStatement, "the signature of the software_statement does not verify")
        }
        guard jws.header.type == nil || jws.header.hasType("JWT") || jws.header.hasType("software-statement+jwt"),
            claims.expiration.map({ clock.now < $0 }) ?? true
        else { throw OAuthError(.invalidSoftwareStatement, "the software_statement has expired, or is a JWT for something else") }
        guard var merged = root.value.object, let stated = claims.document.root.members else { return nil }
        let registered: Set = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]
        for (name, value) in stated where !registered.contains(name) { merged[name] = value.value }
        do throws(JOSEError) { return try JSONDocument(parsing: JSONValue.object(merged).serialized).root } catch {
            throw OAuthError(.invalidSoftwareStatement, error.message)
        }
    }

    /// The use of the initial access token of this registration. Nil if none is needed. Throws `invalid_token`.
    private func invitation(_ call: HTTPCall) throws(OAuthError) -> SingleUse? {
        guard configuration.dynamicRegistration == .initialAccessToken else { return nil }
        guard case .bearer(let token) = Credential(call.request), let invitation = Invitation(token.text, invitations),
            clock.now < invitation.expiresAt
        else { throw OAuthError(.invalidToken, "registering takes an initial access token: ask the operator, who makes one with clients invite") }
        return SingleUse(SecretHash(of: "invitation " + invitation.id), until: invitation.expiresAt)
    }

    private func registrationFailure(_ error: OAuthError, _ call: HTTPCall) -> HTTPReply {
        guard error.code == .invalidToken else { return pipeline.failure(error, call) }
        let challenge = AuthenticationChallenge([("error", error.code.rawValue), ("error_description", error.message)])
        return HTTPReply.error(error, status: .unauthorized).with(.wwwAuthenticate, challenge.headerValue)
    }

    /// The registered metadata (RFC 7591 §3.2.1, RFC 7592 §3).
    private func response(_ client: Client, _ secret: String?, _ registrationToken: String?) -> JSONValue {
        var json = client.metadata
        if let secret {
            json["client_secret"] = .string(secret)
            json["client_secret_expires_at"] = 0
        }
        if let registrationToken { json["registration_access_token"] = .string(registrationToken) }
        json["registration_client_uri"] = .string(routes.url("/register/client") + "?client_id=" + Form.encode(client.id.text))
        return .object(json)
    }
}
