import MCPAuth
import MCPServer
import OAuth

/// Whether the address that a server listens on fits the URL that clients are told to use.
enum OriginCheck {
    /// Throws `invalid_configuration` when a URL on this machine has another port or scheme than the server listens
    /// with, and no proxy is in between.
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
