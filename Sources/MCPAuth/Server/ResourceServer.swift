public import HTTPTypes
public import JOSE
public import Logging
import Metrics
public import OAuth

/// A protected resource (RFC 6750, RFC 9728, MCP authorization). It validates the token of a request, requires scopes,
/// and creates the challenge when a request is rejected.
///
/// It depends on no framework and no MCP library: pass the head of a request, and it returns a principal or a complete
/// response.
public final class ResourceServer: Sendable {
    /// The identifier of the resource, which clients use as its URL.
    public let resource: ResourceIdentifier
    /// The scopes that operations need.
    public let policy: ScopePolicy
    /// The metadata document (RFC 9728 §2). `metadataReply` serves it.
    public let metadata: ProtectedResourceMetadata
    /// The audit log that records every decision.
    public let audit: AuditLog
    /// The accepted values of Host and Origin.
    public let transport: TransportSecurity
    /// The rules for tokens that are bound to keys (RFC 9449).
    public let proofs: ProofPolicy
    package let clock: Clock
    private let verifier: any TokenVerifier
    private let advertisesOwnScopes: Bool
    /// The principal of every request to a server that requires no tokens (`Trust.insecureOpen`).
    private let openPrincipal: Principal?
    private let logger: Logger
    private let rejections = RejectionLog()
    /// Used by the checks at start (`check`, `findingsOfIssuers`).
    let localIssuers: [Trust.LocalIssuer]
    let discoveredIssuers: [(issuer: Issuer, metadata: MetadataLocation)]
    let hasOtherIssuers: Bool
    let fetcher: (any HTTPFetcher)?
    let exchanges: [TokenExchange]
    private let allowed: Counter
    private let resolution = Timer(label: "mcp_auth_token_resolution_seconds")

    /// A resource server that accepts the tokens of `trust`. Throws `invalid_identifier` or `invalid_configuration`.
    /// The message says what to change.
    ///
    /// - Parameters:
    ///   - resource: The public URL of the server, exactly as clients use it, for example
    ///     `https://mcp.example.com/mcp`.
    ///   - trust: The issuers whose tokens are accepted.
    ///   - policy: The scopes that operations need.
    ///   - change: Changes the metadata document (RFC 9728 §2). The resource, its authorization servers and its scopes
    ///     are set before.
    ///   - transport: The accepted values of Host and Origin. Nil: `TransportSecurity.resource`.
    ///   - allowedOrigins: The origins of web pages that may call besides the resource's own, such as
    ///     `https://app.example.com`. Ignored if `transport` is given.
    ///   - proofs: The rules for tokens that are bound to keys (RFC 9449).
    ///   - fetcher: Fetches keys, metadata and introspection responses. Needed by every trust that uses them.
    ///   - exchanges: Exchanges of the callers' tokens, for tools that call other APIs (`call.upstreamToken(for:)`).
    ///   - audit: The audit log. Nil: the audit log of the authorization server of this process, if that is trusted
    ///     (`Trust.local`), otherwise none. `AuditLog()` records nothing.
    ///   - clock: The clock for expiry.
    ///   - cacheCapacity: The number of verified tokens that are cached. 0 turns the cache off.
    ///   - logger: Logs rejected tokens and failures.
    ///   - insecureAllowHTTP: Whether the resource may be http on a host that is not loopback.
    public init(
        _ resource: String, trusting trust: Trust, policy: ScopePolicy = ScopePolicy(),
        metadata change: (inout ProtectedResourceMetadata) -> Void = { _ in },
        transport: TransportSecurity? = nil, allowedOrigins: Set<String> = [], proofs: ProofPolicy = ProofPolicy(), fetcher: (any HTTPFetcher)? = nil,
        exchanges: [TokenExchange] = [], audit: AuditLog? = nil, clock: Clock = .system,
        cacheCapacity: Int = 32768, logger: Logger = Logger(label: "mcp-auth.resource-server"), insecureAllowHTTP: Bool = false
    ) throws(OAuthError) {
        let resource = try ResourceIdentifier(resource, insecureAllowHTTP: insecureAllowHTTP)
        try resource.checkSlashes()
        guard !policy.holdsInvalidLiteral else {
            throw OAuthError(
                .invalidConfiguration, "a scope in the policy is mistyped: scopes are printable ASCII without quotes, separated by spaces")
        }
        for origin in allowedOrigins {
            if let problem = TransportSecurity.problem(withOrigin: origin) { throw OAuthError(.invalidConfiguration, problem) }
        }
        var metadata = ProtectedResourceMetadata(resource: resource.text, authorizationServers: trust.authorizationServers)
        metadata.scopesSupported = policy.allScopes.isEmpty ? nil : policy.allScopes
        metadata.dpopSigningAlgorithmsSupported = DPoPProof.algorithms.map(\.rawValue).sorted()
        if proofs.isRequired { metadata.dpopBoundAccessTokensRequired = true }
        let derivedScopes = metadata.scopesSupported
        change(&metadata)
        advertisesOwnScopes = metadata.scopesSupported != derivedScopes
        self.resource = resource
        self.policy = policy
        self.metadata = metadata
        self.transport = transport ?? .resource(resource.url, allowedOrigins: allowedOrigins)
        self.proofs = proofs
        self.audit = audit ?? trust.localIssuers.first?.audit ?? AuditLog()
        allowed = self.audit.counter("access", .allowed, nil)
        localIssuers = trust.localIssuers
        discoveredIssuers = trust.discoveredIssuers
        hasOtherIssuers = trust.authorizationServers.contains { server in !trust.localIssuers.contains { $0.issuer == server } }
        let fetcher = fetcher?.forConfiguredURLs
        self.fetcher = fetcher
        self.exchanges = exchanges
        self.clock = clock
        self.logger = logger
        if let principal = trust.openPrincipal {
            guard resource.url.isLoopback else {
                throw OAuthError(.invalidConfiguration, "Trust.insecureOpen is for development on one machine: \(resource) is not a loopback URL")
            }
            openPrincipal = principal
            logger.warning("this server asks for no tokens: everybody on this machine may do everything", metadata: ["resource": "\(resource)"])
        } else {
            openPrincipal = nil
        }
        let verifier = try trust.verifier(Trust.Context(resource: resource, fetcher: fetcher, clock: clock))
        self.verifier = cacheCapacity > 0 ? CachingVerifier(verifier, capacity: cacheCapacity) : verifier
        try checkResource()
        try check([("the policy", Requirement(policy.allScopes.union(policy.initialScopes ?? [])))])
    }

