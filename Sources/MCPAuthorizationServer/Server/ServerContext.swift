import HTTPTypes
import JOSE
import Logging
import MCPAuth
import OAuth

/// The values that every component of a server may know: its identity and configuration, the time, random values, and
/// the logs. No secret and no store.
final class ServerContext: Sendable {
    let issuer: Issuer
    let configuration: AuthorizationServerConfiguration
    let routes: Routes
    let signIn: SignInChoices
    /// The scopes that can be requested beside those of every resource.
    let sharedScopes: ScopeSet
    let clock: Clock
    let random: RandomSource
    let audit: AuditLog
    let logger: Logger

    init(
        issuer: Issuer, configuration: AuthorizationServerConfiguration, signIn: SignInChoices, clock: Clock, random: RandomSource, audit: AuditLog,
        logger: Logger
    ) {
        self.issuer = issuer
        self.configuration = configuration
        self.signIn = signIn
        sharedScopes = configuration.identityScopes.union(ConnectionScope.scopes(signIn.providers))
        self.clock = clock
        self.random = random
        self.audit = audit
        self.logger = logger
        routes = Routes(issuer, configuration, signIn)
    }
}

/// A part of an authorization server: a value that holds the collaborators that it uses, and nothing else. What an
/// endpoint may read, write and issue is the list of its stored properties. `Endpoints` creates and connects them.
protocol ServerComponent: Sendable {
    var context: ServerContext { get }
}

extension ServerComponent {
    var issuer: Issuer { context.issuer }
    var configuration: AuthorizationServerConfiguration { context.configuration }
    var routes: Routes { context.routes }
    var sharedScopes: ScopeSet { context.sharedScopes }
    var clock: Clock { context.clock }
    var random: RandomSource { context.random }
    var logger: Logger { context.logger }

    /// Records an event in the audit log.
    func record(
        _ action: String, _ verdict: AuditEvent.Verdict, _ call: HTTPCall?, reason: String? = nil, detail: String? = nil, subject: String? = nil,
        client: ClientID? = nil, scopes: ScopeSet? = nil
    ) {
        context.audit.record(
            AuditEvent(
                action, verdict, at: clock.now, reason: reason, detail: detail, issuer: issuer.text, subject: subject, clientID: client?.text,
                scopes: scopes, peer: call?.peer))
    }

    /// Calls the store. Throws `temporarily_unavailable` when it fails.
    func stored<Result>(_ body: () async throws -> Result, function: String = #function) async throws(OAuthError) -> Result {
        do { return try await Spans.around("store \(function)", body) } catch {
            throw unavailable(error as? StoreError ?? StoreError(.unavailable, "\(error)"))
        }
    }

    /// The error for a failure of the store: a 503 without the reason, which goes to the log.
    func unavailable(_ error: StoreError) -> OAuthError {
        logger.error("the store failed", metadata: ["kind": "\(error.kind.rawValue)", "detail": "\(error.detail)"])
        return OAuthError(.temporarilyUnavailable, "the server cannot do this at the moment; try again")
    }
}
