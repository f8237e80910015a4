import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The introspection endpoint (RFC 7662), for resource servers that the operator registered, and only for tokens that
/// are meant for them (R123). On request the response is signed (RFC 9701).
struct IntrospectionEndpoint: ServerComponent {
    let context: ServerContext
    let pipeline: EndpointPipeline
    let limits: RateLimiters
    let clients: ClientAuthentication
    let tokens: AccessTokens
    let activeGrants: ActiveGrants
    let uses: GrantUses

    func reply(to call: HTTPCall) async -> HTTPReply {
        await pipeline.post(call, limit: limits.token) { form throws(OAuthError) in
            let server = try await clients.client(form, call)
            guard server.authenticationMethod != .none, let resource = server.introspects else {
                throw OAuthError(.invalidClient, "only a resource server that is registered for introspection may ask")
            }
            guard let text = try form.single("token") else { throw OAuthError(.invalidRequest, "token is missing") }
            let answer = JSONValue.object(try await introspection(of: text, for: resource))
            guard wantsJWT(call) else { return .json(answer) }
            let now = clock.now
            let claims: JSONValue = [
                "iss": .string(issuer.text), "aud": .string(server.id.text), "iat": .int(now.seconds), "token_introspection": answer,
            ]
            let signed = try tokens.sign(claims.serialized, type: "token-introspection+jwt", at: now)
            return HTTPReply(
                .ok, [.contentType: Self.signedIntrospection, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"], body: Array(signed.utf8))
        }
    }

    private static let signedIntrospection = "application/token-introspection+jwt"

    private func wantsJWT(_ call: HTTPCall) -> Bool {
        (call.request.headerFields[.accept] ?? "").utf8.split(separator: UInt8(ascii: ",")).contains { part in
            let type = part.prefix { $0 != UInt8(ascii: ";") }.filter { $0 != 0x20 }.map(URLBytes.lowercased)
            return type.elementsEqual(Self.signedIntrospection.utf8)
        }
    }

    /// Exactly `active: false` for everything but a valid token that is meant for this resource server.
    private func introspection(of text: String, for resource: String) async throws(OAuthError) -> JSONObject {
        guard let claims = tokens.claims(of: text, at: clock.now), claims.isMeant(for: resource), let tokenID = claims.identifier,
            try await activeGrants.grant(of: tokenID, claims) != nil
        else { return ["active": false] }
        var json: JSONObject = ["active": true, "token_type": claims["cnf"] == nil ? "Bearer" : "DPoP"]
        for name in [
            "iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti", "cnf", "act", "name", "preferred_username", "email", "email_verified",
        ] { json[name] = claims[name]?.value }
        uses.note(tokenID, Operation(kind: "introspection", name: ""), issuedAt: claims.issuedAt, at: clock.now)
        return json
    }
}
