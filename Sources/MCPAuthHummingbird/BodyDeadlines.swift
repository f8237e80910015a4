import NIOCore
import ServiceLifecycle
import Synchronization

/// Ends connections whose request bodies take too long to arrive. A timer for each request would wake the event loop
/// twice; this looks around once a second.
final class BodyDeadlines: Service {
    private struct Waiting {
        let channel: any Channel
        let until: ContinuousClock.Instant
    }

    private struct State {
        var next: UInt64 = 0
        var waiting: [UInt64: Waiting] = [:]
    }

    /// Contexts are made by the framework, so that there is one for all of them.
    static let shared = BodyDeadlines()

    private let state = Mutex(State())

    func begin(_ channel: any Channel, seconds: Int64) -> UInt64 {
        let until = ContinuousClock.now + .seconds(seconds)
        return state.withLock { state in
            state.next &+= 1
            state.waiting[state.next] = Waiting(channel: channel, until: until)
            return state.next
        }
    }

    func end(_ id: UInt64) { state.withLock { $0.waiting[id] = nil } }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: .seconds(1))) != nil {
                let now = ContinuousClock.now
                let overdue = self.state.withLock { $0.waiting.values.filter { $0.until < now } }
                for entry in overdue { entry.channel.close(promise: nil) }
            }
        }
    }
}
