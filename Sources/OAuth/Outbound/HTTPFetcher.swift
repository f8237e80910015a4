public import HTTPTypes

/// Fetches documents whose URLs other parties choose. Every outbound request of this package goes through one.
///
/// An implementation must connect to the address that it checked, follow no redirect, and keep no cookies. It must stop
/// reading the body at `maximumBytes` and end the whole exchange at `timeout`. A failure is `fetch_failed` with a
/// message that names no address.
public protocol HTTPFetcher: Sendable {
    /// Sends one request and returns the complete response, with any status. Throws `fetch_failed`, also when the
    /// policy forbids the URL or the body is too long.
    func fetch(_ request: OutboundRequest) async throws(OAuthError) -> HTTPReply
}

/// A fetcher that can say why a request failed.
package protocol ExplainingFetcher: HTTPFetcher {
    /// A fetcher with the same policy whose messages give the reason.
    var explaining: any HTTPFetcher { get }
}

extension HTTPFetcher {
    /// For URLs of the configuration, whose errors go to a log and never to a caller. Otherwise the reason would tell
    /// strangers which hosts and ports of the network exist (S-04).
    package var forConfiguredURLs: any HTTPFetcher { (self as? any ExplainingFetcher)?.explaining ?? self }
}

/// A request to another server.
public struct OutboundRequest: Sendable {
    /// The method. The default is GET.
    public var method: HTTPRequest.Method
    /// The URL. The policy of the fetcher decides whether it may be fetched.
    public var url: WebURL
    /// The header fields, sent as they are.
    public var fields: HTTPFields
    /// The body. Empty: none.
    public var body: [UInt8]
    /// The longest response body, in bytes. A longer one fails with `fetch_failed`.
    public var maximumBytes: Int
    /// The time for the whole exchange, including name resolution.
    public var timeout: Duration

    /// By default the response is limited to 256 KiB and five seconds.
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

/// The servers that outbound requests may reach.
public struct OutboundPolicy: Sendable {
    /// Whether `http` URLs may be fetched.
    public var insecureAllowHTTP: Bool
    /// Whether loopback addresses may be reached.
    public var allowsLoopback: Bool
    /// Whether private networks may be reached (RFC 1918, RFC 6598, RFC 4193), for identity providers on an intranet.
    /// Loopback, link-local and other special-use addresses stay closed. Do not give such a fetcher to an authorization
    /// server: it fetches URLs that clients choose, which could then reach internal services (SSRF).
    public var allowPrivateNetworks: Bool

    /// By default, https to public addresses only.
    public init(insecureAllowHTTP: Bool = false, allowsLoopback: Bool = false, allowPrivateNetworks: Bool = false) {
        self.insecureAllowHTTP = insecureAllowHTTP
        self.allowsLoopback = allowsLoopback
        self.allowPrivateNetworks = allowPrivateNetworks
    }

    /// https to public addresses.
    public static let strict = OutboundPolicy()
    /// Also http, and loopback addresses. For development on one machine.
    public static let development = OutboundPolicy(insecureAllowHTTP: true, allowsLoopback: true)

    /// Whether a connection to this address is allowed.
    public func allows(_ address: IPAddress) -> Bool {
        address.isPublic || (address.isLoopback && allowsLoopback) || (address.isPrivateNetwork && allowPrivateNetworks)
    }

    /// Whether this URL may be fetched: https, or http where that is allowed, and no literal address that is forbidden.
    /// The addresses of a name must be checked with `allows(_:)` after resolution.
    public func allows(_ url: WebURL) -> Bool {
        guard url.isSecure || insecureAllowHTTP else { return false }
        return IPAddress(url.host).map(allows) ?? true
    }
}
