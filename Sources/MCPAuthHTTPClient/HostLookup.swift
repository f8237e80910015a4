import NIOCore
import NIOPosix
public import OAuth

/// What can be said of a host from this machine, for tools that an operator runs.
public enum HostLookup: Sendable, Hashable {
    /// The name has no address.
    case noAddress
    /// An address is in a private network, or is another special address.
    case privateAddress
    /// Nothing accepts connections on the port.
    case refused
    /// A connection can be made.
    case reachable

    /// Resolves the name, and connects once. Sends nothing. The URL must be one that the operator typed.
    public static func look(up url: WebURL) async -> HostLookup {
        let addresses = (try? await Resolver.addresses(of: url.host, port: url.effectivePort, within: .seconds(3))) ?? []
        guard !addresses.isEmpty else { return .noAddress }
        if !url.isLoopback, addresses.contains(where: { !$0.value.isPublic }) { return .privateAddress }
        let channel = try? await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(.seconds(3))
            .connect(host: addresses[0].text, port: url.effectivePort).get()
        try? await channel?.close()
        return channel == nil ? .refused : .reachable
    }
}
