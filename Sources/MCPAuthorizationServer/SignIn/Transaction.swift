import Crypto
import JOSE
import MCPAuth
import OAuth

/// A sign-in, consent or change in progress. The pages carry it, sealed, so that no client can change it and strangers
/// need no memory.
struct Transaction: Sendable {
    enum Purpose: Sendable {
        case authorize(AuthorizationRequest)
        case account
        /// The approval of a device, with the user code if it is known.
        case device(userCode: String?)
        /// The connection of an account at an identity provider that a tool needs.
        case connection(ConnectionRequest)
    }

    /// A random identifier. At most one code is issued for it.
    let id: String
    let purpose: Purpose
    /// The hash of the cookie of the browser that began it.
    let browser: SecretHash
    /// The session that a page was shown to. Nil before sign-in.
    let session: SecretHash?
    /// The user of that session.
    let userID: String?
    /// The user who entered the password and still needs a one-time code.
    var halfSignedIn: Half?
    /// The metadata of the client at the time of the question, because a metadata document could change (S-12).
    var clientRevision: SecretHash?
    /// The permissions that the user left ticked, if the question has to be asked again.
    var chosen: ScopeSet?
    /// The secret of one-time codes that are being set up.
    var newOneTimeSecret: [UInt8]?
    /// The identity provider with which the user wants to sign in.
    var provider: String?
    /// The consent of the user, given before the sign-in at the provider.
    var approval: Approval?
    /// Whether the user has to sign in again at the provider.
    var mustSignInAgain = false
    let expiresAt: NumericDate

    /// The first step of a sign-in: the user, the typed name, and a fingerprint of the password.
    struct Half: Sendable, Equatable {
        let userID: String
        let name: String
        let credential: String
    }

    /// A consent that was given before the sign-in.
    struct Approval: Sendable, Equatable {
        let scopes: ScopeSet
        /// The metadata of the client that the user saw.
        let clientRevision: SecretHash
        /// The user who was signed in, if one was.
        let userID: String?
        let remembers: Bool
    }

    /// Fifteen minutes, enough to find a password.
    static let lifetime: Int64 = 900

    var hash: SecretHash { SecretHash(of: id) }

    init(
        id: String, purpose: Purpose, browser: SecretHash, session: SecretHash? = nil, userID: String? = nil, halfSignedIn: Half? = nil,
        clientRevision: SecretHash? = nil, expiresAt: NumericDate
    ) {
        self.id = id
        self.purpose = purpose
        self.browser = browser
        self.session = session
        self.userID = userID
        self.halfSignedIn = halfSignedIn
        self.clientRevision = clientRevision
        self.expiresAt = expiresAt
    }

    /// The same transaction, shown to a session.
    func shown(to session: Session, asking client: Client? = nil) -> Transaction {
        var shown = Transaction(
            id: id, purpose: purpose, browser: browser, session: session.hash, userID: session.userID, clientRevision: client?.revision,
            expiresAt: expiresAt)
        shown.chosen = chosen
        shown.provider = provider
        shown.approval = approval
        return shown
    }

    /// Whether it belongs to a consent page that was shown before the sign-in at an identity provider.
    var isBeforeSignIn: Bool { provider != nil && session == nil && clientRevision != nil }

    /// Whether it was shown to this session, or to another one of the same user in this browser, such as the one before
    /// the user signed in again in another tab.
    func isShown(to session: Session) -> Bool { self.session == session.hash || (self.session != nil && userID == session.userID) }

    /// The scopes at the identity provider that are asked for beyond those of every sign-in.
    var furtherScopes: [String] { if case .connection(let request) = purpose { request.scopes } else { [] } }

    /// The same with a user code.
    func with(userCode: String) -> Transaction {
        Transaction(id: id, purpose: .device(userCode: userCode), browser: browser, session: session, userID: userID, expiresAt: expiresAt)
    }
}

extension Client {
    /// The metadata that the user saw on the consent page, as one hash.
    var revision: SecretHash {
        var json = metadata
        json["client_id_issued_at"] = nil
        return SecretHash(of: String(decoding: JSONValue.object(json).serialized, as: UTF8.self))
    }
}

extension Transaction.Half {
    fileprivate init?(json: JSONValue) {
        guard let userID = json["id"]?.string, let name = json["name"]?.string, let credential = json["credential"]?.string else { return nil }
        self.init(userID: userID, name: name, credential: credential)
    }
}

/// Seals transactions into texts for forms and links, and opens them.
struct TransactionSealer: Sendable {
    let sealer: Sealer

