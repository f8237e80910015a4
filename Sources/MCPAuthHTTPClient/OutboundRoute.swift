import NIOSSL
public import OAuth

/// The way out of a network: through a proxy, and with certificate authorities of its own.
public struct OutboundRoute: Sendable, Hashable {
    /// The proxy for requests to other networks, such as `http://proxy.example.com:3128`. It is reached with plain
    /// HTTP, and https goes through it by CONNECT. Nil: none.
    public var proxy: WebURL?
    /// The hosts and domains that are reached without the proxy. `example.com` includes its subdomains.
    public var withoutProxy: [String]
    /// A PEM file with the certificate authorities that are trusted in place of the system's. Nil: the system's.
    public var certificateAuthorities: String?

    /// A route. Nothing is checked.
    public init(proxy: WebURL? = nil, withoutProxy: [String] = [], certificateAuthorities: String? = nil) {
        self.proxy = proxy
        self.withoutProxy = withoutProxy
        self.certificateAuthorities = certificateAuthorities
    }

    /// The route of the variables that most programs read: `HTTPS_PROXY` or `https_proxy`, `NO_PROXY` or `no_proxy`
    /// (names separated by commas), and `SSL_CERT_FILE`. `HTTP_PROXY` is not read, because every request goes to https.
    ///
    /// Throws `invalid_configuration` for a proxy that is not an http URL, or has a user name, and for a file without
    /// certificates. `NO_PROXY=*` means no proxy.
    public init(environment: [String: String]) throws(OAuthError) {
        func value(_ names: String...) -> String? { names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty } }
        var proxy: WebURL?
        if let text = value("HTTPS_PROXY", "https_proxy") {
            guard let url = WebURL(text.contains("://") ? text : "http://" + text), !url.isSecure, url.path.isEmpty || url.path == "/" else {
                throw OAuthError(
                    .invalidConfiguration, "HTTPS_PROXY is the URL of a proxy without a user name, such as http://proxy.example.com:3128")
            }
            proxy = url
        }
        let exceptions = value("NO_PROXY", "no_proxy") ?? ""
        if exceptions.split(separator: ",").contains(where: { $0.filter { $0 != " " } == "*" }) { proxy = nil }
        let names = exceptions.split(separator: ",").map { name in
            String(name.drop { $0 == " " || $0 == "." || $0 == "*" }.prefix { $0 != " " })
        }
        let authorities = value("SSL_CERT_FILE")
        if let authorities, (try? NIOSSLCertificate.fromPEMFile(authorities))?.isEmpty ?? true {
            throw OAuthError(
                .invalidConfiguration,
                "SSL_CERT_FILE: \(authorities.prefix(300)) has no certificates (PEM) that can be read; name another file, or unset it")
        }
        self.init(proxy: proxy, withoutProxy: names.filter { !$0.isEmpty }, certificateAuthorities: authorities)
    }

    /// Whether a request goes through the proxy. Loopback and literal addresses never do.
    func usesProxy(for url: WebURL) -> Bool {
        guard proxy != nil, !url.isLoopback, IPAddress(url.host) == nil else { return false }
        let host = url.host.lowercased()
        return !withoutProxy.contains { name in
            let name = name.lowercased()
            return host == name || host.hasSuffix("." + name)
        }
    }
}
