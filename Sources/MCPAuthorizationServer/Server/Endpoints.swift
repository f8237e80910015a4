import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The endpoints of a server, each with the collaborators that it uses. This is the only place where they are
/// connected.
struct Endpoints: Sendable {
    let metadata: MetadataEndpoint
    private let authorize: AuthorizeEndpoint
    private let push: PushedAuthorizationEndpoint
    private let signIn: SignInEndpoint
    private let provider: ProviderSignInEndpoint
    private let providerLogout: ProviderLogoutEndpoint
    private let consent: ConsentEndpoint
    private let account: AccountEndpoint
    private let connection: ConnectionEndpoint
    private let credentials: CredentialEndpoint
    private let device: DevicePageEndpoint
    private let assets: PageAssets
    private let token: TokenEndpoint
    private let deviceAuthorization: DeviceAuthorizationEndpoint
    private let revocation: RevocationEndpoint
    private let introspection: IntrospectionEndpoint
    private let userInfo: UserInfoEndpoint
    private let registration: RegistrationEndpoint

    /// The collaborators that a server creates at its start.
    struct Parts {
        let context: ServerContext
        let store: any AuthorizationServerStore
        let master: MasterKey
        let signIn: [SignInMethod]
        let connections: Connections
        let hasher: PasswordHasher
        let clients: ClientDirectory
        let assertionKeys: AssertionKeySets
        let issuance: TokenIssuance
        let revocation: GrantRevocation
        let users: UserDirectory
        let uses: GrantUses
    }

    init(_ parts: Parts) {
        let (context, store, master) = (parts.context, parts.store, parts.master)
        let (clients, issuance, revocation, users) = (parts.clients, parts.issuance, parts.revocation, parts.users)
        let limits = RateLimiters(context)
        let proofs = ProofValidation(context: context, store: store, nonces: DPoPNonces(key: master.derivedKey(for: "dpop nonces")))
        let pipeline = EndpointPipeline(context: context, limits: limits, proofs: proofs)
        let authentication = ClientAuthentication(
            context: context, store: store, clients: clients, limits: limits, assertionKeys: parts.assertionKeys)
        let activeGrants = ActiveGrants(context: context, store: store, clients: clients, revocations: revocation.list)

        let memberships = Memberships(context: context, store: store, connections: parts.connections, revocation: revocation)
        let permissions = issuance.permissions

        // Programs
        let assertions = AssertionValidation(context: context, store: store, keySets: parts.assertionKeys, issuance: issuance)
        let grants: [GrantType: any TokenGrant] = [
            .authorizationCode: AuthorizationCodeGrant(
                context: context, store: store, users: users, clients: clients, issuance: issuance, revocation: revocation),
            .refreshToken: RefreshTokenGrant(
                context: context, store: store, limits: limits, issuance: issuance, revocation: revocation, uses: parts.uses,
                memberships: memberships, permissions: permissions),
            .clientCredentials: ClientCredentialsGrant(context: context, store: store, clients: clients, issuance: issuance),
            .deviceCode: DeviceCodeGrant(context: context, store: store, users: users, clients: clients, issuance: issuance),
            .tokenExchange: TokenExchangeGrant(context: context, issuance: issuance, activeGrants: activeGrants),
            .jwtBearer: EnterpriseAssertionGrant(context: context, users: users, clients: clients, assertions: assertions),
        ]
        token = TokenEndpoint(
            context: context, pipeline: pipeline, limits: limits, clients: authentication, proofs: proofs, grants: grants,
            workloads: WorkloadAssertionGrant(context: context, proofs: proofs, assertions: assertions))
        self.revocation = RevocationEndpoint(
            context: context, pipeline: pipeline, limits: limits, clients: authentication, store: store, issuance: issuance, revocation: revocation,
            connections: parts.connections)
        introspection = IntrospectionEndpoint(
            context: context, pipeline: pipeline, limits: limits, clients: authentication, tokens: issuance.tokens, activeGrants: activeGrants,
            uses: parts.uses)
        userInfo = UserInfoEndpoint(
            context: context, pipeline: pipeline, limits: limits, store: store, tokens: issuance.tokens, proofs: proofs, activeGrants: activeGrants,
            uses: parts.uses)
        registration = RegistrationEndpoint(
            context: context, pipeline: pipeline, limits: limits, store: store,
            clients: ClientRemoval(context: context, store: store, revocation: revocation), invitations: Invitation.sealer(master))
        metadata = MetadataEndpoint(context: context, keys: issuance.tokens.keys, acceptsClientDocuments: clients.documents != nil)
        let userCodes = UserCodeHash(master)
        deviceAuthorization = DeviceAuthorizationEndpoint(
            context: context, pipeline: pipeline, limits: limits, clients: authentication, store: store, userCodes: userCodes)
        let validation = AuthorizationRequestValidation(context: context, clients: clients)
        let requests = PushedRequests(context: context, store: store, sealer: master.sealer(for: "pushed requests"))
        push = PushedAuthorizationEndpoint(
            context: context, pipeline: pipeline, limits: limits, clients: authentication, proofs: proofs, validation: validation,
            requests: requests)

        // Browsers
        let browser = BrowserFlow(
            context: context, store: store, transactions: TransactionSealer(sealer: master.sealer(for: "transactions")), clients: clients,
            limits: limits)
        let browsers = KnownBrowsers(master)
        let attempts = SignInAttempts(context: context, limits: limits, cookies: browser.cookies, browsers: browsers)
        let sessions = SessionIssuance(
            context: context, store: store, browser: browser, browsers: browsers, connectionRequests: parts.connections.requests)
        let secrets = OneTimePasswords.sealer(master)
        let passwords = parts.signIn.lazy.compactMap { method -> (any PasswordAuthenticator)? in
            switch method.kind {
            case .password: StoredPasswords(context: context, store: store, hasher: parts.hasher)
            case .custom(let check): CustomPasswords(context: context, users: users, check: check)
            case .provider: nil
            }
        }.first
        signIn = SignInEndpoint(
            context: context, store: store, passwords: passwords, attempts: attempts, secrets: secrets, browser: browser, sessions: sessions,
            connections: parts.connections)
        let consentFlow = ConsentFlow(context: context, store: store, browser: browser, permissions: permissions)
        let providerFlow = ProviderFlow(
            context: context, store: store, connections: parts.connections, sealer: master.sealer(for: "waiting sign-ins"), browser: browser)
        provider = ProviderSignInEndpoint(
            context: context, limits: limits, connections: parts.connections, users: users, browser: browser, sessions: sessions,
            flow: providerFlow, consent: consentFlow)
        providerLogout = ProviderLogoutEndpoint(
            context: context, store: store, limits: limits, pipeline: pipeline, connections: parts.connections)
        authorize = AuthorizeEndpoint(
            context: context, store: store, limits: limits, clients: clients, validation: validation, requests: requests, browser: browser,
            consent: consentFlow, memberships: memberships)
        consent = ConsentEndpoint(
            context: context, store: store, browser: browser, flow: consentFlow, providers: providerFlow, memberships: memberships)
        account = AccountEndpoint(
            context: context, store: store, clients: clients, browser: browser, revocation: revocation, uses: parts.uses,
            providers: parts.connections, memberships: memberships)
        connection = ConnectionEndpoint(
            context: context, store: store, clients: clients, browser: browser, requests: parts.connections.requests)
        credentials = CredentialEndpoint(
            context: context, store: store, limits: limits, attempts: attempts, hasher: parts.hasher, secrets: secrets, browser: browser,
            revocation: revocation)
        device = DevicePageEndpoint(
            context: context, store: store, limits: limits, clients: clients, userCodes: userCodes, browser: browser,
            memberships: memberships, permissions: permissions)
        assets = PageAssets(context.configuration.branding, context.configuration.siteName(context.issuer))
    }