    private init(_ other: ResourceServer, advertising scopes: ScopeSet) {
        var (policy, metadata) = (other.policy, other.metadata)
        policy.advertised = policy.advertised.union(scopes)
        if !other.advertisesOwnScopes { metadata.scopesSupported = policy.allScopes.isEmpty ? nil : policy.allScopes }
        resource = other.resource
        self.policy = policy
        self.metadata = metadata
        transport = other.transport
        proofs = other.proofs
        audit = other.audit
        allowed = other.allowed
        clock = other.clock
        verifier = other.verifier
        logger = other.logger
        openPrincipal = other.openPrincipal
        localIssuers = other.localIssuers
        discoveredIssuers = other.discoveredIssuers
        hasOtherIssuers = other.hasOtherIssuers
        fetcher = other.fetcher
        exchanges = other.exchanges
        advertisesOwnScopes = other.advertisesOwnScopes
    }

    /// The same resource server, whose metadata and challenges also name these scopes, which operations such as tools
    /// require. Metadata whose scopes were set by hand stays unchanged. Cache, keys and audit log are shared.
    package func advertising(_ scopes: ScopeSet) -> ResourceServer { scopes.isEmpty ? self : ResourceServer(self, advertising: scopes) }

    /// Identifies the caller and authorizes the operation. For operations that need no token, use `identify` and
    /// `authorize`.
    ///
    /// Returns a principal, or a response to send as it is.
    ///
    /// - Parameters:
    ///   - operation: The operation, whose scopes the policy defines.
    ///   - peer: The IP address of the client, for the audit log.
    ///   - requestID: The identifier of the request, for the audit log.
    public func authenticate(_ request: HTTPRequest, operation: Operation = .any, peer: String? = nil, requestID: String? = nil) async
        -> Authentication
    {
        switch await identify(request, peer: peer, requestID: requestID) {
        case .rejected(let reply): return .rejected(reply)
        case .accepted(let caller):
            guard let principal = caller.principal else {
                return .rejected(readable(misdirected(request) ?? refuse(.noCredentials, for: operation, caller: caller), request))
            }
            if let reply = authorize(caller, operation) { return .rejected(readable(reply, request)) }
            return .accepted(principal)
        }
    }

