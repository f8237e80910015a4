public import JOSE
import Synchronization

/// A clock that stands still until a test advances it.
public final class TestClock: Sendable {
    private let seconds: Mutex<Int64>

    /// Starts at 2027-01-15T08:00:00Z, unless other seconds since 1970-01-01T00:00:00Z are given.
    public init(_ seconds: Int64 = 1_800_000_000) { self.seconds = Mutex(seconds) }

    /// A `Clock` to pass to the code under test. It follows this clock.
    public var clock: Clock { Clock { NumericDate(seconds: self.seconds.withLock { $0 }) } }
    /// The current time of this clock.
    public var now: NumericDate { NumericDate(seconds: seconds.withLock { $0 }) }
    /// Moves the clock by seconds; a negative number sets it back.
    public func advance(by delta: Int64) { seconds.withLock { $0 += delta } }
}
