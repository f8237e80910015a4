public import JOSE
public import OAuth

/// One decision or one change that may have to be explained later. It never contains a secret: no token, code,
/// password, key or cookie.
public struct AuditEvent: Sendable, Hashable {
    /// The outcome of a decision.
    public enum Verdict: String, Sendable, Hashable {
        /// `allowed`: the request was permitted or the change was made. `denied`: it was refused. `failed`: an error
        /// prevented it.
        case allowed, denied, failed
    }

    /// The time of the decision.
    public var time: NumericDate
    /// The kind of decision: `access`, `sign_in`, `consent`, `token.issued`, `token.revoked`, `client.registered` and
    /// others.
    public var action: String
    /// The outcome.
    public var verdict: Verdict
    /// A stable code with few values, such as `expired` or `insufficient_scope`. Nil when there is nothing to say.
    public var reason: String?
    /// An explanation for people. Its wording may change.
    public var detail: String?
    /// The issuer of the token, or of the authorization server that decided.
    public var issuer: String?
    /// The user, or the client that acts for itself. Unique within `issuer` only.
    public var subject: String?
    /// The client that made the request.
    public var clientID: String?
    /// The operation, such as `tool search-tasks`.
    public var operation: String?
    /// The scopes of the token or the grant.
    public var scopes: ScopeSet?
    /// The scopes that the operation needed and the token lacked.
    public var missingScopes: ScopeSet?
    /// An identifier of the request, to match it with logs. Not a secret.
    public var requestID: String?
    /// The IP address of the client as text.
    public var peer: String?

    /// Values that are nil are left out of the JSON. The caller must not pass secrets.
    public init(
        _ action: String, _ verdict: Verdict, at time: NumericDate, reason: String? = nil, detail: String? = nil, issuer: String? = nil,
        subject: String? = nil,
        clientID: String? = nil, operation: String? = nil, scopes: ScopeSet? = nil, missingScopes: ScopeSet? = nil, requestID: String? = nil,
        peer: String? = nil
    ) {
        self.time = time
        self.action = action
        self.verdict = verdict
        self.reason = reason
        self.detail = detail
        self.issuer = issuer
        self.subject = subject
        self.clientID = clientID
        self.operation = operation
        self.scopes = scopes
        self.missingScopes = missingScopes
        self.requestID = requestID
        self.peer = peer
    }

    /// One JSON object. `serialized` of it is always one line. Optional texts longer than 512 bytes are truncated.
    public var json: JSONValue {
        var json = JSONObject()
        json["time"] = .string(time.iso8601)
        json["action"] = .string(action)
        json["verdict"] = .string(verdict.rawValue)
        for (name, value) in [
            ("reason", reason), ("detail", detail), ("issuer", issuer), ("subject", subject), ("client_id", clientID), ("operation", operation),
            ("scope", scopes?.text), ("missing_scope", missingScopes?.text), ("request_id", requestID), ("peer", peer),
        ] { json[name] = value.map { .string(Self.bounded($0)) } }
        return .object(json)
    }

    /// Clients choose some of these values. No value may fill the disk.
    private static func bounded(_ text: String) -> String {
        text.utf8.count <= 512 ? text : String(decoding: text.utf8.prefix(512), as: UTF8.self) + "…"
    }
}

extension NumericDate {
    /// The moment as `2026-11-21T03:30:00Z` (RFC 3339). Years outside 1 to 9999 are clamped. Uses the civil-from-days
    /// algorithm and no formatter.
    public var iso8601: String {
        let bounded = min(max(seconds, -62_135_596_800), 253_402_300_799)
        let days = bounded >= 0 ? bounded / 86400 : (bounded - 86399) / 86400
        let rest = bounded - days * 86400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let paddedYear = String(repeating: "0", count: max(0, 4 - "\(year)".count)) + "\(year)"
        return "\(paddedYear)-\(two(month))-\(two(day))T\(two(rest / 3600)):\(two(rest % 3600 / 60)):\(two(rest % 60))Z"
    }
}