    /// The rejection with CORS headers, so that a web page can read where to get a token.
    private func readable(_ reply: HTTPReply, _ request: HTTPRequest) -> HTTPReply {
        var reply = reply
        openToOrigin(of: request, &reply.response.headerFields)
        return reply
    }

    /// The response to a request without a token that uses another loopback name than the resource's own: 421, with the
    /// right URL. Clients compare the resource in the metadata with the URL that they were given (RFC 9728 §3.3), so a
    /// challenge would lead to an unclear error. Nil for every other request.
    package func misdirected(_ request: HTTPRequest) -> HTTPReply? {
        guard resource.url.isLoopback, let authority = request.authority, let asked = WebURL("\(resource.url.scheme)://\(authority)"),
            asked.isLoopback,
            !asked.origin.utf8.elementsEqual(resource.url.origin.utf8)
        else { return nil }
        let message = "this server calls itself \(resource.url.origin), not \(asked.origin); use the URL \(resource)"
        return .json(["error": "misdirected_request", "error_description": .string(message)], status: .misdirectedRequest)
    }

    /// Validates the token of a request, before the operation is known. A request without a token is accepted, without
    /// a principal. An invalid token is rejected.
    ///
    /// - Parameters:
    ///   - peer: The IP address of the client, for the audit log.
    ///   - requestID: The identifier of the request, for the audit log.
    public func identify(_ request: HTTPRequest, peer: String? = nil, requestID: String? = nil) async -> Identification {
        readable(await identification(of: request, peer: peer, requestID: requestID), request)
    }

    private func readable(_ identification: Identification, _ request: HTTPRequest) -> Identification {
        guard case .rejected(let reply) = identification else { return identification }
        return .rejected(readable(reply, request))
    }

    private func identification(of request: HTTPRequest, peer: String?, requestID: String?) async -> Identification {
        switch decide(request, peer: peer, requestID: requestID) {
        case .decided(let identification): return identification
        case .undecided(let token, let caller):
            let start = ContinuousClock.now
            defer { resolution.record(duration: ContinuousClock.now - start) }
            return unbound(await Spans.around("resolve token") { await verifier.resolve(token, at: clock.now) }, caller)
        case .toBeProven(let token, let proof, let caller):
            var verification = verifier.verify(token, at: clock.now)
            if case .undecided = verification { verification = await verifier.resolve(token, at: clock.now) }
            guard case .accepted(let principal) = verification else { return identification(verification, caller, isProof: true) }
            if let refusal = await refusal(of: proof, for: principal, token, request) {
                return .rejected(refuse(refusal, for: .any, caller: caller))
            }
            return identification(verification, caller)
        }
    }

    /// The result of `identify`, if it can be decided from memory. Nil if it needs I/O; then call `identify`. Most
    /// requests have a cached token.
    public func identifyAtOnce(_ request: HTTPRequest, peer: String? = nil, requestID: String? = nil) -> Identification? {
        if case .decided(let identification) = decide(request, peer: peer, requestID: requestID) { readable(identification, request) } else { nil }
    }

    private enum Decision {
        case decided(Identification)
        case undecided(AccessToken, Caller)
        case toBeProven(AccessToken, proof: String, Caller)
    }

    private func decide(_ request: HTTPRequest, peer: String?, requestID: String?) -> Decision {
        let caller = Caller(principal: nil, peer: peer, requestID: requestID)
        if let violation = transport.violation(request) {
            return .decided(.rejected(refuse(.forbiddenTransport(violation), for: .any, caller: caller)))
        }
        if let openPrincipal { return .decided(.accepted(Caller(principal: openPrincipal, peer: peer, requestID: requestID))) }
        switch Credential(request) {
        case .none: return .decided(.accepted(caller))
        case .malformed(let why): return .decided(.rejected(refuse(.malformed(why), for: .any, caller: caller)))
        case .unproven(let why):
            return .decided(.rejected(refuse(.unproven(OAuthError(.invalidDPoPProof, why)), for: .any, caller: caller)))
        case .bearer(let token):
            let caller = holding(token, caller)
            let verification = verifier.verify(token, at: clock.now)
            if case .undecided = verification { return .undecided(token, caller) }
            return .decided(unbound(verification, caller))
        case .proven(let token, let proof): return .toBeProven(token, proof: proof, holding(token, caller))
        }
    }

