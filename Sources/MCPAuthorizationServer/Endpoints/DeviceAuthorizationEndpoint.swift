import HTTPTypes
import JOSE
import MCPAuth
import OAuth

/// The device authorization endpoint (RFC 8628 §3.1).
struct DeviceAuthorizationEndpoint: ServerComponent {
    let context: ServerContext
    let pipeline: EndpointPipeline
    let limits: RateLimiters
    let clients: ClientAuthentication
    let store: any DeviceStore
    let userCodes: UserCodeHash

    func reply(to call: HTTPCall) async -> HTTPReply {
        await pipeline.post(call, limit: limits.device) { form throws(OAuthError) in
            let client = try await clients.client(form, call)
            guard client.grantTypes.contains(.deviceCode) else {
                throw OAuthError(.unauthorizedClient, "the client is not registered for \(GrantType.deviceCode)")
            }
            let resource = try configuration.resource(named: form.all("resource"))
            let requested = try RequestedScopes(
                try form.single("scope"), of: resource, for: client, identity: configuration.identityScopes, unknown: configuration.unknownScopes)
            // On a device the user could not choose before the request is accepted.
            guard !requested.areSubstituted else {
                throw OAuthError(.invalidScope, "none of these scopes can be granted; this client may ask for: \(requested.scopes.text)")
            }
            let scopes = requested.scopes
            let (deviceCode, userCode) = (random.token(), UserCode.make(random))
            let device = DeviceAuthorization(
                hash: SecretHash(of: deviceCode), userCode: userCodes.hash(of: userCode), clientID: client.id, scopes: scopes,
                resource: resource.identifier.text, expiresAt: clock.now.advanced(by: configuration.deviceCodeLifetime))
            do throws(StoreError) { try await store.add(device, limit: configuration.maximumWaitingDevices, at: clock.now) } catch {
                throw error.kind == .unavailable ? unavailable(error) : OAuthError(.temporarilyUnavailable, "too many devices wait; try again")
            }
            record("device.begun", .allowed, call, client: client.id, scopes: scopes)
            let page = routes.url("/device")
            return .json([
                "device_code": .string(deviceCode), "user_code": .string(UserCode.shown(userCode)), "verification_uri": .string(page),
                "verification_uri_complete": .string(page + "?user_code=" + UserCode.shown(userCode)),
                "expires_in": .int(configuration.deviceCodeLifetime), "interval": .int(device.interval),
            ])
        }
    }
}
