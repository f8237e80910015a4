import HTTPTypes
import JOSE
import OAuth

/// The rate limits of one server. Each process counts for itself.
struct RateLimiters: ServerComponent {
    let context: ServerContext
    let signInByAddress, signInByAccount, signInByBrowser, userCode, registration, clientSecret, authorize, begin, device, token, client,
        refresh: RateLimiter

    init(_ context: ServerContext) {
        self.context = context
        let limits = context.configuration.rateLimits
        signInByAddress = RateLimiter(limits.signInByAddress)
        signInByAccount = RateLimiter(limits.signInByAccount)
        signInByBrowser = RateLimiter(limits.signInByAccount)
        userCode = RateLimiter(limits.userCode)
        registration = RateLimiter(limits.registration)
        clientSecret = RateLimiter(limits.clientSecret)
        authorize = RateLimiter(limits.authorize)
        begin = RateLimiter(limits.begin)
        device = RateLimiter(limits.device)
        token = RateLimiter(limits.token)
        client = RateLimiter(limits.client)
        refresh = RateLimiter(limits.refresh)
    }

    /// Whether rate limits by address ignore this request: loopback addresses, unless `RateLimits.countsLoopback` is
    /// set.
    private func isUncounted(_ call: HTTPCall) -> Bool {
        guard !configuration.rateLimits.countsLoopback, let peer = call.peer.flatMap({ IPAddress($0) }) else { return false }
        return peer.isLoopback
    }

    /// The seconds that the address of a request has to wait, or nil. The request is counted.
    func seconds(_ call: HTTPCall, _ limit: RateLimiter) -> Int64? {
        isUncounted(call) ? nil : limit.wait(for: call.limitKey, at: clock.now)
    }

    /// The response to an address that exceeds a limit, or nil.
    func tooMany(_ call: HTTPCall, _ limit: RateLimiter) -> HTTPReply? {
        guard let seconds = seconds(call, limit) else { return nil }
        return HTTPReply.error(OAuthError(.tooManyRequests, "too many requests; wait \(seconds) seconds"), status: .tooManyRequests)
            .with(.retryAfter, "\(seconds)")
    }

    /// The seconds to wait for another exchange of a grant's refresh token, or nil.
    func seconds(forGrant id: String, _ call: HTTPCall, at now: NumericDate) -> Int64? {
        isUncounted(call) ? nil : refresh.wait(for: id, at: now)
    }
}

extension HTTPCall {
    /// The key of an address for rate limits: the address, or the /64 of an IPv6 address, because one host has many of
    /// those.
    var limitKey: String {
        guard let peer, let address = IPAddress(peer) else { return peer ?? "" }
        return address.networkKey
    }
}
