import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The code that the user types: eight letters of twenty that are hard to confuse and do not form words (RFC 8628
/// §6.1).
enum UserCode {
    private static let alphabet = Array("BCDFGHJKLMNPQRSTVWXZ".utf8)

    static func make(_ random: RandomSource) -> String {
        var letters: [UInt8] = []
        while letters.count < 8 {
            // Bytes from 240 on would make some letters more frequent than others.
            for byte in random.bytes(16) where byte < 240 && letters.count < 8 { letters.append(alphabet[Int(byte) % alphabet.count]) }
        }
        return String(decoding: letters, as: UTF8.self)
    }

    /// Without dashes and spaces, in upper case. Nil for a text that cannot be a code.
    static func normalized(_ text: String) -> String? {
        let letters = text.utf8.filter { $0 != 0x2D && $0 != 0x20 }.map { URLBytes.isLetter($0) ? $0 & 0xDF : $0 }
        guard letters.count == 8, letters.allSatisfy(alphabet.contains) else { return nil }
        return String(decoding: letters, as: UTF8.self)
    }

    static func shown(_ code: String) -> String { code.prefix(4) + "-" + code.dropFirst(4) }
}

extension AuthorizationServer {
    // MARK: For devices

    /// The device authorization endpoint (RFC 8628 §3.1).
    func authorizeDevice(_ call: HTTPCall) async -> HTTPReply {
        await endpoint(call, limit: limits.device) { form throws(OAuthError) in
            let client = try await authenticatedClient(form, call)
            guard client.grantTypes.contains(.deviceCode) else {
                throw OAuthError(.unauthorizedClient, "the client is not registered for \(GrantType.deviceCode)")
            }
            let resource = try resource(named: form.all("resource"))
            let requested = try RequestedScopes(
                try form.single("scope"), of: resource, for: client, identity: identityScopes, unknown: configuration.unknownScopes)
            // On a device the user could not choose before the request is accepted.
            guard !requested.areSubstituted else {
                throw OAuthError(.invalidScope, "none of these scopes can be granted; this client may ask for: \(requested.scopes.text)")
            }
            let scopes = requested.scopes
            let (deviceCode, userCode) = (random.token(), UserCode.make(random))
            let device = DeviceAuthorization(
                hash: SecretHash(of: deviceCode), userCode: secrets.hash(ofUserCode: userCode), clientID: client.id, scopes: scopes,
                resource: resource.identifier.text, expiresAt: clock.now.advanced(by: configuration.deviceCodeLifetime))
            do throws(StoreError) { try await store.add(device, limit: configuration.maximumWaitingDevices, at: clock.now) } catch {
                throw error.kind == .unavailable ? unavailable(error) : OAuthError(.temporarilyUnavailable, "too many devices wait; try again")
            }
            record("device.begun", .allowed, call, client: client.id, scopes: scopes)
            let page = routes.url("/device")
            return .json([
                "device_code": .string(deviceCode), "user_code": .string(UserCode.shown(userCode)), "verification_uri": .string(page),
                "verification_uri_complete": .string(page + "?user_code=" + UserCode.shown(userCode)),
                "expires_in": .int(configuration.deviceCodeLifetime), "interval": .int(device.interval),
            ])
        }
    }

    // MARK: For users

    /// The page on which the user types the code, after sign-in. So each guess counts against the account (RFC 8628
    /// §5.1).
    func device(_ call: HTTPCall) async -> HTTPReply {
        guard call.request.method == .get else { return await deviceCode(call) }
        let pages = pages(call)
        do throws(OAuthError) {
            let typed = try Form(queryOf: call.request.path ?? "").single("user_code").flatMap(UserCode.normalized)
            let browser = browser(call)
            let transaction = newTransaction(.device(userCode: typed), browser: SecretHash(of: browser.value))
            guard let signedIn = try await signedIn(call) else {
                return browser.set(on: pages.signIn(try transactions.seal(transaction), client: nil))
            }
            return browser.set(
                on: pages.device(
                    try transactions.seal(transaction.shown(to: signedIn.session)), user: signedIn.user, code: typed.map(UserCode.shown) ?? ""))
        } catch { return pages.error(error, status: pageStatus(error)) }
    }

    private func deviceCode(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { form, transaction, pages throws(OAuthError) in
            guard case .device = transaction.purpose else { return stale(call) }
            guard let signedIn = try await signedIn(call), transaction.isShown(to: signedIn.session) else {
                return pages.signIn(try transactions.seal(transaction), client: nil, problem: pages.language.words.signInAgain, status: .forbidden)
            }
            func again(_ problem: String, _ status: HTTPResponse.Status) throws(OAuthError) -> HTTPReply {
                let code = DisplayText.clean(try form.single("user_code") ?? "", limit: 20)
                return pages.device(try transactions.seal(transaction), user: signedIn.user, code: code, problem: problem, status: status)
            }
            if let seconds = limits.userCode.wait(for: signedIn.user.id, at: clock.now) {
                record("device.code", .denied, call, reason: "throttled", subject: signedIn.user.id)
                return try again(pages.language.words.tooManyAttempts.with("\(seconds)"), .tooManyRequests).with(.retryAfter, "\(seconds)")
            }
            guard let code = try form.single("user_code").flatMap(UserCode.normalized),
                let device = try await stored({ try await store.device(userCode: secrets.hash(ofUserCode: code), at: clock.now) }),
                let client = try await client(device.clientID, call), !client.isDisabled
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
        return pages.consent(try transactions.seal(transaction.with(userCode: code).shown(to: signedIn.session, asking: client)), question)
    }

    /// Handles the decision about a device.
    func decideDevice(_ call: HTTPCall) async -> HTTPReply {
        await posted(call) { form, transaction, pages throws(OAuthError) in
            guard case .device(let code?) = transaction.purpose, let signedIn = try await signedIn(call),
                transaction.isShown(to: signedIn.session), transaction.clientRevision != nil
            else { return stale(call) }
            let hash = secrets.hash(ofUserCode: code)
            guard let device = try await stored({ try await store.device(userCode: hash, at: clock.now) }),
                let client = try await client(device.clientID, call)
            else { return pages.error(OAuthError(.expiredToken, "the device does not wait any more; begin again on it"), status: .gone) }
            let ticked = try tickedScopes(form)
            guard transaction.clientRevision == client.revision else {
                return try ask(device, code, client, signedIn, transaction, pages, isChoosing: ticked != nil, ticked: ticked)
            }
            let state: DeviceAuthorization.State
            switch try form.single("decision") {
            case "allow":
                guard let scopes = try chosenScopes(form, of: device.scopes) else {
                    return try ask(
                        device, code, client, signedIn, transaction, pages, isChoosing: true, ticked: [], problem: pages.language.words.chooseOne)
                }
                state = .approved(userID: signedIn.user.id, scopes: scopes, authenticatedAt: signedIn.session.authenticatedAt)
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
                return stale(call)
            }
            let isAllowed = state != .denied
            record(
                "device.decided", isAllowed ? .allowed : .denied, call, reason: isAllowed ? nil : "access_denied", subject: signedIn.user.id,
                client: client.id, scopes: device.scopes)
            return pages.deviceDone(isAllowed: isAllowed, client: client, user: signedIn.user)
        }
    }
}
