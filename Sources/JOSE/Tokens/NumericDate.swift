#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A moment in whole seconds since 1970-01-01T00:00:00Z (RFC 7519 §2). Arithmetic saturates; it never traps.
public struct NumericDate: Sendable, Hashable, Comparable {
    public let seconds: Int64

    public init(seconds: Int64) { self.seconds = seconds }

    public static func < (left: NumericDate, right: NumericDate) -> Bool { left.seconds < right.seconds }

    public func advanced(by seconds: Int64) -> NumericDate {
        let (sum, overflow) = self.seconds.addingReportingOverflow(seconds)
        return NumericDate(seconds: overflow ? (seconds > 0 ? .max : .min) : sum)
    }

    /// How many seconds `self` lies after `other`.
    public func seconds(since other: NumericDate) -> Int64 {
        let (difference, overflow) = seconds.subtractingReportingOverflow(other.seconds)
        return overflow ? (seconds > other.seconds ? .max : .min) : difference
    }
}

/// Where the time comes from: handed in, so that tests turn the clock and production cannot be surprised by two of them.
public struct Clock: Sendable {
    private let read: @Sendable () -> NumericDate

    public init(_ read: @escaping @Sendable () -> NumericDate) { self.read = read }

    public var now: NumericDate { read() }

    /// The wall clock of this machine.
    public static let system = Clock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return NumericDate(seconds: Int64(time.tv_sec))
    }
}

/// Where random bytes come from.
public struct RandomSource: Sendable {
    private let fill: @Sendable (Int) -> [UInt8]

    public init(_ fill: @escaping @Sendable (Int) -> [UInt8]) { self.fill = fill }

    public func bytes(_ count: Int) -> [UInt8] { fill(count) }

    /// A text of `count` random bytes in base64url: 32 bytes give 256 bits and 43 characters.
    public func token(bytes count: Int = 32) -> String { Base64URL.encode(bytes(count)) }

    /// The operating system's generator.
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
