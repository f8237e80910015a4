/// An error of the protocol, or a value that the protocol does not allow.
///
/// The code is one that an RFC registered, or one of this package's own, and stays; the message says what to do next and may change.
/// A message is meant for the other side: it holds no secret and nothing that the other side did not send.
public struct OAuthError: Error, Hashable, CustomStringConvertible {
    public struct Code: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public init(stringLiteral value: String) { rawValue = value }

        // RFC 6749 §4.1.2.1 and §5.2
        public static let invalidRequest: Code = "invalid_request"
        public static let invalidClient: Code = "invalid_client"
        public static let invalidGrant: Code = "invalid_grant"
        public static let unauthorizedClient: Code = "unauthorized_client"
        public static let unsupportedGrantType: Code = "unsupported_grant_type"
        public static let unsupportedResponseType: Code = "unsupported_response_type"
        public static let invalidScope: Code = "invalid_scope"
        public static let accessDenied: Code = "access_denied"
        public static let serverError: Code = "server_error"
        public static let temporarilyUnavailable: Code = "temporarily_unavailable"
        // RFC 6750 §3.1
        public static let invalidToken: Code = "invalid_token"
        public static let insufficientScope: Code = "insufficient_scope"
        // RFC 8628 §3.5
        public static let authorizationPending: Code = "authorization_pending"
        public static let slowDown: Code = "slow_down"
        public static let expiredToken: Code = "expired_token"
        // RFC 9449 §12.2
        public static let invalidDPoPProof: Code = "invalid_dpop_proof"
        public static let useDPoPNonce: Code = "use_dpop_nonce"
        // RFC 9101 §7, for RFC 9126
        public static let invalidRequestURI: Code = "invalid_request_uri"
        // RFC 7591 §3.2.2
        public static let invalidRedirectURI: Code = "invalid_redirect_uri"
        public static let invalidClientMetadata: Code = "invalid_client_metadata"
        public static let invalidSoftwareStatement: Code = "invalid_software_statement"
        public static let unapprovedSoftwareStatement: Code = "unapproved_software_statement"
        // RFC 8707 §2
        public static let invalidTarget: Code = "invalid_target"
        // OpenID Connect Core §3.1.2.6
        public static let loginRequired: Code = "login_required"
        public static let consentRequired: Code = "consent_required"
        // This package's own
        public static let tooManyRequests: Code = "too_many_requests"
        public static let invalidIdentifier: Code = "invalid_identifier"
        public static let invalidMetadata: Code = "invalid_metadata"
        public static let invalidConfiguration: Code = "invalid_configuration"
        public static let fetchFailed: Code = "fetch_failed"
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
