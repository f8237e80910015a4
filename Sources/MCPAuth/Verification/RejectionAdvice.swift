import JOSE
import Logging
import OAuth
import Synchronization

/// Explains to an operator why a JWT was rejected, and which setting is probably wrong.
struct RejectionAdvice: Sendable {
    private let requirements: JWTRequirements
    /// Nil for an introspection response, which has no header.
    private let header: JWSHeader?
    private let claims: JWTClaims

    init(_ requirements: JWTRequirements, _ header: JWSHeader?, _ claims: JWTClaims) {
        self.requirements = requirements
        self.header = header
        self.claims = claims
    }

    func reason(_ violation: JWTViolation, at now: NumericDate) -> RejectionReason {
        RejectionReason(violation.rawValue, Self.detail(violation), issuer: isOfThisIssuer(violation) ? requirements.issuer : nil) {
            explanation(violation, at: now)
        }
    }

    /// Whether the token is logged. A token of an unrelated issuer is not. A token whose issuer has the same host is,
    /// because a missing or additional final slash is the usual mistake.
    private func isOfThisIssuer(_ violation: JWTViolation) -> Bool {
        if claims.isIssued(by: requirements.issuer) { return true }
        guard violation == .wrongIssuer, let found = claims["iss"]?.string.flatMap(WebURL.init), let trusted = WebURL(requirements.issuer) else {
            return false
        }
        // Entra issues tokens of version 1 under another host.
        let isEntra = trusted.host == "login.microsoftonline.com" && found.host == "sts.windows.net"
        return isEntra || found.host.utf8.elementsEqual(trusted.host.utf8)
    }

    private var isAnyJWT: Bool { if case .absentOrJWT = requirements.type { true } else { false } }

    /// The reason for a token that is not a JWT in compact form. Usually the provider issued it for no API.
    static func notJWT(_ token: AccessToken, _ requirements: JWTRequirements, _ error: JOSEError) -> RejectionReason {
        let dots = token.bytes.count { $0 == UInt8(ascii: ".") }
        guard dots == 0 || dots == 4 else { return RejectionReason(error.code.rawValue, error.message) }
        return RejectionReason(error.code.rawValue, error.message, issuer: requirements.issuer) {
            "it is \(dots == 4 ? "an encrypted token (JWE)" : "an opaque token"), not a signed JWT; let the client request a token for this API "
                + "(audience or resource at the provider), or add .introspection for opaque tokens"
        }
    }

    /// The text for the audit log. It contains nothing of the token.
    private static func detail(_ violation: JWTViolation) -> String {
        switch violation {
        case .wrongType: "typ is not at+jwt; if the issuer does not follow RFC 9068, trust it with tokens: .anyJWT"
        case .wrongAudience: "the token is meant for another server; check the audience configured here and at the issuer"
        case .wrongIssuer: "iss is not, byte for byte, the trusted issuer"
        default: ""
        }
    }

    private func explanation(_ violation: JWTViolation, at now: NumericDate) -> String {
        switch violation {
        case .wrongType:
            "typ is \(header?.type.map(Self.quoted) ?? "missing"), not at+jwt; "
                + (isAnyJWT
                    ? "such a token is no access token: check what the client sends"
                    : "for providers that do not follow RFC 9068 use tokens: .anyJWT")
        case .wrongIssuer:
            "iss is \(claims["iss"]?.string.map(Self.quoted) ?? "missing"), expected \(Self.quoted(requirements.issuer)); "
                + "the two must be equal byte for byte, also in a final slash: check the issuer URL of the configuration"
        case .wrongAudience:
            "aud is \(Self.list(claims.audience)), expected \(Self.list(requirements.audiences ?? [])); register that value as the API (resource, "
                + "audience) at the provider, or name the provider's own value for this server with audience: .exactly([...])"
        case .noExpiration: "exp is missing; tokens without an end are not accepted"
        case .expired: "it expired \(elapsed(claims.expiration, now)) seconds ago; if it was fresh, compare the clocks of both machines"
        case .notYetValid: "nbf is \(-elapsed(claims.notBefore, now)) seconds ahead; compare the clocks of both machines"
        case .issuedInTheFuture: "iat is \(-elapsed(claims.issuedAt, now)) seconds ahead; compare the clocks of both machines"
        case .livesTooLong: "it lives longer than \(requirements.maximumLifetime ?? 0) seconds; shorten the lifetime of access tokens at the provider"
        }
    }

    private func elapsed(_ date: NumericDate?, _ now: NumericDate) -> Int64 { date.map { now.seconds(since: $0) } ?? 0 }

    private static func list(_ values: [String]) -> String { "[" + values.prefix(4).map(quoted).joined(separator: ", ") + "]" }

    /// Printable ASCII without quotes, so that no value of a token can break a line of the log or imitate one.
    private static func quoted(_ value: String) -> String { "\"\(HTTPReply.printable(String(value.prefix(120))))\"" }
}

/// Logs the reasons of rejected tokens: each reason of each configured issuer at most once a minute, so that a flood of
/// tokens does not fill the log.
final class RejectionLog: Sendable {
    private let latest = Mutex<[Key: NumericDate]>([:])

    private struct Key: Hashable {
        let code: String
        let issuer: String
    }

    private static let interval: Int64 = 60
    private static let capacity = 256

    func note(_ reason: RejectionReason, _ logger: Logger, at now: NumericDate) {
        guard let issuer = reason.issuer else {
            logger.debug("rejected a token", metadata: ["reason": "\(reason)"])
            return
        }
        let isDue = latest.withLock { latest in
            let key = Key(code: reason.code, issuer: issuer)
            // A large negative number is a clock that was set back.
            if let last = latest[key], (-60..<Self.interval).contains(now.seconds(since: last)) { return false }
            guard latest[key] != nil || latest.count < Self.capacity else { return false }
            latest[key] = now
            return true
        }
        guard isDue else { return }
        let explanation = reason.explanation.text
        logger.notice(
            "rejected a token of \(issuer): \(explanation.isEmpty ? reason.description : explanation)",
            metadata: ["reason": "\(reason.code)", "values": "unverified"])
    }
}
