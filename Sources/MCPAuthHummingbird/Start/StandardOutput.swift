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

    /// Writes to standard output. False when nothing reads it any more, or it cannot be written.
    @discardableResult
    package static func write(_ text: String) -> Bool { write(text, to: 1) }

    /// Writes to standard error. False when nothing reads it any more, or it cannot be written.
    @discardableResult
    package static func writeError(_ text: String) -> Bool { write(text, to: 2) }

    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                #if canImport(Glibc)
                    let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                #elseif canImport(Musl)
                    let count = Musl.write(descriptor, rest.baseAddress, rest.count)
                #else
                    let count = Darwin.write(descriptor, rest.baseAddress, rest.count)
                #endif
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN {
                    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&request, 1, 1000)
                    continue
                }
                guard count > 0 else { return false }
                rest = rest.dropFirst(count)
            }
            return true
        }
    }
}

extension Slice where Base == UnsafeBufferPointer<UInt8> {
    fileprivate var baseAddress: UnsafePointer<UInt8>? { base.baseAddress.map { $0 + startIndex } }
}
