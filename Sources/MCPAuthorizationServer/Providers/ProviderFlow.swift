import HTTPTypes
import IdentityProviders
import JOSE
import Logging
import MCPAuth
import OAuth

/// A sign-in at an identity provider, between the departure of the browser and its return.
struct WaitingSignIn: Sendable {
    let provider: String
    /// The sealed transaction, which can be opened in the browser that began it only.
    let transaction: String
    let nonce: String
    let verifier: CodeVerifier
    /// The answer of a provider that posts it, until the browser fetches it.
    var answer: Answer?

    /// The answer of a provider (RFC 6749 §4.1.2).
    struct Answer: Sendable {
        let code: String?
        let error: String?
        let issuer: String?
    }

    var json: JSONValue {
        var json: JSONObject = [
            "provider": .string(provider), "transaction": .string(transaction), "nonce": .string(nonce), "verifier": .string(verifier.text),
        ]
        if let answer {
            var member = JSONObject()
            member["code"] = answer.code.map { .string($0) }
            member["error"] = answer.error.map { .string($0) }
            member["iss"] = answer.issuer.map { .string($0) }
            json["answer"] = .object(member)
        }
        return .object(json)
    }

    init(provider: String, transaction: String, nonce: String, verifier: CodeVerifier) {
        self.provider = provider
        self.transaction = transaction
        self.nonce = nonce
        self.verifier = verifier
    }

    init?(json: JSONValue) {
        guard let provider = json["provider"]?.string, let transaction = json["transaction"]?.string, let nonce = json["nonce"]?.string,
            let verifier = json["verifier"]?.string.flatMap(CodeVerifier.init)
        else { return nil }
        self.init(provider: provider, transaction: transaction, nonce: nonce, verifier: verifier)
        answer = json["answer"].map { Answer(code: $0["code"]?.string, error: $0["error"]?.string, issuer: $0["iss"]?.string) }
    }
}

/// Sends browsers to identity providers, and recognizes them when they return.
///
/// The value `state` is random and stored as a hash. What belongs to it is stored sealed, and taken once. It contains
/// the transaction, which opens only in the browser that began it (P-02, P-04).
struct ProviderFlow: ServerComponent {
    let context: ServerContext
    let store: any ConnectionStore
    let connections: Connections
    let sealer: Sealer
    let browser: BrowserFlow

    /// The number of seconds in which a provider may answer.
    static let lifetime: Int64 = 600
    /// The number of seconds in which the browser fetches an answer that was posted.
    private static let handleLifetime: Int64 = 60

    func redirectURI(_ id: String) -> String { routes.url("/sign-in/callback/" + id) }

    /// Sends the browser to the provider.
    func begin(_ id: String, _ transaction: Transaction, _ pages: Pages, _ call: HTTPCall) async -> HTTPReply {
        guard let client = connections.client(id) else { return pages.error(OAuthError(.invalidRequest, "there is no such way to sign in")) }
        do throws(ProviderFailure) {
            let (state, nonce) = (random.token(), random.token())
            guard let verifier = CodeVerifier(random.token()) else { throw .invalid("no verifier") }
            let now = clock.now
            let url = try await client.authorizationURL(
                state: state, nonce: nonce, challenge: CodeChallenge(of: verifier), redirectURI: redirectURI(id),
                furtherScopes: transaction.furtherScopes, mustSignInAgain: transaction.mustSignInAgain, at: now)
            do throws(OAuthError) {
                let waiting = WaitingSignIn(
                    provider: id, transaction: try browser.transactions.seal(transaction), nonce: nonce, verifier: verifier)
                try await keep(waiting, under: state, for: Self.lifetime)
            } catch { return pages.error(error, status: browser.pageStatus(error)) }
            return PageHeaders.redirect(to: url, isSecure: issuer.url.isSecure)
        } catch { return failed(error, client, pages, call) }
    }

    /// Stores a waiting sign-in under a random value. Throws `temporarily_unavailable`, also when too many wait.
    func keep(_ waiting: WaitingSignIn, under value: String, for lifetime: Int64) async throws(OAuthError) {
        let sealed = try sealer.seal(waiting.json.serialized, owner: waiting.provider)
        let pending = PendingSignIn(hash: SecretHash(of: value), sealed: sealed, expiresAt: clock.now.advanced(by: lifetime))
        do throws(StoreError) { try await store.add(pending, limit: configuration.maximumWaitingSignIns, at: clock.now) } catch {
            throw error.kind == .full ? OAuthError(.temporarilyUnavailable, "too many sign-ins wait; try again in some minutes") : unavailable(error)
        }
    }

    /// Takes a waiting sign-in, once. Nil when the value is unknown, used, expired, or belongs to another provider.
    func take(_ value: String, provider: String) async throws(OAuthError) -> WaitingSignIn? {
        guard value.utf8.count == 43, let pending = try await stored({ try await store.takePendingSignIn(SecretHash(of: value), at: clock.now) }),
            let bytes = sealer.open(pending.sealed, owner: provider), let json = try? JSONValue(parsing: bytes)
        else { return nil }
        return WaitingSignIn(json: json)
    }

    /// Keeps the answer that a provider posted, and returns the URL at which the browser fetches it. The post itself
    /// carries no cookies, because it comes from another site.
    func keep(_ answer: WaitingSignIn.Answer, of waiting: WaitingSignIn) async throws(OAuthError) -> String {
        var waiting = waiting
        waiting.answer = answer
        let handle = random.token()
        try await keep(waiting, under: handle, for: Self.handleLifetime)
        return routes.path("/sign-in/callback/" + waiting.provider) + "?handle=" + handle
    }

    /// The page for a failure of a provider: one thing to do for the user, and the setting to change in the log.
    func failed(_ failure: ProviderFailure, _ client: ProviderClient, _ pages: Pages, _ call: HTTPCall) -> HTTPReply {
        let (name, words) = (client.provider.name, pages.language.words)
        record("sign_in", .denied, call, reason: failure.reason, detail: "\(client.provider.id): \(failure.detail)")
        switch failure {
        case .rejected, .invalid:
            logger.notice("a sign-in was rejected", metadata: ["provider": "\(client.provider.id)", "reason": "\(failure.detail)"])
            return pages.problem(words.providerRefused.with(name), .accessDenied, status: .forbidden)
        case .unavailable:
            logger.warning("an identity provider does not answer", metadata: ["provider": "\(client.provider.id)", "reason": "\(failure.detail)"])
            return pages.problem(words.providerUnavailable.with(name), .temporarilyUnavailable, status: .serviceUnavailable)
                .with(.retryAfter, "60")
        case .misconfigured:
            logger.error(
                "sign-in with an identity provider is not set up correctly",
                metadata: [
                    "provider": "\(client.provider.id)", "reason": "\(failure.detail)", "redirect_uri": "\(redirectURI(client.provider.id))",
                ])
            return pages.problem(words.providerMisconfigured.with(name), .serverError, status: .internalServerError)
        }
    }
}
