#if canImport(Glibc)
    @preconcurrency import Glibc
#elseif canImport(Musl)
    @preconcurrency import Musl
#elseif canImport(Darwin)
    @preconcurrency import Darwin
#endif

/// What a program prints. `FileHandle.write` would end the process when the reader is gone, as in `mcp-auth tools URL |
/// head -1`, or when the disk is full.
package enum StandardOutput {
    /// What a program prints is in a file or a pipe as soon as the line ends, and not when a buffer is full.
    static func writeLineByLine() { setvbuf(stdout, nil, _IOLBF, 0) }

    /// Writes to standard output. Returns the `errno` of a failure, which is `EPIPE` when nothing reads it any more.
    @discardableResult
    package static func print(_ text: String) -> Int32? { print(Array(text.utf8)) }

    /// Writes to standard output. Returns the `errno` of a failure.
    @discardableResult
    package static func print(_ bytes: [UInt8]) -> Int32? { send(bytes, to: 1) }

    /// Writes to standard error. A failure has no place where it could be said.
    package static func printError(_ text: String) { _ = send(Array(text.utf8), to: 2) }

    private static func send(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = poll(&request, 1, 1000)
                continue
            }
            guard count > 0 else { return errno }
            rest = rest.dropFirst(count)
        }
        return nil
    }
}
