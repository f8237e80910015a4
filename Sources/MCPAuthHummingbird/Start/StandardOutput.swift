#if canImport(Glibc)
    @preconcurrency import Glibc
#elseif canImport(Musl)
    @preconcurrency import Musl
#elseif canImport(Darwin)
    @preconcurrency import Darwin
#endif

enum StandardOutput {
    /// What a program prints is in a file or a pipe as soon as the line ends, and not when a buffer is full.
    static func writeLineByLine() { setvbuf(stdout, nil, _IOLBF, 0) }
}
