public import HTTPTypes

/// The one guarded door out: every document that somebody else names is fetched through one of these.
///
/// Whoever implements it owes this: the address that was checked is the address that is connected to; no redirect is followed; the body is cut off at
/// `maximumBytes` and the whole exchange at `timeout`; no cookie is kept; a failure is `fetch_failed` with a message that names no address.
public protocol HTTPFetcher: Sendable {
    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply
}

/// A request to another server.
public struct OutboundRequest: Sendable {
    public var method: HTTPRequest.Method
    public var url: WebURL
    public var fields: HTTPFields
    public var body: [UInt8]
    /// The most bytes of a body that are read, after decoding; longer answers fail.
    public var maximumBytes: Int
    /// For the whole exchange.
    public var timeout: Duration

    public init(
        _ method: HTTPRequest.Method = .get, _ url: WebURL, fields: HTTPFields = [:], body: [UInt8] = [], maximumBytes: Int = 256 * 1024,
        timeout: Duration = .seconds(5)
    ) {
        self.method = method
        self.url = url
        self.fields = fields
        self.body = body
        self.maximumBytes = maximumBytes
        self.timeout = timeout
    }
}

/// Which servers may be reached.
public struct OutboundPolicy: Sendable {
    /// Whether `http` URLs may be fetched.
    public var insecureAllowHTTP: Bool
    /// Whether loopback addresses may be reached.
    public var allowsLoopback: Bool
    /// Whether private, link-local and other special-use addresses may be reached.
    public var insecureAllowPrivateAddresses: Bool

    public init(insecureAllowHTTP: Bool = false, allowsLoopback: Bool = false, insecureAllowPrivateAddresses: Bool = false) {
        self.insecureAllowHTTP = insecureAllowHTTP
        self.allowsLoopback = allowsLoopback
        self.insecureAllowPrivateAddresses = insecureAllowPrivateAddresses
    }

    /// https to public addresses.
    public static let strict = OutboundPolicy()
    /// Also http, and loopback: for development on one machine.
    public static let development = OutboundPolicy(insecureAllowHTTP: true, allowsLoopback: true)

    /// Whether a connection to this address may be made.
    public func allows(_ address: IPAddress) -> Bool {
        address.isPublic || (address.isLoopback && allowsLoopback) || insecureAllowPrivateAddresses
    }

    /// Whether this URL may be fetched at all: https, or http where that was allowed, and no literal address that may not be reached.
    public func allows(_ url: WebURL) -> Bool {
        guard url.isSecure || insecureAllowHTTP else { return false }
        return IPAddress(url.host).map(allows) ?? true
    }
}
