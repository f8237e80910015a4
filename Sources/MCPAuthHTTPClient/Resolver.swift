import NIOCore
import OAuth

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The operating system's resolver. It blocks, so it runs on a thread pool.
enum Resolver {
    struct Failed: Error {}

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