    /// The response of the endpoint at a route.
    func reply(to call: HTTPCall, _ route: Routes.Route) async -> HTTPReply {
        switch route {
        case .metadata: metadata.metadataReply(call)
        case .keys: metadata.keysReply(call)
        case .authorize: await authorize.reply(to: call)
        case .push: await push.reply(to: call)
        case .signIn: await signIn.reply(to: call)
        case .providerStart: await provider.start(call)
        case .providerAnswer: await provider.answer(call)
        case .providerLogout: await providerLogout.reply(to: call)
        case .consent: await consent.reply(to: call)
        case .signOut: await signIn.signOut(call)
        case .account: await account.account(call)
        case .disconnect: await account.disconnect(call)
        case .disconnectProvider: await account.disconnectProvider(call)
        case .connection: await connection.page(call)
        case .endSession: await account.endSession(call)
        case .endSessions: await account.endSessions(call)
        case .password: await credentials.changePassword(call)
        case .oneTimeCodes: await credentials.oneTimeCodes(call)
        case .changeCodes: await credentials.changeCodes(call)
        case .device: await device.page(call)
        case .deviceDecision: await device.decide(call)
        case .style: assets.style(call.request)
        case .logo: assets.logo(call.request)
        case .icon: assets.icon(call.request)
        case .token: await token.reply(to: call)
        case .deviceAuthorization: await deviceAuthorization.reply(to: call)
        case .revoke: await revocation.reply(to: call)
        case .introspect: await introspection.reply(to: call)
        case .userInfo: await userInfo.reply(to: call)
        case .register: await registration.register(call)
        case .registeredClient: await registration.manageRegistration(call)
        }
    }
}
