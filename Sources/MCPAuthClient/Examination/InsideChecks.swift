import HTTPTypes
import JOSE
import OAuth

// The look from inside: with tokens of a user, and with a grant that the examination may spend.

extension DeploymentExamination {
    /// Signs a user in. A sign-in that fails is a finding, and the examination goes on without it.
    mutating func checkSignIn(_ session: AuthorizedSession) async -> Credentials? {
        if let credentials = try? await session.stored() { return credentials }
        // No user can sign in there, and the reason has been found.
        guard isProtected, issuer?.metadata != nil, !findings.contains(where: { $0.code == "resource_not_accepted" }) else { return nil }
        steps.append("a sign-in")
        do throws(OAuthError) {
            try await session.signIn()
            return try await session.stored()
        } catch {
            let isDenied = error.code == .accessDenied
            add(
                isDenied ? .note : .error, "sign_in_failed", "the sign-in failed: \(DisplayText.clean(error.message, limit: 400))",
                effect: isDenied ? "The view from inside was skipped." : "Users cannot sign in, at least not this one.",
                remedy: isDenied
                    ? "Allow the access, and run the examination again."
                    : "The other findings may name the cause; so does the log of the authorization server.",
                clause: "RFC 6749 §4.1")
            await forget(session)
            return nil
        }
    }

    /// The look from inside, with tokens of a user.
    /// - Parameter isFresh: Whether the tokens were issued for this examination. Others may have been revoked since.
    mutating func checkInside(_ credentials: Credentials, isFresh: Bool) async {
        steps.append("a request with a token")
        var fields: HTTPFields = [.authorization: "\(credentials.tokenType.rawValue) \(credentials.accessToken)"]
        if let key = credentials.proofKey {
            fields[.dpop] = try? key.proof("POST", server.url, accessToken: credentials.accessToken, at: clock.now)
        }
        guard let reply = await fetch(ping(fields)) else { return }
        if reply.response.status == .unauthorized, !isFresh {
            return add(
                .note, "kept_sign_in_ended", "the server rejects the token of the sign-in that is kept here",
                effect: "The view from inside was skipped. Most likely the grant was revoked or disconnected, which is no fault of the server.",
                remedy: "Sign in for the examination: mcp-auth doctor \(server) --sign-in. If that token is rejected too, the server is at fault.")
        }
        if reply.response.status == .unauthorized, credentials.proofKey == nil {
            add(
                .error, "good_token_rejected", "the server rejects a token that its authorization server issued for it",
                effect: "No user can use the server.",
                remedy: "Its log says why. Most often the audience or the issuer is configured in another spelling.", clause: "RFC 8707 §2")
        }
        if let jws = try? CompactJWS(parsing: credentials.accessToken), let claims = try? JWTClaims(parsing: jws.payload) {
            let expected = credentials.resource
            if !claims.audience.contains(where: { $0.utf8.elementsEqual(expected.utf8) }) {
                add(
                    .warning, "audience_differs",
                    "the token is for \(claims.audience.isEmpty ? "no audience" : claims.audience.joined(separator: ", ")), not for \(expected)",
                    effect: "A token of another server could be used here, and this one elsewhere.",
                    remedy: "Let the authorization server put the requested resource into aud.", clause: "RFC 8707 §2")
            }
            if let expiry = claims.expiration, let issued = claims.issuedAt, expiry.seconds(since: issued) > 86_400 {
                add(
                    .warning, "token_lives_long", "access tokens live for \(expiry.seconds(since: issued) / 3600) hours",
                    effect: "A stolen token works for that long.",
                    remedy: "Use an hour or less, and refresh tokens.", clause: "RFC 9700 §2.2")
            }
        }
        if credentials.tokenType == .dpop, let reply = await fetch(ping(token: credentials.accessToken)), Self.isAccepted(reply) {
            add(
                .critical, "bound_token_accepted_as_bearer", "a token that is bound to a key is accepted without a proof",
                effect: "A stolen token works, which the binding should prevent.", remedy: "Check cnf.jkt and the proof.", clause: "RFC 9449 §7.2")
        }
        if credentials.refreshToken == nil {
            add(
                .note, "no_refresh_token", "there is no refresh token", effect: "Users sign in again whenever the access token expires.",
                remedy: "Issue refresh tokens to clients that register the grant refresh_token.", clause: "MCP authorization, Refresh Tokens")
        }
    }

    /// Refresh, sessions and revocation, with a sign-in that was made for this and ends with it.
    mutating func checkGrant(_ session: AuthorizedSession) async {
        guard var credentials = try? await session.stored() else { return }
        await checkSession(credentials)
        let first = credentials
        if first.refreshToken != nil {
            steps.append("a renewal")
            do throws(OAuthError) {
                guard let renewed = try await session.obtaining.refresh(first, nil) else {
                    throw OAuthError(.invalidClient, "the client is forgotten")
                }
                await checkRotation(first, renewed, session)
                credentials = renewed
            } catch {
                add(
                    .error, "refresh_rejected", "a refresh token that was just issued is rejected (\(error.code.rawValue))",
                    effect: "Every user signs in again whenever the access token expires.",
                    remedy: "Look into the log of the authorization server; let it issue refresh tokens only if it accepts them.",
                    clause: "RFC 6749 §6")
            }
        }
        await checkRevocation(credentials, session)
        await forget(session)
    }

    /// Deletes the registration that the sign-in made, where the authorization server allows that.
    private func forget(_ session: AuthorizedSession) async {
        guard let issuer = issuer?.issuer, let registration = try? await session.obtaining.registrar.stored(at: issuer),
            let management = registration.management, management.url.origin.utf8.elementsEqual(issuer.url.origin.utf8)
        else { return }
        _ = await fetch(OutboundRequest(.delete, management.url, fields: [.authorization: "Bearer \(management.token)"]))
    }

