/// The rate limits of the endpoints, by address, and where it is known by client or account. IPv6 addresses count by
/// their /64 network.
///
/// Each limit is a burst and a rate, by the generic cell rate algorithm. Clients that exceed a limit receive 429 with
/// `Retry-After`. Each process counts for itself, in bounded memory.
public struct RateLimits: Sendable, Hashable {
    /// A burst and a rate.
    public struct Limit: Sendable, Hashable {
        /// The number of requests that may come at once.
        public var burst: Int
        /// The number of milliseconds in which one more request becomes possible.
        public var interval: Int64

        /// Values below 1 count as 1.
        public init(burst: Int, everyMilliseconds interval: Int64) {
            self.burst = burst
            self.interval = interval
        }
    }

    /// Failed sign-ins of one address.
    public var signInByAddress = Limit(burst: 20, everyMilliseconds: 10_000)
    /// Failed sign-ins to one account, from any address. A browser that has signed in to the account before has its own
    /// count.
    public var signInByAccount = Limit(burst: 10, everyMilliseconds: 30_000)
    /// Wrong user codes of one account, so few that guessing one within its lifetime is hopeless (RFC 8628 §5.1).
    public var userCode = Limit(burst: 5, everyMilliseconds: 600_000)
    /// Client registrations of one address.
    public var registration = Limit(burst: 60, everyMilliseconds: 20_000)
    /// Failed authentications of one client from one address, and wrong registration access tokens of one address.
    public var clientSecret = Limit(burst: 30, everyMilliseconds: 5000)
    /// Authorization requests of one address.
    public var authorize = Limit(burst: 300, everyMilliseconds: 500)
    /// Device authorization requests of one address, so few that one address cannot fill `maximumWaitingDevices`.
    public var device = Limit(burst: 60, everyMilliseconds: 5000)
    /// Pushed authorization requests, registration management requests (RFC 7592), and forms sent from other sites, of
    /// one address.
    public var begin = Limit(burst: 200, everyMilliseconds: 500)
    /// Token, introspection, revocation and userinfo requests of one address.
    public var token = Limit(burst: 600, everyMilliseconds: 20)
    /// Requests of one client that authenticates, from any address. Public clients are not counted, because their
    /// `client_id` proves nothing.
    public var client = Limit(burst: 2000, everyMilliseconds: 5)
    /// Exchanges of the refresh tokens of one grant.
    public var refresh = Limit(burst: 120, everyMilliseconds: 10_000)
    /// Client metadata documents that are fetched for one address. The limit for one host is ten times as high.
    public var clientDocument = Limit(burst: 20, everyMilliseconds: 3000)

    /// Whether requests from loopback addresses are counted. The default is false: behind a proxy on this machine that
    /// is not configured with `TrustProxies`, all clients would share one limit.
    public var countsLoopback = false

    /// The default limits.
    public init() {}
}
