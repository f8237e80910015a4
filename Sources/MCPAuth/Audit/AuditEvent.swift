public import JOSE
public import OAuth

/// One decision, or one change, that somebody may have to answer for later. Never holds a secret: no token, code, password, key or cookie.
public struct AuditEvent: Sendable, Hashable {
    public enum Verdict: String, Sendable, Hashable {
        case allowed, denied, failed
    }

    public var time: NumericDate
    /// What was decided: `access`, `sign_in`, `consent`, `token.issued`, `token.revoked`, `client.registered` ...
    public var action: String
    public var verdict: Verdict
    /// Stable and of few values, such as `expired` or `insufficient_scope`.
    public var reason: String?
    /// For people.
    public var detail: String?
    public var issuer: String?
    public var subject: String?
    public var clientID: String?
    public var operation: String?
    /// What the token, or the grant, has.
    public var scopes: ScopeSet?
    /// What was missing.
    public var missingScopes: ScopeSet?
    public var requestID: String?
    public var peer: String?

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

    /// One JSON object; `serialized` of it is one line, whatever the values hold.
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

    /// Strangers choose some of these values; none may fill the disk.
    private static func bounded(_ text: String) -> String {
        text.utf8.count <= 512 ? text : String(decoding: text.utf8.prefix(512), as: UTF8.self) + "…"
    }
}

extension NumericDate {
    /// `2026-11-21T03:30:00Z` (RFC 3339), by the civil-from-days algorithm, so that no formatter is needed on the way.
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
