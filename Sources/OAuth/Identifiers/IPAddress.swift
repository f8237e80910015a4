/// An IPv4 or IPv6 address. It says whether a server may fetch URLs that strangers choose from it.
public enum IPAddress: Sendable, Hashable {
    /// The four bytes of an IPv4 address as one number, the first byte highest.
    case v4(UInt32)
    /// The first and the last eight bytes of an IPv6 address as numbers, the first byte highest.
    case v6(high: UInt64, low: UInt64)

    /// From four decimal numbers with dots, or from RFC 4291 text without a zone. Nil for every other spelling,
    /// including those that only `inet_aton` accepts, such as `127.1`.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        if let v4 = Self.parseV4(bytes[...]) {
            self = .v4(v4)
        } else if let (high, low) = Self.parseV6(bytes) {
            self = .v6(high: high, low: low)
        } else {
            return nil
        }
    }

    /// From 4 or 16 bytes in network order. Nil for any other number of bytes.
    public init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16:
            self = .v6(high: bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, low: bytes.dropFirst(8).reduce(0) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    /// Whether this is an IPv6 address.
    public var isV6: Bool { if case .v6 = self { true } else { false } }

    /// Whether the address is in 127.0.0.0/8 or is ::1. False for IPv4 loopback addresses mapped into IPv6.
    public var isLoopback: Bool {
        switch self {
        case .v4(let address): address >> 24 == 127
        case .v6(let high, let low): high == 0 && low == 1
        }
    }

    /// The part of an address that rate limits count, because one host has only a few: the IPv4 address, or the /64 of
    /// an IPv6 address. An IPv4 address that is mapped into IPv6 counts as the IPv4 address.
    package var networkKey: String {
        switch self {
        case .v4(let address): return String(address, radix: 16)
        case .v6(0, let low) where low >> 32 == 0xFFFF: return String(low & 0xFFFF_FFFF, radix: 16)
        case .v6(let high, _): return String(high, radix: 16) + "/64"
        }
    }

    /// Whether this is an ordinary public address. False for the special-use blocks of RFC 6890 and its successors.
    /// False also for every IPv6 form that contains an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo, ISATAP).
    public var isPublic: Bool {
        switch self {
        case .v4(let address):
            return !Self.specialV4.contains { address >> (32 - $0.length) == $0.prefix >> (32 - $0.length) }
        case .v6(let high, let low):
            guard high >> 61 == 0b001 else { return false }  // 2000::/3 is all that is global unicast
            if high >> 32 & 0xFFFF_FE00 == 0x2001_0000 { return false }  // 2001::/23: Teredo, ORCHID, benchmarking
            if high >> 32 == 0x2001_0DB8 || high >> 52 == 0x3FF { return false }  // documentation (3fff::/20 lies inside)
            if high >> 48 == 0x2002 { return false }  // 6to4
            if low >> 32 | 0x0200_0000 == 0x0200_5EFE { return false }  // ISATAP
            return true
        }
    }

    /// Whether this is an address of a private network: 10/8, 172.16/12, 192.168/16 (RFC 1918), 100.64/10 (RFC 6598),
    /// or fc00::/7 (RFC 4193). Loopback and link-local addresses, such as those of cloud metadata services, are none.
    public var isPrivateNetwork: Bool {
        switch self {
        case .v4(let address):
            address >> 24 == 0x0A || address >> 20 == 0xAC1 || address >> 16 == 0xC0A8 || address >> 22 == 0x6440_0000 >> 22
        case .v6(let high, _): high >> 57 == 0xFC >> 1
        }
    }

    private static let specialV4: [(prefix: UInt32, length: UInt32)] = [
        (0x0000_0000, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16), (0xAC10_0000, 12), (0xC000_0000, 24),
        (0xC000_0200, 24), (0xC01F_C400, 24), (0xC034_C100, 24), (0xC058_6300, 24), (0xC0A8_0000, 16), (0xC0AF_3000, 24), (0xC612_0000, 15),
        (0xC633_6400, 24), (0xCB00_7100, 24), (0xE000_0000, 4), (0xF000_0000, 4),
    ]

    private static func parseV4(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy(URLBytes.isDigit), part.count == 1 || part.first != UInt8(ascii: "0") else {
                return nil
            }
            let value = part.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - UInt8(ascii: "0")) }
            guard value <= 255 else { return nil }
            address = address << 8 | value
        }
        return address
    }

    private static func parseV6(_ bytes: [UInt8]) -> (UInt64, UInt64)? {
        guard bytes.count >= 2, bytes.count <= 45 else { return nil }
        var groups: [UInt16] = []
        var gap: Int?
        var index = 0
        if bytes.starts(with: "::".utf8) {
            gap = 0
            index = 2
        }
        while index < bytes.count {
            let end = bytes[index...].firstIndex(of: UInt8(ascii: ":")) ?? bytes.count
            let part = bytes[index..<end]
            if end == bytes.count, part.contains(UInt8(ascii: ".")) {
                guard let v4 = parseV4(part) else { return nil }
                groups += [UInt16(v4 >> 16), UInt16(v4 & 0xFFFF)]
            } else {
                guard (1...4).contains(part.count) else { return nil }
                var value: UInt16 = 0
                for byte in part {
                    guard let digit = URLBytes.hexValue(byte) else { return nil }
                    value = value << 4 | UInt16(digit)
                }
                groups.append(value)
            }
            guard groups.count <= 8 else { return nil }
            index = end + 1
            if end < bytes.count, index < bytes.count, bytes[index] == UInt8(ascii: ":") {
                guard gap == nil else { return nil }
                gap = groups.count
                index += 1
            } else if end < bytes.count, index == bytes.count {
                return nil  // a single colon at the end
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: [UInt16](repeating: 0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        let words = groups.map(UInt64.init)
        return (words[0] << 48 | words[1] << 32 | words[2] << 16 | words[3], words[4] << 48 | words[5] << 32 | words[6] << 16 | words[7])
    }
}
