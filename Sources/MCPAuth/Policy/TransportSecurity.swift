public import HTTPTypes
public import OAuth

/// Which requests are looked at at all: Host, Origin and scheme (MCP transports, "Security Warning"; DNS rebinding).
public struct TransportSecurity: Sendable {
    /// Values of `Host`, with port where it is not the scheme's own, lower case. Nil: any.
    public var allowedHosts: Set<String>? { didSet { listHosts() } }
    /// Values of `Origin`. A request without one is not from a web page and passes. Nil: any.
    public var allowedOrigins: Set<String>?
    /// The same as `allowedHosts` where they are few: comparing is cheaper than hashing.
    private var hostList: [String] = []
    /// Whether a proxy's word that the client spoke plain http (`X-Forwarded-Proto`) ends the request.
    public var refusesForwardedHTTP: Bool

    public init(allowedHosts: Set<String>?, allowedOrigins: Set<String>?, refusesForwardedHTTP: Bool) {
        self.allowedHosts = allowedHosts
        self.allowedOrigins = allowedOrigins
        self.refusesForwardedHTTP = refusesForwardedHTTP
        listHosts()
    }

    private mutating func listHosts() { hostList = allowedHosts.map { $0.count <= 4 ? Array($0) : [] } ?? [] }

    /// The resource's own host and origin; on a loopback host all three names of it, on the same port.
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

    /// Takes everything. Only behind something that checks Host and Origin itself.
    public static let insecureUnchecked = TransportSecurity(allowedHosts: nil, allowedOrigins: nil, refusesForwardedHTTP: false)

    /// Why this request must not go on, or nil.
    public func violation(_ request: HTTPRequest) -> String? {
        if let allowedHosts {
            guard let authority = request.authority, !authority.isEmpty else { return "the request names no Host" }
            // The first Host becomes the authority; a second one stays a field (RFC 9112 §3.2).
            guard !request.headerFields.contains(Self.hostField) else { return "the request names more than one Host" }
            guard
                hostList.contains(authority) || allowedHosts.contains(authority)
                    || allowedHosts.contains(String(decoding: authority.utf8.map(URLBytes.lowercased), as: UTF8.self))
            else {
                return "this server is not reached by that Host; add it to the allowed hosts if it should be"
            }
        }
        if let allowedOrigins, request.headerFields.contains(.origin) {
            let origins = request.headerFields[values: .origin]
            guard origins.count == 1, allowedOrigins.contains(origins[0]) else {
                return "web pages of that Origin may not call this server; add it to the allowed origins if they should"
            }
        }
        if refusesForwardedHTTP, let proto = request.headerFields[.xForwardedProto], URLBytes.equalIgnoringCase(proto, "http") {
            return "this server is reached by https only"
        }
        return nil
    }
}

extension HTTPField.Name {
    package static let xForwardedProto = HTTPField.Name("X-Forwarded-Proto")!
}
