import HTTPTypes
import JOSE
import OAuth

// What a server does when it is asked more often than any client would. Only on request: this is load.

extension DeploymentExamination {
    /// The number of requests that an examination with load sends to each endpoint.
    public static let requestsUnderLoad = 120

    /// Sends wrong requests in a row, and looks for limits and for failures.
    mutating func checkLoad(registers: Bool) async {
        if let endpoint = issuer?.metadata?.tokenEndpoint, endpoint.isSecure || endpoint.isLoopback {
            steps.append("\(Self.requestsUnderLoad) wrong token requests")
            // Some servers count wrong secrets of clients that exist, and only those.
            let registration = registers ? await confidentialClient() : nil
            var form = Form([("grant_type", "client_credentials")])
            var fields: HTTPFields = [.contentType: "application/x-www-form-urlencoded", .accept: "application/json"]
            try? ClientAuthentication.basic(clientID: registration?.clientID ?? "doctor-unknown-client", secret: "doctor-made-up-secret").add(
                to: &form, &fields, at: clock.now)
            let request = OutboundRequest(.post, endpoint, fields: fields, body: Array(form.encoded.utf8))
            judge(await replies(to: request), "the token endpoint", "token_endpoint", effect: "Client secrets can be guessed at full speed.")
            if let registration, let endpoint = issuer?.metadata?.registrationEndpoint { await delete(registration, endpoint) }
        }
        steps.append("\(Self.requestsUnderLoad) requests with a made-up token")
        judge(await replies(to: ping(token: "doctor-made-up-token")), "the server", "server", effect: nil)
    }

    /// A client with a secret, which is deleted afterwards. Nil where none can be registered.
    private func confidentialClient() async -> Registration? {
        guard let issuer, let endpoint = issuer.metadata?.registrationEndpoint, endpoint.isSecure || endpoint.isLoopback else { return nil }
        let body: JSONObject = [
            "client_name": "mcp-auth doctor", "redirect_uris": .strings(profile.redirectURIs), "application_type": .string(profile.applicationType),
            "token_endpoint_auth_method": "client_secret_basic",
        ]
        let request = OutboundRequest(
            .post, endpoint, fields: [.contentType: "application/json", .accept: "application/json"], body: JSONValue.object(body).serialized)
        guard let reply = await fetch(request), reply.response.status == .created || reply.response.status == .ok else { return nil }
        return try? Registrar.registration(reply.body, issuer: issuer.issuer, requested: profile.redirectURIs.compactMap { try? RedirectURI($0) })
    }

    private func replies(to request: OutboundRequest) async -> [HTTPReply] {
        var replies: [HTTPReply] = []
        for _ in 0..<Self.requestsUnderLoad {
            guard let reply = await fetch(request) else { continue }
            replies.append(reply)
            if reply.response.status == .tooManyRequests { break }
        }
        return replies
    }

    /// - Parameter effect: What follows where there is no limit. Nil: a limit is not needed there.
    private mutating func judge(_ replies: [HTTPReply], _ place: String, _ code: String, effect: String?) {
        if replies.isEmpty || replies.contains(where: { $0.response.status.code >= 500 }) {
            add(
                .error, "\(code)_fails_under_load", "\(place) fails when it gets \(Self.requestsUnderLoad) wrong requests in a row",
                effect: "One sender can take the service from everyone.", remedy: "Limit requests by client address, and answer 429.",
                clause: "RFC 6585 §4")
        } else if let limited = replies.first(where: { $0.response.status == .tooManyRequests }) {
            if limited.response.headerFields[.retryAfter] == nil {
                add(
                    .note, "\(code)_limit_without_retry_after", "\(place) answers 429 without Retry-After",
                    effect: "Clients do not know how long to wait, and try again at once.", remedy: "Send Retry-After.", clause: "RFC 6585 §4")
            }
        } else if let effect {
            add(
                .warning, "\(code)_has_no_limit", "\(place) answers \(Self.requestsUnderLoad) wrong requests in a row without a limit",
                effect: effect,
                remedy: "Limit wrong requests by client address, and answer 429 with Retry-After.", clause: "RFC 6749 §10.10")
        }
    }
}
