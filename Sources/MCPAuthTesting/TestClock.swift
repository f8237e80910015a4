public import JOSE
import Synchronization

/// A clock that stands still until a test turns it.
public final class TestClock: Sendable {
    private let seconds: Mutex<Int64>

    public init(_ seconds: Int64 = 1_800_000_000) { self.seconds = Mutex(seconds) }

    public var clock: Clock { Clock { NumericDate(seconds: self.seconds.withLock { $0 }) } }
    public var now: NumericDate { NumericDate(seconds: seconds.withLock { $0 }) }
    public func advance(by delta: Int64) { seconds.withLock { $0 += delta } }
}
