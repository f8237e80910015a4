import Synchronization

/// A value behind a lock.
final class Synchronized<Value: Sendable>: Sendable {
    private let storage: Mutex<Value>
    init(_ value: Value) { storage = Mutex(value) }
    var value: Value { storage.withLock { $0 } }
    func mutate(_ body: (inout sending Value) -> Void) { storage.withLock { body(&$0) } }
}