    /// The caller with the token, if tools can exchange it.
    private func holding(_ token: AccessToken, _ caller: Caller) -> Caller {
        guard !exchanges.isEmpty else { return caller }
        var caller = caller
        caller.token = token
        return caller
    }

    /// A token that was sent as a bearer token must not be bound to a key (RFC 9449 §7.2).
    private func unbound(_ verification: Verification, _ caller: Caller) -> Identification {
        if case .accepted(let principal) = verification {
            guard principal.keyThumbprint == nil, !proofs.isRequired else {
                let why = principal.keyThumbprint == nil ? "the token is not bound to a key" : "the token is bound to a key that was not proven"
                return .rejected(refuse(.invalidToken(RejectionReason("unproven", why)), for: .any, caller: caller, offersProof: true))
            }
        }
        return identification(verification, caller)
    }

    /// The reason why a proof is not accepted, or nil. A valid proof is for this request and this token, was made with
    /// the token's key, and was not used before.
    private func refusal(of text: String, for principal: Principal, _ token: AccessToken, _ request: HTTPRequest) async -> Refusal? {
        guard let thumbprint = principal.keyThumbprint else {
            return .unproven(OAuthError(.invalidToken, "the token is not bound to a key: send it as Bearer"))
        }
        let now = clock.now
        do throws(OAuthError) {
            // The URL comes from the configuration. The host that a proxy or a client names is not used.
            guard let url = WebURL(resource.url.origin + URLBytes.path(of: request.path ?? "/")) else {
                throw OAuthError(.invalidDPoPProof, "the path of this request is no path of a URL")
            }
            let proof = try DPoPProof(parsing: text, method: request.method.rawValue, url: url, accessToken: token.text, at: now)
            guard ConstantTime.areEqual(Array(proof.thumbprint.utf8), Array(thumbprint.utf8)) else {
                throw OAuthError(.invalidDPoPProof, "the proof was made with another key than the token's")
            }
            guard proof.nonce.map({ proofs.nonces.isGood($0, at: now) }) ?? !proofs.requiresNonce else {
                throw OAuthError(.useDPoPNonce, "repeat the value of DPoP-Nonce in the proof")
            }
            switch await proofs.memory.isFirstUse(of: proof, at: now) {
            case true?: return nil
            case false?: throw OAuthError(.invalidDPoPProof, "the proof was used before; make a new one for each request")
            case nil: return .unavailable("the memory of proofs is full or away")
            }
        } catch { return .unproven(error) }
    }

    /// - Parameter isProof: Whether the token was sent with the scheme DPoP, so that the challenge uses it too (RFC
    ///   9449 §7.1).
    private func identification(_ verification: Verification, _ caller: Caller, isProof: Bool = false) -> Identification {
        switch verification {
        case .accepted(let principal):
            var caller = caller
            caller.principal = principal
            return .accepted(caller)
        case .rejected(let reason): return .rejected(refuse(.invalidToken(reason), for: .any, caller: caller, isProof: isProof))
        case .undecided: return .rejected(refuse(.unavailable("the verifier did not decide"), for: .any, caller: caller))
        case .unavailable(let why): return .rejected(refuse(.unavailable(why), for: .any, caller: caller))
        }
    }