    private mutating func checkRotation(_ first: Credentials, _ renewed: Credentials, _ session: AuthorizedSession) async {
        guard renewed.refreshToken != first.refreshToken else {
            if first.proofKey == nil {
                add(
                    .warning, "refresh_token_not_rotated", "a renewal returns the same refresh token, which is bound to no key",
                    effect: "A stolen refresh token works for as long as the grant, unnoticed.",
                    remedy: "Issue a new refresh token at each renewal, or bind the tokens of public clients (DPoP).", clause: "OAuth 2.1 §4.3.1")
            }
            return
        }
        guard (try? await session.obtaining.refresh(first, nil)) != nil else {
            // A server that rejects a used token also ends the grant, so that a thief cannot go on. That is by design.
            return
        }
        add(
            .note, "used_refresh_token_accepted", "a refresh token that was used a moment ago is accepted once more",
            effect: "Clients whose answer was lost recover. A thief has the same moment, if it is not bounded.",
            remedy: "Nothing, if this is a short grace that the server bounds and watches; otherwise end the grant at the second use.",
            clause: "RFC 9700 §4.14.2")
    }

    /// A session of the handshake revisions: its identifier must not stand for a token.
    private mutating func checkSession(_ credentials: Credentials) async {
        steps.append("a session")
        var fields: HTTPFields = [
            .authorization: "\(credentials.tokenType.rawValue) \(credentials.accessToken)", .contentType: "application/json",
            .accept: "application/json, text/event-stream",
        ]
        if let key = credentials.proofKey {
            fields[.dpop] = try? key.proof("POST", server.url, accessToken: credentials.accessToken, at: clock.now)
        }
        let version = "2025-11-25"
        let body: JSONValue = [
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": [
                "protocolVersion": .string(version), "capabilities": [:], "clientInfo": ["name": "mcp-auth doctor", "version": "1"],
            ],
        ]
        let opening = OutboundRequest(.post, server.url, fields: fields, body: body.serialized, maximumBytes: 1 << 20)
        let name = HTTPField.Name("Mcp-Session-Id")!
        guard let reply = await fetch(opening), reply.response.status == .ok, let id = reply.response.headerFields[name] else { return }
        let without: HTTPFields = [name: id, HTTPField.Name("MCP-Protocol-Version")!: version]
        if let reply = await fetch(ping(without)), Self.isAccepted(reply) {
            add(
                .critical, "session_replaces_token", "a request with the ID of a session and without a token is answered",
                effect: "A person who learns a session ID acts as its user.",
                remedy: "Authenticate every request; a session ID identifies, it does not authenticate.",
                clause: "MCP security best practices, Session Hijacking")
        }
        if id.utf8.count < 16 {
            add(
                .warning, "session_id_guessable", "session IDs have \(id.utf8.count) characters", effect: "Sessions of others can be guessed.",
                remedy: "Use random identifiers of 128 bits.", clause: "MCP transports, Session Management")
        }
        fields[name] = id
        fields[HTTPField.Name("MCP-Protocol-Version")!] = version
        if let key = credentials.proofKey {
            fields[.dpop] = try? key.proof("DELETE", server.url, accessToken: credentials.accessToken, at: clock.now)
        }
        _ = await fetch(OutboundRequest(.delete, server.url, fields: fields))
    }

    private mutating func checkRevocation(_ credentials: Credentials, _ session: AuthorizedSession) async {
        guard issuer?.metadata?.revocationEndpoint != nil else {
            return add(
                .note, "revocation_missing", "there is no revocation endpoint", effect: "Signing out leaves tokens valid until they expire.",
                remedy: "Offer revocation, and name it in the metadata.", clause: "RFC 7009 §2")
        }
        steps.append("a revocation")
        guard await session.obtaining.revoke(credentials) else {
            return add(
                .error, "revocation_rejected", "the authorization server does not revoke a token for its own client",
                effect: "Users cannot sign out; a lost device keeps its access.",
                remedy: "Accept at the revocation endpoint what the client authenticates with at the token endpoint.", clause: "RFC 7009 §2.1")
        }
        if credentials.refreshToken != nil, (try? await session.obtaining.refresh(credentials, nil)) != nil {
            add(
                .critical, "revocation_without_effect", "a refresh token works after it was revoked",
                effect: "Signing out, and ending a stolen grant, change nothing.", remedy: "Reject revoked refresh tokens.", clause: "RFC 7009 §2.2")
        }
        var fields: HTTPFields = [.authorization: "\(credentials.tokenType.rawValue) \(credentials.accessToken)"]
        if let key = credentials.proofKey {
            fields[.dpop] = try? key.proof("POST", server.url, accessToken: credentials.accessToken, at: clock.now)
        }
        if let reply = await fetch(ping(fields)), Self.isAccepted(reply) {
            let seconds = credentials.expiresAt.map { max(0, $0.seconds(since: clock.now)) }
            let isLong = seconds.map { $0 > 3600 } ?? true
            add(
                isLong ? .warning : .note, "access_token_outlives_revocation",
                "the access token is accepted after the grant was revoked, \(seconds.map { "for up to \($0) seconds more" } ?? "without an end that is known")",
                effect: "A stolen access token works for that long after the user has ended the grant.",
                remedy: "Use access tokens of minutes, or ask the authorization server about each token (introspection).", clause: "RFC 7009 §3")
        }
    }
}
