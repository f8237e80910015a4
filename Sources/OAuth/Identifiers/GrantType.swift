/// The `grant_type` of a token request (RFC 6749 §1.3 and its extensions). Compared byte for byte.
public struct GrantType: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    /// The text of the parameter, such as `authorization_code`.
    public let rawValue: String

    /// A grant type with any text. Nothing is checked.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// RFC 6749 §4.1.
    public static let authorizationCode = GrantType(rawValue: "authorization_code")
    /// RFC 6749 §6.
    public static let refreshToken = GrantType(rawValue: "refresh_token")
    /// RFC 6749 §4.4.
    public static let clientCredentials = GrantType(rawValue: "client_credentials")
    /// RFC 8628.
    public static let deviceCode = GrantType(rawValue: "urn:ietf:params:oauth:grant-type:device_code")
    /// RFC 8693.
    public static let tokenExchange = GrantType(rawValue: "urn:ietf:params:oauth:grant-type:token-exchange")
    /// RFC 7523 §2.1.
    public static let jwtBearer = GrantType(rawValue: "urn:ietf:params:oauth:grant-type:jwt-bearer")

    public var description: String { rawValue }

    public static func == (left: GrantType, right: GrantType) -> Bool { left.rawValue.utf8.elementsEqual(right.rawValue.utf8) }
}