    /// Checks whether the caller may run an operation. Nil when it may, otherwise the response to send. Records the
    /// decision in the audit log.
    ///
    /// - Parameter requirement: Replaces the policy's requirement if the operation has its own.
    public func authorize(_ caller: Caller, _ operation: Operation, requirement: Requirement? = nil) -> HTTPReply? {
        let requirement = requirement ?? policy.requirement(for: operation)
        guard let principal = caller.principal else {
            if requirement.allowsAnonymous {
                recordAllowed(operation, caller)
                return nil
            }
            return refuse(.noCredentials, for: operation, caller: caller, requirement: requirement)
        }
        let missing = openPrincipal == nil ? policy.missing(principal.scopes, for: requirement) : []
        guard missing.isEmpty else { return refuse(.insufficientScope(missing: missing), for: operation, caller: caller, requirement: requirement) }
        recordAllowed(operation, caller)
        verifier.noteUse(of: principal, for: operation, at: clock.now)
        return nil
    }

    /// The challenge for a caller who may run an operation, and needs a token with a further scope to finish it.
    package func stepUp(
        to scope: Scope, _ caller: Caller, _ operation: Operation, requirement: Requirement, because text: String
    ) -> HTTPReply {
        var requirement = requirement
        requirement.scopes = requirement.scopes.union([scope])
        return refuse(.insufficientScope(missing: [scope], because: text), for: operation, caller: caller, requirement: requirement)
    }

    /// Whether the caller may run an operation, without a record in the audit log. For lists.
    ///
    /// - Parameters:
    ///   - requirement: Replaces the policy's requirement if the operation has its own.
    ///   - scopes: Used in place of the token's scopes, for example `reachableScopes(of:)`.
    public func permits(_ caller: Caller, _ operation: Operation, requirement: Requirement? = nil, with scopes: ScopeSet? = nil) -> Bool {
        let requirement = requirement ?? policy.requirement(for: operation)
        guard let principal = caller.principal else { return requirement.allowsAnonymous }
        return openPrincipal != nil || policy.missing(scopes ?? principal.scopes, for: requirement).isEmpty
    }

    /// The scopes that the caller has, or could be granted by the authorization server of this resource. For lists from
    /// which a client learns what to request. An authorization server of this process knows the registration of the
    /// client. Other authorization servers are assumed to grant every advertised scope.
    public func reachableScopes(of caller: Caller) async -> ScopeSet {
        guard let principal = caller.principal else { return [] }
        let grantable = await verifier.grantableScopes(to: principal) ?? metadata.scopesSupported ?? policy.allScopes
        return principal.scopes.union(grantable)
    }

    /// Whether this server requires no tokens (`Trust.insecureOpen`). It must then not be reachable from other
    /// machines.
    package var isInsecureOpen: Bool { openPrincipal != nil }

    /// Whether a token that was accepted before is still valid: it has not expired and was not revoked. For streams
    /// that outlive the request that opened them.
    public func stillAccepts(_ principal: Principal) -> Bool { clock.now < principal.expiration && verifier.stillAccepts(principal) }

    // MARK: Refusal

    private enum Refusal {
        case noCredentials
        case malformed(String)
        case invalidToken(RejectionReason)
        /// The error in how a bound token was sent, or in its proof.
        case unproven(OAuthError)
        case insufficientScope(missing: ScopeSet, because: String? = nil)
        case forbiddenTransport(String)
        case unavailable(String)
    }

