#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A moment in whole seconds since 1970-01-01T00:00:00Z (RFC 7519 §2). Arithmetic saturates and never traps.
public struct NumericDate: Sendable, Hashable, Comparable {
    /// Seconds since 1970-01-01T00:00:00Z. Negative before.
    public let seconds: Int64

    /// A moment by its seconds since 1970-01-01T00:00:00Z.
    public init(seconds: Int64) { self.seconds = seconds }

    public static func < (left: NumericDate, right: NumericDate) -> Bool { left.seconds < right.seconds }

    /// The moment this many seconds later, or earlier for a negative number. Saturates at the bounds of `Int64`.
    public func advanced(by seconds: Int64) -> NumericDate {
        let (sum, overflow) = self.seconds.addingReportingOverflow(seconds)
        return NumericDate(seconds: overflow ? (seconds > 0 ? .max : .min) : sum)
    }

    /// The number of seconds from `other` to `self`, negative when `self` is earlier. Saturates at the bounds of
    /// `Int64`.
    public func seconds(since other: NumericDate) -> Int64 {
        let (difference, overflow) = seconds.subtractingReportingOverflow(other.seconds)
        return overflow ? (seconds > other.seconds ? .max : .min) : difference
    }
}

/// The source of the current time. It is passed in, so that tests can set the time, and all parts of a server use one
/// clock.
public struct Clock: Sendable {
    private let read: @Sendable () -> NumericDate

    /// A clock that calls `read` for each access to `now`.
    public init(_ read: @escaping @Sendable () -> NumericDate) { self.read = read }

    /// The current time.
    public var now: NumericDate { read() }

    /// The wall clock of this machine. It may jump when an operator or NTP sets it.
    public static let system = Clock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return NumericDate(seconds: Int64(time.tv_sec))
    }
}

/// The source of random bytes. It is passed in, so that tests can fix it. Everything secret depends on it.
public struct RandomSource: Sendable {
    private let fill: @Sendable (Int) -> [UInt8]

    /// `fill` returns as many bytes as its argument says, from a cryptographically secure generator.
    public init(_ fill: @escaping @Sendable (Int) -> [UInt8]) { self.fill = fill }

    /// This many random bytes.
    public func bytes(_ count: Int) -> [UInt8] { fill(count) }

    /// `count` random bytes as base64url. 32 bytes are 256 bits and 43 characters.
    public func token(bytes count: Int = 32) -> String { Base64URL.encode(bytes(count)) }

    /// The random generator of the operating system.
    public static let system = RandomSource { count in
        #if canImport(Glibc) || canImport(Musl)
            // Swift's own generator asks the kernel for each eight bytes.
            let drawn = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                while initialized < count {
                    let part = min(count - initialized, 256)
                    guard getentropy(buffer.baseAddress! + initialized, part) == 0 else { break }
                    initialized += part
                }
            }
            if drawn.count == count { return drawn }
        #endif
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: generator.next() as UInt64) { bytes.append(contentsOf: $0) } }
        return Array(bytes.prefix(count))
    }
}
