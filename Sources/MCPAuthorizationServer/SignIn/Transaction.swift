import Crypto
import JOSE
import MCPAuth
import OAuth

/// What a person is in the middle of: carried by the pages themselves, sealed, so that nobody can change it and no
/// memory is spent on strangers.
struct Transaction: Sendable {
    enum Purpose: Sendable {
        case authorize(AuthorizationRequest)
        case account
        /// Connecting a device, by the user code where it is known.
        case device(userCode: String?)
    }

    /// Random; at most one code is ever issued for it.
    let id: String
    let purpose: Purpose
    /// The browser that began it, as the hash of its cookie.
    let browser: SecretHash
    /// The session that a consent page was shown to. Nil before sign-in.
    let session: SecretHash?
    /// The user whom a consent page was shown to.
    let userID: String?
    /// Who has given their password and owes a one-time code still.
    var halfSignedIn: Half?
    /// What the client had said of itself when the question was asked, for a client whose document could change
    /// meanwhile (S-12).
    var clientRevision: SecretHash?
    /// The permissions that the person left ticked, where the question has to be asked again.
    var chosen: ScopeSet?
    /// The secret of one-time codes that are being set up.
    var newOneTimeSecret: [UInt8]?
    let expiresAt: NumericDate

    /// A password that was right, of whom, typed as what, and which password that was.
    struct Half: Sendable, Equatable {
        let userID: String
        let name: String
        let credential: String
    }

    /// Fifteen minutes to find one's password.
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

    /// The same, as a question that somebody is asked.
    func shown(to session: Session, asking client: Client? = nil) -> Transaction {
        var shown = Transaction(
            id: id, purpose: purpose, browser: browser, session: session.hash, userID: session.userID, clientRevision: client?.revision,
            expiresAt: expiresAt)
        shown.chosen = chosen
        return shown
    }

    /// Whether it was shown to this session, or to another one of the same user in this browser, such as the one before
    /// they signed in again in another tab.
    func isShown(to session: Session) -> Bool { self.session == session.hash || (self.session != nil && userID == session.userID) }

    /// The same with a user code.
    func with(userCode: String) -> Transaction {
        Transaction(id: id, purpose: .device(userCode: userCode), browser: browser, session: session, userID: userID, expiresAt: expiresAt)
    }
}

extension Client {
    /// What a person was told when they were asked, in one hash.
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

/// Seals transactions into texts for forms and links, and opens them again.
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
        switch transaction.purpose {
        case .account: break
        case .authorize(let request): json["request"] = request.json
        case .device(let userCode): json["device"] = .string(userCode ?? "")
        }
        return Base64URL.encode(try sealer.seal(JSONValue.object(json).serialized, owner: "transaction"))
    }

    /// Nil for anything that was not sealed here, has expired, or belongs to another browser.
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
        } else {
            purpose = .account
        }
        var transaction = Transaction(
            id: id, purpose: purpose, browser: owner, session: Self.hash(json["session"]), userID: json["user"]?.string,
            halfSignedIn: json["half"].flatMap(Transaction.Half.init(json:)),
            clientRevision: Self.hash(json["revision"]), expiresAt: NumericDate(seconds: Int64(expiry)))
        transaction.chosen = json["chosen"]?.string.flatMap { ScopeSet(request: $0) }
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