    /// The only place where a rejection becomes a response.
    private func refuse(
        _ refusal: Refusal, for operation: Operation, caller: Caller, requirement: Requirement? = nil, offersProof: Bool = false,
        isProof: Bool = false
    ) -> HTTPReply {
        let required = (requirement ?? policy.requirement(for: operation)).scopes
        let challenged = required.isEmpty ? policy.initialScopes ?? metadata.scopesSupported ?? [] : required
        func reply(_ status: HTTPResponse.Status, _ error: OAuthError?, scope: ScopeSet, isProof: Bool = false) -> HTTPReply {
            let usesDPoP = isProof || proofs.isRequired
            let challenge = AuthenticationChallenge(
                scheme: usesDPoP ? "DPoP" : "Bearer",
                [
                    ("error", error?.code.rawValue), ("error_description", error?.message), ("scope", scope.isEmpty ? nil : scope.text),
                    ("resource_metadata", resource.metadataURL),
                    ("algs", usesDPoP ? metadata.dpopSigningAlgorithmsSupported?.joined(separator: " ") : nil),
                ])
            let body: JSONValue =
                error.map { ["error": .string($0.code.rawValue), "error_description": .string(HTTPReply.printable($0.message))] }
                ?? ["error_description": "send an access token: Authorization: Bearer <token>; WWW-Authenticate says where to get one"]
            return HTTPReply.json(body, status: status).with(.wwwAuthenticate, challenge.headerValue)
        }
        switch refusal {
        case .noCredentials:
            record(.denied, operation, caller, reason: "no_credentials")
            return reply(.unauthorized, nil, scope: challenged)
        case .malformed(let why):
            record(.denied, operation, caller, reason: "malformed_credentials", detail: why)
            return reply(.badRequest, OAuthError(.invalidRequest, why), scope: [])
        case .invalidToken(let reason):
            rejections.note(reason, logger, at: clock.now)
            record(.denied, operation, caller, reason: reason.code, detail: reason.detail, holder: reason.holder)
            var answer = reply(
                .unauthorized, OAuthError(.invalidToken, "the access token is invalid, expired, revoked or meant for another server"),
                scope: challenged, isProof: isProof)
            if offersProof, !proofs.isRequired {
                // The scheme that the token was sent with comes first. The second challenge says how the token would be
                // accepted (RFC 9449 §7.2).
                let algorithms = metadata.dpopSigningAlgorithmsSupported?.joined(separator: " ")
                let challenge = AuthenticationChallenge(scheme: "DPoP", [("algs", algorithms)])
                answer.response.headerFields.append(HTTPField(name: .wwwAuthenticate, value: challenge.headerValue))
            }
            return answer
        case .unproven(let error):
            record(.denied, operation, caller, reason: error.code.rawValue, detail: error.message)
            let answer = reply(.unauthorized, error, scope: challenged, isProof: true)
            return proofs.requiresNonce || error.code == .useDPoPNonce ? answer.with(.dpopNonce, proofs.nonces.current(at: clock.now)) : answer
        case .insufficientScope(let missing, let text):
            record(.denied, operation, caller, reason: "insufficient_scope", missing: missing)
            // The scopes that the token has and those that it lacks: clients request exactly this set next, and some
            // forget the scopes that they had (R9, R10).
            let scope = required.union(caller.principal?.scopes ?? [])
            return reply(
                .forbidden,
                OAuthError(
                    .insufficientScope,
                    HTTPReply.printable(text ?? "\(operation.description.prefix(120)) needs also: \(missing.text)")),
                scope: scope)
        case .forbiddenTransport(let why):
            record(.denied, operation, caller, reason: "forbidden_transport", detail: why)
            return .json(["error": "forbidden", "error_description": .string(why)], status: .forbidden)
        case .unavailable(let why):
            logger.error("a token could not be verified", metadata: ["reason": "\(why)"])
            record(.failed, operation, caller, reason: "unavailable", detail: why)
            return HTTPReply.error(
                OAuthError(.temporarilyUnavailable, "the token cannot be verified at the moment; try again"), status: .serviceUnavailable
            )
            .with(.retryAfter, "5")
        }
    }

    private func recordAllowed(_ operation: Operation, _ caller: Caller) {
        audit.record(countedBy: allowed) { event(.allowed, operation, caller) }
    }

    private func record(
        _ verdict: AuditEvent.Verdict, _ operation: Operation, _ caller: Caller, reason: String, detail: String? = nil, missing: ScopeSet? = nil,
        holder: RejectionReason.Holder? = nil
    ) {
        audit.record("access", verdict, reason) {
            event(verdict, operation, caller, reason: reason, detail: detail, missing: missing, holder: holder)
        }
    }

    private func event(
        _ verdict: AuditEvent.Verdict, _ operation: Operation, _ caller: Caller, reason: String? = nil, detail: String? = nil,
        missing: ScopeSet? = nil, holder: RejectionReason.Holder? = nil
    ) -> AuditEvent {
        let holder = holder ?? caller.principal.map(RejectionReason.Holder.init)
        return AuditEvent(
            "access", verdict, at: clock.now, reason: reason, detail: detail, issuer: holder?.issuer, subject: holder?.subject,
            clientID: holder?.clientID, operation: operation.description, scopes: caller.principal?.scopes, missingScopes: missing,
            requestID: caller.requestID, peer: caller.peer)
    }
}
