import Foundation
import NIOCore
import OAuth
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The resolver of the operating system. It blocks and cannot be cancelled. It therefore runs on a few threads of its
/// own, and callers stop waiting after the timeout.
enum Resolver {
    struct Failed: Error {}

    private static let queue: OperationQueue = {
        let queue = OperationQueue()
        queue.name = "mcp-auth.resolver"
        queue.maxConcurrentOperationCount = 32
        return queue
    }()

    static func addresses(of host: String, port: Int, within timeout: Duration) async throws -> [(text: String, value: IPAddress)] {
        let answer = FirstAnswer()
        let timer = Task {
            try? await Task.sleep(for: timeout)
            answer.give(.failure(Failed()))
        }
        defer { timer.cancel() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                answer.take(continuation)
                queue.addOperation {
                    // The caller may have stopped waiting while other names were resolved.
                    if !answer.isGiven { answer.give(Result { try addresses(of: host, port: port) }) }
                }
            }
        } onCancel: {
            answer.give(.failure(CancellationError()))
        }
    }

    /// Passes the first answer to the waiting caller, and drops the others.
    private final class FirstAnswer: Sendable {
        typealias Answer = Result<[(text: String, value: IPAddress)], any Error>
        private struct State {
            var continuation: CheckedContinuation<[(text: String, value: IPAddress)], any Error>?
            var early: Answer?
        }
        private let state = Mutex(State())

        func take(_ continuation: CheckedContinuation<[(text: String, value: IPAddress)], any Error>) {
            let early = state.withLock { state -> Answer? in
                if state.early == nil { state.continuation = continuation }
                return state.early
            }
            if let early { continuation.resume(with: early) }
        }

        var isGiven: Bool { state.withLock { $0.early != nil } }

        func give(_ answer: Answer) {
            let waiting = state.withLock { state in
                if state.early == nil { state.early = answer }
                defer { state.continuation = nil }
                return state.continuation
            }
            waiting?.resume(with: answer)
        }
    }

    static func addresses(of host: String, port: Int) throws -> [(text: String, value: IPAddress)] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        #if canImport(Glibc)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        #else
            hints.ai_socktype = SOCK_STREAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0 else { throw Failed() }
        defer { freeaddrinfo(list) }
        var addresses: [(String, IPAddress)] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            guard let pointer = entry.pointee.ai_addr else { continue }
            let bytes: [UInt8]
            switch entry.pointee.ai_family {
            case AF_INET:
                bytes = pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { withUnsafeBytes(of: $0.pointee.sin_addr) { Array($0) } }
            case AF_INET6:
                bytes = pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { withUnsafeBytes(of: $0.pointee.sin6_addr) { Array($0) } }
            default: continue
            }
            guard let value = IPAddress(bytes: bytes), let text = try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: port).ipAddress
            else { throw Failed() }
            addresses.append((text, value))
        }
        return addresses
    }
}
