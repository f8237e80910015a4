/// How often the endpoints may be asked, by address (an IPv6 one counts with its network) and where it is known by client or account.
///
/// Each is a burst and a rate by the generic cell rate algorithm; whoever asks more often is answered 429 with `Retry-After`. The memory for this
/// is bounded.
public struct RateLimits: Sendable, Hashable {
    public struct Limit: Sendable, Hashable {
        /// As many at once.
        public var burst: Int
        /// Then one every so many milliseconds.
        public var interval: Int64

        public init(burst: Int, everyMilliseconds interval: Int64) {
            self.burst = burst
            self.interval = interval
        }
    }

    /// Wrong passwords of one address.
    public var signInByAddress = Limit(burst: 20, everyMilliseconds: 10_000)
    /// Wrong passwords for one account, from wherever; a browser that has signed in to it before is counted apart.
    public var signInByAccount = Limit(burst: 10, everyMilliseconds: 30_000)
    /// Wrong user codes of one account: so few that nobody guesses one in its lifetime (RFC 8628 §5.1).
    public var userCode = Limit(burst: 5, everyMilliseconds: 600_000)
    /// Registrations of one address.
    public var registration = Limit(burst: 60, everyMilliseconds: 20_000)
    /// Wrong secrets for one client from one address.
    public var clientSecret = Limit(burst: 30, everyMilliseconds: 5000)
    /// Pages begun by one address.
    public var authorize = Limit(burst: 300, everyMilliseconds: 500)
    /// Devices begun by one address: few enough that it cannot take all the places there are.
    public var device = Limit(burst: 60, everyMilliseconds: 5000)
    /// Requests pushed, and registrations looked at, by one address.
    public var begin = Limit(burst: 200, everyMilliseconds: 500)
    /// Token requests of one address.
    public var token = Limit(burst: 600, everyMilliseconds: 20)
    /// Requests of one client that proves who it is, from wherever. A public client's name is everybody's, so it is not counted.
    public var client = Limit(burst: 2000, everyMilliseconds: 5)
    /// Exchanges of the refresh tokens of one grant.
    public var refresh = Limit(burst: 120, everyMilliseconds: 10_000)
    /// Documents of clients fetched because of one address. One host may be asked ten times as often.
    public var clientDocument = Limit(burst: 20, everyMilliseconds: 3000)

    /// Whether requests from addresses of this machine are counted. Off, since behind a proxy on this machine that is not among the trusted ones,
    /// all clients would share one limit.
    public var countsLoopback = false

    public init() {}
}
