public import HTTPTypes
public import JOSE

/// The authentication of a client at a token endpoint (RFC 6749 §2.3, RFC 7523). Its description does not contain the
/// secret.
public enum ClientAuthentication: Sendable, CustomStringConvertible, CustomReflectable {
    /// No secret: a public client.
    case none(clientID: String)
    /// A secret in the `Authorization` header, form-encoded (RFC 6749 §2.3.1).
    case basic(clientID: String, secret: String)
    /// A secret in the body (RFC 6749 §2.3.1).
    case post(clientID: String, secret: String)
    /// An assertion that is signed with `key` (RFC 7523 §2.2). `audience` is the issuer.
    case privateKeyJWT(clientID: String, key: SigningKey, audience: String)

    /// The `client_id`.
    public var clientID: String {
        switch self {
        case .none(let id), .basic(let id, _), .post(let id, _), .privateKeyJWT(let id, _, _): id
        }
    }

    /// Adds the authentication to a request. Throws `invalid_configuration` when the key cannot sign.
    package func add(to form: inout Form, _ fields: inout HTTPFields, at now: NumericDate) throws(OAuthError) {
        switch self {
        case .none(let clientID): form.append("client_id", clientID)
        case .basic(let clientID, let secret):
            fields[.authorization] = "Basic " + Base64.encode(Array("\(Form.encode(clientID)):\(Form.encode(secret))".utf8))
        case .post(let clientID, let secret):
            form.append("client_id", clientID)
            form.append("client_secret", secret)
        case .privateKeyJWT(let clientID, let key, let audience):
            form.append("client_id", clientID)
            form.append("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            let claims: JSONValue = [
                "iss": .string(clientID), "sub": .string(clientID), "aud": .string(audience), "iat": .int(now.seconds),
                "exp": .int(now.advanced(by: 60).seconds), "jti": .string(RandomSource.system.token(bytes: 16)),
            ]
            do throws(JOSEError) { form.append("client_assertion", try CompactJWS.sign(claims.serialized, with: key)) } catch {
                throw OAuthError(.invalidConfiguration, error.message)
            }
        }
    }

    public var description: String { "ClientAuthentication(\(clientID))" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
