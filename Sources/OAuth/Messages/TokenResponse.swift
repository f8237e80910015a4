public import JOSE

/// A successful response of a token endpoint (RFC 6749 §5.1). Its description contains no token.
public struct TokenResponse: Sendable, CustomStringConvertible, CustomReflectable {
    /// How the access token is presented.
    public enum TokenType: String, Sendable, Hashable {
        /// RFC 6750.
        case bearer = "Bearer"
        /// Bound to a key (RFC 9449).
        case dpop = "DPoP"
    }

    /// `access_token`: visible ASCII, at most 16 KiB.
    public let accessToken: String
    /// `token_type`, in any case of letters.
    public let tokenType: TokenType
    /// The moment at which the access token expires. Nil when the response does not say.
    public let expiresAt: NumericDate?
    /// `refresh_token`. Nil when there is none.
    public let refreshToken: String?
    /// `scope`. Nil when the response does not say: what was requested was granted.
    public let scopes: ScopeSet?
    /// The whole document.
    public let document: JSONValue

    /// The longest response that is read, in bytes.
    public static let maximumBytes = 64 * 1024

    /// Parses a response. Throws `invalid_response` for everything that RFC 6749 does not allow, so that no half-good
    /// token is kept: a token type that is neither Bearer nor DPoP or is missing, a lifetime that is not a positive
    /// number of seconds, and tokens with other characters than visible ASCII. A lifetime as text is accepted.
    ///
    /// - Parameter now: The moment of the request, at which the lifetime begins.
    public init(parsing bytes: [UInt8], at now: NumericDate) throws(OAuthError) {
        guard let json = try? JSONValue(parsing: bytes, limits: JSONLimits(maximumBytes: Self.maximumBytes, maximumDepth: 32)), json.object != nil
        else { throw OAuthError(.invalidResponse, "the token response is not a JSON object") }
        guard json["error"]?.string == nil else { throw OAuthError(.invalidResponse, "the token response is a success with an error in it") }
        guard let access = json["access_token"]?.string, Self.isToken(access) else {
            throw OAuthError(.invalidResponse, "the token response has no usable access_token")
        }
        guard let stated = json["token_type"]?.string,
            let type = [TokenType.bearer, .dpop].first(where: { URLBytes.equalIgnoringCase($0.rawValue, stated) })
        else { throw OAuthError(.invalidResponse, "the token_type of the token response is neither Bearer nor DPoP") }
        if let refresh = json["refresh_token"], !refresh.isNull {
            guard let text = refresh.string, Self.isToken(text) else { throw OAuthError(.invalidResponse, "the refresh_token cannot be used") }
            refreshToken = text
        } else {
            refreshToken = nil
        }
        if let stated = json["expires_in"], !stated.isNull {
            guard let seconds = stated.int ?? stated.string.flatMap({ Int($0) }), (0...315_360_000).contains(seconds) else {
                throw OAuthError(.invalidResponse, "expires_in is not a number of seconds")
            }
            expiresAt = now.advanced(by: Int64(seconds))
        } else {
            expiresAt = nil
        }
        accessToken = access
        tokenType = type
        scopes = json["scope"]?.string.map { ScopeSet(lenient: $0) }
        document = json
    }

    /// Visible ASCII, so that a token cannot break a header.
    package static func isToken(_ text: String) -> Bool {
        (1...16_384).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    public var description: String { "TokenResponse" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
