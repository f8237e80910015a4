public import HTTPTypes
public import OAuth

/// The requests that a server accepts by Host, Origin and scheme (MCP transports, "Security Warning"), to prevent DNS
/// rebinding. It is checked before the token.
public struct TransportSecurity: Sendable {
    /// The accepted values of `Host` in lower case, with the port unless it is the default of the scheme. Nil: every
    /// host.
    public var allowedHosts: Set<String>? { didSet { listHosts() } }
    /// The accepted values of `Origin`. A request without the header does not come from a web page and is accepted.
    /// Nil: every origin.
    public var allowedOrigins: Set<String>?
    /// Whether all web pages of programs on this machine may call: `http` or `https`, on `localhost`, `127.0.0.1` or
    /// `[::1]`, on any port.
    public var allowsLoopbackOrigins = false
    /// The same as `allowedHosts` when they are few: comparing is cheaper than hashing.
    private var hostList: [String] = []
    /// Whether a request is rejected whose proxy reports that the client used plain http (`X-Forwarded-Proto`).
    public var refusesForwardedHTTP: Bool

    /// The given rules. Nothing is added to them.
    public init(allowedHosts: Set<String>?, allowedOrigins: Set<String>?, refusesForwardedHTTP: Bool) {
        self.allowedHosts = allowedHosts
        self.allowedOrigins = allowedOrigins
        self.refusesForwardedHTTP = refusesForwardedHTTP
        listHosts()
    }

    private mutating func listHosts() { hostList = allowedHosts.map { $0.count <= 4 ? Array($0) : [] } ?? [] }

    /// The rules of a protected resource: its own host and origin, and the origins of the web pages that may call it. A
    /// resource on a loopback host accepts every loopback origin, which development tools need.
    public static func resource(_ url: WebURL, additionalHosts: Set<String> = [], allowedOrigins: Set<String> = []) -> TransportSecurity {
        var security = TransportSecurity(for: url, additionalHosts: additionalHosts, additionalOrigins: allowedOrigins)
        security.allowsLoopbackOrigins = url.isLoopback
        return security
    }

    /// The own host and origin of a server. On a loopback host, all three names of it with the same port.
    public init(for url: WebURL, additionalHosts: Set<String> = [], additionalOrigins: Set<String> = []) {
        var hosts: Set<String> = [url.hostForURL]
        if url.isLoopback { hosts.formUnion(["localhost", "127.0.0.1", "[::1]"]) }
        var values: Set<String> = []
        var origins: Set<String> = []
        for host in hosts {
            let isDefault = url.effectivePort == (url.isSecure ? 443 : 80)
            values.insert("\(host):\(url.effectivePort)")
            if isDefault { values.insert(host) }
            origins.insert("\(url.scheme)://\(host)" + (isDefault ? "" : ":\(url.effectivePort)"))
        }
        self.init(
            allowedHosts: values.union(additionalHosts.map { $0.lowercased() }), allowedOrigins: origins.union(additionalOrigins),
            refusesForwardedHTTP: url.isSecure)
    }

    private static let hostField = HTTPField.Name("Host")!

    /// Accepts everything. Use it only behind a proxy that checks Host and Origin.
    public static let insecureUnchecked = TransportSecurity(allowedHosts: nil, allowedOrigins: nil, refusesForwardedHTTP: false)

    /// The reason why the request must be rejected, in words. Nil when it is accepted.
    public func violation(_ request: HTTPRequest) -> String? {
        if let allowedHosts {
            guard let authority = request.authority, !authority.isEmpty else { return "the request names no Host" }
            // The first Host becomes the authority. A second one stays a field (RFC 9112 §3.2).
            guard !request.headerFields.contains(Self.hostField) else { return "the request names more than one Host" }
            guard
                hostList.contains(authority) || allowedHosts.contains(authority)
                    || allowedHosts.contains(String(decoding: authority.utf8.map(URLBytes.lowercased), as: UTF8.self))
            else {
                return "this server is not reached by that Host; use the URL that its metadata names, or add the Host to the allowed hosts"
            }
        }
        if let allowedOrigins, request.headerFields.contains(.origin) {
            let origins = request.headerFields[values: .origin]
            guard origins.count == 1, allowedOrigins.contains(origins[0]) || (allowsLoopbackOrigins && Self.isLoopbackOrigin(origins[0])) else {
                return "web pages of that Origin may not call this server; add it to the allowed origins if they should"
            }
        }
        if refusesForwardedHTTP, let proto = request.headerFields[.xForwardedProto], URLBytes.equalIgnoringCase(proto, "http") {
            return "this server is reached by https only"
        }
        return nil
    }
}

extension TransportSecurity {
    /// Accepts the literal names only. A name that resolves to this machine may resolve to another one the next time.
    private static func isLoopbackOrigin(_ origin: String) -> Bool {
        guard let url = WebURL(origin), url.origin.utf8.elementsEqual(origin.utf8) else { return false }
        return ["localhost", "127.0.0.1", "[::1]"].contains(url.hostForURL)
    }

    /// Why a value cannot be one of `allowedOrigins`, or nil. `*` and `null` identify no origin.
    package static func problem(withOrigin origin: String) -> String? {
        if let url = WebURL(origin), url.origin.utf8.elementsEqual(origin.utf8) { return nil }
        return
            "\(origin.prefix(200)) is no origin that can be allowed. An origin is a scheme and a host, with a port where it is not the default, "
            + "such as https://app.example.com: without a slash at the end, a path or a wildcard"
    }
}

extension HTTPField.Name {
    package static let xForwardedProto = HTTPField.Name("X-Forwarded-Proto")!
}
