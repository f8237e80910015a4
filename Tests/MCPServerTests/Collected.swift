import Synchronization

/// Lines, from any thread.
final class Collected: Sendable {
    private let storage = Mutex<[[UInt8]]>([])
    var lines: [[UInt8]] { storage.withLock { $0 } }
    func add(_ line: [UInt8]) { storage.withLock { $0.append(line) } }
}