    func seal(_ transaction: Transaction) throws(OAuthError) -> String {
        var json: JSONObject = [
            "id": .string(transaction.id), "browser": .string(Base64URL.encode(transaction.browser.bytes)),
            "exp": .int(transaction.expiresAt.seconds),
        ]
        json["session"] = transaction.session.map { .string(Base64URL.encode($0.bytes)) }
        json["user"] = transaction.userID.map { .string($0) }
        json["half"] = transaction.halfSignedIn.map { ["id": .string($0.userID), "name": .string($0.name), "credential": .string($0.credential)] }
        json["revision"] = transaction.clientRevision.map { .string(Base64URL.encode($0.bytes)) }
        json["chosen"] = transaction.chosen.map { .string($0.text) }
        json["one_time_secret"] = transaction.newOneTimeSecret.map { .string(Base64URL.encode($0)) }
        json["provider"] = transaction.provider.map { .string($0) }
        if transaction.mustSignInAgain { json["again"] = true }
        if let approval = transaction.approval {
            var member: JSONObject = [
                "scope": .string(approval.scopes.text), "revision": .string(Base64URL.encode(approval.clientRevision.bytes)),
                "remembers": .bool(approval.remembers),
            ]
            member["user"] = approval.userID.map { .string($0) }
            json["approval"] = .object(member)
        }
        switch transaction.purpose {
        case .account: break
        case .authorize(let request): json["request"] = request.json
        case .device(let userCode): json["device"] = .string(userCode ?? "")
        case .connection(let request): json["connection"] = request.json
        }
        return Base64URL.encode(try sealer.seal(JSONValue.object(json).serialized, owner: "transaction"))
    }

    /// Nil for a text that was not sealed here, has expired, or belongs to another browser.
    func open(_ text: String, browser: SecretHash?, at now: NumericDate) -> Transaction? {
        guard text.utf8.count <= 32768, let sealed = try? Base64URL.decode(text), let bytes = sealer.open(sealed, owner: "transaction"),
            let json = try? JSONValue(parsing: bytes), let id = json["id"]?.string, let owner = Self.hash(json["browser"]),
            let expiry = json["exp"]?.int,
            let browser, browser == owner, now.seconds < expiry
        else { return nil }
        let purpose: Transaction.Purpose
        if let value = json["request"] {
            guard let request = AuthorizationRequest(json: value) else { return nil }
            purpose = .authorize(request)
        } else if let value = json["device"] {
            purpose = .device(userCode: value.string.flatMap { $0.isEmpty ? nil : $0 })
        } else if let value = json["connection"] {
            guard let request = ConnectionRequest(json: value) else { return nil }
            purpose = .connection(request)
        } else {
            purpose = .account
        }
        var transaction = Transaction(
            id: id, purpose: purpose, browser: owner, session: Self.hash(json["session"]), userID: json["user"]?.string,
            halfSignedIn: json["half"].flatMap(Transaction.Half.init(json:)),
            clientRevision: Self.hash(json["revision"]), expiresAt: NumericDate(seconds: Int64(expiry)))
        transaction.chosen = json["chosen"]?.string.flatMap { ScopeSet(request: $0) }
        transaction.provider = json["provider"]?.string
        transaction.mustSignInAgain = json["again"]?.bool ?? false
        if let approval = json["approval"], let scopes = approval["scope"]?.string.flatMap({ ScopeSet(request: $0) }),
            let revision = Self.hash(approval["revision"])
        {
            transaction.approval = Transaction.Approval(
                scopes: scopes, clientRevision: revision, userID: approval["user"]?.string, remembers: approval["remembers"]?.bool ?? false)
        }
        transaction.newOneTimeSecret = json["one_time_secret"]?.string.flatMap { try? Base64URL.decode($0) }
        return transaction
    }

    private static func hash(_ value: JSONValue?) -> SecretHash? {
        value?.string.flatMap { try? Base64URL.decode($0) }.flatMap(SecretHash.init(bytes:))
    }
}

extension AuthorizationRequest {
    var json: JSONValue {
        var json: JSONObject = [
            "client": .string(clientID.text), "redirect": .string(redirectURI), "challenge": .string(challenge.text), "scope": .string(scopes.text),
            "resource": .string(resource), "prompt": .strings(prompt.sorted()),
        ]
        json["state"] = state.map { .string($0) }
        json["max_age"] = maximumAge.map { .int($0) }
        json["login_hint"] = loginHint.map { .string($0) }
        json["nonce"] = nonce.map { .string($0) }
        json["dpop_jkt"] = keyThumbprint.map { .string($0) }
        if !locales.isEmpty { json["ui_locales"] = .strings(locales) }
        if isChoiceNeeded { json["choice_needed"] = true }
        return .object(json)
    }

    init?(json: JSONValue) {
        guard let client = json["client"]?.string.flatMap(ClientID.init), let redirect = json["redirect"]?.string,
            let challenge = json["challenge"]?.string.flatMap(CodeChallenge.init), let scopes = json["scope"]?.string.flatMap({ ScopeSet($0) }),
            let resource = json["resource"]?.string
        else { return nil }
        self.init(
            clientID: client, redirectURI: redirect, state: json["state"]?.string, challenge: challenge, scopes: scopes,
            isChoiceNeeded: json["choice_needed"]?.bool ?? false, resource: resource, prompt: Set(json["prompt"]?.strings ?? []),
            maximumAge: json["max_age"]?.int.map(Int64.init), loginHint: json["login_hint"]?.string,
            nonce: json["nonce"]?.string, keyThumbprint: json["dpop_jkt"]?.string, locales: json["ui_locales"]?.strings ?? [])
    }
}
