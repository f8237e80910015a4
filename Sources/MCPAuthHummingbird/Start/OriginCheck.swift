import MCPAuth
import MCPServer
import OAuth

/// Compares the address that a server listens on with the URL that clients use.
enum OriginCheck {
    /// Throws `invalid_configuration` when a loopback URL has another port or scheme than the transport, and no proxy
    /// is in front. Also when a server with TLS has an http URL, or its certificate does not cover the host.
    static func check(_ resourceServer: ResourceServer, _ transport: MCPServer.Transport, trustedProxies: Int) throws(OAuthError) {
        let url = resourceServer.resource.url
        let port = transport.address.port
        switch transport {
        case .http:
            guard url.isLoopback, trustedProxies == 0, port != 0 else { return }
            guard !url.isSecure else {
                throw OAuthError(
                    .invalidConfiguration,
                    "clients are told to use \(url), which is https, but the server listens with plain http. Write http:// in the URL, use .https(...), or "
                        + "say trustedProxies: 1 if a reverse proxy speaks https for it")
            }
            guard port == url.effectivePort else {
                throw OAuthError(
                    .invalidConfiguration,
                    "clients are told to use \(url), but the server listens on port \(port). Use the same port in both. Otherwise say trustedProxies: 1 "
                        + "behind a reverse proxy, or isForwarded: true where a port mapping or a tunnel forwards port \(url.effectivePort)")
            }
        case .https(_, _, let certificate):
            guard url.isSecure else {
                throw OAuthError(
                    .invalidConfiguration, "the server speaks https, but clients are told to use \(url). Write https:// in the URL, or use .http(...)"
                )
            }
            try certificate.check(covers: url.host)
        }
    }
}
