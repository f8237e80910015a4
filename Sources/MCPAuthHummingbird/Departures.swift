import MCPServer
import NIOCore
import Synchronization

/// Knows who is being answered on which connection, so that a client that closes its connection ends the work on its
/// request.
final class Departures: Sendable {
    private enum Entry {
        case answering(ClientDeparture)
        /// The client has closed its side before anybody asked.
        case gone
    }

    /// Contexts are made by the framework, so that there is one for all of them.
    static let shared = Departures()

    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])

    /// For the request that is read from a connection now; the one of the request before it counts no longer.
    func begin(_ channel: any Channel) -> ClientDeparture {
        let departure = ClientDeparture()
        let isGone = entries.withLock { entries in
            if case .gone? = entries[ObjectIdentifier(channel)] { return true }
            entries[ObjectIdentifier(channel)] = .answering(departure)
            return false
        }
        if isGone { departure.leave() }
        // The connection may have closed while the request head was processed. Its entry would then never be removed.
        if !channel.isActive { forget(channel) }
        return departure
    }

    fileprivate func leave(_ channel: any Channel) {
        let entry = entries.withLock { entries in
            defer { entries[ObjectIdentifier(channel)] = .gone }
            return entries[ObjectIdentifier(channel)]
        }
        if case .answering(let departure)? = entry { departure.leave() }
    }

    fileprivate func forget(_ channel: any Channel) { _ = entries.withLock { $0.removeValue(forKey: ObjectIdentifier(channel)) } }

    /// One for each connection.
    final class Handler: ChannelInboundHandler, RemovableChannelHandler, Sendable {
        typealias InboundIn = Any

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? ChannelEvent, case .inputClosed = event { Departures.shared.leave(context.channel) }
            context.fireUserInboundEventTriggered(event)
        }

        func channelInactive(context: ChannelHandlerContext) {
            Departures.shared.leave(context.channel)
            Departures.shared.forget(context.channel)
            context.fireChannelInactive()
        }
    }
}
