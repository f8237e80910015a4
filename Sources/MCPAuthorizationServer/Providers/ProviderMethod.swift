import HTTPTypes
import IdentityProviders
import JOSE
import OAuth

/// An identity provider with the credentials of this server at it.
struct ProviderMethod: Sendable {
    let provider: IdentityProvider
    let clientID: String
    let secret: ProviderSecret
    let admission: Admission
    let furtherScopes: [String]
    let permissions: (@Sendable (ProviderPerson) -> ScopeSet)?
    let roles: (@Sendable (ProviderPerson) -> [String])?

    /// Whether organizations and teams are read.
    var readsMembership: Bool { admission.needsMembership || permissions != nil || roles != nil }

    /// The roles of a user, as many as fit into a token.
    func roles(of person: ProviderPerson) -> [String] {
        (roles?(person) ?? []).lazy.filter { (1...256).contains($0.utf8.count) }.prefix(100).map(\.self)
    }

    /// Throws `invalid_configuration`.
    func check() throws(OAuthError) {
        try provider.check()
        guard provider.signIn != nil else {
            throw OAuthError(
                .invalidConfiguration, "users cannot sign in through \(provider.name); trust its tokens instead (ResourceServer, trusting:)")
        }
        guard !clientID.isEmpty else { throw OAuthError(.invalidConfiguration, "sign-in with \(provider.name) needs the client ID that it assigned") }
        if case .text(let text) = secret.kind, text.isEmpty {
            throw OAuthError(.invalidConfiguration, "sign-in with \(provider.name) needs the client secret that it assigned")
        }
    }

    /// The scopes of the authorization request.
    func scopes(_ signIn: ProviderSignIn) -> [String] {
        var scopes = signIn.scopes
        for scope in signIn.offlineScopes + (readsMembership ? signIn.membershipScopes : []) + furtherScopes where !scopes.contains(scope) {
            scopes.append(scope)
        }
        return scopes
    }

    /// The client secret for a request now.
    func secretText(at now: NumericDate) throws(OAuthError) -> String {
        switch secret.kind {
        case .text(let text): return text
        case .appleKey(let team, _, let key):
            let claims: JSONValue = [
                "iss": .string(team), "sub": .string(clientID), "aud": .string(provider.issuer), "iat": .int(now.seconds),
                "exp": .int(now.advanced(by: 600).seconds),
            ]
            do throws(JOSEError) { return try CompactJWS.sign(claims.serialized, type: "JWT", with: key) } catch {
                throw OAuthError(.serverError, "the client secret could not be signed")
            }
        }
    }
}

/// The tokens of a provider for one user.
struct ProviderTokens: Sendable, Equatable {
    var accessToken: String
    var refreshToken: String?
    var expiresAt: NumericDate?
    var scopes: [String]

    var json: JSONValue {
        var json: JSONObject = ["access_token": .string(accessToken), "scopes": .strings(scopes)]
        json["refresh_token"] = refreshToken.map { .string($0) }
        json["expires_at"] = expiresAt.map { .int($0.seconds) }
        return .object(json)
    }

    init(accessToken: String, refreshToken: String?, expiresAt: NumericDate?, scopes: [String]) {
        self.accessToken = accessToken
        self.refreshToken = refreshToken
        self.expiresAt = expiresAt
        self.scopes = scopes
    }

    init?(json: JSONValue) {
        guard let token = json["access_token"]?.string, let scopes = json["scopes"]?.strings else { return nil }
        self.init(
            accessToken: token, refreshToken: json["refresh_token"]?.string,
            expiresAt: json["expires_at"]?.int.map { NumericDate(seconds: Int64($0)) }, scopes: scopes)
    }
}

/// Why a provider did not do what this server asked for.
enum ProviderFailure: Error {
    /// The provider rejects the code or the refresh token: the user has to sign in again.
    case rejected(String)
    /// This server is not set up correctly at the provider. The text is for the operator.
    case misconfigured(String)
    /// The provider cannot be reached, or asks to wait.
    case unavailable(String)
    /// The answer is wrong, or is not for this server.
    case invalid(String)

    /// The text for the operator.
    var detail: String {
        switch self {
        case .rejected(let text), .misconfigured(let text), .unavailable(let text), .invalid(let text): text
        }
    }

    var reason: String {
        switch self {
        case .rejected: "provider_rejected"
        case .misconfigured: "provider_misconfigured"
        case .unavailable: "provider_unavailable"
        case .invalid: "provider_answer_invalid"
        }
    }
}
