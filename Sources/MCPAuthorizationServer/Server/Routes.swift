import HTTPTypes
import OAuth

/// The paths of the server, below the path of its issuer.
struct Routes: Sendable {
    enum Route: Sendable {
        case metadata, keys, authorize, push, signIn, consent, signOut, account, disconnect, endSession, endSessions, password, oneTimeCodes,
            changeCodes, device, deviceDecision, style, logo, icon, providerStart, providerAnswer,
            disconnectProvider, connection
        case providerLogout
        case token, deviceAuthorization, revoke, introspect, userInfo, register, registeredClient

        /// Whether the response is the same for every client, and may be read from any host and origin.
        var isPublicDocument: Bool {
            switch self {
            case .metadata, .keys: true
            default: false
            }
        }

        /// Whether GET is answered, and therefore HEAD (RFC 9110 §9.3.2).
        var answersGet: Bool {
            switch self {
            case .authorize, .signIn, .consent, .signOut, .account, .disconnect, .endSession, .endSessions, .password, .oneTimeCodes, .changeCodes,
                .device, .deviceDecision, .style, .logo, .icon, .userInfo, .providerStart, .providerAnswer, .disconnectProvider,
                .connection, .registeredClient:
                true
            // Public documents know the method themselves.
            case .metadata, .keys, .push, .token, .deviceAuthorization, .revoke, .introspect, .register, .providerLogout: false
            }
        }

        /// Whether a form of another site may be posted to it: the answer of an identity provider, which is used only
        /// in the browser that began the sign-in.
        var acceptsForeignForms: Bool {
            switch self {
            case .providerAnswer: true
            default: false
            }
        }

        /// Whether programs call it, which may run in web pages. Cookies do not count there.
        var allowsAnyOrigin: Bool {
            switch self {
            case .token, .revoke, .register, .registeredClient, .introspect, .push, .deviceAuthorization, .userInfo: true
            default: false
            }
        }
    }

    private let routes: [String: Route]
    let issuer: Issuer

    /// Only features that are on have a path.
    init(_ issuer: Issuer, _ configuration: AuthorizationServerConfiguration, _ signIn: SignInChoices) {
        self.issuer = issuer
        let base = issuer.trimmedPath
        var routes: [String: Route] = [:]
        for (path, route, isOn) in Self.table(configuration) where isOn { routes[base + path] = route }
        if configuration.grantTypes.contains(.authorizationCode) || configuration.grantTypes.contains(.deviceCode) {
            if !signIn.providers.isEmpty {
                routes[base + "/sign-in/provider"] = .providerStart
                routes[base + "/account/connection"] = .disconnectProvider
                routes[base + "/account/connect"] = .connection
            }
            for provider in signIn.providers {
                routes[base + "/sign-in/callback/" + provider.id] = .providerAnswer
                routes[base + "/sign-in/logout/" + provider.id] = .providerLogout
            }
        }
        for url in issuer.metadataURLs { if let path = WebURL(url)?.path { routes[path] = .metadata } }
        self.routes = routes
    }

    private static func table(_ configuration: AuthorizationServerConfiguration) -> [(String, Route, Bool)] {
        let hasCodes = configuration.grantTypes.contains(.authorizationCode)
        let hasDevices = configuration.grantTypes.contains(.deviceCode)
        let hasPeople = hasCodes || hasDevices
        return [
            ("/jwks", .keys, true), ("/token", .token, true), ("/revoke", .revoke, true), ("/introspect", .introspect, true),
            ("/authorize", .authorize, hasCodes), ("/par", .push, hasCodes), ("/consent", .consent, hasCodes),
            ("/sign-in", .signIn, hasPeople), ("/sign-out", .signOut, hasPeople), ("/account", .account, hasPeople),
            ("/account/disconnect", .disconnect, hasPeople), ("/account/sign-out-everywhere", .endSessions, hasPeople),
            ("/account/session", .endSession, hasPeople), ("/account/password", .password, hasPeople),
            ("/account/one-time-codes", .oneTimeCodes, hasPeople), ("/account/one-time-codes/change", .changeCodes, hasPeople),
            ("/assets/style.css", .style, hasPeople), ("/assets/icon.svg", .icon, hasPeople),
            ("/assets/logo", .logo, hasPeople && configuration.branding.logo != nil),
            ("/device_authorization", .deviceAuthorization, hasDevices), ("/device", .device, hasDevices),
            ("/device/decision", .deviceDecision, hasDevices), ("/userinfo", .userInfo, configuration.isOpenIDProvider && hasPeople),
            ("/register", .register, configuration.dynamicRegistration != .off),
            ("/register/client", .registeredClient, configuration.dynamicRegistration != .off),
        ]
    }

    /// Every path, for the description of the interface.
    var paths: [String] { routes.keys.sorted() }

    /// The route of an exact path. No other spelling is served.
    func route(for path: String) -> Route? { routes[path] }

    /// The path of an endpoint, for links and forms on these pages.
    func path(_ path: String) -> String { issuer.trimmedPath + path }

    /// The URL of an endpoint, from the configuration and never from a request.
    func url(_ path: String) -> String { issuer.url.origin + issuer.trimmedPath + path }
}
