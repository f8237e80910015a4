public import MCPServer
import NIOCore
public import OAuth

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension MCPServer.Transport {
    /// The host and the port to listen on.
    package var address: (host: String, port: Int) {
        switch self {
        case .http(let host, let port), .https(let host, let port, _): (host, port)
        }
    }

    /// Checks whether a server can listen with this transport: the port is free, and the certificate is usable. It
    /// creates nothing, so a program can call it before it creates its data. `MCPServer.run` calls it too.
    ///
    /// Throws `temporarily_unavailable` when another process listens on the port, and `invalid_configuration` when the
    /// port, the address or the certificate cannot be used. It does not reserve the port.
    public func check() throws(OAuthError) {
        if case .https(_, _, let certificate) = self { _ = try certificate.read() }
        guard (0...65535).contains(address.port) else { throw OAuthError(.invalidConfiguration, "\(address.port) is not a port: 1 to 65535") }
        try Self.checkIsFree(address.host, address.port)
    }

    private static func checkIsFree(_ host: String, _ port: Int) throws(OAuthError) {
        guard port != 0 else { return }
        let address: SocketAddress
        do { address = try SocketAddress.makeAddressResolvingHost(host, port: port) } catch {
            throw OAuthError(
                .invalidConfiguration, "the host \(host) to listen on cannot be resolved; write an address of this machine, such as 127.0.0.1")
        }
        #if canImport(Darwin)
            let kind = SOCK_STREAM
        #else
            let kind = Int32(SOCK_STREAM.rawValue)
        #endif
        let descriptor = socket(Int32(address.protocol.rawValue), kind, 0)
        // If no descriptor is left, the start of the server reports it.
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let result = address.withSockAddr { bind(descriptor, $0, socklen_t($1)) }
        if result != 0, let error = ListenFailure.error(errno, host, port) { throw error }
    }
}

/// The meaning of an operating system error at `bind`.
enum ListenFailure {
    /// Nil for an error that says nothing about the configuration.
    static func error(_ code: Int32, _ host: String = "the host", _ port: Int? = nil) -> OAuthError? {
        let name = port.map { "port \($0)" } ?? "a port that this program listens on"
        return switch code {
        case EADDRINUSE:
            OAuthError(.temporarilyUnavailable, "\(name) is already in use. Stop the other process, or listen on another port, such as PORT=8001.")
        case EACCES:
            OAuthError(
                .invalidConfiguration,
                "this user may not listen on \(name). Listen on a port from 1024 on behind a proxy, or grant CAP_NET_BIND_SERVICE.")
        case EADDRNOTAVAIL:
            OAuthError(.invalidConfiguration, "\(host) is not an address of this machine. Use 127.0.0.1, or 0.0.0.0 for every interface.")
        default: nil
        }
    }
}
