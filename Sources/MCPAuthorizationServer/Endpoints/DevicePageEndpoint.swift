import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The page on which users approve a device (RFC 8628 §3.3).
struct DevicePageEndpoint: ServerComponent {
    let context: ServerContext
    let store: any DeviceStore & SessionStore
    let limits: RateLimiters
    let clients: ClientDirectory
    let userCodes: UserCodeHash
    let browser: BrowserFlow
    let memberships: Memberships
    let permissions: UserPermissions

    /// The page on which the user types the code, after sign-in. So each guess counts against the account (RFC 8628
    /// §5.1).
    func page(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return await enteredCode(call) }
        let pages = browser.pages(call)
        do throws(OAuthError) {
            let typed = try Form(queryOf: call.request.path ?? "").single("user_code").flatMap(UserCode.normalized)
            let cookie = browser.cookie(call)
            let transaction = browser.newTransaction(.device(userCode: typed), browser: SecretHash(of: cookie.value))
            guard let signedIn = try await memberships.current(try await browser.signedIn(call)) else {
                return cookie.set(on: pages.signIn(try browser.transactions.seal(transaction), client: nil))
            }
            return cookie.set(
                on: pages.device(
                    try browser.transactions.seal(transaction.shown(to: signedIn.session)), user: signedIn.user, code: typed.map(UserCode.shown) ?? ""
                ))
        } catch { return pages.error(error, status: browser.pageStatus(error)) }
    }

    private func enteredCode(_ call: HTTPCall) async -> HTTPReply {
        await browser.posted(call) { form, transaction, pages throws(OAuthError) in
            guard case .device = transaction.purpose else { return browser.stale(call) }
            guard let signedIn = try await browser.signedIn(call), transaction.isShown(to: signedIn.session) else {
                return pages.signIn(
                    try browser.transactions.seal(transaction), client: nil, problem: pages.language.words.signInAgain, status: .forbidden)
            }
            func again(_ problem: String, _ status: HTTPResponse.Status) throws(OAuthError) -> HTTPReply {
                let code = DisplayText.clean(try form.single("user_code") ?? "", limit: 20)
                return pages.device(try browser.transactions.seal(transaction), user: signedIn.user, code: code, problem: problem, status: status)
            }
            if let seconds = limits.userCode.wait(for: signedIn.user.id, at: clock.now) {
                record("device.code", .denied, call, reason: "throttled", subject: signedIn.user.id)
                return try again(pages.language.words.tooManyAttempts.with("\(seconds)"), .tooManyRequests).with(.retryAfter, "\(seconds)")
            }
            guard let code = try form.single("user_code").flatMap(UserCode.normalized),
                let device = try await stored({ try await store.device(userCode: userCodes.hash(of: code), at: clock.now) }),
                let client = try await clients.client(device.clientID, call), !client.isDisabled
            else {
                record("device.code", .denied, call, reason: "unknown_code", subject: signedIn.user.id)
                return try again(pages.language.words.noSuchDevice, .notFound)
            }
            limits.userCode.giveBack(signedIn.user.id)
            return try ask(device, code, client, signedIn, transaction, pages)
        }
    }

    private func ask(
        _ device: DeviceAuthorization, _ code: String, _ client: Client, _ signedIn: SignedIn, _ transaction: Transaction, _ pages: Pages,
        isChoosing: Bool = false, ticked: ScopeSet? = nil, problem: String? = nil
    ) throws(OAuthError) -> HTTPReply {
        let question = Pages.Question(
            client: client, user: signedIn.user, scopes: device.scopes, resource: device.resource, userCode: UserCode.shown(code),
            action: "/device/decision", isChoosing: isChoosing, ticked: ticked ?? device.scopes, problem: problem)
        return pages.consent(try browser.transactions.seal(transaction.with(userCode: code).shown(to: signedIn.session, asking: client)), question)
    }

    /// Handles the decision about a device.
    func decide(_ call: HTTPCall) async -> HTTPReply {
        await browser.posted(call) { form, transaction, pages throws(OAuthError) in
            guard case .device(let code?) = transaction.purpose, let signedIn = try await browser.signedIn(call),
                transaction.isShown(to: signedIn.session), transaction.clientRevision != nil
            else { return browser.stale(call) }
            let hash = userCodes.hash(of: code)
            guard let device = try await stored({ try await store.device(userCode: hash, at: clock.now) }),
                let client = try await clients.client(device.clientID, call)
            else { return pages.error(OAuthError(.expiredToken, "the device does not wait any more; begin again on it"), status: .gone) }
            let ticked = try form.tickedScopes()
            guard transaction.clientRevision == client.revision else {
                return try ask(device, code, client, signedIn, transaction, pages, isChoosing: ticked != nil, ticked: ticked)
            }
            let state: DeviceAuthorization.State
            switch try form.single("decision") {
            case "allow":
                guard let scopes = try form.chosenScopes(of: device.scopes) else {
                    return try ask(
                        device, code, client, signedIn, transaction, pages, isChoosing: true, ticked: [], problem: pages.language.words.chooseOne)
                }
                let permitted: ScopeSet
                do throws(OAuthError) { permitted = try await permissions.permitted(scopes, ofUser: signedIn.user.id) } catch {
                    guard error.code == .accessDenied else { throw error }
                    record("device.decided", .denied, call, reason: "not_permitted", subject: signedIn.user.id, client: client.id, scopes: scopes)
                    return pages.error(error, status: .forbidden)
                }
                state = .approved(userID: signedIn.user.id, scopes: permitted, authenticatedAt: signedIn.session.authenticatedAt)
            case "choose": return try ask(device, code, client, signedIn, transaction, pages, isChoosing: true)
            case "deny": state = .denied
            default: return pages.error(OAuthError(.invalidRequest, "decision is allow, choose or deny"))
            }
            guard try await stored({ try await store.decide(state, userCode: hash, at: clock.now) }) else {
                return pages.error(OAuthError(.expiredToken, "this was decided before"), status: .gone)
            }
            if try await stored({ try await store.session(signedIn.session.hash, at: clock.now) }) == nil {
                // The session was ended meanwhile, so the approval ends too.
                try await stored { try await store.deleteSessions(ofUser: signedIn.user.id) }
                return browser.stale(call)
            }
            let isAllowed = state != .denied
            record(
                "device.decided", isAllowed ? .allowed : .denied, call, reason: isAllowed ? nil : "access_denied", subject: signedIn.user.id,
                client: client.id, scopes: device.scopes)
            return pages.deviceDone(isAllowed: isAllowed, client: client, user: signedIn.user)
        }
    }
}
