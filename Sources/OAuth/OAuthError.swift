/// An error of the protocol, or a value that the protocol does not allow.
///
/// `code` is registered by an RFC or defined by this package, and is stable. `message` says what to do next, and may
/// change. A message may be sent to the other party: it contains no secret and nothing that the other party did not
/// send.
public struct OAuthError: Error, Hashable, CustomStringConvertible {
    /// The `error` member of a response, or a code of this package. Programs compare it.
    public struct Code: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
        /// The text of the code, such as `invalid_grant`.
        public let rawValue: String
        /// A code with any text, for errors that extensions define.
        public init(rawValue: String) { self.rawValue = rawValue }
        /// A code with any text, from a literal.
        public init(stringLiteral value: String) { rawValue = value }

        // RFC 6749 §4.1.2.1 and §5.2
        /// The request lacks a parameter, repeats one, or is malformed.
        public static let invalidRequest: Code = "invalid_request"
        /// The client is unknown, or its authentication failed. The token endpoint answers 401.
        public static let invalidClient: Code = "invalid_client"
        /// The code, refresh token or assertion is invalid, expired, revoked, or belongs to another client.
        public static let invalidGrant: Code = "invalid_grant"
        /// The client may not use this grant type or response type.
        public static let unauthorizedClient: Code = "unauthorized_client"
        /// The server does not support this grant type.
        public static let unsupportedGrantType: Code = "unsupported_grant_type"
        /// The server does not support this response type.
        public static let unsupportedResponseType: Code = "unsupported_response_type"
        /// A requested scope is unknown, malformed, or exceeds what was granted.
        public static let invalidScope: Code = "invalid_scope"
        /// The user or the server denied the request.
        public static let accessDenied: Code = "access_denied"
        /// The server failed unexpectedly.
        public static let serverError: Code = "server_error"
        /// The server cannot answer at the moment. The client can try again.
        public static let temporarilyUnavailable: Code = "temporarily_unavailable"
        // RFC 6750 §3.1
        /// The access token is malformed, expired, revoked, or meant for another resource.
        public static let invalidToken: Code = "invalid_token"
        /// The access token lacks a scope that the request needs.
        public static let insufficientScope: Code = "insufficient_scope"
        // RFC 8628 §3.5
        /// The user has not decided yet. The device polls again.
        public static let authorizationPending: Code = "authorization_pending"
        /// The device polls too often. It waits five seconds longer from now on.
        public static let slowDown: Code = "slow_down"
        /// The device code has expired.
        public static let expiredToken: Code = "expired_token"
        // RFC 9449 §12.2
        /// The DPoP proof is missing or invalid.
        public static let invalidDPoPProof: Code = "invalid_dpop_proof"
        /// The DPoP proof must contain the nonce that the response supplies.
        public static let useDPoPNonce: Code = "use_dpop_nonce"
        // RFC 9101 §7, for RFC 9126
        /// The `request_uri` is unknown, used, or expired.
        public static let invalidRequestURI: Code = "invalid_request_uri"
        // RFC 7591 §3.2.2
        /// A redirect URI in the client metadata is not allowed.
        public static let invalidRedirectURI: Code = "invalid_redirect_uri"
        /// A member of the client metadata is not allowed.
        public static let invalidClientMetadata: Code = "invalid_client_metadata"
        /// The software statement is malformed, or its signature is invalid.
        public static let invalidSoftwareStatement: Code = "invalid_software_statement"
        /// The issuer of the software statement is not trusted.
        public static let unapprovedSoftwareStatement: Code = "unapproved_software_statement"
        // RFC 8707 §2
        /// The requested resource is unknown, missing, or malformed.
        public static let invalidTarget: Code = "invalid_target"
        // OpenID Connect Core §3.1.2.6
        /// The request allows no interaction (`prompt=none`), and no user is signed in.
        public static let loginRequired: Code = "login_required"
        /// The request allows no interaction (`prompt=none`), and the user has not consented.
        public static let consentRequired: Code = "consent_required"
        // This package's own
        /// The client exceeded a rate limit. The response is a 429.
        public static let tooManyRequests: Code = "too_many_requests"
        /// A text is not a valid issuer or resource identifier.
        public static let invalidIdentifier: Code = "invalid_identifier"
        /// A metadata document is malformed, or names another issuer.
        public static let invalidMetadata: Code = "invalid_metadata"
        /// The configuration of a server is not allowed. The message says what to change.
        public static let invalidConfiguration: Code = "invalid_configuration"
        /// The response of another server is not what the protocol allows, or contradicts an earlier one.
        public static let invalidResponse: Code = "invalid_response"
        /// A request to another server failed.
        public static let fetchFailed: Code = "fetch_failed"
    }

    /// The kind of error.
    public let code: Code
    /// The error in words. Not a secret.
    public let message: String

    /// The message must not contain a secret.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}
